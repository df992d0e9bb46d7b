//! From the body of a request into an upload, piece by piece.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use base::limits;
use http_body_util::BodyExt;
use media::{Described, Upload};
use ruma::OwnedMxcUri;

use crate::http::{AppState, Error};

/// The size of a request's body, where it says so.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Writes the body of `request` into `upload` and ends it.
pub(super) async fn all(
    state: &AppState,
    mut upload: Upload,
    filename: Option<String>,
    request: Request,
) -> Result<OwnedMxcUri, Error> {
    let (parts, mut body) = request.into_parts();
    let clock = state.store.clock();
    loop {
        let Some(frame) = clock.timeout(limits::MEDIA_STALL, body.frame()).await else {
            return Err(Error::refusal("M_UNKNOWN", "the upload stood still for too long"));
        };
        match frame {
            None => break,
            Some(Err(_)) => return Err(Error::refusal("M_UNKNOWN", "the upload broke off")),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    upload.write(piece).await?;
                }
            }
        }
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(upload.finish(Described { content_type, filename }).await?)
}
