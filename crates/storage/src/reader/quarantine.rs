//! What readers have set aside: listed for operators, replayed on request. It names entries and reasons, never content.

use base::{Partition, Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::engine::Direction;
use crate::error::Error;
use crate::key::{Key, KeyRange};
use crate::record::Record;
use crate::store::Store;
use crate::table::QUARANTINE;

/// Why an entry was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The handler failed on it, panicked or took too long, this many times.
    Failed {
        /// How often.
        times: u32,
    },
    /// The process died this many times while the handler had it.
    Crashed {
        /// How often.
        times: u32,
    },
}

/// An entry in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Why.
    pub cause: Cause,
    /// What the handler said last.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether an operator has asked for another attempt.
    pub replay: bool,
}

crate::first_version!(SetAside);

/// Longest reason that is kept, in bytes: the row must stay small, whatever a handler says.
const REASON_BYTES: usize = 1024;

impl SetAside {
    pub(crate) fn new(cause: Cause, reason: &str, at: Timestamp) -> Self {
        let end = reason.floor_char_boundary(REASON_BYTES);
        Self { cause, reason: reason.get(..end).unwrap_or_default().to_owned(), at, replay: false }
    }
}

/// Which entry of which reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The reader's name.
    pub reader: String,
    /// The entry's partition.
    pub partition: Partition,
    /// The entry's position.
    pub position: Position,
    /// Why it is here.
    pub set_aside: SetAside,
}

pub(crate) fn key(reader: &str, partition: Partition, position: Position) -> Key {
    Key::of(QUARANTINE, &(reader.to_owned(), partition, position))
}

/// Everything in quarantine, by reader and position; at most `limit` of it.
///
/// # Errors
/// As every read.
pub async fn list(store: &Store, limit: usize) -> Result<Vec<Item>, Error> {
    items(store, &KeyRange::table(QUARANTINE), limit).await
}

/// What one reader has in quarantine.
pub(crate) async fn of_reader(store: &Store, reader: &str, partition: Partition) -> Result<Vec<Item>, Error> {
    let range = KeyRange::prefix(QUARANTINE, &(reader.to_owned(), partition));
    items(store, &range, base::limits::SCAN_ROWS).await
}

async fn items(store: &Store, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Error> {
    let page = store.scan(range, Direction::Forward, limit).await?;
    let item = |row: crate::engine::Row| {
        let parts = row.key.parts::<(String, Partition, Position)>();
        let Ok((reader, partition, position)) = parts else {
            return Err(Error::Damaged { key: row.key, what: "it is not the key of an entry set aside" });
        };
        match SetAside::decode(&row.value) {
            Ok(set_aside) => Ok(Item { reader, partition, position, set_aside }),
            Err(source) => Err(Error::Record { key: row.key, source }),
        }
    };
    page.rows.into_iter().map(item).collect()
}

/// Asks for another attempt at an entry that was set aside. The reader makes it when it next looks: at once in this
/// process. True when there was such an entry; it leaves the quarantine when the attempt succeeds.
///
/// # Errors
/// As every read and commit.
pub async fn replay(store: &Store, reader: &str, partition: Partition, position: Position) -> Result<bool, Error> {
    let key = key(reader, partition, position);
    loop {
        let Some((set_aside, version)) = store.get_record::<SetAside>(&key).await? else { return Ok(false) };
        let mut batch = Batch::new();
        batch.put_record(&key, &SetAside { replay: true, ..set_aside });
        batch.require_unchanged(&key, version);
        match store.commit(batch).await {
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
            Ok(_) => {
                store.wake_replays();
                return Ok(true);
            }
        }
    }
}
