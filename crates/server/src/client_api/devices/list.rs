//! `GET /_matrix/client/v3/devices`: the user's devices
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>).

use axum::extract::State;
use ruma::api::client::device::get_devices::v3::{Request, Response};

use super::shown;
use crate::http::{AppState, Error, Ruma, RumaResponse};

/// Answers with all of them.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<Request>,
) -> Result<RumaResponse<Response>, Error> {
    let devices = state.accounts.devices(&caller.user_id).await?;
    Ok(RumaResponse(Response::new(devices.into_iter().map(shown).collect())))
}
