//! `GET /rooms/{roomId}/messages`: the timeline, both ways
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>).
//!
//! Without ruma's request, whose filter lacks some fields of the specification's.

use axum::Json;
use axum::extract::State;
use rooms::read::{EventFilter, Format, Stretch, Token};
use ruma::OwnedRoomId;
use ruma::api::Direction;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::eyes::{Eyes, direction, limit};
use crate::http::{AppState, Caller, Error, Path, Query};

/// Where it is.
pub(crate) const PATHS: [&str; 2] =
    ["/_matrix/client/v3/rooms/{room_id}/messages", "/_matrix/client/r0/rooms/{room_id}/messages"];

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    from: Option<String>,
    to: Option<String>,
    /// Clients in use leave it out, and mean the beginning.
    #[serde(default = "forward")]
    dir: Direction,
    limit: Option<u64>,
    filter: Option<String>,
}

fn forward() -> Direction {
    Direction::Forward
}

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    chunk: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<Box<RawValue>>,
}

/// Answers with a page.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path(room_id): Path<OwnedRoomId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, Error> {
    let filter = asked.filter.as_deref().map(EventFilter::read).transpose()?.unwrap_or_default();
    let eyes = Eyes::of(&state, &caller).await?;
    let (mut room, access) = state.rooms.readable(&room_id, &caller.user_id).await?;
    let token = |token: &str| Token::of_room(token, state.store.partition_of(room_id.as_str()));
    let from = match (asked.from.as_deref().filter(|from| !from.is_empty()), asked.dir) {
        (Some(from), _) => token(from)?,
        (None, Direction::Backward) => room.end_for(access).await?,
        (None, Direction::Forward) => Token(rooms::timeline::Order::START),
    };
    let to = asked.to.as_deref().map(token).transpose()?.map(|to| to.0);
    let limit = limit(asked.limit.or(filter.limit), 10);
    let stretch = Stretch { from: from.0, to, direction: direction(asked.dir), limit, filter: &filter }.within(access);
    let (page, members) = room.messages(&eyes.viewer(), &stretch).await?;
    Ok(Json(Answer {
        start: from.to_string(),
        end: page.end.map(|end| end.to_string()),
        chunk: room.render(&eyes.viewer(), &page.events, Format::CLIENT).await?,
        state: room.render_state(&members, true).await?,
    }))
}
