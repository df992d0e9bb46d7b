//! Names for rooms: who may give and take them, and that each leads to one room.
//! <https://spec.matrix.org/v1.19/client-server-api/#room-aliases>

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{ALIAS, ROOM_NAMED};
use storage::{Batch, Direction, Key, KeyRange, NoPrevious, Record, Store};

use base::limits;

use crate::error::Error;
use crate::number::RoomNumber;

/// Where an alias leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The alias.
    pub alias: OwnedRoomAliasId,
    /// The room, as this server counts.
    pub room: RoomNumber,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Who gave it.
    pub creator: OwnedUserId,
}

impl AliasRecord {
    pub(super) fn new(alias: &RoomAliasId, room: RoomNumber, room_id: &RoomId, creator: &UserId) -> Self {
        Self { alias: alias.to_owned(), room, room_id: room_id.to_owned(), creator: creator.to_owned() }
    }
}

impl Record for AliasRecord {
    const VERSION: u8 = 1;
    type Previous = NoPrevious;

    fn migrate(previous: NoPrevious) -> Self {
        match previous {}
    }
}

/// What [`ROOM_NAMED`] has of a room under its aliases; `directory` has the rest.
const OF_ALIASES: u8 = 0;

fn digest(alias: &RoomAliasId) -> [u8; 32] {
    Sha256::digest(alias.as_str()).into()
}

fn alias_key(alias: &RoomAliasId) -> Key {
    Key::of(ALIAS, &(digest(alias),))
}

fn of_room_key(room: RoomNumber, alias: &RoomAliasId) -> Key {
    Key::of(ROOM_NAMED, &(OF_ALIASES, room, digest(alias)))
}

/// Where `alias` leads.
///
/// # Errors
/// As every read.
pub async fn find_alias(store: &Store, alias: &RoomAliasId) -> Result<Option<AliasRecord>, Error> {
    let record = store.get_record(&alias_key(alias)).await.map_err(Error::storage("looking for an alias"))?;
    Ok(record.map(|(record, _)| record))
}

/// The aliases of this server that lead to `room`.
///
/// # Errors
/// As every read.
pub async fn aliases_of(store: &Store, room: RoomNumber) -> Result<Vec<AliasRecord>, Error> {
    let range = KeyRange::prefix(ROOM_NAMED, &(OF_ALIASES, room));
    let page = store.scan(&range, Direction::Forward, limits::ROOM_ALIASES).await;
    let rows = page.map_err(Error::storage("reading a room's aliases"))?.rows;
    let read = |value: &[u8]| AliasRecord::decode(value).map_err(|error| Error::damaged(format!("an alias: {error}")));
    rows.iter().map(|row| read(&row.value)).collect()
}

/// Gives a room an alias that leads nowhere yet, else the batch fails to commit.
pub(super) fn put(batch: &mut Batch, alias: &RoomAliasId, record: &AliasRecord) {
    batch.require_absent(&alias_key(alias));
    batch.put_record(&alias_key(alias), record);
    batch.put_record(&of_room_key(record.room, alias), record);
}
