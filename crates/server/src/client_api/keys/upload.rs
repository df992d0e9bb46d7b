//! `POST /_matrix/client/v3/keys/upload`: takes in keys of the caller's device
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>).

use accounts::keys::KeysToUpload;
use axum::extract::State;
use ruma::UInt;
use ruma::api::client::keys::upload_keys::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with how many one-time keys there are then.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let keys = KeysToUpload {
        device_keys: body.device_keys,
        one_time_keys: body.one_time_keys,
        fallback_keys: body.fallback_keys,
    };
    let counts = state.accounts.upload_keys(&caller.user_id, &caller.device_id, &keys).await?;
    let counts = counts.one_time.into_iter();
    let counts = counts.map(|(algorithm, count)| (algorithm.into(), UInt::new_saturating(count))).collect();
    Ok(RumaResponse(Response::new(counts)))
}
