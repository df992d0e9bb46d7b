//! `POST /_matrix/media/v1/create`: names media before its content is uploaded
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>).

use axum::extract::State;
use ruma::api::client::media::create_mxc_uri::v1::{Request, Response};
use ruma::{MilliSecondsSinceUnixEpoch, UInt};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the name, and until when its content is taken.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let created = state.media.create(&caller.user_id).await?;
    let mut response = Response::new(created.uri);
    let until = UInt::new_saturating(created.unused_expires_at.as_millis());
    response.unused_expires_at = Some(MilliSecondsSinceUnixEpoch(until));
    Ok(RumaResponse(response))
}
