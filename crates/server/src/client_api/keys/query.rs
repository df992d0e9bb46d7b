//! `POST /_matrix/client/v3/keys/query`: shows keys of users and their devices
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>).

use axum::extract::State;
use ruma::api::client::keys::get_keys::v3::{Request, Response};

use crate::client_api::keys::claim::failures;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with the keys that the caller may see.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let found = state.accounts.query_keys(&caller.user_id, &body.device_keys).await?;
    let mut response = Response::new();
    response.device_keys = found.device_keys;
    response.master_keys = found.master_keys;
    response.self_signing_keys = found.self_signing_keys;
    response.user_signing_keys = found.user_signing_keys;
    response.failures = failures(&found.not_asked);
    Ok(RumaResponse(response))
}
