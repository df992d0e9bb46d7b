//! `POST /_matrix/client/v3/logout`: ends the session
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout>).

use accounts::Which;
use axum::extract::State;
use ruma::api::client::session::logout::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Logs out the device that asks.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    state.accounts.logout(&caller.user_id, Which::These(std::slice::from_ref(&caller.device_id))).await?;
    Ok(RumaResponse(Response::new()))
}
