//! Bodies of requests: bounded in size and time, and the two ways in which one is not what it should be told apart.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use base::limits;
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::errors::Error;
use super::state::AppState;

/// A JSON body of our own type, for endpoints whose ruma type does not fit. As the last argument of a handler; an empty
/// body counts as `{}`.
#[derive(Clone, Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, state).await?;
        let bytes = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
        // All of it, also what lies in fields that nobody looks at.
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(Error::refusal("M_NOT_JSON", "the body is not UTF-8"));
        };
        serde_json::from_str(text).map(Self).map_err(|error| json_refusal(&error, bytes))
    }
}

/// Reads a body whole.
///
/// # Errors
/// `M_TOO_LARGE` past [`limits::REQUEST_BYTES`]; `M_UNKNOWN` when it did not arrive in [`limits::BODY_TIMEOUT`] or broke off.
pub(crate) async fn read(headers: &HeaderMap, body: Body, state: &AppState) -> Result<Bytes, Error> {
    if axum::body::HttpBody::is_end_stream(&body) {
        return Ok(Bytes::new());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits::REQUEST_BYTES as u64) {
        return Err(too_large());
    }
    let whole = to_bytes(body, limits::REQUEST_BYTES);
    match state.store.clock().timeout(limits::BODY_TIMEOUT, whole).await {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(error)) if is_too_large(&error) => Err(too_large()),
        Some(Err(_)) => Err(Error::refusal("M_UNKNOWN", "the request broke off")),
        None => Err(Error::refusal("M_UNKNOWN", "the request took too long to arrive")),
    }
}

fn too_large() -> Error {
    Error::refusal("M_TOO_LARGE", format!("a request may have at most {} bytes", limits::REQUEST_BYTES))
}

/// Whether reading ended because there was too much to read.
pub(crate) fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Why `body` could not be read: as JSON at all (`M_NOT_JSON`), or as what it should say (`M_BAD_JSON`).
pub(crate) fn json_refusal(error: &serde_json::Error, body: &[u8]) -> Error {
    // The error's own category does not say: a wrong type is found before the end of the text is seen, and a list with too
    // many items counts as a mistake in the text.
    if body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        return Error::refusal("M_BAD_JSON", format!("the body is not what this endpoint takes: {error}"));
    }
    Error::refusal("M_NOT_JSON", "the body is not JSON")
}
