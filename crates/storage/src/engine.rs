//! What every engine offers: `get`, `scan`, `commit` and `watch`, and the few things upkeep needs. Nothing above this
//! file knows which engine it runs on.
//!
//! Where to go: `local` turns a plain ordered map on disk (`fjall`, `sled`, `memory`) into an engine with the
//! group-commit writer of `writer`; `postgres` is an engine of its own. `group` decides, for all of them, which
//! batches of a group hold.

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use base::{Partition, Position};
use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::{Batch, Committed, Version};
use crate::error::Error;
use crate::key::{Key, KeyRange};

pub(crate) mod chain;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
pub(crate) mod group;
pub(crate) mod local;
pub mod memory;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sled")]
pub(crate) mod sled;
pub(crate) mod spool;
pub(crate) mod staged;
pub(crate) mod value;
pub(crate) mod writer;

/// A stored value and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Bytes,
    /// The commit that wrote it, for [`Batch::require_unchanged`].
    pub version: Version,
}

/// A row of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Bytes,
    /// The commit that wrote it.
    pub version: Version,
}

/// Which end of the range a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// One page of a scan.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows, in the direction of the scan.
    pub rows: Vec<Row>,
    /// What is left of the range; `None` when the range has been read to its end. A page may be short of the limit asked
    /// for and still have a rest: pages are bounded in bytes as well.
    pub rest: Option<KeyRange>,
}

/// Follows the last acknowledged position of one partition.
#[derive(Clone, Debug)]
pub struct HeadWatch(pub(crate) watch::Receiver<Position>);

impl HeadWatch {
    /// The last acknowledged position.
    pub fn head(&self) -> Position {
        *self.0.borrow()
    }

    /// Waits until the head lies after `position`, and returns it. Wake-ups may be late, never missing.
    ///
    /// # Errors
    /// [`Error::Closed`] when the store is gone.
    pub async fn after(&mut self, position: Position) -> Result<Position, Error> {
        self.0.wait_for(|head| *head > position).await.map(|head| *head).map_err(|_| Error::Closed)
    }
}

/// Whether the engine takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes.
    Serving,
    /// Reads only, until there is room again or the database is back.
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// Writing failed for good: stop the process and start it again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A row without its version, as backups and conversions carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRow {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Bytes,
}

/// A change made while an export was running: the new value, or `None` for a row removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it became.
    pub value: Option<Bytes>,
}

/// All rows of an engine at one point, while it goes on writing: first [`Export::rows`] until it is empty, then
/// [`Export::finish`], whose changes laid over the rows give the point of consistency.
#[async_trait]
pub trait Export: Send {
    /// The next rows; empty at the end. Rows that only the engine itself understands are left out.
    async fn rows(&mut self) -> Result<Vec<RawRow>, Error>;

    /// Fixes the point of consistency and returns the changes up to it, oldest first. Engines with snapshots have none.
    async fn finish(self: Box<Self>) -> Result<Box<dyn Iterator<Item = Result<Change, Error>> + Send>, Error>;
}

/// Bytes and counters of an engine.
#[derive(Clone, Debug, Default)]
pub struct EngineStat {
    /// Bytes on disk (or in memory) that the engine takes.
    pub bytes_on_disk: u64,
    /// What else the engine tells of itself, by name.
    pub details: Vec<(String, String)>,
}

/// An ordered key-value store with atomic, durable batches.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// The engine's name in the configuration.
    fn name(&self) -> &'static str;

    /// How many partitions the log has.
    fn partitions(&self) -> u16;

    /// Reads one row.
    async fn get(&self, key: &Key) -> Result<Option<Stored>, Error>;

    /// Reads several rows, in the order asked for.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error>;

    /// Reads rows of a range, at most `limit` (and never more than [`base::limits::SCAN_ROWS`]).
    async fn scan(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error>;

    /// Writes a batch. When this returns `Ok`, all of it is durable; when it returns an error other than
    /// [`Error::Unknown`] and [`Error::Fatal`], nothing of it was written. Dropping the future neither stops nor undoes it.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error>;

    /// Follows the head of `partition`; `None` when there is no such partition.
    fn watch(&self, partition: Partition) -> Option<HeadWatch>;

    /// Follows whether writes are taken.
    fn health(&self) -> watch::Receiver<Health>;

    /// Begins an export. What must be kept beside the rows is spooled to the file `spool`, which the export removes.
    async fn export(&self, spool: &Path) -> Result<Box<dyn Export>, Error>;

    /// Writes rows of an export, durably, into a store that serves nobody yet. Any table may be written.
    async fn import(&self, changes: Vec<Change>) -> Result<(), Error>;

    /// Marks the store as one that is being filled, where the data directory's own mark does not reach: other nodes must
    /// not serve from it.
    async fn begin_import(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes that mark away.
    async fn end_import(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Sizes and counters.
    async fn stat(&self) -> Result<EngineStat, Error>;

    /// What the engine's own check finds: the number of rows read, and every row that does not have its checksum.
    async fn verify(&self, range: &KeyRange) -> Result<Verified, Error>;

    /// Finishes what is under way and stops. Later calls fail with [`Error::Closed`].
    async fn close(&self);
}

/// What reading a page for [`Engine::verify`] found: unlike `scan` it goes on over damaged rows.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Rows with the right checksum.
    pub rows: Vec<Row>,
    /// Bytes of keys and values as stored, damaged rows included.
    pub bytes: u64,
    /// Rows that are damaged, and how.
    pub damaged: Vec<(Key, &'static str)>,
    /// What is left of the range.
    pub rest: Option<KeyRange>,
}
