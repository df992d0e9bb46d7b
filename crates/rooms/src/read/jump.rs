//! Events by when they were sent: to jump to a date
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>). The times are those
//! that the senders' servers say, and in no order; so there is an index of them.

use base::limits;
use storage::table::EVENT_FOUND_BY;
use storage::{Batch, Direction, Key, KeyRange, KeyWriter, Stamp, Template};

use crate::error::Error;
use crate::graph::Stored;
use crate::number::{EventNumber, RoomNumber};
use crate::read::page::END;
use crate::read::reading::Reading;
use crate::read::sight::{Shown, Viewer};
use crate::timeline::{Order, entries_at};

/// What [`EVENT_FOUND_BY`] has of times; `words` has the rest.
const BY_TIME: u8 = 1;

fn key(room: RoomNumber, at: u64, order: Order) -> Key {
    Key::of(EVENT_FOUND_BY, &(room, BY_TIME, at, order))
}

/// Files an event that is appended under when it was sent.
pub(crate) fn put(batch: &mut Batch, room: RoomNumber, at: u64, stamp: Stamp) {
    let writer = KeyWriter::new(EVENT_FOUND_BY).part(&room).part(&BY_TIME).part(&at);
    batch.put_template(writer.part(&Order::LIVE).stamp(stamp).template(), Template::plain(Vec::new()));
}

/// Files an event that was fetched under when it was sent.
pub(crate) fn put_fetched(batch: &mut Batch, room: RoomNumber, at: u64, order: Order) {
    batch.put(&key(room, at, order), Vec::new());
}

/// The rows of events that were sent before `at`.
pub(crate) fn before(room: RoomNumber, at: u64) -> KeyRange {
    KeyRange::between(&key(room, 0, Order::START), &key(room, at, Order::START))
}

/// The place of the event that a row is about.
pub(crate) fn place(key: &Key) -> Result<(RoomNumber, Order), Error> {
    let parts = key.parts::<(RoomNumber, u8, u64, Order)>();
    let (room, _, _, order) = parts.map_err(|error| Error::damaged(format!("an event's time: {error}")))?;
    Ok((room, order))
}

impl Reading<'_> {
    /// The event closest to the time `at` (in milliseconds since 1970), not before it or not after it, that `viewer` may see.
    ///
    /// # Errors
    /// As every read.
    pub async fn closest(
        &mut self,
        viewer: &Viewer<'_>,
        at: u64,
        direction: Direction,
    ) -> Result<Option<Shown>, Error> {
        let (start, end) = match direction {
            Direction::Forward => (key(self.number(), at, Order::START), key(self.number(), u64::MAX, END)),
            Direction::Backward => (key(self.number(), 0, Order::START), key(self.number(), at, END)),
        };
        let (mut range, mut looked_at) = (KeyRange::between(&start, &end), 0);
        let mut sight = self.sight(viewer.user).await?;
        // Nearly always the first may be seen.
        for most in [1, 64].into_iter().chain(std::iter::repeat(limits::SCAN_ROWS.min(512))) {
            let page = self.store().scan(&range, direction, most).await;
            let page = page.map_err(Error::storage("looking for a time"))?;
            looked_at += page.rows.len();
            let mut places = Vec::with_capacity(page.rows.len());
            for row in &page.rows {
                let parts = row.key.parts::<(RoomNumber, u8, u64, Order)>();
                let (.., order) = parts.map_err(|error| Error::damaged(format!("an event's time: {error}")))?;
                places.push((self.number(), order));
            }
            let found = entries_at(self.store(), &places).await?;
            let numbers: Vec<EventNumber> = found.iter().flatten().map(|entry| entry.event).collect();
            let stored: Vec<Stored> = self.stored(&numbers).await?;
            let placed = stored.into_iter().zip(found.iter().flatten().map(|entry| entry.order)).collect();
            if let Some(shown) = self.those_visible(&mut sight, placed).await?.into_iter().next() {
                return Ok(Some(shown));
            }
            match page.rest {
                Some(rest) if looked_at < limits::TIMELINE_LOOKED_AT => range = rest,
                _ => break,
            }
        }
        Ok(None)
    }
}
