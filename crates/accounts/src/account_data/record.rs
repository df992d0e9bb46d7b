//! The rows of account data: what they are filed under, and what they hold.

use base::Position;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{ACCOUNT_DATA, ACCOUNT_DATA_ORDER};
use storage::{Key, KeyRange};

use crate::account_data::parts::Kept;
use crate::user::digest;

/// One piece. Its value ends with the position of its last change.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataRecord {
    pub(super) room: Option<OwnedRoomId>,
    pub(super) kind: String,
    pub(super) kept: Kept,
}

storage::first_version!(DataRecord);

/// What a piece is called.
pub(super) struct Name {
    pub(super) user: OwnedUserId,
    pub(super) room: Option<OwnedRoomId>,
    pub(super) kind: String,
}

/// Rooms' ids and types are chosen by clients, so keys hold their hash; no room has the hash of zeros.
fn place(room: Option<&RoomId>, kind: &str) -> ([u8; 32], [u8; 32]) {
    let room = room.map_or([0; 32], |room| Sha256::digest(room.as_str()).into());
    (room, Sha256::digest(kind).into())
}

impl Name {
    pub(super) fn of(user: &UserId, room: Option<&RoomId>, kind: &str) -> Self {
        Self { user: user.to_owned(), room: room.map(ToOwned::to_owned), kind: kind.to_owned() }
    }

    pub(super) fn key(&self) -> Key {
        let (room, kind) = place(self.room.as_deref(), &self.kind);
        Key::of(ACCOUNT_DATA, &(digest(&self.user), room, kind))
    }

    /// What is stored in the order of changes.
    pub(super) fn order_value(&self) -> Vec<u8> {
        let (room, kind) = place(self.room.as_deref(), &self.kind);
        [room, kind].concat()
    }

    /// The key of the piece that a row of the order is about.
    pub(super) fn key_of_order(user: &UserId, value: &[u8]) -> Option<Key> {
        let (room, kind) = value.split_first_chunk::<32>()?;
        let kind: [u8; 32] = kind.try_into().ok()?;
        Some(Key::of(ACCOUNT_DATA, &(digest(user), *room, kind)))
    }
}

pub(super) fn order_key(user: &UserId, position: Position) -> Key {
    Key::of(ACCOUNT_DATA_ORDER, &(digest(user), position))
}

/// What `user` changed from `first` on.
pub(super) fn order_start(user: &UserId, first: Position) -> KeyRange {
    let end = order_key(user, Position(u64::MAX));
    KeyRange::between(&order_key(user, first), &end)
}
