//! The graph's rows into a batch. Who appends puts the batch together; it must contain the head, whose precondition makes
//! the numbers given here good.

use std::collections::BTreeMap;

use bytes::Bytes;
use ruma::{OwnedEventId, RoomId};
use storage::{Batch, Version};

use crate::graph::chain::StoredChain;
use crate::graph::record::{
    EventFacts, Head, NumberRecord, RoomRecord, auth_child_key, chain_key, child_key, facts_key, head_key, json_key,
    number_key, partial_key, room_key,
};
use crate::number::{EventNumber, RoomNumber};

/// Gives numbers to ids that have none, from a room's head onwards.
#[derive(Debug)]
pub struct Numbering {
    next: EventNumber,
    known: BTreeMap<OwnedEventId, EventNumber>,
    given: Vec<OwnedEventId>,
}

impl Numbering {
    /// Goes on from `head`; `known` must have all ids to be asked for that have numbers: see [`Graph::numbering`].
    ///
    /// [`Graph::numbering`]: crate::graph::Graph::numbering
    pub(super) fn new(head: &Head, known: BTreeMap<OwnedEventId, EventNumber>) -> Self {
        Self { next: head.next_event, known, given: Vec::new() }
    }

    /// The number of `id`, given now if it has none.
    pub fn number(&mut self, id: &OwnedEventId) -> EventNumber {
        if let Some(number) = self.known.get(id) {
            return *number;
        }
        let number = self.next;
        self.next = EventNumber(number.0 + 1);
        self.known.insert(id.clone(), number);
        self.given.push(id.clone());
        number
    }

    /// Whether the number of `id` is given just now: nothing was ever filed under it.
    pub fn is_new(&self, id: &OwnedEventId) -> bool {
        self.given.contains(id)
    }

    /// Writes the numbers given and notes in `head` from where to go on.
    pub fn put(self, batch: &mut Batch, room: RoomNumber, head: &mut Head) {
        for id in &self.given {
            if let Some(number) = self.known.get(id) {
                batch.put_record(&number_key(room, id), &NumberRecord(*number));
            }
        }
        head.next_event = self.next;
    }
}

/// Makes a room known under `room`, a number drawn at random. Fails to commit when the room or the number is known.
pub fn put_room(batch: &mut Batch, room_id: &RoomId, room: RoomNumber) {
    let key = room_key(room_id);
    batch.require_absent(&key);
    batch.put_record(&key, &RoomRecord(room));
}

/// Writes the head, under the precondition that it still is as it was read (`None`: it is a new room's).
pub fn put_head(batch: &mut Batch, room: RoomNumber, head: &Head, was: Option<Version>) {
    let key = head_key(room);
    batch.require_version(&key, was);
    batch.put_record(&key, head);
}

/// Writes an event: its JSON, its facts, and that it follows those before it.
pub fn put_event(batch: &mut Batch, room: RoomNumber, number: EventNumber, facts: &EventFacts, json: &Bytes) {
    batch.put(&json_key(room, number), json.clone());
    batch.put_record(&facts_key(room, number), facts);
    for before in &facts.prev {
        batch.put(&child_key(room, *before, number), Bytes::new());
    }
}

/// Takes the content away from an event that is there: `json` is what is left of it, `facts` say what redacted it.
pub fn put_redacted(batch: &mut Batch, room: RoomNumber, number: EventNumber, facts: &EventFacts, json: &Bytes) {
    batch.put(&json_key(room, number), json.clone());
    batch.put_record(&facts_key(room, number), facts);
}

/// Writes what the graph knows of an event that it has.
pub fn put_facts(batch: &mut Batch, room: RoomNumber, number: EventNumber, facts: &EventFacts) {
    batch.put_record(&facts_key(room, number), facts);
}

/// Notes that the state before an event was worked out from a partial one.
pub fn put_partial(batch: &mut Batch, room: RoomNumber, event: EventNumber) {
    batch.put(&partial_key(room, event), Bytes::new());
}

/// Takes that back.
pub fn remove_partial(batch: &mut Batch, room: RoomNumber, event: EventNumber) {
    batch.delete(&partial_key(room, event));
}

/// Writes the auth chain of a state event that leans on `auth`. An event that was rejected has none: nothing that was not
/// rejected leans on it. Nor has one without a state key.
pub fn put_chain(batch: &mut Batch, room: RoomNumber, event: EventNumber, auth: &[EventNumber], chain: &StoredChain) {
    batch.put_record(&chain_key(room, event), chain);
    for below in auth {
        batch.put(&auth_child_key(room, *below, event), Bytes::new());
    }
}

/// Makes a batch fail to commit when the room was appended to since its head was read.
pub(crate) fn require_head(batch: &mut Batch, room: RoomNumber, was: Version) {
    batch.require_unchanged(&head_key(room), was);
}

/// Takes away what makes a room known.
pub(crate) fn delete_room(batch: &mut Batch, room_id: &RoomId, room: RoomNumber) {
    batch.delete(&room_key(room_id));
    batch.delete(&head_key(room));
}

/// Takes an event away; it is then known by name only.
pub(crate) fn delete_event(batch: &mut Batch, room: RoomNumber, number: EventNumber, facts: &EventFacts) {
    batch.delete(&json_key(room, number));
    batch.delete(&facts_key(room, number));
    for before in &facts.prev {
        batch.delete(&child_key(room, *before, number));
    }
}

/// Takes the number of an event's name away.
pub(crate) fn delete_number(batch: &mut Batch, room: RoomNumber, id: &OwnedEventId) {
    batch.delete(&number_key(room, id));
}
