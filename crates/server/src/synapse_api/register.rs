//! `GET`, `POST /_synapse/admin/v1/register`: registration by scripts that know a secret
//! (<https://element-hq.github.io/synapse/latest/admin_api/register_api.html>).

use accounts::{NewDevice, Refusal, Role, SecretRegistration};
use axum::Json;
use axum::extract::State;
use base::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client_api::login::SessionBody;
use crate::http::{AppState, Error, JsonBody};

/// Answers with a nonce.
pub(crate) async fn get(State(state): State<AppState>) -> Result<Json<Value>, Error> {
    Ok(Json(json!({ "nonce": state.accounts.registration_nonce()? })))
}

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    nonce: Option<String>,
    username: Option<String>,
    displayname: Option<String>,
    password: Option<Secret<String>>,
    admin: Option<bool>,
    user_type: Option<String>,
    mac: Option<String>,
    inhibit_login: Option<bool>,
}

/// Makes the account.
pub(crate) async fn post(
    State(state): State<AppState>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<SessionBody>, Error> {
    let missing = |what| Refusal::MissingParam { what };
    let wanted = SecretRegistration {
        nonce: body.nonce.ok_or(missing("the nonce"))?,
        username: body.username.ok_or(missing("the user name"))?,
        password: body.password.ok_or(missing("the password"))?,
        display_name: body.displayname,
        role: if body.admin == Some(true) { Role::Admin } else { Role::User },
        user_type: body.user_type,
        mac: body.mac.ok_or(missing("the HMAC"))?,
        device: (body.inhibit_login != Some(true)).then(NewDevice::default),
    };
    let registered = state.accounts.register_with_secret(wanted).await?;
    Ok(Json(match registered.session {
        Some(session) => SessionBody::of(session),
        None => SessionBody::without_session(registered.user_id),
    }))
}
