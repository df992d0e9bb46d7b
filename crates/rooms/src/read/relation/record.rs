//! The rows of the index of relations, and how an event says that it relates.

use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use storage::table::RELATION;
use storage::{Key, KeyRange, KeyWriter, Stamp, Template};

use crate::append::user_digest;
use crate::error::Error;
use crate::number::{EventNumber, RoomNumber};
use crate::timeline::Order;

/// Which redactions wait for an event: room, this, event, redaction → nothing.
pub(crate) const REDACTS: u8 = 0;
/// What relates to an event: room, this, event, hash of the relation's type, order → [`RelationRecord`].
const RELATES: u8 = 1;
/// What there is of relations to an event: room, this, event → [`Aggregate`] and the order of its thread's last event.
const AGGREGATE: u8 = 2;
/// How many events somebody has in a thread: room, this, root, hash of user → [`CountRecord`].
const PARTICIPANT: u8 = 3;
/// The threads of a room: room, this, order of its last event → [`RootRecord`].
const THREAD: u8 = 4;

/// An edit.
pub(crate) const REPLACE: &str = "m.replace";
/// An event of a thread.
pub(crate) const THREADED: &str = "m.thread";
/// A reference.
pub(crate) const REFERENCE: &str = "m.reference";

/// How an event relates to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The type of the relation.
    pub(crate) rel_type: String,
    /// The event it relates to.
    pub(crate) parent: OwnedEventId,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(rename = "m.relates_to", borrow)]
    relates_to: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RelatesTo {
    rel_type: String,
    event_id: OwnedEventId,
}

/// The relation that `content`, in canonical JSON, names; what is not well-formed names none.
pub(crate) fn relation(content: &str) -> Option<Relation> {
    // Nearly all events relate to none: looking for the name costs less than reading the content.
    if !content.contains("\"m.relates_to\"") {
        return None;
    }
    let Content { relates_to } = serde_json::from_str(content).ok()?;
    let RelatesTo { rel_type, event_id } = serde_json::from_str(relates_to?.get()).ok()?;
    let is_short = rel_type.len() <= 255;
    EventId::parse(&event_id).ok().filter(|_| is_short).map(|parent| Relation { rel_type, parent })
}

/// One event that relates to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelationRecord {
    /// The event.
    pub(crate) event: EventNumber,
    /// Its type.
    pub(crate) kind: String,
    /// Who sent it.
    pub(crate) sender: OwnedUserId,
    /// When, in milliseconds since 1970, as its server says.
    pub(crate) at: u64,
}

/// What there is of relations to one event, so that nothing need be looked for where there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aggregate {
    /// How many edits.
    pub(crate) edits: u64,
    /// How many references.
    pub(crate) references: u64,
    /// How many events of a thread.
    pub(crate) thread: u64,
}

/// How many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountRecord(pub(crate) u64);

/// The event with which a thread begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootRecord(pub(crate) EventNumber);

storage::first_version!(RelationRecord, Aggregate, CountRecord, RootRecord);

/// Types of relations are chosen by whoever sends events and may be long, so keys hold a part of their hash. Two of one hash
/// would be listed as one, to the harm of who made them up.
pub(crate) fn rel_digest(rel_type: &str) -> u64 {
    Sha256::digest(rel_type).first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default()
}

pub(super) fn relates_key(room: RoomNumber, parent: EventNumber, rel: u64, order: Order) -> Key {
    Key::of(RELATION, &(room, RELATES, parent, (rel, order)))
}

/// The key of a relation whose event is being appended.
pub(super) fn relates_template(room: RoomNumber, parent: EventNumber, rel: u64, stamp: Stamp) -> Template {
    let writer = KeyWriter::new(RELATION).part(&room).part(&RELATES).part(&parent).part(&rel);
    writer.part(&Order::LIVE).stamp(stamp).template()
}

pub(crate) fn relates_range(room: RoomNumber, parent: EventNumber, rel: Option<u64>) -> KeyRange {
    match rel {
        Some(rel) => KeyRange::prefix(RELATION, &(room, RELATES, parent, rel)),
        None => KeyRange::prefix(RELATION, &(room, RELATES, parent)),
    }
}

/// What of [`relates_range`] lies between two places.
pub(crate) fn relates_between(room: RoomNumber, parent: EventNumber, rel: u64, [from, to]: [Order; 2]) -> KeyRange {
    KeyRange::between(&relates_key(room, parent, rel, from), &relates_key(room, parent, rel, to))
}

/// The type's hash and the place of a row of [`relates_range`].
pub(crate) fn relates_parts(key: &Key) -> Result<(u64, Order), Error> {
    let parts = key.parts::<(RoomNumber, u8, EventNumber, (u64, Order))>();
    parts.map(|(.., parts)| parts).map_err(|error| Error::damaged(format!("the key of a relation: {error}")))
}

pub(crate) fn aggregate_key(room: RoomNumber, parent: EventNumber) -> Key {
    Key::of(RELATION, &(room, AGGREGATE, parent))
}

pub(crate) fn participant_key(room: RoomNumber, root: EventNumber, user: &UserId) -> Key {
    Key::of(RELATION, &(room, PARTICIPANT, root, user_digest(user)))
}

pub(super) fn thread_key(room: RoomNumber, last: Order) -> Key {
    Key::of(RELATION, &(room, THREAD, last))
}

pub(super) fn thread_template(room: RoomNumber, stamp: Stamp) -> Template {
    KeyWriter::new(RELATION).part(&room).part(&THREAD).part(&Order::LIVE).stamp(stamp).template()
}

pub(crate) fn threads_between(room: RoomNumber, [from, to]: [Order; 2]) -> KeyRange {
    KeyRange::between(&thread_key(room, from), &thread_key(room, to))
}

/// The place of a row of [`threads_between`].
pub(crate) fn thread_order(key: &Key) -> Result<Order, Error> {
    let parts = key.parts::<(RoomNumber, u8, Order)>();
    parts.map(|(.., order)| order).map_err(|error| Error::damaged(format!("the key of a thread: {error}")))
}
