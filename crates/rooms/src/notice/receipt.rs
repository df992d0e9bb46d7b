//! Receipts as they are stored: one row for each user of a room with all that this user has marked, and one for each mark by
//! when it last moved. <https://spec.matrix.org/v1.19/client-server-api/#receipts>

use base::{Position, Timestamp};
use ruma::events::receipt::ReceiptThread;
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{RECEIPT, RECEIPT_ORDER};
use storage::{Key, KeyWriter, Record, Stamp, Template, Version, split_stamp};

use crate::error::{Error, Refusal};
use crate::number::RoomNumber;
use crate::timeline::Order;

/// Who learns of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// Everybody in the room: `m.read`.
    Read,
    /// The user alone: `m.read.private`.
    Private,
}

/// Which events a receipt speaks of (<https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Thread {
    /// All, whatever thread they are in.
    Unthreaded,
    /// Those in no thread.
    Main,
    /// Those in the thread of this event.
    Root(OwnedEventId),
}

impl Thread {
    /// As a receipt has it.
    pub fn to_ruma(&self) -> ReceiptThread {
        match self {
            Self::Unthreaded => ReceiptThread::Unthreaded,
            Self::Main => ReceiptThread::Main,
            Self::Root(root) => ReceiptThread::Thread(root.clone()),
        }
    }

    /// The event that the thread hangs from.
    pub fn root(&self) -> Option<&EventId> {
        match self {
            Self::Root(root) => Some(root),
            Self::Unthreaded | Self::Main => None,
        }
    }
}

impl TryFrom<ReceiptThread> for Thread {
    type Error = Refusal;

    fn try_from(thread: ReceiptThread) -> Result<Self, Refusal> {
        match thread {
            ReceiptThread::Unthreaded => Ok(Self::Unthreaded),
            ReceiptThread::Main => Ok(Self::Main),
            ReceiptThread::Thread(root) => Ok(Self::Root(root)),
            _ => Err(Refusal::InvalidParam { what: "the thread's id is neither `main` nor that of an event" }),
        }
    }
}

/// What the log says of a receipt that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLog {
    /// The room.
    pub room: RoomNumber,
    /// Whose receipt.
    pub user: OwnedUserId,
    /// Who may learn of it.
    pub kind: ReceiptKind,
}

/// Up to where a user has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) kind: ReceiptKind,
    pub(super) thread: Thread,
    pub(super) event: OwnedEventId,
    /// Where the event stands in the room's timeline.
    pub(super) order: Order,
    pub(super) at: Timestamp,
    /// When it moved, as a position of the log.
    pub(super) moved: Position,
}

/// All that a user has marked in a room. The last moved last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    pub(super) user: OwnedUserId,
    pub(super) marks: Vec<Mark>,
}

/// A mark by when it moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MarkMoved {
    pub(super) user: OwnedUserId,
    pub(super) mark: Mark,
}

storage::first_version!(ReceiptLog, Marks, MarkMoved);

fn digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str()).into()
}

pub(super) fn marks_key(room: RoomNumber, user: &UserId) -> Key {
    Key::of(RECEIPT, &(room, digest(user)))
}

pub(super) fn moved_key(room: RoomNumber, moved: Position) -> Key {
    Key::of(RECEIPT_ORDER, &(room, moved))
}

pub(super) fn moved_template(room: RoomNumber, stamp: Stamp) -> Template {
    KeyWriter::new(RECEIPT_ORDER).part(&room).stamp(stamp).template()
}

pub(super) fn moved_of(key: &Key) -> Result<Position, Error> {
    let parts = key.parts::<(RoomNumber, Position)>();
    Ok(parts.map_err(|error| Error::damaged(format!("the key of a receipt: {error}")))?.1)
}

impl Marks {
    /// The stored form; the position of the last mark comes with the commit.
    pub(super) fn template(&self, stamp: Stamp) -> Template {
        Template::with_stamp(self.encode(), stamp)
    }

    /// Reads what [`Marks::template`] became.
    pub(super) fn read(value: &[u8]) -> Result<Self, Error> {
        let (record, moved) = split_stamp(value).ok_or_else(|| Error::damaged("a user's receipts"))?;
        let mut marks = Self::decode(record).map_err(|error| Error::damaged(format!("a user's receipts: {error}")))?;
        if let Some(last) = marks.marks.last_mut() {
            last.moved = moved;
        }
        Ok(marks)
    }
}

/// A user's marks in a room with the version of their row.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) marks: Vec<Mark>,
    pub(super) version: Option<Version>,
}

impl Stored {
    /// The marks of `user` in `room`.
    pub(super) async fn of(store: &storage::Store, room: RoomNumber, user: &UserId) -> Result<Self, Error> {
        let row = store.get(&marks_key(room, user)).await.map_err(Error::storage("reading a user's receipts"))?;
        let Some(row) = row else { return Ok(Self::default()) };
        Ok(Self { marks: Marks::read(&row.value)?.marks, version: Some(row.version) })
    }
}
