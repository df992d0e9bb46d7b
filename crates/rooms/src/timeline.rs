//! The order in which a room is shown: accepted events as they came, by their position in the log; before these what was
//! fetched of the time before this server was in the room; and between them what was fetched of a time in which this server
//! did not hear of the room (a *gap*: an event there names one before it that is not in the graph). Beside each event stands the room's state after it, so that
//! a reader who was here at any point can be told what has changed since.
//!
//! Must not decide who may see what; that is `read`'s.

use std::cmp::Ordering;

use base::Position;
use serde::{Deserialize, Serialize};
use storage::key::{KeyError, KeyReader};
use storage::table::{EVENT_ORDER, ROOM_TIMELINE};
use storage::{Batch, Direction, Key, KeyParts, KeyRange, KeyWriter, Record, Stamp, Store, Template, split_stamp};

use crate::error::Error;
use crate::number::{EventNumber, RoomNumber};
use crate::state::StateRoot;

/// Where an event stands among those of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Before everything that came live. Counted down from `u64::MAX`, because what lies further back is fetched later.
    History(u64),
    /// It came live; its position in the log's partition of the room.
    Live(Position),
    /// It was fetched to fill a gap: after what came live at this position and before whatever came live later. Places are
    /// counted down from `u64::MAX`, as in the history.
    Filled(Position, u64),
}

impl Order {
    /// Before every event.
    pub const START: Self = Self::History(0);

    pub(crate) const HISTORY: u8 = 0;
    pub(crate) const LIVE: u8 = 1;
    /// Not in keys: there it goes on where the key of what came live ends.
    pub(crate) const FILLED: u8 = 2;

    /// The order right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::History(u64::MAX) => Self::Live(Position::START),
            Self::History(place) => Self::History(place + 1),
            Self::Live(position) => Self::Filled(position, 0),
            Self::Filled(position, u64::MAX) => Self::Live(position.next()),
            Self::Filled(position, place) => Self::Filled(position, place + 1),
        }
    }

    /// As numbers that are in the order of the places.
    fn parts(self) -> (u8, u64, u128) {
        match self {
            Self::History(place) => (Self::HISTORY, place, 0),
            Self::Live(Position(position)) => (Self::LIVE, position, 0),
            Self::Filled(Position(position), place) => (Self::LIVE, position, u128::from(place) + 1),
        }
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl KeyParts for Order {
    fn write(&self, writer: &mut KeyWriter) {
        match self {
            Self::History(place) => (Self::HISTORY, *place).write(writer),
            Self::Live(position) => (Self::LIVE, *position).write(writer),
            // It goes on where the key of what came live ends, so it comes right after that.
            Self::Filled(position, place) => (Self::LIVE, *position, *place).write(writer),
        }
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        match <(u8, u64)>::read(reader)? {
            (Self::HISTORY, place) => Ok(Self::History(place)),
            (Self::LIVE, position) if reader.is_at_end() => Ok(Self::Live(Position(position))),
            (Self::LIVE, position) => Ok(Self::Filled(Position(position), u64::read(reader)?)),
            _ => Err(KeyError),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TimelineRecord {
    event: EventNumber,
    state: StateRoot,
}

storage::first_version!(TimelineRecord);

/// An event in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub order: Order,
    /// The event.
    pub event: EventNumber,
    /// The room's state right after it was taken: what the states after all forward extremities came to.
    pub state: StateRoot,
}

/// Files an accepted event under the position that `stamp` will be.
pub(crate) fn put_live(batch: &mut Batch, room: RoomNumber, stamp: Stamp, event: EventNumber, state: StateRoot) {
    let key = KeyWriter::new(ROOM_TIMELINE).part(&room).part(&Order::LIVE).stamp(stamp).template();
    batch.put_template(key, Template::plain(TimelineRecord { event, state }.encode()));
    let order = Template::with_stamp([Order::LIVE], stamp);
    batch.put_template(Template::plain(order_key(room, event).to_bytes()), order);
}

/// Files an event of the time before this server was in the room, before which nothing is known yet. `place` must be below
/// all that are taken; `state` is the state after the event.
pub fn put_history(batch: &mut Batch, room: RoomNumber, place: u64, event: EventNumber, state: StateRoot) {
    put_again(batch, room, Order::History(place), event, state);
    batch.put(&order_key(room, event), [&[Order::HISTORY], place.to_be_bytes().as_slice()].concat());
}

/// Files an event that fills a gap: after what came live at `after`, below all places that are taken there. `state` is the
/// room's state after what came live, which this event, being older than what is known, does not change.
pub fn put_filled(
    batch: &mut Batch,
    room: RoomNumber,
    (after, place): (Position, u64),
    event: EventNumber,
    state: StateRoot,
) {
    put_again(batch, room, Order::Filled(after, place), event, state);
    let order = [&[Order::FILLED], after.0.to_be_bytes().as_slice(), place.to_be_bytes().as_slice()].concat();
    batch.put(&order_key(room, event), order);
}

/// Takes an event out of what is shown: it was found to be none that may be.
pub fn remove(batch: &mut Batch, room: RoomNumber, order: Order, event: EventNumber) {
    batch.delete(&Key::of(ROOM_TIMELINE, &(room, order)));
    batch.delete(&order_key(room, event));
}

/// Files an event again where it is filed, with another state after it.
pub(crate) fn put_again(batch: &mut Batch, room: RoomNumber, order: Order, event: EventNumber, state: StateRoot) {
    batch.put_record(&Key::of(ROOM_TIMELINE, &(room, order)), &TimelineRecord { event, state });
}

/// Takes an entry away.
pub(crate) fn delete(batch: &mut Batch, room: RoomNumber, entry: &Entry) {
    batch.delete(&Key::of(ROOM_TIMELINE, &(room, entry.order)));
    batch.delete(&order_key(room, entry.event));
}

fn order_key(room: RoomNumber, event: EventNumber) -> Key {
    Key::of(EVENT_ORDER, &(room, event))
}

/// The events of `room` from `from` (included) to `to` (excluded), at most `limit`, in the direction asked for.
///
/// # Errors
/// As every read.
pub async fn entries(
    store: &Store,
    room: RoomNumber,
    [from, to]: [Order; 2],
    direction: Direction,
    limit: usize,
) -> Result<Vec<Entry>, Error> {
    let [start, end] = [from, to].map(|order| Key::of(ROOM_TIMELINE, &(room, order)));
    let (mut range, mut found) = (KeyRange::between(&start, &end), Vec::new());
    while found.len() < limit && !range.is_empty() {
        let page = store.scan(&range, direction, limit - found.len()).await;
        let page = page.map_err(Error::storage("reading a room's timeline"))?;
        for row in page.rows {
            let key = row.key.parts::<(RoomNumber, Order)>();
            let (_, order) = key.map_err(|error| Error::damaged(format!("a place in a timeline: {error}")))?;
            let record = TimelineRecord::decode(&row.value);
            let record = record.map_err(|error| Error::damaged(format!("an entry of a timeline: {error}")))?;
            found.push(Entry { order, event: record.event, state: record.state });
        }
        match page.rest {
            Some(rest) => range = rest,
            None => break,
        }
    }
    Ok(found)
}

/// The entries in exactly these places, in the order asked for; `None` where nothing is shown.
///
/// # Errors
/// As every read.
pub async fn entries_at(store: &Store, places: &[(RoomNumber, Order)]) -> Result<Vec<Option<Entry>>, Error> {
    let keys: Vec<Key> = places.iter().map(|place| Key::of(ROOM_TIMELINE, place)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading places in timelines"))?;
    let entry = |(row, (_, order)): (Option<storage::Stored>, &(RoomNumber, Order))| {
        let Some(row) = row else { return Ok(None) };
        let record = TimelineRecord::decode(&row.value);
        let record = record.map_err(|error| Error::damaged(format!("an entry of a timeline: {error}")))?;
        Ok(Some(Entry { order: *order, event: record.event, state: record.state }))
    };
    rows.into_iter().zip(places).map(entry).collect()
}

/// The last entry of `room` at or before `order`: what it says of the state is the room's state at that point.
///
/// # Errors
/// As every read.
pub async fn last_until(store: &Store, room: RoomNumber, order: Order) -> Result<Option<Entry>, Error> {
    let found = entries(store, room, [Order::START, order.next()], Direction::Backward, 1).await?;
    Ok(found.into_iter().next())
}

/// Where `events` of `room` stand, in the order asked for; `None` for one that is not shown.
///
/// # Errors
/// As every read.
pub async fn orders(store: &Store, room: RoomNumber, events: &[EventNumber]) -> Result<Vec<Option<Order>>, Error> {
    let keys: Vec<Key> = events.iter().map(|event| order_key(room, *event)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading an event's place"))?;
    rows.into_iter().map(|row| row.map(|row| decode_order(&row.value)).transpose()).collect()
}

/// Reads an event's place as it is stored.
fn decode_order(value: &[u8]) -> Result<Order, Error> {
    match split_stamp(value) {
        Some(([Order::HISTORY], place)) => Ok(Order::History(place.0)),
        Some(([Order::LIVE], position)) => Ok(Order::Live(position)),
        Some(([Order::FILLED, after @ ..], place)) => {
            let after = after.try_into().map(u64::from_be_bytes);
            let after = after.map_err(|_| Error::damaged("an event's place has too few bytes"))?;
            Ok(Order::Filled(Position(after), place.0))
        }
        _ => Err(Error::damaged("an event's place is none")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::table::TEST;

    use super::*;

    fn any_order() -> impl Strategy<Value = Order> {
        let number = prop_oneof![0..4u64, Just(u64::MAX), any::<u64>()];
        (0..3u8, number.clone(), number).prop_map(|(kind, position, place)| match kind {
            0 => Order::History(place),
            1 => Order::Live(Position(position)),
            _ => Order::Filled(Position(position), place),
        })
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_the_places_and_are_read_back(one in any_order(), other in any_order()) {
            let [one_key, other_key] = [one, other].map(|order| Key::of(TEST, &(RoomNumber(7), order)));
            prop_assert_eq!(one.cmp(&other), one_key.cmp(&other_key));
            prop_assert_eq!(one_key.parts::<(RoomNumber, Order)>(), Ok((RoomNumber(7), one)));
        }

        #[test]
        fn nothing_lies_between_a_place_and_the_next(one in any_order(), other in any_order()) {
            prop_assume!(one != Order::Live(Position(u64::MAX)) && one != Order::Filled(Position(u64::MAX), u64::MAX));
            prop_assert!(one < one.next());
            prop_assert!(other <= one || other >= one.next());
        }
    }
}
