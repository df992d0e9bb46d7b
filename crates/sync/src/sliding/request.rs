//! What is asked of sliding sync (<https://github.com/matrix-org/matrix-spec-proposals/pull/4186>), as clients write it: the
//! form that servers take in practice, and that of the proposal's text where it says the same otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use base::limits;
use ruma::OwnedRoomId;
use ruma::presence::PresenceState;
use serde::Deserialize;

use crate::error::Refusal;
use crate::sliding::required::RequiredState;

/// A request's body.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Body {
    #[serde(default)]
    pub(crate) conn_id: Option<String>,
    #[serde(default)]
    pub(crate) txn_id: Option<String>,
    #[serde(default)]
    pos: Option<String>,
    /// In milliseconds.
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default)]
    set_presence: Option<PresenceState>,
    #[serde(default)]
    pub(crate) lists: BTreeMap<String, List>,
    #[serde(default)]
    pub(crate) room_subscriptions: BTreeMap<OwnedRoomId, RoomConfig>,
    #[serde(default)]
    pub(crate) extensions: Extensions,
}

/// What is told of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct RoomConfig {
    pub(crate) timeline_limit: u64,
    #[serde(default)]
    pub(crate) required_state: RequiredState,
}

/// A list of rooms, by when something last happened in them, and the part of it that is told of.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct List {
    #[serde(flatten)]
    pub(crate) rooms: RoomConfig,
    /// First and last places, both included; without any, all.
    #[serde(default)]
    ranges: Option<Vec<(u64, u64)>>,
    #[serde(default)]
    slow_get_all_rooms: bool,
    #[serde(default)]
    pub(crate) filters: Option<Filters>,
}

/// Which rooms are in a list: those for which all that is said here holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Filters {
    pub(crate) is_dm: Option<bool>,
    pub(crate) spaces: Option<Vec<OwnedRoomId>>,
    pub(crate) is_encrypted: Option<bool>,
    pub(crate) is_invite: Option<bool>,
    /// `null` stands for rooms without a type.
    pub(crate) room_types: Option<Vec<Option<String>>>,
    pub(crate) not_room_types: Option<Vec<Option<String>>>,
    pub(crate) room_name_like: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) not_tags: Option<Vec<String>>,
}

/// What is told beside rooms. What is not known here is ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Extensions {
    #[serde(default)]
    pub(crate) to_device: ToDevice,
    #[serde(default)]
    pub(crate) e2ee: Plain,
    #[serde(default)]
    pub(crate) account_data: OfRooms,
    #[serde(default)]
    pub(crate) receipts: OfRooms,
    #[serde(default)]
    pub(crate) typing: OfRooms,
    #[serde(default)]
    pub(crate) presence: Plain,
}

/// An extension without settings.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Plain {
    #[serde(default)]
    enabled: Option<bool>,
}

/// Messages to the device.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ToDevice {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    pub(crate) since: Option<String>,
}

/// An extension about some of the rooms.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct OfRooms {
    #[serde(default)]
    enabled: Option<bool>,
    /// Of these lists; without it, and for `*`, of all.
    #[serde(default)]
    lists: Option<Vec<String>>,
    /// Of these rooms that are subscribed to; without it, and for `*`, of all.
    #[serde(default)]
    rooms: Option<Vec<String>>,
}

impl Plain {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or_default()
    }
}

impl ToDevice {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or_default()
    }

    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.map_or(limits::SYNC_TO_DEVICE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        limit.clamp(1, limits::SYNC_TO_DEVICE)
    }
}

impl OfRooms {
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or_default()
    }

    pub(crate) fn takes_list(&self, list: &str) -> bool {
        self.lists.as_ref().is_none_or(|lists| lists.iter().any(|it| it == "*" || it == list))
    }

    pub(crate) fn takes_room(&self, room: &str) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|it| it == "*" || it == room))
    }
}

impl List {
    /// The places of a list of `count` that are asked for, in order and without overlap.
    pub(crate) fn places(&self, count: usize) -> Vec<usize> {
        let Some(ranges) = self.ranges.as_ref().filter(|_| !self.slow_get_all_rooms) else {
            return (0..count).collect();
        };
        let mut places = Vec::new();
        for (first, last) in ranges {
            let [first, last] = [*first, *last].map(|place| usize::try_from(place).unwrap_or(usize::MAX));
            places.extend(first..last.saturating_add(1).min(count));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct SlidingRequest {
    /// The body.
    pub(crate) body: Body,
    /// The position of the answer before.
    pub(crate) pos: Option<String>,
    /// How long to wait.
    pub(crate) timeout: Duration,
    /// What the user is said to be doing.
    pub(crate) set_presence: PresenceState,
}

/// What may stand in the query or the body.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlidingQuery {
    /// The position of the answer before.
    pub pos: Option<String>,
    /// How long to wait, in milliseconds.
    pub timeout: Option<u64>,
    /// What the user is said to be doing.
    pub set_presence: Option<PresenceState>,
}

impl SlidingRequest {
    /// A request of these parts.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when it is out of bounds.
    pub fn new(query: SlidingQuery, mut body: Body) -> Result<Self, Refusal> {
        let bad = |what: &str| Err(Refusal::BadRequest { what: what.to_owned() });
        if body.lists.len() > limits::SLIDING_LISTS {
            return bad("there are too many lists");
        }
        if body.lists.keys().any(|name| name.len() > limits::SLIDING_LIST_NAME_BYTES) {
            return bad("the name of a list is too long");
        }
        if body.conn_id.as_ref().is_some_and(|id| id.len() > limits::SLIDING_LIST_NAME_BYTES) {
            return bad("`conn_id` is too long");
        }
        if body.room_subscriptions.len() > limits::SLIDING_SUBSCRIPTIONS {
            return bad("there are too many room subscriptions");
        }
        let configs = body.lists.values_mut().map(|list| &mut list.rooms).chain(body.room_subscriptions.values_mut());
        for config in configs {
            if config.required_state.len() > limits::SLIDING_REQUIRED_STATE {
                return bad("there is too much in `required_state`");
            }
            config.timeline_limit = config.timeline_limit.min(limits::SLIDING_TIMELINE_MOST);
        }
        for list in body.lists.values() {
            if list.ranges.iter().flatten().any(|(first, last)| first > last) {
                return bad("a range ends before it begins");
            }
        }
        let timeout = query.timeout.or(body.timeout).unwrap_or_default();
        Ok(Self {
            pos: query.pos.or(body.pos.take()),
            timeout: Duration::from_millis(timeout),
            set_presence: query.set_presence.or(body.set_presence.take()).unwrap_or_default(),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(body: &Value) -> Result<SlidingRequest, Refusal> {
        SlidingRequest::new(SlidingQuery::default(), serde_json::from_value(body.clone()).unwrap())
    }

    #[test]
    fn ranges_may_overlap_and_reach_beyond_the_list() {
        let list = |json: Value| serde_json::from_value::<List>(json).unwrap();
        let some = list(json!({ "timeline_limit": 1, "ranges": [[4, 5], [0, 1], [1, 2], [8, 1_000_000_000_000u64]] }));
        assert_eq!(some.places(10), [0, 1, 2, 4, 5, 8, 9]);
        assert_eq!(some.places(1), [0]);
        assert_eq!(list(json!({ "timeline_limit": 1 })).places(3), [0, 1, 2]);
        let all = json!({ "timeline_limit": 1, "ranges": [[0, 0]], "slow_get_all_rooms": true });
        assert_eq!(list(all).places(3), [0, 1, 2]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_or_bounded() {
        let backwards = json!({ "lists": { "a": { "timeline_limit": 1, "ranges": [[5, 1]] } } });
        assert!(request(&backwards).is_err());
        let long = json!({ "lists": { "x".repeat(65): { "timeline_limit": 1 } } });
        assert!(request(&long).is_err());
        let much = request(&json!({ "lists": { "a": { "timeline_limit": 1_000_000 } } })).unwrap();
        assert_eq!(much.body.lists["a"].rooms.timeline_limit, limits::SLIDING_TIMELINE_MOST);
    }

    #[test]
    fn an_extension_is_about_all_rooms_unless_it_says_which() {
        let of_rooms = |json: Value| serde_json::from_value::<OfRooms>(json).unwrap();
        let all = of_rooms(json!({ "enabled": true }));
        assert!(all.is_enabled() && all.takes_list("a") && all.takes_room("!r:hs"));
        let some = of_rooms(json!({ "enabled": true, "lists": ["a"], "rooms": [] }));
        assert!(some.takes_list("a") && !some.takes_list("b") && !some.takes_room("!r:hs"));
        assert!(!of_rooms(json!({})).is_enabled());
    }
}
