//! `POST /search`: what was said where (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search>).
//!
//! Without ruma's answer, which leaves out an empty list of results that clients expect.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use rooms::act::Profile;
use rooms::read::{Access, EventFilter, Format, Found, Hit, Members, Search, SearchOrder, Shown};
use ruma::api::client::search::search_events::v3::{Criteria, EventContext, GroupingKey, OrderBy, Request, SearchKeys};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Serialize;
use serde_json::value::RawValue;

use super::eyes::{Eyes, limit};
use crate::http::{AppState, Error, Ruma};

/// What is answered.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    search_categories: Categories,
}

#[derive(Debug, Default, Serialize)]
struct Categories {
    #[serde(skip_serializing_if = "Option::is_none")]
    room_events: Option<RoomEvents>,
}

#[derive(Debug, Serialize)]
struct RoomEvents {
    count: usize,
    highlights: Vec<String>,
    results: Vec<SearchResult>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    state: BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<&'static str, BTreeMap<String, Group>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

#[derive(Debug, Serialize)]
struct SearchResult {
    rank: f64,
    result: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Around>,
}

#[derive(Debug, Serialize)]
struct Around {
    start: String,
    end: String,
    events_before: Vec<Box<RawValue>>,
    events_after: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_info: Option<BTreeMap<OwnedUserId, Named>>,
}

#[derive(Debug, Serialize)]
struct Named {
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Group {
    order: usize,
    results: Vec<OwnedEventId>,
}

/// Answers with what is found.
pub(crate) async fn post(
    State(state): State<AppState>,
    Ruma { body, caller }: Ruma<Request>,
) -> Result<Json<Answer>, Error> {
    let Some(criteria) = body.search_categories.room_events else { return Ok(Json(Answer::default())) };
    let eyes = Eyes::of(&state, &caller).await?;
    let filter = EventFilter::from(&criteria.filter);
    let keys: Vec<String> = criteria.keys.iter().flatten().map(SearchKeys::to_string).collect();
    let search = Search {
        term: &criteria.search_term,
        keys: &keys,
        filter: &filter,
        order: if criteria.order_by == Some(OrderBy::Recent) { SearchOrder::Recent } else { SearchOrder::Rank },
        from: body.next_batch.as_deref(),
        limit: limit(filter.limit, 10).clamp(1, base::limits::SEARCH_PAGE),
    };
    let found = state.rooms.search(&eyes.viewer(), &search).await?;
    let groups = groups(&criteria, &found);
    let state_of_rooms = match criteria.include_state {
        Some(true) => states(&state, &eyes, &found).await?,
        _ => BTreeMap::new(),
    };
    let mut results = Vec::with_capacity(found.hits.len());
    for hit in found.hits {
        results.push(result(&state, &eyes, hit, &criteria.event_context).await?);
    }
    let (count, highlights, next_batch) = (found.count, found.highlights, found.next);
    let room_events = RoomEvents { count, highlights, results, state: state_of_rooms, groups, next_batch };
    Ok(Json(Answer { search_categories: Categories { room_events: Some(room_events) } }))
}

/// One result, with what was said around it.
async fn result(state: &AppState, eyes: &Eyes, hit: Hit, asked: &EventContext) -> Result<SearchResult, Error> {
    let viewer = eyes.viewer();
    let mut room = state.rooms.read_number(hit.room).await?.ok_or(rooms::Refusal::NoSuchRoom)?;
    let result = room.render(&viewer, std::slice::from_ref(&hit.event), Format::CLIENT).await?.pop();
    let result = result.ok_or(rooms::Refusal::NoSuchEvent)?;
    let sizes = [asked.before_limit, asked.after_limit].map(|size| limit(Some(size.into()), 0));
    let sizes = sizes.map(|size| size.min(base::limits::SEARCH_PAGE));
    let context = room.context(&viewer, hit.event.order, sizes, &EventFilter::default()).await?;
    let mut profile_info = None;
    if asked.include_profile {
        let all: Vec<&Shown> = context.before.iter().chain([&hit.event]).chain(&context.after).collect();
        let senders: BTreeSet<OwnedUserId> = room.senders(&all)?;
        let named = |Profile { displayname, avatar_url }| Named { displayname, avatar_url };
        let profiles = room.profiles_at(context.state, &senders).await?;
        profile_info = Some(profiles.into_iter().map(|(user, profile)| (user, named(profile))).collect());
    }
    let around = Around {
        start: context.start.to_string(),
        end: context.end.to_string(),
        events_before: room.render(&viewer, &context.before, Format::CLIENT).await?,
        events_after: room.render(&viewer, &context.after, Format::CLIENT).await?,
        profile_info,
    };
    let rank = f64::from(hit.rank) / 1_000_000.0;
    Ok(SearchResult { rank, result, context: Some(around) })
}

/// The states of the rooms in which something was found.
async fn states(
    state: &AppState,
    eyes: &Eyes,
    found: &Found,
) -> Result<BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>, Error> {
    let mut states = BTreeMap::new();
    for hit in &found.hits {
        if states.contains_key(&hit.room_id) {
            continue;
        }
        let (mut room, access): (_, Access) = state.rooms.readable(&hit.room_id, eyes.viewer().user).await?;
        let root = room.state_for(access).await?;
        let events = room.state_events(root, Members::All).await?;
        states.insert(hit.room_id.clone(), room.render_state(&events, true).await?);
    }
    Ok(states)
}

/// The results by what they are to be grouped by.
fn groups(criteria: &Criteria, found: &Found) -> BTreeMap<&'static str, BTreeMap<String, Group>> {
    let mut groups: BTreeMap<&'static str, BTreeMap<String, Group>> = BTreeMap::new();
    for grouping in &criteria.groupings.group_by {
        let (key, name): (_, fn(&Hit) -> String) = match grouping.key {
            Some(GroupingKey::RoomId) => ("room_id", |hit| hit.room_id.to_string()),
            Some(GroupingKey::Sender) => ("sender", |hit| hit.sender().unwrap_or_default()),
            _ => continue,
        };
        let group = groups.entry(key).or_default();
        for hit in &found.hits {
            let order = group.len();
            let entry = group.entry(name(hit)).or_insert_with(|| Group { order, results: Vec::new() });
            entry.results.push(hit.event.stored.facts.id.clone());
        }
    }
    groups
}
