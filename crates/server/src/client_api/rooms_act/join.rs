//! `POST /_matrix/client/v3/rooms/{roomId}/join` and `POST /_matrix/client/v3/join/{roomIdOrAlias}`
//! (<https://spec.matrix.org/v1.19/client-server-api/#joining-rooms>). What else the body says goes into the member event.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use rooms::act::{Change, MembershipChange};
use ruma::api::client::membership::ThirdPartySigned;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedRoomOrAliasId};
use serde::Deserialize;
use serde_json::json;

use super::profile;
use crate::http::{AppState, Caller, Error, JsonBody, Path};

/// By the room's id.
pub(super) const BY_ID: [&str; 2] =
    ["/_matrix/client/v3/rooms/{room_id}/join", "/_matrix/client/r0/rooms/{room_id}/join"];

/// By the room's id or an alias.
pub(super) const BY_ID_OR_ALIAS: [&str; 2] =
    ["/_matrix/client/v3/join/{room_id_or_alias}", "/_matrix/client/r0/join/{room_id_or_alias}"];

/// The body of both.
#[derive(Debug, Deserialize)]
pub(crate) struct Join {
    reason: Option<String>,
    third_party_signed: Option<ThirdPartySigned>,
    #[serde(flatten)]
    more: CanonicalJsonObject,
}

/// Joins a room.
pub(crate) async fn by_id(
    State(state): State<AppState>,
    caller: Caller,
    Path((room,)): Path<(OwnedRoomId,)>,
    JsonBody(body): JsonBody<Join>,
) -> Result<impl IntoResponse, Error> {
    join(&state, &caller, room, body).await
}

/// Joins the room that an alias leads to.
pub(crate) async fn by_id_or_alias(
    State(state): State<AppState>,
    caller: Caller,
    Path((room,)): Path<(OwnedRoomOrAliasId,)>,
    JsonBody(body): JsonBody<Join>,
) -> Result<impl IntoResponse, Error> {
    let room = state.rooms.resolve_alias(&room).await?;
    join(&state, &caller, room, body).await
}

async fn join(
    state: &AppState,
    caller: &Caller,
    room: OwnedRoomId,
    body: Join,
) -> Result<impl IntoResponse + use<>, Error> {
    caller.may_act()?;
    let mut change = MembershipChange::new(&*caller.user_id, &*caller.user_id, Change::Join);
    change.reason = body.reason;
    change.content = body.more;
    change.guest = caller.is_guest;
    change.profile = profile::of(state, &caller.user_id).await?;
    match &body.third_party_signed {
        Some(signed) => state.rooms.join_invited(&room, signed, &change).await?,
        None => state.rooms.set_membership(&room, &change).await?,
    };
    Ok(Json(json!({ "room_id": room })))
}
