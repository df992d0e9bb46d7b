//! `GET /rooms/{roomId}/relations/{eventId}`, with or without types: what relates to an event
//! (<https://spec.matrix.org/v1.19/client-server-api/#relationships-api>).

use axum::extract::State;
use base::limits;
use rooms::Refusal;
use rooms::read::relation::RelatedTo;
use rooms::read::{Format, Token};
use ruma::api::Direction;
use ruma::api::client::relations::{
    get_relating_events, get_relating_events_with_rel_type, get_relating_events_with_rel_type_and_event_type,
};
use ruma::{EventId, RoomId, UInt};
use serde_json::value::RawValue;

use super::eyes::{Eyes, direction, limit, raw};
use crate::http::{AppState, Caller, Error, Ruma, RumaResponse};

/// What all three have in common.
struct Asked<'a> {
    room_id: &'a RoomId,
    event_id: &'a EventId,
    rel_type: Option<&'a str>,
    kind: Option<String>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    dir: Direction,
    limit: Option<UInt>,
    recurse: bool,
}

struct Related {
    chunk: Vec<Box<RawValue>>,
    next_batch: Option<String>,
    recursion_depth: Option<UInt>,
}

async fn related(state: &AppState, caller: &Caller, asked: Asked<'_>) -> Result<Related, Error> {
    let eyes = Eyes::of(state, caller).await?;
    let (mut room, _) = state.rooms.readable(asked.room_id, &caller.user_id).await?;
    let parent = room.visible_event(&eyes.viewer(), asked.event_id).await?.ok_or(Refusal::NoSuchEvent)?;
    let token = |token| Token::of_room(token, state.store.partition_of(asked.room_id.as_str())).map(|token| token.0);
    let depth = if asked.recurse { limits::RELATIONS_DEPTH } else { 1 };
    let query = RelatedTo {
        rel_type: asked.rel_type,
        kind: asked.kind.as_deref(),
        depth,
        from: asked.from.map(token).transpose()?,
        to: asked.to.map(token).transpose()?,
        direction: direction(asked.dir),
        limit: limit(asked.limit.map(u64::from), 20).max(1),
    };
    let page = room.relating(&eyes.viewer(), parent.stored.number, &query).await?;
    Ok(Related {
        chunk: room.render(&eyes.viewer(), &page.events, Format::CLIENT).await?,
        next_batch: page.end.map(|end| end.to_string()),
        recursion_depth: asked.recurse.then(|| UInt::from(depth)),
    })
}

macro_rules! endpoint {
    ($(#[$doc:meta])* $name:ident, $module:ident, |$body:ident| $rel_type:expr, $kind:expr) => {
        $(#[$doc])*
        pub(crate) async fn $name(
            State(state): State<AppState>,
            Ruma { body: $body, caller }: Ruma<$module::v1::Request>,
        ) -> Result<RumaResponse<$module::v1::Response>, Error> {
            let rel_type: Option<String> = $rel_type;
            let asked = Asked {
                room_id: &$body.room_id,
                event_id: &$body.event_id,
                rel_type: rel_type.as_deref(),
                kind: $kind,
                from: $body.from.as_deref(),
                to: $body.to.as_deref(),
                dir: $body.dir,
                limit: $body.limit,
                recurse: $body.recurse,
            };
            let related = related(&state, &caller, asked).await?;
            let mut response = $module::v1::Response::new(raw(related.chunk));
            response.next_batch = related.next_batch;
            response.prev_batch = $body.from;
            response.recursion_depth = related.recursion_depth;
            Ok(RumaResponse(response))
        }
    };
}

endpoint!(
    /// Answers with all that relates to the event.
    get, get_relating_events, |body| None, None
);
endpoint!(
    /// Answers with what relates to the event in one way.
    get_of_type, get_relating_events_with_rel_type, |body| Some(body.rel_type.to_string()), None
);
endpoint!(
    /// Answers with events of one type that relate to the event in one way.
    get_of_types, get_relating_events_with_rel_type_and_event_type,
    |body| Some(body.rel_type.to_string()), Some(body.event_type.to_string())
);
