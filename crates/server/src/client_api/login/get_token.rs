//! `POST /_matrix/client/v1/login/get_token`: a token to log in another device with
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token>).

use axum::extract::State;
use base::limits;
use ruma::api::client::session::get_login_token::v1::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, RumaResponse};

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
}

/// Gives a token to who proves the password again.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<Response>, Error> {
    caller.is_no_guest()?;
    uia::prove_caller(&state, &caller, "get a login token", body.auth.as_deref()).await?;
    let token = state.accounts.login_token(&caller.user_id).await?;
    Ok(RumaResponse(Response::new(limits::LOGIN_TOKEN_LIFETIME, token)))
}
