//! The order in which a room is shown: accepted events as they came, by their position in the log, and before these what
//! was fetched of the time before this server was in the room. Beside each event stands the room's state after it, so that
//! a reader who was here at any point can be told what has changed since.
//!
//! Must not decide who may see what; that is `read`'s.

use base::Position;
use serde::{Deserialize, Serialize};
use storage::key::{KeyError, KeyReader};
use storage::table::{EVENT_ORDER, ROOM_TIMELINE};
use storage::{
    Batch, Direction, Key, KeyParts, KeyRange, KeyWriter, NoPrevious, Record, Stamp, Store, Template, split_stamp,
};

use crate::error::Error;
use crate::number::{EventNumber, RoomNumber};
use crate::state::StateRoot;

/// Where an event stands among those of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Before everything that came live. Counted down from `u64::MAX`, because what lies further back is fetched later.
    History(u64),
    /// It came live; its position in the log's partition of the room.
    Live(Position),
}

impl Order {
    /// Before every event.
    pub const START: Self = Self::History(0);

    const HISTORY: u8 = 0;
    const LIVE: u8 = 1;

    /// The order right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::History(u64::MAX) => Self::Live(Position::START),
            Self::History(place) => Self::History(place + 1),
            Self::Live(position) => Self::Live(position.next()),
        }
    }
}

impl KeyParts for Order {
    fn write(&self, writer: &mut KeyWriter) {
        match self {
            Self::History(place) => (Self::HISTORY, *place).write(writer),
            Self::Live(position) => (Self::LIVE, *position).write(writer),
        }
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        match <(u8, u64)>::read(reader)? {
            (Self::HISTORY, place) => Ok(Self::History(place)),
            (Self::LIVE, position) => Ok(Self::Live(Position(position))),
            _ => Err(KeyError),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TimelineRecord {
    event: EventNumber,
    state: StateRoot,
}

impl Record for TimelineRecord {
    const VERSION: u8 = 1;
    type Previous = NoPrevious;

    fn migrate(previous: NoPrevious) -> Self {
        match previous {}
    }
}

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
    let key = Key::of(ROOM_TIMELINE, &(room, Order::History(place)));
    batch.put_record(&key, &TimelineRecord { event, state });
    batch.put(&order_key(room, event), [&[Order::HISTORY], place.to_be_bytes().as_slice()].concat());
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
    let order = |value: &[u8]| match split_stamp(value) {
        Some(([Order::HISTORY], place)) => Ok(Order::History(place.0)),
        Some(([Order::LIVE], position)) => Ok(Order::Live(position)),
        _ => Err(Error::damaged("an event's place is none")),
    };
    rows.into_iter().map(|row| row.map(|row| order(&row.value)).transpose()).collect()
}
