//! `GET /_matrix/client/v3/profile/{userId}`: all that a user says of itself
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid>).

use std::collections::BTreeMap;

use accounts::Refusal;
use axum::Json;
use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::value::RawValue;

use crate::http::{AppState, Error, Path};

/// Answers with every field.
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(user): Path<OwnedUserId>,
) -> Result<Json<BTreeMap<String, Box<RawValue>>>, Error> {
    let profile = state.accounts.profile(&user).await?.ok_or(Refusal::NotFound { what: "profile" })?;
    Ok(Json(profile.fields))
}
