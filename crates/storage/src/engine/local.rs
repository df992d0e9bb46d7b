//! An engine made of an ordered map that lives in this process: reads go straight to the map, commits through the
//! group-commit writer. `embedded`, `sled` and `memory` are such maps.
//!
//! Reads run on the caller's thread. A row in a cache costs 1 to 5 µs, less than handing it to another thread would; a
//! read that misses every cache blocks its thread for one disk access.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Partition, Position, limits};
use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::{Batch, Committed, Version};
use crate::engine::spool::{SpoolReader, SpoolWriter};
use crate::engine::value::open_versioned;
use crate::engine::writer::{Command, Queue};
use crate::engine::{
    Change, Direction, Engine, EngineStat, Export, HeadWatch, Health, Page, RawRow, Row, Stored, Verified,
};
use crate::error::Error;
use crate::key::{Key, KeyRange};
use crate::table::META;
#[cfg(any(feature = "embedded", feature = "sled"))]
use crate::text;

/// The META row that holds the number of the last commit.
pub(crate) const COMMIT_ROW: &str = "commit";

/// Why a write failed. After either, nothing more may be written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The disk was full: reads go on.
    Full(String),
    /// Anything else.
    Fatal(String),
}

/// A key and its value as stored; `None` removes the row.
pub(crate) type SealedRow = (Bytes, Option<Bytes>);

/// What an engine said that gave up: damaged files make both engines panic.
#[cfg(any(feature = "embedded", feature = "sled"))]
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    text::panic_message(panic).unwrap_or("the engine gave up").to_owned()
}

/// An ordered map on disk.
pub(crate) trait Kv: fmt::Debug + Send + Sync + 'static {
    /// The engine's name in the configuration.
    fn name(&self) -> &'static str;

    /// Reads one row as stored.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Visits the rows of `range` until `visit` breaks.
    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(Bytes, Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// Writes the rows, sorted and each once. All of them are durable when this returns, or none is
    /// after a crash. Only the group-commit writer calls it.
    fn write(&self, rows: Vec<SealedRow>) -> Result<(), WriteFailure>;

    /// Sizes and counters.
    fn stat(&self) -> EngineStat;

    /// How long the simulated disk takes for the next read, if it is one.
    fn read_delay(&self) -> Option<std::time::Duration> {
        None
    }
}

/// The version of a row, for preconditions.
pub(crate) fn stored_version<K: Kv>(kv: &K, key: &Key) -> Result<Option<Version>, Error> {
    read(kv, key).map(|stored| stored.map(|stored| stored.version))
}

/// Reads one row and checks it.
pub(crate) fn read<K: Kv>(kv: &K, key: &Key) -> Result<Option<Stored>, Error> {
    let Some(sealed) = kv.get(key.as_bytes())? else { return Ok(None) };
    let (version, value) = open_versioned(key.as_bytes(), sealed).map_err(|what| damaged(key, what))?;
    Ok(Some(Stored { value, version }))
}

fn damaged(key: &Key, what: &'static str) -> Error {
    Error::Damaged { key: key.clone(), what }
}

/// A map with its group-commit writer.
pub(crate) struct Local<K> {
    pub(crate) kv: Arc<K>,
    pub(crate) clock: base::Clock,
    pub(crate) queue: Queue,
    pub(crate) heads: Vec<watch::Receiver<Position>>,
    pub(crate) health: watch::Receiver<Health>,
}

impl<K: Kv> fmt::Debug for Local<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kv.fmt(f)
    }
}

impl<K: Kv> Local<K> {
    async fn wait_for_disk(&self) {
        if let Some(delay) = self.kv.read_delay() {
            self.clock.sleep(delay).await;
        }
    }
}

#[async_trait]
impl<K: Kv> Engine for Local<K> {
    fn name(&self) -> &'static str {
        self.kv.name()
    }

    fn partitions(&self) -> u16 {
        u16::try_from(self.heads.len()).unwrap_or(u16::MAX)
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        self.wait_for_disk().await;
        read(&*self.kv, key)
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error> {
        self.wait_for_disk().await;
        keys.iter().map(|key| read(&*self.kv, key)).collect()
    }

    async fn scan(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
        self.wait_for_disk().await;
        page(&*self.kv, range, direction, limit)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        self.queue.commit(batch, self.partitions()).await
    }

    fn watch(&self, partition: Partition) -> Option<HeadWatch> {
        self.heads.get(usize::from(partition.0)).cloned().map(HeadWatch)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    async fn export(&self, spool: &Path) -> Result<Box<dyn Export>, Error> {
        let wanted = Arc::new(());
        let spool =
            SpoolWriter::create(spool, &wanted).map_err(Error::io(format!("making the spool {}", spool.display())))?;
        self.queue.ask(|answer| Command::StartSpool(spool, answer)).await?;
        let rest = Some(KeyRange::everything());
        Ok(Box::new(LocalExport { kv: Arc::clone(&self.kv), queue: self.queue.clone(), rest, _wanted: wanted }))
    }

    async fn import(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.queue.ask(|answer| Command::Import(changes, answer)).await
    }

    async fn stat(&self) -> Result<EngineStat, Error> {
        Ok(self.kv.stat())
    }

    async fn verify(&self, range: &KeyRange) -> Result<Verified, Error> {
        let SealedPage { rows, rest } = sealed_page(&*self.kv, range, Direction::Forward, limits::SCAN_ROWS)?;
        let mut found = Verified { rest, ..Verified::default() };
        for (key, sealed) in rows {
            found.bytes += (key.as_bytes().len() + sealed.len()) as u64;
            match open_versioned(key.as_bytes(), sealed) {
                Ok((version, value)) => found.rows.push(Row { key, value, version }),
                Err(what) => found.damaged.push((key, what)),
            }
        }
        Ok(found)
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

/// Rows as stored, and what is left of the range.
struct SealedPage {
    rows: Vec<(Key, Bytes)>,
    rest: Option<KeyRange>,
}

/// Reads rows until the page's bounds in rows or bytes are reached.
fn sealed_page<K: Kv>(kv: &K, range: &KeyRange, direction: Direction, limit: usize) -> Result<SealedPage, Error> {
    let limit = limit.clamp(1, limits::SCAN_ROWS);
    let mut rows: Vec<(Key, Bytes)> = Vec::new();
    let (mut bytes, mut complete) = (0, true);
    if !range.is_empty() {
        kv.scan(range, direction, &mut |key, sealed| {
            if rows.len() >= limit || bytes >= limits::SCAN_BYTES {
                complete = false;
                return ControlFlow::Break(());
            }
            bytes += key.len() + sealed.len();
            rows.extend(Key::from_bytes(key).map(|key| (key, sealed)));
            ControlFlow::Continue(())
        })?;
    }
    let rest = rows.last().filter(|_| !complete).map(|(last, _)| match direction {
        Direction::Forward => range.after(last),
        Direction::Backward => range.before(last),
    });
    Ok(SealedPage { rows, rest })
}

/// Reads a page and checks every row.
pub(crate) fn page<K: Kv>(kv: &K, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
    let SealedPage { rows, rest } = sealed_page(kv, range, direction, limit)?;
    let open = |(key, sealed): (Key, Bytes)| match open_versioned(key.as_bytes(), sealed) {
        Ok((version, value)) => Ok(Row { key, value, version }),
        Err(what) => Err(damaged(&key, what)),
    };
    Ok(Page { rows: rows.into_iter().map(open).collect::<Result<_, _>>()?, rest })
}

struct LocalExport<K> {
    /// While this lives, the writer keeps the spool.
    _wanted: Arc<()>,
    kv: Arc<K>,
    queue: Queue,
    rest: Option<KeyRange>,
}

#[async_trait]
impl<K: Kv> Export for LocalExport<K> {
    async fn rows(&mut self) -> Result<Vec<RawRow>, Error> {
        while let Some(range) = self.rest.take() {
            let Page { rows, rest } = page(&*self.kv, &range, Direction::Forward, 1_000)?;
            self.rest = rest;
            let rows = rows.into_iter().filter(|row| row.key.table() != META);
            let rows: Vec<RawRow> = rows.map(|Row { key, value, .. }| RawRow { key, value }).collect();
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    async fn finish(self: Box<Self>) -> Result<Box<dyn Iterator<Item = Result<Change, Error>> + Send>, Error> {
        let file = self.queue.ask(Command::EndSpool).await?;
        Ok(Box::new(SpoolReader::new(file)))
    }
}
