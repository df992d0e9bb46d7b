//! `POST /_matrix/client/v3/login`: begins a session
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>).

use accounts::{NewDevice, Refusal};
use axum::Json;
use axum::extract::State;
use base::Secret;
use ruma::OwnedDeviceId;
use serde::Deserialize;

use super::{SessionBody, token_kind};
use crate::http::limiter::Class;
use crate::http::{AppState, Error, JsonBody};

/// Who logs in.
#[derive(Debug, Deserialize)]
pub(crate) struct Identifier {
    #[serde(rename = "type")]
    kind: Option<String>,
    user: Option<String>,
}

/// What is sent. Ruma's type for it has no `user` beside `identifier`, which old clients send.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    identifier: Option<Identifier>,
    user: Option<String>,
    password: Option<Secret<String>>,
    token: Option<Secret<String>>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    refresh_token: Option<bool>,
}

/// Begins a session of who proves to be its user.
pub(crate) async fn post(
    State(state): State<AppState>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<SessionBody>, Error> {
    let device = NewDevice {
        id: body.device_id,
        display_name: body.initial_device_display_name,
        tokens: token_kind(body.refresh_token),
    };
    let missing = |what| Error::from(Refusal::MissingParam { what });
    let session = match body.kind.as_deref() {
        None => return Err(missing("the type")),
        Some("m.login.password") => {
            let name = user(body.identifier, body.user)?.ok_or_else(|| missing("the user"))?;
            let password = body.password.ok_or_else(|| missing("the password"))?;
            // Whoever guesses from many addresses still guesses at one account, however its name is written.
            let account = name.trim_start_matches('@').split(':').next().unwrap_or_default().to_lowercase();
            state.limiter.take(Class::Account, account)?;
            state.accounts.login_by_name(&name, password.expose(), device).await?
        }
        Some("m.login.token") => {
            let token = body.token.ok_or_else(|| missing("the token"))?;
            state.accounts.login_with_token(token.expose(), device).await?
        }
        Some("m.login.application_service") => return Err(Error::missing_token()),
        Some(_) => return Err(Error::refusal("M_UNKNOWN", "this way of logging in is not known")),
    };
    Ok(Json(SessionBody::of(session)))
}

/// The user meant. Nobody has an address or a telephone number here.
fn user(identifier: Option<Identifier>, user: Option<String>) -> Result<Option<String>, Error> {
    match identifier {
        Some(Identifier { kind: Some(kind), user }) if kind == "m.id.user" => Ok(user),
        Some(Identifier { kind: Some(kind), .. }) if kind == "m.id.thirdparty" || kind == "m.id.phone" => {
            Err(Refusal::WrongPassword.into())
        }
        Some(Identifier { kind: Some(_), .. }) => Err(Error::refusal("M_UNKNOWN", "this identifier is not known")),
        Some(Identifier { kind: None, .. }) => Err(Refusal::MissingParam { what: "the identifier's type" }.into()),
        None => Ok(user),
    }
}
