//! What appends read again and again, kept in memory in decoded form: events and what the graph knows of them, numbers, auth
//! chains, nodes of states. Bounded in bytes.
//!
//! **Invariant.** Only what never changes is kept, and only after it was read from the store or committed to it: numbers and
//! nodes for ever; events that were accepted, under the head's [`rewritten`](crate::graph::Head::rewritten), which grows
//! whenever something of a state event is taken away. Where a room stands is always read from the store, so several
//! processes on one store need not tell each other anything.

use std::fmt;
use std::sync::Arc;

use base::collections::SeededState;
use base::limits;
use moka::sync::Cache as Moka;
use ruma::{OwnedEventId, OwnedRoomId, RoomId};

use crate::event::{Known, Standing, StateKey};
use crate::graph::{EventFacts, Pending, Place, StoredChain};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{KeptNode, NodeHash, Nodes, StateRoot};

/// An event with what the graph knows of it.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) known: Known,
    pub(crate) facts: EventFacts,
}

type Kept<K, V> = Moka<K, V, SeededState>;

/// The memory of all rooms. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    rooms: Kept<OwnedRoomId, RoomNumber>,
    events: Kept<(RoomNumber, u32, EventNumber), Arc<Remembered>>,
    numbers: Kept<(RoomNumber, OwnedEventId), EventNumber>,
    keys: Kept<(RoomNumber, StateKey), KeyNumber>,
    chains: Kept<(RoomNumber, EventNumber), Arc<StoredChain>>,
    nodes: Kept<(RoomNumber, NodeHash), KeptNode>,
}

/// What an entry takes beside what it holds: its key and the cache's own bookkeeping.
const ENTRY: usize = 200;

fn kept<K, V>(bytes: u64, weight: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Kept<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let weigher = move |key: &K, value: &V| u32::try_from(ENTRY + weight(key, value)).unwrap_or(u32::MAX);
    Moka::builder().max_capacity(bytes).weigher(weigher).build_with_hasher(SeededState::default())
}

impl Default for Cache {
    fn default() -> Self {
        let event = |_: &_, event: &Arc<Remembered>| {
            let Remembered { known, facts } = &**event;
            // The JSON stands there twice, as bytes and in fields.
            2 * known.pdu.json().len() + 64 * (facts.prev.len() + facts.auth.len()) + 600
        };
        Self {
            rooms: kept(limits::ROOM_CACHE_NAMES_BYTES, |id: &OwnedRoomId, _| id.as_str().len()),
            events: kept(limits::ROOM_CACHE_EVENTS_BYTES, event),
            numbers: kept(limits::ROOM_CACHE_NAMES_BYTES, |key: &(_, OwnedEventId), _| key.1.as_str().len()),
            keys: kept(limits::ROOM_CACHE_NAMES_BYTES, |key: &(_, StateKey), _| 32 + key.1.key.len()),
            chains: kept(limits::ROOM_CACHE_NAMES_BYTES, |_: &_, chain: &Arc<StoredChain>| chain.bytes()),
            nodes: kept(limits::ROOM_CACHE_NODES_BYTES, |_: &_, node: &KeptNode| node.bytes()),
        }
    }
}

impl Cache {
    pub(crate) fn room(&self, id: &RoomId) -> Option<RoomNumber> {
        self.rooms.get(id)
    }

    pub(crate) fn keep_room(&self, id: &RoomId, room: RoomNumber) {
        self.rooms.insert(id.to_owned(), room);
    }

    /// Forgets which number a room had that is no more.
    pub(crate) fn forget_room(&self, id: &RoomId) {
        self.rooms.invalidate(id);
    }

    pub(crate) fn event(&self, room: RoomNumber, rewritten: u32, event: EventNumber) -> Option<Arc<Remembered>> {
        self.events.get(&(room, rewritten, event))
    }

    /// Keeps an event, if it is one that stays as it is.
    pub(crate) fn keep_event(&self, room: RoomNumber, rewritten: u32, number: EventNumber, event: Remembered) {
        let Remembered { facts, .. } = &event;
        if facts.standing == Standing::Accepted && facts.place != Place::Outlier {
            self.events.insert((room, rewritten, number), Arc::new(event));
        }
    }

    pub(crate) fn number(&self, room: RoomNumber, id: &OwnedEventId) -> Option<EventNumber> {
        self.numbers.get(&(room, id.clone()))
    }

    pub(crate) fn keep_number(&self, room: RoomNumber, id: &OwnedEventId, number: EventNumber) {
        self.numbers.insert((room, id.clone()), number);
    }

    pub(crate) fn key(&self, room: RoomNumber, key: &StateKey) -> Option<KeyNumber> {
        self.keys.get(&(room, key.clone()))
    }

    pub(crate) fn keep_key(&self, room: RoomNumber, key: &StateKey, number: KeyNumber) {
        self.keys.insert((room, key.clone()), number);
    }

    pub(crate) fn chain(&self, room: RoomNumber, event: EventNumber) -> Option<Arc<StoredChain>> {
        self.chains.get(&(room, event))
    }

    pub(crate) fn keep_chain(&self, room: RoomNumber, event: EventNumber, chain: StoredChain) {
        self.chains.insert((room, event), Arc::new(chain));
    }

    pub(crate) fn node(&self, room: RoomNumber, hash: NodeHash) -> Option<KeptNode> {
        self.nodes.get(&(room, hash))
    }

    pub(crate) fn keep_node(&self, room: RoomNumber, hash: NodeHash, node: KeptNode) {
        self.nodes.insert((room, hash), node);
    }

    /// Keeps what a commit has stored: an event, and the nodes of the states around it.
    pub(crate) fn keep_appended(
        &self,
        room: RoomNumber,
        rewritten: u32,
        pending: Pending,
        nodes: &Nodes,
        roots: &[StateRoot],
    ) {
        let Pending { number, facts, pdu, key, chain } = pending;
        self.keep_number(room, &facts.id, number);
        if let Some((name, key)) = key {
            self.keep_key(room, &name, key);
        }
        if let Some(chain) = chain {
            self.keep_chain(room, number, chain);
        }
        for root in roots {
            nodes.made_for(*root, |hash, node| self.keep_node(room, hash, node));
        }
        let known = Known { pdu, standing: facts.standing };
        self.keep_event(room, rewritten, number, Remembered { known, facts });
    }

    /// About how many bytes are kept.
    pub fn bytes(&self) -> u64 {
        // Weights are added up when there is time for it.
        self.events.run_pending_tasks();
        self.nodes.run_pending_tasks();
        self.chains.run_pending_tasks();
        self.rooms.run_pending_tasks();
        self.numbers.run_pending_tasks();
        self.keys.run_pending_tasks();
        let events = self.events.weighted_size() + self.nodes.weighted_size() + self.chains.weighted_size();
        events + self.rooms.weighted_size() + self.numbers.weighted_size() + self.keys.weighted_size()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a memory of {} bytes", self.bytes())
    }
}
