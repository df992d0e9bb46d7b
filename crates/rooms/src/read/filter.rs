//! Which events a client asks for: all fields of <https://spec.matrix.org/v1.19/client-server-api/#filtering> for events of
//! rooms.

use std::collections::BTreeSet;

use ruma::api::client::filter::{LazyLoadOptions, RoomEventFilter, UrlFilter};
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Refusal;
use crate::read::fields::Fields;

/// Which events of a room are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EventFilter {
    /// Most events in an answer.
    pub limit: Option<u64>,
    /// Types asked for, with `*` for anything.
    pub types: Option<Vec<String>>,
    /// Types not asked for.
    #[serde(default)]
    pub not_types: Vec<String>,
    /// Senders asked for.
    pub senders: Option<Vec<OwnedUserId>>,
    /// Senders not asked for.
    #[serde(default)]
    pub not_senders: Vec<OwnedUserId>,
    /// Rooms asked for.
    pub rooms: Option<Vec<OwnedRoomId>>,
    /// Rooms not asked for.
    #[serde(default)]
    pub not_rooms: Vec<OwnedRoomId>,
    /// With a `url` in their content, or without one.
    pub contains_url: Option<bool>,
    /// Whether of members only those are told who sent what is told.
    #[serde(default)]
    pub lazy_load_members: bool,
    /// Whether these are told also to whom they were told before.
    #[serde(default)]
    pub include_redundant_members: bool,
    /// Only events to which one of these users' relates.
    pub related_by_senders: Option<BTreeSet<OwnedUserId>>,
    /// Only events to which one relates in one of these ways.
    pub related_by_rel_types: Option<Vec<String>>,
    /// Only events that relate to another in one of these ways (MSC3874).
    #[serde(rename = "org.matrix.msc3874.rel_types")]
    pub rel_types: Option<Vec<String>>,
    /// Only events that do not (MSC3874).
    #[serde(default, rename = "org.matrix.msc3874.not_rel_types")]
    pub not_rel_types: Vec<String>,
}

impl EventFilter {
    /// Reads a filter as clients write it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn read(json: &str) -> Result<Self, Refusal> {
        serde_json::from_str(json).map_err(|error| Refusal::malformed(format!("the filter: {error}")))
    }

    /// Whether events of `room` are asked for.
    pub fn allows_room(&self, room: &RoomId) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|asked| asked == room))
            && !self.not_rooms.iter().any(|not| not == room)
    }

    /// Whether an event of this type is asked for.
    pub fn allows_type(&self, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| glob(pattern, kind)))
            && !self.not_types.iter().any(|pattern| glob(pattern, kind))
    }

    /// Whether an event is asked for, by what it says itself.
    pub fn allows(&self, event: &Fields<'_>) -> bool {
        self.allows_type(&event.kind)
            && self.senders.as_ref().is_none_or(|senders| senders.iter().any(|sender| *sender == *event.sender))
            && !self.not_senders.iter().any(|sender| *sender == *event.sender)
            && self.contains_url.is_none_or(|asked| has_url(event.content.get()) == asked)
            && self.allows_relation(event.content.get())
    }

    fn allows_relation(&self, content: &str) -> bool {
        if self.rel_types.is_none() && self.not_rel_types.is_empty() {
            return true;
        }
        let relation = crate::read::relation::relation(content).map(|relation| relation.rel_type);
        let among = |types: &[String]| relation.as_ref().is_some_and(|relation| types.contains(relation));
        self.rel_types.as_deref().is_none_or(among) && !among(&self.not_rel_types)
    }

    /// Whether it depends on what relates to an event.
    pub(crate) fn asks_for_relations(&self) -> bool {
        self.related_by_senders.is_some() || self.related_by_rel_types.is_some()
    }
}

impl From<&RoomEventFilter> for EventFilter {
    fn from(filter: &RoomEventFilter) -> Self {
        let (lazy_load_members, include_redundant_members) = match filter.lazy_load_options {
            LazyLoadOptions::Enabled { include_redundant_members } => (true, include_redundant_members),
            LazyLoadOptions::Disabled => (false, false),
        };
        Self {
            limit: filter.limit.map(u64::from),
            types: filter.types.clone(),
            not_types: filter.not_types.clone(),
            senders: filter.senders.clone(),
            not_senders: filter.not_senders.clone(),
            rooms: filter.rooms.clone(),
            not_rooms: filter.not_rooms.clone(),
            contains_url: filter.url_filter.as_ref().map(|filter| matches!(filter, UrlFilter::EventsWithUrl)),
            lazy_load_members,
            include_redundant_members,
            ..Self::default()
        }
    }
}

fn has_url(content: &str) -> bool {
    #[derive(Deserialize)]
    struct Content {
        url: Option<IgnoredAny>,
    }
    content.contains("\"url\"") && serde_json::from_str::<Content>(content).is_ok_and(|content| content.url.is_some())
}

/// Whether `text` is what `pattern` says, in which `*` stands for any characters, or none.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    text.ends_with(last)
}
