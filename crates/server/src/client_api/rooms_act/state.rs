//! `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>).

use axum::extract::State;
use axum::{Json, response::IntoResponse};
use rooms::act::{Saying, read_content};
use ruma::OwnedRoomId;
use serde_json::json;
use serde_json::value::RawValue;

use crate::http::{AppState, Caller, Error, JsonBody, Path};

/// Where the state key is given.
pub(super) const WITH_KEY: [&str; 2] = [
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/{state_key}",
];

/// Where it is empty.
pub(super) const WITHOUT_KEY: [&str; 4] = [
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/",
];

/// Sets state.
pub(crate) async fn put(
    State(state): State<AppState>,
    caller: Caller,
    Path((room, kind, key)): Path<(OwnedRoomId, String, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
) -> Result<impl IntoResponse, Error> {
    set(&state, &caller, &room, (kind, key), &content).await
}

/// Sets state whose key is empty.
pub(crate) async fn put_without_key(
    State(state): State<AppState>,
    caller: Caller,
    Path((room, kind)): Path<(OwnedRoomId, String)>,
    JsonBody(content): JsonBody<Box<RawValue>>,
) -> Result<impl IntoResponse, Error> {
    set(&state, &caller, &room, (kind, String::new()), &content).await
}

async fn set(
    state: &AppState,
    caller: &Caller,
    room: &OwnedRoomId,
    (kind, key): (String, String),
    content: &RawValue,
) -> Result<impl IntoResponse + use<>, Error> {
    caller.may_act()?;
    let saying = Saying {
        sender: caller.user_id.clone(),
        kind: kind.into(),
        state_key: Some(key),
        content: read_content(content)?,
        sent_as: None,
    };
    let id = state.rooms.send(room, saying).await?;
    Ok(Json(json!({ "event_id": id })))
}
