//! `POST /_matrix/client/v3/keys/device_signing/upload`: takes in the caller's cross-signing keys
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>).

use accounts::keys::{Confirmation, CrossSigningKeys, CrossSigningOutcome};
use axum::extract::State;
use ruma::api::client::keys::upload_signing_keys::v3::Response;
use ruma::encryption::CrossSigningKey;
use ruma::serde::Raw;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client_api::uia;
use crate::http::{AppState, Caller, Error, JsonBody, RumaResponse};

/// What is sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Box<RawValue>>,
    master_key: Option<Raw<CrossSigningKey>>,
    self_signing_key: Option<Raw<CrossSigningKey>>,
    user_signing_key: Option<Raw<CrossSigningKey>>,
}

/// Stores the keys: the first ones of a user, and those that are there already, for the asking; others for who proves the
/// account's password.
pub(crate) async fn post(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Body>,
) -> Result<RumaResponse<Response>, Error> {
    let Body { auth, master_key, self_signing_key, user_signing_key } = body;
    let keys = CrossSigningKeys { master_key, self_signing_key, user_signing_key };
    let upload = async |confirmation| state.accounts.upload_cross_signing(&caller.user_id, &keys, confirmation).await;
    if upload(Confirmation::Absent).await? == CrossSigningOutcome::NeedsConfirmation {
        uia::prove_caller(&state, &caller, "replace the cross-signing keys", auth.as_deref()).await?;
        // Given, so that it is stored.
        let _: CrossSigningOutcome = upload(Confirmation::Given).await?;
    }
    Ok(RumaResponse(Response::new()))
}
