//! A room that is being read: where it stands, and the nodes of its states that were needed so far. Made for one request
//! and thrown away with it.

use std::collections::BTreeSet;

use ruma::events::StateEventType;
use ruma::{EventId, RoomId, UserId};
use storage::{Direction, Store};

use crate::append::{Membership, memberships};
use crate::error::Error;
use crate::event::{RoomVersion, StateKey};
use crate::graph::{Graph, Head, Stored, find_room, head_of};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::state::{Need, Nodes, StateRoot, load};
use crate::timeline::{Order, entries, orders};

/// A room that is being read.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) graph: Graph<'a>,
    pub(crate) head: Head,
    pub(crate) nodes: Nodes,
}

impl Rooms {
    /// Begins to read the room `room_id`; `None` when it is not known here.
    ///
    /// # Errors
    /// As every read.
    pub async fn read(&self, room_id: &RoomId) -> Result<Option<Reading<'_>>, Error> {
        if let Some(room) = self.cache().room(room_id) {
            return self.read_number(room).await;
        }
        let Some(room) = find_room(self.store(), room_id).await? else { return Ok(None) };
        self.cache().keep_room(room_id, room);
        self.read_number(room).await
    }

    /// Begins to read `room`; `None` when it is not known here.
    ///
    /// # Errors
    /// As every read.
    pub async fn read_number(&self, room: RoomNumber) -> Result<Option<Reading<'_>>, Error> {
        let Some((head, _)) = head_of(self.store(), room).await? else { return Ok(None) };
        let version = RoomVersion::of(&head.version)?;
        let graph = Graph::new(self.store(), room, version).remembering(Some(self.cache()), &head);
        Ok(Some(Reading { rooms: self, graph, head, nodes: Nodes::with_cache(room, self.cache()) }))
    }
}

impl Reading<'_> {
    /// All rooms.
    pub fn rooms(&self) -> &Rooms {
        self.rooms
    }

    /// The room.
    pub fn id(&self) -> &RoomId {
        &self.head.room_id
    }

    /// Its number.
    pub fn number(&self) -> RoomNumber {
        self.graph.room()
    }

    /// Its version.
    pub fn version(&self) -> &'static RoomVersion {
        self.graph.version()
    }

    /// Its state now.
    pub fn state(&self) -> StateRoot {
        self.head.state
    }

    pub(crate) fn store(&self) -> &Store {
        self.graph.store()
    }

    /// The room's state at a point: right before what is or will be at `order`.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_at(&self, order: Order) -> Result<StateRoot, Error> {
        let last = entries(self.store(), self.number(), [Order::START, order], Direction::Backward, 1).await?;
        Ok(last.first().map_or(StateRoot::EMPTY, |entry| entry.state))
    }

    /// What `user` is to the room now.
    ///
    /// # Errors
    /// As every read.
    pub async fn membership(&self, user: &UserId) -> Result<Option<Membership>, Error> {
        Ok(memberships(self.store(), self.number(), &[user]).await?.into_iter().next().flatten())
    }

    /// The events as they are stored, in their order.
    ///
    /// # Errors
    /// As every read; [`Error::Damaged`] when one is not there.
    pub async fn stored(&self, events: &[EventNumber]) -> Result<Vec<Stored>, Error> {
        let found = self.graph.stored(events).await?.into_iter().zip(events);
        let there = |(stored, event): (Option<Stored>, &EventNumber)| {
            stored.ok_or_else(|| Error::damaged(format!("{event:?} is referred to and not there")))
        };
        found.map(there).collect()
    }

    /// The event `id` with its place, if it is one of those that are shown.
    ///
    /// # Errors
    /// As every read.
    pub async fn find(&self, id: &EventId) -> Result<Option<(Stored, Order)>, Error> {
        let Some(number) = self.graph.numbers(&[id.to_owned()]).await?.into_values().next() else { return Ok(None) };
        let order = orders(self.store(), self.number(), &[number]).await?.into_iter().next().flatten();
        let stored = self.graph.stored(&[number]).await?.into_iter().next().flatten();
        Ok(stored.zip(order))
    }

    /// What is filed under `key` in the state `root`.
    ///
    /// # Errors
    /// As every read.
    pub async fn entry(
        &mut self,
        root: StateRoot,
        kind: impl Into<StateEventType>,
        key: &str,
    ) -> Result<Option<EventNumber>, Error> {
        let found = self.entries(root, &[StateKey::new(kind, key)]).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// What is filed under `keys` in the state `root`, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn entries(&mut self, root: StateRoot, keys: &[StateKey]) -> Result<Vec<Option<EventNumber>>, Error> {
        let numbers = self.graph.key_numbers(keys).await?;
        let asked: Vec<(StateRoot, KeyNumber)> = numbers.iter().flatten().map(|number| (root, *number)).collect();
        let mut found = self.lookup(&asked).await?.into_iter();
        Ok(numbers.into_iter().map(|number| number.and_then(|_| found.next().flatten())).collect())
    }

    /// What is filed under keys in several states, in the order asked for: as many reads as the deepest of them needs.
    ///
    /// # Errors
    /// As every read.
    pub(crate) async fn lookup(&mut self, asked: &[(StateRoot, KeyNumber)]) -> Result<Vec<Option<EventNumber>>, Error> {
        let question = |nodes: &mut Nodes| {
            let (mut found, mut need) = (Vec::with_capacity(asked.len()), BTreeSet::new());
            for (root, key) in asked {
                match nodes.lookup(*root, &[*key]) {
                    Ok(event) => found.extend(event),
                    Err(Need(nodes)) => need.extend(nodes),
                }
            }
            if need.is_empty() { Ok(found) } else { Err(Need(need.into_iter().collect())) }
        };
        load(self.graph.store(), &mut self.nodes, question).await
    }
}
