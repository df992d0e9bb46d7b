//! The list of public rooms: which rooms of this server are in it.
//! <https://spec.matrix.org/v1.19/client-server-api/#listing-rooms>

use bytes::Bytes;
use storage::table::ROOM_NAMED;
use storage::{Batch, Direction, Key, KeyRange, Store};

use crate::error::Error;
use crate::number::RoomNumber;

/// What [`ROOM_NAMED`] has of the rooms that are listed; `alias` has the rest.
const LISTED: u8 = 1;

fn key(room: RoomNumber) -> Key {
    Key::of(ROOM_NAMED, &(LISTED, room))
}

/// Whether `room` is listed.
///
/// # Errors
/// As every read.
pub async fn is_listed(store: &Store, room: RoomNumber) -> Result<bool, Error> {
    Ok(store.get(&key(room)).await.map_err(Error::storage("reading the room directory"))?.is_some())
}

/// The rooms that are listed, in no order that means anything.
///
/// # Errors
/// As every read.
pub async fn listed(store: &Store) -> Result<Vec<RoomNumber>, Error> {
    let (mut range, mut rooms) = (KeyRange::prefix(ROOM_NAMED, &LISTED), Vec::new());
    loop {
        let page = store.scan(&range, Direction::Forward, base::limits::SCAN_ROWS).await;
        let page = page.map_err(Error::storage("reading the room directory"))?;
        for row in page.rows {
            let parts = row.key.parts::<(u8, RoomNumber)>();
            let (_, room) = parts.map_err(|error| Error::damaged(format!("a listed room: {error}")))?;
            rooms.push(room);
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(rooms),
        }
    }
}

/// Lists a room.
pub(super) fn put(batch: &mut Batch, room: RoomNumber) {
    batch.put(&key(room), Bytes::new());
}
