//! `POST /_matrix/client/v3/delete_devices`: logs several devices out
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices>).

use accounts::{Refusal, Which};
use axum::extract::State;
use ruma::OwnedDeviceId;
use ruma::api::client::device::delete_devices::v3::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, RumaResponse};

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
    devices: Option<Vec<OwnedDeviceId>>,
}

/// Logs the devices out, for who proves the account's password.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<Response>, Error> {
    let mut devices = body.devices.ok_or(Refusal::MissingParam { what: "the list of devices" })?;
    devices.sort_unstable();
    let operation = format!("delete the devices {devices:?}");
    uia::prove_caller(&state, &caller, &operation, body.auth.as_deref()).await?;
    state.accounts.logout(&caller.user_id, Which::These(&devices)).await?;
    Ok(RumaResponse(Response::new()))
}
