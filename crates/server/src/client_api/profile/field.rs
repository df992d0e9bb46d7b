//! `GET`, `PUT`, `DELETE /_matrix/client/v3/profile/{userId}/{keyName}`: one field of a profile
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname>).

use std::collections::BTreeMap;

use accounts::Refusal;
use axum::Json;
use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::value::RawValue;

use crate::http::{AppState, Caller, Error, JsonBody, Path};

/// A field with its value.
type Field = BTreeMap<String, Box<RawValue>>;

/// Answers with the field.
pub(crate) async fn get(
    State(state): State<AppState>,
    Path((user, field)): Path<(OwnedUserId, String)>,
) -> Result<Json<Field>, Error> {
    let profile = state.accounts.profile(&user).await?.ok_or(Refusal::NotFound { what: "profile" })?;
    let value = profile.fields.get(&field).cloned().ok_or(Refusal::NotFound { what: "field in the profile" })?;
    Ok(Json(BTreeMap::from([(field, value)])))
}

/// Sets the field.
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, field)): Path<(OwnedUserId, String)>,
    JsonBody(body): JsonBody<Field>,
) -> Result<Json<Field>, Error> {
    caller.must_be(&user)?;
    caller.may_change_profile(&field)?;
    let value = body.get(&field).ok_or(Refusal::MissingParam { what: "the field" })?;
    state.accounts.set_profile_field(&user, &field, value).await?;
    Ok(Json(Field::new()))
}

/// Takes the field away.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path((user, field)): Path<(OwnedUserId, String)>,
) -> Result<Json<Field>, Error> {
    caller.must_be(&user)?;
    caller.may_change_profile(&field)?;
    state.accounts.delete_profile_field(&user, &field).await?;
    Ok(Json(Field::new()))
}
