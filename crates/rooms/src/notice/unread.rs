//! How much a user has not read of a room (<https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>):
//! the events after their receipts of which their push rules say that they are to be notified, also thread by thread.
//!
//! Nothing of it is stored. What was found is remembered with the place up to which it was looked for, so that the next
//! question looks at what came since; a receipt that moved takes away of what was found and looks at nothing again.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Position, limits};
use moka::sync::Cache as Moka;
use ruma::{OwnedEventId, OwnedUserId};
use storage::{Direction, Version};

use crate::error::{Error, Refusal};
use crate::event::RoomVersion;
use crate::graph::{Graph, head_of};
use crate::notice::receipt::{Mark, Stored};
use crate::notice::rules::{Reader, RoomFacts, highlights, notifies};
use crate::notice::seen::Seen;
use crate::notice::{Thread, thread};
use crate::number::{EventNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::timeline::{self, Entry, Order};

/// How many unread events there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Events that the user is, or was, to be notified of.
    pub notifications: u64,
    /// Events that were to be highlighted.
    pub highlights: u64,
}

/// How many unread events there are, thread by thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadCounts {
    /// In no thread.
    pub main: Count,
    /// In threads, by their roots; none is zero.
    pub threads: BTreeMap<OwnedEventId, Count>,
}

impl UnreadCounts {
    /// In all of the room, for clients that do not ask for threads.
    pub fn total(&self) -> Count {
        self.threads.values().fold(self.main, |sum, count| Count {
            notifications: sum.notifications + count.notifications,
            highlights: sum.highlights + count.highlights,
        })
    }

    fn of(found: &[Found]) -> Self {
        let mut counts = Self::default();
        for found in found {
            let count = match &found.root {
                Some(root) => counts.threads.entry(root.clone()).or_default(),
                None => &mut counts.main,
            };
            count.notifications += u64::from(found.notifies);
            count.highlights += u64::from(found.highlights);
        }
        counts
    }
}

/// An unread event.
#[derive(Clone, Debug)]
struct Found {
    order: Order,
    event: EventNumber,
    root: Option<OwnedEventId>,
    notifies: bool,
    highlights: bool,
}

/// What was counted for one user in one room.
#[derive(Clone, Debug)]
struct Counted {
    /// By these rules.
    rules: [u64; 2],
    /// With these receipts.
    receipts: Option<Version>,
    /// All up to here was looked at.
    until: Order,
    found: Vec<Found>,
    counts: UnreadCounts,
}

/// Up to where a user has read.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    /// Of everything.
    all: Option<Order>,
    /// Of threads, and of what is in none.
    threads: BTreeMap<Option<OwnedEventId>, Order>,
}

impl Read {
    pub(super) fn of(marks: Vec<Mark>) -> Self {
        let mut read = Self::default();
        for mark in marks {
            match mark.thread {
                Thread::Unthreaded => read.all = read.all.max(Some(mark.order)),
                Thread::Main => read.thread(None, mark.order),
                Thread::Root(root) => read.thread(Some(root), mark.order),
            }
        }
        read
    }

    fn thread(&mut self, root: Option<OwnedEventId>, order: Order) {
        let slot = self.threads.entry(root).or_insert(order);
        *slot = order.max(*slot);
    }

    /// Whether an event at `order` in the thread of `root` was read.
    pub(super) fn covers(&self, order: Order, root: Option<&OwnedEventId>) -> bool {
        let thread = || self.threads.get(&root.cloned()).is_some_and(|read| *read >= order);
        self.all >= Some(order) || thread()
    }
}

/// What was counted, by user and room.
#[derive(Debug)]
pub(super) struct Cache(Moka<(RoomNumber, OwnedUserId), Arc<Counted>>);

impl Cache {
    pub(super) fn new() -> Self {
        let weigh = |_: &(RoomNumber, OwnedUserId), counted: &Arc<Counted>| {
            let found = counted.found.len() + counted.counts.threads.len();
            u32::try_from(400 + 120 * found).unwrap_or(u32::MAX)
        };
        Self(Moka::builder().weigher(weigh).max_capacity(limits::UNREAD_BYTES).build())
    }
}

impl Rooms {
    /// How much `reader` has not read of `room`. A room in which nothing happened since the last question costs two reads.
    ///
    /// Of a user who has never read a long room, the newest [`limits::UNREAD_EVENTS`] events are looked at.
    ///
    /// # Errors
    /// As every read.
    pub async fn unread(&self, room: RoomNumber, reader: Reader<'_>) -> Result<UnreadCounts, Error> {
        let key = (room, reader.user.to_owned());
        let stored = Stored::of(self.store(), room, reader.user).await?;
        let known = self.notice().unread.0.get(&key).filter(|known| known.rules == reader.version);
        let from = known.as_ref().map(|known| known.until.next());
        let read = Read::of(stored.marks);
        let from = from.max(read.all.map(Order::next)).unwrap_or(Order::START);
        let newest =
            timeline::entries(self.store(), room, [from, END], Direction::Backward, limits::UNREAD_PAGE).await?;
        if let Some(known) = known.as_ref().filter(|known| newest.is_empty() && known.receipts == stored.version) {
            return Ok(known.counts.clone());
        }
        let mut counted = match known {
            Some(known) => Counted::clone(&known),
            None => Counted::new(reader.version),
        };
        counted.receipts = stored.version;
        if let Some(last) = newest.first() {
            counted.until = last.order;
            let (head, _) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
            let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
            let looked = self.look(&graph, reader, newest, from).await?;
            self.count(&graph, reader, &mut counted, looked).await?;
        }
        let found = &mut counted.found;
        found.retain(|found| !read.covers(found.order, found.root.as_ref()));
        // Nobody is told a number beyond; the oldest are forgotten.
        found.drain(..found.len().saturating_sub(limits::UNREAD_EVENTS));
        counted.counts = UnreadCounts::of(&counted.found);
        let counts = counted.counts.clone();
        self.notice().unread.0.insert(key, Arc::new(counted));
        Ok(counts)
    }

    /// The events from `from` on, oldest first, given the newest of them: not those before the user came, nor more than are
    /// counted.
    async fn look(
        &self,
        graph: &Graph<'_>,
        reader: Reader<'_>,
        newest: Vec<Entry>,
        from: Order,
    ) -> Result<Vec<(Entry, Arc<Seen>)>, Error> {
        let (mut looked, mut page) = (Vec::new(), newest);
        loop {
            let numbers: Vec<EventNumber> = page.iter().map(|entry| entry.event).collect();
            let is_last = page.len() < limits::UNREAD_PAGE;
            let oldest = page.last().map(|entry| entry.order);
            for (entry, seen) in page.into_iter().zip(self.seen(graph, &numbers).await?) {
                let Some(seen) = seen else { continue };
                let is_own = seen.is_own_membership(reader.user);
                looked.push((entry, seen));
                if is_own {
                    looked.reverse();
                    return Ok(looked);
                }
            }
            let Some(oldest) = oldest.filter(|_| !is_last && looked.len() < limits::UNREAD_EVENTS) else { break };
            let limit = limits::UNREAD_PAGE;
            page = timeline::entries(self.store(), graph.room(), [from, oldest], Direction::Backward, limit).await?;
        }
        looked.reverse();
        Ok(looked)
    }

    /// Adds what is unread among `looked`.
    async fn count(
        &self,
        graph: &Graph<'_>,
        reader: Reader<'_>,
        counted: &mut Counted,
        mut looked: Vec<(Entry, Arc<Seen>)>,
    ) -> Result<(), Error> {
        self.take_away(graph, counted, &mut looked).await?;
        let facts = self.room_facts(graph).await?;
        let mut names = None;
        for (entry, seen) in looked {
            if seen.sender == reader.user {
                // Who says something has read what was said before, there.
                if seen.is_own_membership(reader.user) {
                    counted.found.clear();
                } else if !counted.found.is_empty() {
                    let root = thread::root_of(self, graph, &seen).await?;
                    counted.found.retain(|found| found.root != root);
                }
                continue;
            }
            if seen.has_text && names.is_none() {
                names = Some(self.names(graph, &[reader.user]).await?);
            }
            let name = names.as_ref().and_then(|names| names.get(reader.user)).map(String::as_str);
            if let Some(found) = self.found(graph, reader, &facts.1, &entry, &seen, name).await? {
                counted.found.push(found);
            }
        }
        Ok(())
    }

    async fn found(
        &self,
        graph: &Graph<'_>,
        reader: Reader<'_>,
        facts: &RoomFacts,
        entry: &Entry,
        seen: &Seen,
        name: Option<&str>,
    ) -> Result<Option<Found>, Error> {
        let actions = reader.actions(seen, facts, name);
        let (notifies, highlights) = (notifies(actions), highlights(actions));
        if !notifies && !highlights {
            return Ok(None);
        }
        let root = thread::root_of(self, graph, seen).await?;
        Ok(Some(Found { order: entry.order, event: entry.event, root, notifies, highlights }))
    }

    /// What was redacted is neither remembered nor counted as it was.
    async fn take_away(
        &self,
        graph: &Graph<'_>,
        counted: &mut Counted,
        looked: &mut [(Entry, Arc<Seen>)],
    ) -> Result<(), Error> {
        let targets: Vec<OwnedEventId> = looked.iter().filter_map(|(_, seen)| seen.redacts.clone()).collect();
        if targets.is_empty() {
            return Ok(());
        }
        for target in graph.numbers(&targets).await?.into_values() {
            self.unsee(graph.room(), target);
            let Some(now) = self.seen(graph, &[target]).await?.into_iter().next().flatten() else { continue };
            if now.is_redacted {
                counted.found.retain(|found| found.event != target);
            }
            if let Some((_, seen)) = looked.iter_mut().find(|(entry, _)| entry.event == target) {
                *seen = now;
            }
        }
        Ok(())
    }
}

/// After every event.
const END: Order = Order::Live(Position(u64::MAX));

impl Counted {
    fn new(rules: [u64; 2]) -> Self {
        Self { rules, receipts: None, until: Order::START, found: Vec::new(), counts: UnreadCounts::default() }
    }
}
