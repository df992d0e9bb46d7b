//! `POST /_matrix/client/v3/account/password`: a new password
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>).

use accounts::Refusal;
use axum::extract::State;
use base::Secret;
use ruma::api::client::account::change_password::v3::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, RumaResponse};

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
    new_password: Option<Secret<String>>,
    logout_devices: Option<bool>,
}

/// Sets the password of who proves the old one, and logs out the other devices unless told not to. Without a token one could
/// prove oneself by mail only, which is not kept here.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<Response>, Error> {
    uia::prove_caller(&state, &caller, "change the password", body.auth.as_deref()).await?;
    let password = body.new_password.ok_or(Refusal::MissingParam { what: "the new password" })?;
    let spared = (body.logout_devices != Some(false)).then_some(&*caller.device_id);
    state.accounts.change_password(&caller.user_id, &password, spared).await?;
    Ok(RumaResponse(Response::new()))
}
