//! `GET /_matrix/client/v3/pushrules/` and `…/pushrules/global/`: all push rules of a user
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrules>).

use axum::Json;
use axum::extract::State;
use ruma::api::client::push::{get_pushrules_all, get_pushrules_global_scope};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{AppState, Error, Ruma};

/// Answers with all scopes, of which there is one.
pub(crate) async fn get_all(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<get_pushrules_all::v3::Request>,
) -> Result<Json<Box<RawValue>>, Error> {
    Ok(Json(state.accounts.push_rules_json(&caller.user_id).await?))
}

#[derive(Deserialize)]
struct Scopes {
    global: Box<RawValue>,
}

/// Answers with the global scope.
pub(crate) async fn get_global(
    State(state): State<AppState>,
    Ruma { caller, .. }: Ruma<get_pushrules_global_scope::v3::Request>,
) -> Result<Json<Box<RawValue>>, Error> {
    let rules = state.accounts.push_rules_json(&caller.user_id).await?;
    let scopes: Scopes = serde_json::from_str(rules.get()).map_err(|error| Error::fault(&error))?;
    Ok(Json(scopes.global))
}
