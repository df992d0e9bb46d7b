//! What a client wants to see of what there is (<https://spec.matrix.org/v1.19/client-server-api/#filtering>).

use base::limits;
use rooms::read::EventFilter;
use ruma::api::client::filter::{Filter as PlainFilter, FilterDefinition};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde_json::{Map, Value};

use crate::error::Refusal;

/// Reads a filter as JSON.
///
/// # Errors
/// [`Refusal::BadFilter`].
pub fn parse_filter(json: &str) -> Result<FilterDefinition, Refusal> {
    serde_json::from_str(json).map_err(|error| Refusal::BadFilter { what: error.to_string() })
}

/// Whether `name` is what `pattern` says, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn allows<T>(wanted: Option<&[T]>, unwanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    !unwanted.iter().any(&is) && wanted.is_none_or(|wanted| wanted.iter().any(&is))
}

/// Whether `filter` lets an event of account data or presence through.
pub(crate) fn takes(filter: &PlainFilter, kind: &str, sender: Option<&UserId>) -> bool {
    let kinds = allows(filter.types.as_deref(), &filter.not_types, |pattern| matches(pattern, kind));
    kinds && sender.is_none_or(|sender| allows(filter.senders.as_deref(), &filter.not_senders, |it| it == sender))
}

/// A filter as it is used: what is asked of events is `rooms`' to judge.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncFilter {
    pub(crate) presence: PlainFilter,
    pub(crate) account_data: PlainFilter,
    pub(crate) rooms: Option<Vec<OwnedRoomId>>,
    pub(crate) not_rooms: Vec<OwnedRoomId>,
    pub(crate) include_leave: bool,
    pub(crate) timeline: EventFilter,
    pub(crate) state: EventFilter,
    pub(crate) ephemeral: EventFilter,
    pub(crate) room_account_data: EventFilter,
    pub(crate) unread_threads: bool,
    pub(crate) fields: Option<Fields>,
}

impl From<FilterDefinition> for SyncFilter {
    fn from(filter: FilterDefinition) -> Self {
        let fields = Fields::of(&filter);
        let FilterDefinition { presence, account_data, room, .. } = filter;
        Self {
            presence,
            account_data,
            include_leave: room.include_leave,
            timeline: EventFilter::from(&room.timeline),
            state: EventFilter::from(&room.state),
            ephemeral: EventFilter::from(&room.ephemeral),
            room_account_data: EventFilter::from(&room.account_data),
            unread_threads: room.timeline.unread_thread_notifications,
            rooms: room.rooms,
            not_rooms: room.not_rooms,
            fields,
        }
    }
}

impl SyncFilter {
    /// Whether it is about this room at all.
    pub(crate) fn takes_room(&self, room: &RoomId) -> bool {
        allows(self.rooms.as_deref(), &self.not_rooms, |it| it == room)
    }

    /// How many events of a room it asks for.
    pub(crate) fn timeline_limit(&self) -> usize {
        let limit = self.timeline.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        limit.map_or(limits::SYNC_TIMELINE, |limit| limit.min(limits::SYNC_TIMELINE_MOST))
    }

    /// How members are told.
    pub(crate) fn lazy(&self) -> Lazy {
        match (self.state.lazy_load_members, self.state.include_redundant_members) {
            (false, _) => Lazy::No,
            (true, false) => Lazy::Once,
            (true, true) => Lazy::Always,
        }
    }
}

/// Whether a filter of rooms' events lets nothing through, so that nothing need be looked for.
pub(crate) fn asks_for_nothing(filter: &EventFilter) -> bool {
    filter.types.as_ref().is_some_and(Vec::is_empty) || filter.senders.as_ref().is_some_and(Vec::is_empty)
}

/// How members are told (<https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lazy {
    /// All of them.
    No,
    /// Those who speak, once.
    Once,
    /// Those who speak, each time.
    Always,
}

/// What `event_fields` leave of events.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Vec<Vec<String>>);

impl Fields {
    /// The fields that `filter` asks for; `None` when it asks for all.
    pub(crate) fn of(filter: &FilterDefinition) -> Option<Self> {
        let fields = filter.event_fields.as_ref()?;
        Some(Self(fields.iter().take(limits::SYNC_EVENT_FIELDS).map(|field| path(field)).collect()))
    }

    /// `event` with nothing but these fields.
    pub(crate) fn reduce(&self, event: &[u8]) -> Vec<u8> {
        let Ok(Value::Object(event)) = serde_json::from_slice(event) else { return event.to_vec() };
        let mut reduced = Map::new();
        self.0.iter().for_each(|path| copy(&event, &mut reduced, path));
        serde_json::to_vec(&reduced).unwrap_or_default()
    }
}

/// A field's path. Dots part it, and a backslash takes a dot's or a backslash's meaning away
/// (<https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths>).
fn path(field: &str) -> Vec<String> {
    let (mut parts, mut part, mut chars) = (Vec::new(), String::new(), field.chars().peekable());
    while let Some(char) = chars.next() {
        match (char, chars.peek()) {
            ('\\', Some(next @ ('.' | '\\'))) => {
                part.push(*next);
                chars.next();
            }
            ('.', _) => parts.push(std::mem::take(&mut part)),
            _ => part.push(char),
        }
    }
    parts.push(part);
    parts
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Some(value) = from.get(first) else { return };
    if rest.is_empty() {
        to.insert(first.clone(), value.clone());
        return;
    }
    let Value::Object(inner) = value else { return };
    let mut reduced = Map::new();
    if let Some(Value::Object(before)) = to.get(first) {
        reduced.clone_from(before);
    }
    copy(inner, &mut reduced, rest);
    if !reduced.is_empty() {
        to.insert(first.clone(), Value::Object(reduced));
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [("m.room.*", "m.room.member"), ("*", ""), ("*", "x"), ("m.*.message", "m.room.message")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("m.room.*", "m.room"), ("a*b*b", "ab"), ("", "x"), ("a*", "ba"), ("m.room", "m.rooms")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    fn sync_filter(json: &Value) -> SyncFilter {
        SyncFilter::from(parse_filter(&json.to_string()).unwrap())
    }

    #[test]
    fn what_is_unwanted_is_left_out_even_where_it_is_wanted() {
        let filter = json!({ "types": ["m.*"], "not_types": ["m.tag"], "senders": ["@alice:hs"] });
        let filter: PlainFilter = serde_json::from_value(filter).unwrap();
        let takes = ["m.direct", "m.tag", "im.other"].map(|kind| takes(&filter, kind, None));
        assert_eq!(takes, [true, false, false]);
        assert!(!super::takes(&filter, "m.presence", Some(user_id!("@bob:hs"))));
        let filter = sync_filter(&json!({ "room": { "rooms": ["!a:hs", "!b:hs"], "not_rooms": ["!b:hs"] } }));
        let takes = [room_id!("!a:hs"), room_id!("!b:hs"), room_id!("!c:hs")].map(|room| filter.takes_room(room));
        assert_eq!(takes, [true, false, false]);
    }

    #[test]
    fn of_events_only_the_fields_asked_for_are_left() {
        let filter =
            json!({ "event_fields": ["type", "content.body", "content.a\\.b", "content.deep.er", "missing.too"] });
        let fields = Fields::of(&serde_json::from_value(filter).unwrap()).unwrap();
        let event = json!({
            "type": "m.room.message", "sender": "@alice:hs",
            "content": { "body": "hello", "msgtype": "m.text", "a.b": 1, "deep": { "er": 2, "not": 3 } },
        });
        let reduced: Value = serde_json::from_slice(&fields.reduce(event.to_string().as_bytes())).unwrap();
        let content = json!({ "body": "hello", "a.b": 1, "deep": { "er": 2 } });
        assert_eq!(reduced, json!({ "type": "m.room.message", "content": content }));
    }

    #[test]
    fn limits_are_bounded_and_lazy_loading_is_told_apart() {
        let timeline = |limit| sync_filter(&json!({ "room": { "timeline": { "limit": limit } } })).timeline_limit();
        assert_eq!([timeline(7), timeline(1_000_000)], [7, limits::SYNC_TIMELINE_MOST]);
        assert_eq!(sync_filter(&json!({})).timeline_limit(), limits::SYNC_TIMELINE);
        let lazy = |state| sync_filter(&json!({ "room": { "state": state } })).lazy();
        assert_eq!(lazy(json!({})), Lazy::No);
        assert_eq!(lazy(json!({ "lazy_load_members": true })), Lazy::Once);
        assert_eq!(lazy(json!({ "lazy_load_members": true, "include_redundant_members": true })), Lazy::Always);
        assert!(asks_for_nothing(&sync_filter(&json!({ "room": { "state": { "types": [] } } })).state));
        assert!(parse_filter("{").is_err());
    }
}
