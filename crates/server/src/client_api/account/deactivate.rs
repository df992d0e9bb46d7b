//! `POST /_matrix/client/v3/account/deactivate`: gives up the account for good
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>).

use accounts::Erase;
use axum::extract::State;
use ruma::api::client::account::ThirdPartyIdRemovalStatus;
use ruma::api::client::account::deactivate::v3::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, RumaResponse};

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
    erase: Option<bool>,
}

/// Deactivates the account of who proves its password.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<Response>, Error> {
    uia::prove_caller(&state, &caller, "deactivate the account", body.auth.as_deref()).await?;
    let erase = if body.erase == Some(true) { Erase::Yes } else { Erase::No };
    state.accounts.deactivate(&caller.user_id, erase).await?;
    // There was nothing to unbind anywhere.
    Ok(RumaResponse(Response::new(ThirdPartyIdRemovalStatus::Success)))
}
