//! `GET /rooms/{roomId}/initialSync`: a room at once, for clients from before `/sync`
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync>).

use axum::Json;
use axum::extract::State;
use base::Position;
use rooms::read::{EventFilter, Format, Members, Stretch};
use ruma::OwnedRoomId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::Direction;

use super::eyes::{Eyes, limit};
use crate::http::{AppState, Caller, Error, Path, Query};

/// Where it is.
pub(crate) const PATHS: [&str; 2] =
    ["/_matrix/client/v3/rooms/{room_id}/initialSync", "/_matrix/client/r0/rooms/{room_id}/initialSync"];

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    limit: Option<u64>,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    room_id: OwnedRoomId,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<String>,
    visibility: &'static str,
    messages: Messages,
    state: Vec<Box<RawValue>>,
    account_data: Vec<Data>,
}

/// A piece of the user's account data for the room.
#[derive(Debug, Serialize)]
struct Data {
    content: Box<RawValue>,
    #[serde(rename = "type")]
    kind: String,
}

/// A page of its timeline, in the order in which it was said.
#[derive(Debug, Serialize)]
struct Messages {
    start: String,
    end: String,
    chunk: Vec<Box<RawValue>>,
}

/// Answers with the state and the last messages.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(room_id): Path<OwnedRoomId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, Error> {
    let eyes = Eyes::of(&state, &caller).await?;
    let (mut room, access) = state.rooms.readable(&room_id, &caller.user_id).await?;
    let (end, filter) = (room.end_for(access).await?, EventFilter::default());
    let (direction, limit) = (Direction::Backward, limit(asked.limit, 20));
    let stretch = Stretch { from: end.0, to: None, direction, limit, filter: &filter };
    let mut page = room.timeline(&eyes.viewer(), &stretch).await?;
    page.events.reverse();
    let root = room.state_for(access).await?;
    let events = room.state_events(root, Members::All).await?;
    let chunk = room.render(&eyes.viewer(), &page.events, Format::CLIENT).await?;
    let data = state.accounts.account_data_since(&caller.user_id, Position::START).await?;
    let data = data.into_iter().filter(|data| data.room.as_ref() == Some(&room_id));
    let account_data = data.map(|data| Data { content: data.content, kind: data.kind }).collect();
    let listed = rooms::act::is_listed(&state.store, room.number()).await?;
    Ok(Json(Answer {
        membership: room.membership(&caller.user_id).await?.map(|membership| membership.membership),
        visibility: if listed { "public" } else { "private" },
        messages: Messages { start: page.end.unwrap_or(end).to_string(), end: end.to_string(), chunk },
        state: room.render_state(&events, true).await?,
        account_data,
        room_id,
    }))
}
