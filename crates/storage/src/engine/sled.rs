//! sled 0.34, made durable: its own `flush()` is not an fsync, it never fsyncs `conf`, and it panics on damage. So the
//! segments are large enough that no value leaves the log, every group ends with an fsync of our own, what sled forgets
//! is fsynced after open, and panics are caught. `STORAGE.md` §5 has the measurements behind each line.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;

use crate::directory::sync_directory;
use crate::engine::local::{Kv, SealedRow, WriteFailure, panic_text};
use crate::engine::{Direction, EngineStat};
use crate::error::{Error, OpenError};
use crate::key::KeyRange;
use crate::options::Tuning;

/// Fixed when the database is made. Leaves and values up to a quarter of it stay in the log; larger ones would go to
/// blob files that sled never fsyncs. A leaf holds at most 17 values of 96 KiB.
const SEGMENT_BYTES: usize = 8 << 20;

/// sled as an ordered map: its default tree.
pub(crate) struct Sled {
    database: ::sled::Db,
    /// Our own handle on sled's log, for the fsync that sled leaves out.
    log: File,
}

impl std::fmt::Debug for Sled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sled")
    }
}

impl Sled {
    /// Opens the database in `path`, or makes it.
    pub(crate) fn open(path: &Path, tuning: &Tuning) -> Result<Self, OpenError> {
        let config = ::sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(tuning.cache_bytes)
            .flush_every_ms(None);
        let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(::sled::Error::Io(source))) if source.kind() != io::ErrorKind::Other => {
                return Err(OpenError::Io { doing: format!("opening {}", path.display()), source });
            }
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Err(panic) => return Err(damaged(panic_text(&*panic))),
        };
        let syncing = || format!("syncing {}", path.display());
        for entry in std::fs::read_dir(path).map_err(OpenError::io(syncing()))? {
            let entry = entry.map_err(OpenError::io(syncing()))?;
            if entry.path().is_file() {
                File::open(entry.path()).and_then(|file| file.sync_all()).map_err(OpenError::io(syncing()))?;
            }
        }
        sync_directory(path).map_err(OpenError::io(syncing()))?;
        let log = File::open(path.join("db")).map_err(OpenError::io("opening sled's log"))?;
        Ok(Self { database, log })
    }

    fn write_and_sync(&self, batch: ::sled::Batch) -> io::Result<()> {
        let io_error = |error| match error {
            ::sled::Error::Io(error) => error,
            other => io::Error::other(other),
        };
        self.database.apply_batch(batch).map_err(io_error)?;
        self.database.flush().map_err(io_error)?;
        self.log.sync_data()
    }
}

fn read_failure(error: &::sled::Error) -> Error {
    Error::Read { reason: error.to_string() }
}

fn bytes(value: &::sled::IVec) -> Bytes {
    Bytes::copy_from_slice(value)
}

impl Kv for Sled {
    fn name(&self) -> &'static str {
        "sled"
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let found = self.database.get(key).map_err(|error| read_failure(&error))?;
        Ok(found.as_ref().map(bytes))
    }

    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(Bytes, Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut rows = self.database.range(&range.start[..]..&range.end[..]);
        let mut next = || match direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.next_back(),
        };
        while let Some(row) = next() {
            let (key, value) = row.map_err(|error| read_failure(&error))?;
            if visit(bytes(&key), bytes(&value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, rows: Vec<SealedRow>) -> Result<(), WriteFailure> {
        let mut batch = ::sled::Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
        }
        match catch_unwind(AssertUnwindSafe(|| self.write_and_sync(batch))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::StorageFull => Err(WriteFailure::Full(error.to_string())),
            Ok(Err(error)) => Err(WriteFailure::Fatal(error.to_string())),
            Err(panic) => Err(WriteFailure::Fatal(panic_text(&*panic))),
        }
    }

    fn stat(&self) -> EngineStat {
        EngineStat { bytes_on_disk: self.database.size_on_disk().unwrap_or_default(), details: Vec::new() }
    }
}
