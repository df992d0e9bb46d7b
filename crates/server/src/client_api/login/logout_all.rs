//! `POST /_matrix/client/v3/logout/all`: ends all sessions of the user
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall>).

use accounts::Which;
use axum::extract::State;
use ruma::api::client::session::logout_all::v3::{Request, Response};

use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Logs out all devices.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    state.accounts.logout(&caller.user_id, Which::All).await?;
    Ok(RumaResponse(Response::new()))
}
