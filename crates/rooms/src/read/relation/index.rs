//! Writes the index of relations. An event and the redaction of another may touch the same rows, so what a batch changes is
//! gathered first and written once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base::Position;
use ruma::OwnedUserId;
use storage::{Batch, Direction, Record, Stamp, Template};

use crate::error::Error;
use crate::event::Pdu;
use crate::graph::{Graph, Stored};
use crate::number::{EventNumber, RoomNumber};
use crate::read::relation::names::Named;
use crate::read::relation::record::{
    Aggregate, CountRecord, REFERENCE, REPLACE, RelationRecord, RootRecord, THREADED, aggregate_key, participant_key,
    rel_digest, relates_key, relates_parts, relates_range, relates_template, relation, thread_key, thread_template,
};
use crate::timeline::{Order, orders};

/// The last event of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    None,
    Known(Order),
    /// The event that is being appended.
    Appended,
}

/// Where an event that relates is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// It is appended, and this will be its position.
    Stamp(Stamp),
    /// It was fetched, and put here.
    Place(Order),
}

#[derive(Debug)]
struct Parent {
    aggregate: Aggregate,
    was: Last,
    is: Last,
}

/// What one batch changes in the index.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    parents: BTreeMap<EventNumber, Parent>,
    participants: BTreeMap<(EventNumber, OwnedUserId), u64>,
}

impl Relations {
    /// Adds what `named` says that the event `number` relates to, which is shown at `at`.
    ///
    /// # Errors
    /// As every read.
    pub(crate) async fn add(
        &mut self,
        batch: &mut Batch,
        graph: &Graph<'_>,
        number: EventNumber,
        pdu: &Pdu,
        named: &Named,
        at: At,
    ) -> Result<(), Error> {
        let Some((parent, rel_type)) = &named.relates_to else { return Ok(()) };
        let (room, rel) = (graph.room(), rel_digest(rel_type));
        let record = RelationRecord {
            event: number,
            kind: pdu.kind().to_string(),
            sender: pdu.sender().to_owned(),
            at: pdu.origin_server_ts().get().into(),
        };
        let key = match at {
            At::Stamp(stamp) => relates_template(room, *parent, rel, stamp),
            At::Place(order) => Template::plain(relates_key(room, *parent, rel, order).to_bytes()),
        };
        batch.put_template(key, Template::plain(record.encode()));
        if !is_counted(rel_type) {
            return Ok(());
        }
        let entry = self.parent(graph, *parent).await?;
        match rel_type.as_str() {
            REPLACE => entry.aggregate.edits += 1,
            REFERENCE => entry.aggregate.references += 1,
            _ => {
                entry.aggregate.thread += 1;
                entry.is = match (at, entry.is) {
                    (At::Stamp(_), _) | (_, Last::Appended) => Last::Appended,
                    (At::Place(order), Last::Known(last)) => Last::Known(last.max(order)),
                    (At::Place(order), Last::None) => Last::Known(order),
                };
                *self.participant(graph, *parent, pdu.sender().to_owned()).await? += 1;
            }
        }
        Ok(())
    }

    /// Takes back the relation of `stored`, an accepted event that is redacted and was `pdu`.
    ///
    /// # Errors
    /// As every read.
    pub(crate) async fn remove(
        &mut self,
        batch: &mut Batch,
        graph: &Graph<'_>,
        stored: &Stored,
        pdu: &Pdu,
    ) -> Result<(), Error> {
        let Some(relation) = relation(pdu.content().get()) else { return Ok(()) };
        let (room, rel) = (graph.room(), rel_digest(&relation.rel_type));
        let parent = graph.numbers(std::slice::from_ref(&relation.parent)).await?.into_values().next();
        let order = orders(graph.store(), room, &[stored.number]).await?.into_iter().next().flatten();
        let (Some(parent), Some(order)) = (parent, order) else { return Ok(()) };
        batch.delete(&relates_key(room, parent, rel, order));
        if !is_counted(&relation.rel_type) {
            return Ok(());
        }
        let before = match relation.rel_type.as_str() {
            THREADED => last_but(graph, parent, order).await?,
            _ => Last::None,
        };
        let entry = self.parent(graph, parent).await?;
        match relation.rel_type.as_str() {
            REPLACE => entry.aggregate.edits = entry.aggregate.edits.saturating_sub(1),
            REFERENCE => entry.aggregate.references = entry.aggregate.references.saturating_sub(1),
            _ => {
                entry.aggregate.thread = entry.aggregate.thread.saturating_sub(1);
                if entry.is == Last::Known(order) {
                    entry.is = before;
                }
                let count = self.participant(graph, parent, pdu.sender().to_owned()).await?;
                *count = count.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Writes what was changed; `stamp` is that of the event that is being appended.
    pub(crate) fn put(self, batch: &mut Batch, room: RoomNumber, stamp: Option<Stamp>) {
        for (number, Parent { aggregate, was, is }) in self.parents {
            let key = aggregate_key(room, number);
            if aggregate == Aggregate::default() {
                batch.delete(&key);
            } else {
                let record = aggregate.encode();
                let value = match (is, stamp) {
                    (Last::Appended, Some(stamp)) => {
                        Template::with_stamp([&*record, &[Order::LIVE], &[0; 8]].concat(), stamp)
                    }
                    (Last::Known(order), _) => Template::plain([&*record, &last_bytes(order)].concat()),
                    _ => Template::plain([&*record, &last_bytes(Order::START)].concat()),
                };
                batch.put_template(Template::plain(key.to_bytes()), value);
            }
            if was == is {
                continue;
            }
            if let Last::Known(order) = was {
                batch.delete(&thread_key(room, order));
            }
            let root = RootRecord(number).encode();
            match (is, stamp) {
                (Last::Appended, Some(stamp)) => {
                    batch.put_template(thread_template(room, stamp), Template::plain(root));
                }
                (Last::Known(order), _) => batch.put(&thread_key(room, order), root),
                _ => {}
            }
        }
        for ((root, user), count) in self.participants {
            let key = participant_key(room, root, &user);
            if count == 0 { batch.delete(&key) } else { batch.put_record(&key, &CountRecord(count)) }
        }
    }

    async fn parent(&mut self, graph: &Graph<'_>, number: EventNumber) -> Result<&mut Parent, Error> {
        match self.parents.entry(number) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let row = graph.store().get(&aggregate_key(graph.room(), number)).await;
                let row = row.map_err(Error::storage("reading what relates to an event"))?;
                let (aggregate, last) = match row {
                    Some(row) => decode_aggregate(&row.value)?,
                    None => (Aggregate::default(), None),
                };
                let was = last.map_or(Last::None, Last::Known);
                Ok(place.insert(Parent { aggregate, was, is: was }))
            }
        }
    }

    async fn participant(
        &mut self,
        graph: &Graph<'_>,
        root: EventNumber,
        user: OwnedUserId,
    ) -> Result<&mut u64, Error> {
        match self.participants.entry((root, user)) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let key = participant_key(graph.room(), root, &place.key().1);
                let stored = graph.store().get_record::<CountRecord>(&key).await;
                let count = stored.map_err(Error::storage("reading who is in a thread"))?;
                Ok(place.insert(count.map_or(0, |(CountRecord(count), _)| count)))
            }
        }
    }
}

/// The bytes after an aggregate: where the last event of the thread stands. The position comes last, so that it may be one
/// that is given at commit.
fn last_bytes(order: Order) -> [u8; LAST_BYTES] {
    let (tag, place, position) = match order {
        Order::History(place) => (Order::HISTORY, 0, place),
        Order::Live(position) => (Order::LIVE, 0, position.0),
        Order::Filled(position, place) => (Order::FILLED, place, position.0),
    };
    let mut bytes = [tag; LAST_BYTES];
    bytes[1..9].copy_from_slice(&place.to_be_bytes());
    bytes[9..].copy_from_slice(&position.to_be_bytes());
    bytes
}

const LAST_BYTES: usize = 17;

/// Takes a stored aggregate apart: what there is, and where the last event of the thread stands, if there is a thread.
pub(super) fn decode_aggregate(value: &[u8]) -> Result<(Aggregate, Option<Order>), Error> {
    let damaged = || Error::damaged("what relates to an event cannot be read");
    let (record, last) = value.split_last_chunk::<LAST_BYTES>().ok_or_else(damaged)?;
    let aggregate = Aggregate::decode(record);
    let aggregate = aggregate.map_err(|error| Error::damaged(format!("what relates to an event: {error}")))?;
    let number = |at: usize| last.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    let (place, position) = (number(1).ok_or_else(damaged)?, number(9).ok_or_else(damaged)?);
    let order = match last[0] {
        Order::HISTORY => Order::History(position),
        Order::LIVE => Order::Live(Position(position)),
        Order::FILLED => Order::Filled(Position(position), place),
        _ => return Err(damaged()),
    };
    let last = (aggregate.thread > 0).then_some(order);
    Ok((aggregate, last))
}

fn is_counted(rel_type: &str) -> bool {
    [REPLACE, REFERENCE, THREADED].contains(&rel_type)
}

/// The last event of the thread from `root` but that at `order`.
async fn last_but(graph: &Graph<'_>, root: EventNumber, order: Order) -> Result<Last, Error> {
    let range = relates_range(graph.room(), root, Some(rel_digest(THREADED)));
    let page = graph.store().scan(&range, Direction::Backward, 2).await;
    for row in page.map_err(Error::storage("reading a thread"))?.rows {
        let (_, at) = relates_parts(&row.key)?;
        if at != order {
            return Ok(Last::Known(at));
        }
    }
    Ok(Last::None)
}
