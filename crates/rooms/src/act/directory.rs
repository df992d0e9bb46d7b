//! The list of public rooms: which rooms of this server are in it.
//! <https://spec.matrix.org/v1.19/client-server-api/#listing-rooms>

use bytes::Bytes;
use storage::table::ROOM_NAMED;
use storage::{Batch, Direction, Key, KeyRange, Store};

use ruma::events::TimelineEventType;
use ruma::{RoomId, UserId};

use crate::error::{Error, Refusal};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

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

/// Lists the room `to` in the place of `from`, if that is listed.
pub(super) async fn move_listing(
    store: &Store,
    batch: &mut Batch,
    from: RoomNumber,
    to: RoomNumber,
) -> Result<(), Error> {
    if is_listed(store, from).await? {
        batch.delete(&key(from));
        put(batch, to);
    }
    Ok(())
}

impl Rooms {
    /// Whether `room` is listed.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read.
    pub async fn is_listed(&self, room: &RoomId) -> Result<bool, Error> {
        is_listed(self.store(), self.number_of(room).await?).await
    }

    /// Lists `room` or takes it off the list. Whoever may set the room's canonical alias may, and `admin`s of the server.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`], [`Refusal::Forbidden`]; as every commit.
    pub async fn set_listed(&self, room: &RoomId, user: &UserId, admin: bool, listed: bool) -> Result<(), Error> {
        let number = self.number_of(room).await?;
        if !admin && !self.may_set(number, user, &TimelineEventType::RoomCanonicalAlias).await? {
            let why = "the room directory is changed by who may set the canonical alias".to_owned();
            return Err(Refusal::Forbidden { why }.into());
        }
        let mut batch = Batch::new();
        if listed {
            put(&mut batch, number);
        } else {
            batch.delete(&key(number));
        }
        self.store().commit(batch).await.map(drop).map_err(Error::storage("changing the room directory"))
    }
}

/// Takes a room off the list.
pub(super) fn remove(batch: &mut Batch, room: RoomNumber) {
    batch.delete(&key(room));
}

/// Lists a room.
pub(super) fn put(batch: &mut Batch, room: RoomNumber) {
    batch.put(&key(room), Bytes::new());
}
