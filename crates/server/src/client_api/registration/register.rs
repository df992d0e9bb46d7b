//! `POST /_matrix/client/v3/register`: makes an account
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>).

use accounts::{NewDevice, Registered, WantedAccount};
use axum::Json;
use axum::extract::State;
use base::Secret;
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::login::{SessionBody, token_kind};
use crate::client_api::uia;
use crate::http::{AppState, Error, JsonBody, Query};

/// The query.
#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    kind: Option<String>,
}

/// What is sent. Ruma's type for it wants an `identifier` in proofs by password, which old clients do not send.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    username: Option<String>,
    password: Option<Secret<String>>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    auth: Option<Box<RawValue>>,
    inhibit_login: Option<bool>,
    refresh_token: Option<bool>,
    #[serde(rename = "type")]
    login_type: Option<String>,
}

/// Makes an account and, unless that is inhibited, a session.
pub(crate) async fn post(
    State(state): State<AppState>,
    Query(parameters): Query<Parameters>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<SessionBody>, Error> {
    let registered = match parameters.kind.as_deref() {
        Some("guest") => state.accounts.register_guest(body.initial_device_display_name).await?,
        // No application service is known whose token could be right.
        None | Some("user") if body.login_type.as_deref() == Some("m.login.application_service") => {
            return Err(Error::missing_token());
        }
        None | Some("user") => register(&state, body).await?,
        Some(_) => return Err(Error::refusal("M_INVALID_PARAM", "there is no such kind of account")),
    };
    let Registered { user_id, session } = registered;
    Ok(Json(match session {
        Some(session) => SessionBody::of(session),
        None => SessionBody::without_session(user_id),
    }))
}

async fn register(state: &AppState, body: Body) -> Result<Registered, Error> {
    let attempt = uia::attempt(body.auth.as_deref())?;
    let device = NewDevice {
        id: body.device_id,
        display_name: body.initial_device_display_name,
        tokens: token_kind(body.refresh_token),
    };
    let device = (body.inhibit_login != Some(true)).then_some(device);
    let wanted = WantedAccount { username: body.username, password: body.password, device };
    Ok(state.accounts.register_by_user(wanted, attempt.as_ref()).await?)
}
