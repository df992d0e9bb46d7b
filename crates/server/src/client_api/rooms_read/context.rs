//! `GET /rooms/{roomId}/context/{eventId}`: what was said around an event
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>).

use axum::Json;
use axum::extract::State;
use rooms::read::{EventFilter, Format};
use ruma::{OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::eyes::{Eyes, limit};
use crate::http::{AppState, Caller, Error, Path, Query};

/// Where it is.
pub(crate) const PATHS: [&str; 2] =
    ["/_matrix/client/v3/rooms/{room_id}/context/{event_id}", "/_matrix/client/r0/rooms/{room_id}/context/{event_id}"];

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    limit: Option<u64>,
    filter: Option<String>,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    start: String,
    end: String,
    event: Option<Box<RawValue>>,
    events_before: Vec<Box<RawValue>>,
    events_after: Vec<Box<RawValue>>,
    state: Vec<Box<RawValue>>,
}

/// Answers with the event and those around it.
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Path((room_id, event_id)): Path<(OwnedRoomId, OwnedEventId)>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, Error> {
    let filter = asked.filter.as_deref().map(EventFilter::read).transpose()?.unwrap_or_default();
    let eyes = Eyes::of(&state, &caller).await?;
    let viewer = eyes.viewer();
    let (mut room, _) = state.rooms.readable(&room_id, &caller.user_id).await?;
    let event = room.visible_event(&viewer, &event_id).await?.ok_or(rooms::Refusal::NoSuchEvent)?;
    let around = limit(asked.limit.or(filter.limit), 10);
    let context = room.context(&viewer, event.order, [around / 2, around.div_ceil(2)], &filter).await?;
    let all: Vec<_> = context.before.iter().chain([&event]).chain(&context.after).collect();
    let beside = room.state_beside(context.state, &filter, &all).await?;
    Ok(Json(Answer {
        start: context.start.to_string(),
        end: context.end.to_string(),
        event: room.render(&viewer, std::slice::from_ref(&event), Format::CLIENT).await?.pop(),
        events_before: room.render(&viewer, &context.before, Format::CLIENT).await?,
        events_after: room.render(&viewer, &context.after, Format::CLIENT).await?,
        state: room.render_state(&beside, true).await?,
    }))
}
