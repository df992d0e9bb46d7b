//! The rows of the graph: what they are filed under, and what they hold.

use ruma::{EventId, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId, RoomId, RoomVersionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{
    AUTH_CHAIN, AUTH_CHILD, EVENT, EVENT_CHILD, EVENT_JSON, EVENT_NUMBER, PARTIAL_EVENT, ROOM, ROOM_HEAD,
};
use storage::{Key, KeyRange, Record};

use crate::event::Standing;
use crate::graph::chain::StoredChain;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::StateRoot;

/// Where a room stands. Every append reads it, and writes it under the precondition that nobody else has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersionId,
    /// The number that the next event gets.
    pub next_event: EventNumber,
    /// The number that the next state key gets.
    pub next_key: KeyNumber,
    /// The accepted events that no accepted one follows.
    pub extremities: Vec<EventNumber>,
    /// The state after all of these.
    pub state: StateRoot,
    /// Whether that state is all of it.
    pub completeness: Completeness,
    /// How often what was stored of its state events was changed afterwards: what was read of them before is not to be
    /// believed any more. It wraps around.
    pub rewritten: u32,
}

/// Whether a room's state is known whole. A server that joins is first given the state without most members
/// (<https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>, `omit_members`), and
/// fetches these afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completeness {
    /// All of it.
    #[default]
    Complete,
    /// Members are missing from it. That somebody has a membership may be believed, that somebody has none may not.
    Partial {
        /// The event with which this server came: the first whose state is incomplete.
        join: EventNumber,
    },
}

impl Completeness {
    /// Whether members are missing.
    pub fn is_partial(self) -> bool {
        self != Self::Complete
    }
}

/// The head as it was stored before states could be partial.
#[derive(Debug, Serialize, Deserialize)]
pub struct HeadV1 {
    pub(super) room_id: OwnedRoomId,
    pub(super) version: RoomVersionId,
    pub(super) next_event: EventNumber,
    pub(super) next_key: KeyNumber,
    pub(super) extremities: Vec<EventNumber>,
    pub(super) state: StateRoot,
}

/// The head as it was stored before it counted changes of state events.
#[derive(Debug, Serialize, Deserialize)]
pub struct HeadV2 {
    room_id: OwnedRoomId,
    version: RoomVersionId,
    next_event: EventNumber,
    next_key: KeyNumber,
    extremities: Vec<EventNumber>,
    state: StateRoot,
    completeness: Completeness,
}

impl Record for HeadV2 {
    const VERSION: u8 = 2;
    type Previous = HeadV1;

    fn migrate(previous: HeadV1) -> Self {
        let HeadV1 { room_id, version, next_event, next_key, extremities, state } = previous;
        Self { room_id, version, next_event, next_key, extremities, state, completeness: Completeness::Complete }
    }
}

impl Record for Head {
    const VERSION: u8 = 3;
    type Previous = HeadV2;

    fn migrate(previous: HeadV2) -> Self {
        let HeadV2 { room_id, version, next_event, next_key, extremities, state, completeness } = previous;
        Self { room_id, version, next_event, next_key, extremities, state, completeness, rewritten: 0 }
    }
}

/// Where an event lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Outside the graph: kept because another leans on it. The state around it is not known.
    Outlier,
    /// In the graph.
    InGraph {
        /// The state before it.
        before: StateRoot,
        /// The state after it: the same, unless it is a state event that was not rejected.
        after: StateRoot,
    },
}

/// What the graph must know of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFacts {
    /// Its id.
    pub id: OwnedEventId,
    /// What the checks made of it.
    pub standing: Standing,
    /// Where it lies.
    pub place: Place,
    /// Its depth.
    pub depth: u64,
    /// The events before it. Not all of these need be there.
    pub prev: Vec<EventNumber>,
    /// The events that it leans on.
    pub auth: Vec<EventNumber>,
    /// What it is filed under, if it is a state event.
    pub files: Option<KeyNumber>,
    /// How a client of this server sent it, for that client alone to be told.
    pub sent: Option<Transaction>,
    /// The event that took its content away: the stored JSON has none left that a redaction does not spare.
    pub redacted_by: Option<EventNumber>,
}

/// The facts as they were stored before transactions and redactions were among them.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventFactsV1 {
    id: OwnedEventId,
    standing: Standing,
    place: Place,
    depth: u64,
    prev: Vec<EventNumber>,
    auth: Vec<EventNumber>,
    files: Option<KeyNumber>,
}

impl Record for EventFacts {
    const VERSION: u8 = 2;
    type Previous = EventFactsV1;

    fn migrate(previous: EventFactsV1) -> Self {
        let EventFactsV1 { id, standing, place, depth, prev, auth, files } = previous;
        Self { id, standing, place, depth, prev, auth, files, sent: None, redacted_by: None }
    }
}

/// The request by which a client of the sender sent an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The sender's device.
    pub device: OwnedDeviceId,
    /// The transaction id.
    pub id: OwnedTransactionId,
}

/// The number of a room, or of an event.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRecord(pub(super) RoomNumber);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NumberRecord(pub(super) EventNumber);

storage::first_version!(HeadV1, EventFactsV1, StoredChain, RoomRecord, NumberRecord);

/// Ids may be as long as keys and are chosen by anybody, so keys hold their whole hash.
fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

pub(super) fn room_key(room_id: &RoomId) -> Key {
    Key::of(ROOM, &digest(room_id.as_str()))
}

pub(super) fn head_key(room: RoomNumber) -> Key {
    Key::of(ROOM_HEAD, &room)
}

/// By id first, so that the rooms of an event can be found. In versions 1 and 2 there may be several: servers choose ids.
pub(super) fn number_key(room: RoomNumber, id: &EventId) -> Key {
    Key::of(EVENT_NUMBER, &(digest(id.as_str()), room))
}

pub(super) fn rooms_of_event_range(id: &EventId) -> KeyRange {
    KeyRange::prefix(EVENT_NUMBER, &digest(id.as_str()))
}

pub(super) fn number_key_room(key: &Key) -> Option<RoomNumber> {
    key.parts::<([u8; 32], RoomNumber)>().ok().map(|(_, room)| room)
}

pub(super) fn facts_key(room: RoomNumber, event: EventNumber) -> Key {
    Key::of(EVENT, &(room, event))
}

pub(super) fn json_key(room: RoomNumber, event: EventNumber) -> Key {
    Key::of(EVENT_JSON, &(room, event))
}

pub(super) fn chain_key(room: RoomNumber, event: EventNumber) -> Key {
    Key::of(AUTH_CHAIN, &(room, event))
}

pub(super) fn child_key(room: RoomNumber, event: EventNumber, child: EventNumber) -> Key {
    Key::of(EVENT_CHILD, &(room, event, child))
}

pub(super) fn children_range(room: RoomNumber, event: EventNumber) -> KeyRange {
    KeyRange::prefix(EVENT_CHILD, &(room, event))
}

pub(super) fn auth_child_key(room: RoomNumber, event: EventNumber, child: EventNumber) -> Key {
    Key::of(AUTH_CHILD, &(room, event, child))
}

pub(super) fn auth_children_range(room: RoomNumber, event: EventNumber) -> KeyRange {
    KeyRange::prefix(AUTH_CHILD, &(room, event))
}

pub(super) fn partial_key(room: RoomNumber, event: EventNumber) -> Key {
    Key::of(PARTIAL_EVENT, &(room, event))
}

pub(super) fn partial_range(room: RoomNumber) -> KeyRange {
    KeyRange::prefix(PARTIAL_EVENT, &room)
}

pub(super) fn partial_of(key: &Key) -> Option<EventNumber> {
    key.parts::<(RoomNumber, EventNumber)>().ok().map(|(_, event)| event)
}

pub(super) fn child_of(key: &Key) -> Option<EventNumber> {
    key.parts::<(RoomNumber, EventNumber, EventNumber)>().ok().map(|(_, _, child)| child)
}
