//! `GET`, `PUT`, `DELETE /_matrix/client/v3/user/{userId}/account_data/{type}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype>). Deleting is MSC3391.

use accounts::Refusal;
use axum::Json;
use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http::{AppState, Caller, Error, JsonBody, Path};

/// Answers with the content.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, kind)): Path<(OwnedUserId, String)>,
) -> Result<Json<Box<RawValue>>, Error> {
    caller.must_be(&user)?;
    let content = state.accounts.account_data(&user, None, &kind).await?;
    Ok(Json(content.ok_or(Refusal::NotFound { what: "account data" })?))
}

/// Keeps the content.
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, kind)): Path<(OwnedUserId, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
) -> Result<Json<Value>, Error> {
    caller.must_be(&user)?;
    state.accounts.set_account_data_of_client(&user, None, &kind, &content).await?;
    Ok(Json(json!({})))
}

/// Deletes it.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, kind)): Path<(OwnedUserId, String)>,
) -> Result<Json<Value>, Error> {
    caller.must_be(&user)?;
    state.accounts.delete_account_data(&user, None, &kind).await?;
    Ok(Json(json!({})))
}
