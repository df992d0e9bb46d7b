//! `GET`, `PUT`, `DELETE /_matrix/client/v3/devices/{deviceId}`: one device
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid>).

use accounts::{Refusal, Which};
use axum::extract::State;
use ruma::OwnedDeviceId;
use ruma::api::client::device::{delete_device, get_device, update_device};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::shown;
use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, Path, Ruma, RumaResponse};

/// Answers with the device.
pub(crate) async fn get(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<get_device::v3::Request>,
) -> Result<RumaResponse<get_device::v3::Response>, Error> {
    let device = state.accounts.device(&caller.user_id, &body.device_id).await?;
    let device = device.ok_or(Refusal::NotFound { what: "device" })?;
    Ok(RumaResponse(get_device::v3::Response::new(shown(device))))
}

/// Calls the device otherwise.
pub(crate) async fn put(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<update_device::v3::Request>,
) -> Result<RumaResponse<update_device::v3::Response>, Error> {
    state.accounts.rename_device(&caller.user_id, &body.device_id, body.display_name.as_deref()).await?;
    Ok(RumaResponse(update_device::v3::Response::new()))
}

/// What is sent to delete it.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
}

/// Logs the device out, for who proves the account's password. One that is not there is out already.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(device): Path<OwnedDeviceId>,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<delete_device::v3::Response>, Error> {
    uia::prove_caller(&state, &caller, &format!("delete the device {device}"), body.auth.as_deref()).await?;
    state.accounts.logout(&caller.user_id, Which::These(&[device])).await?;
    Ok(RumaResponse(delete_device::v3::Response::new()))
}
