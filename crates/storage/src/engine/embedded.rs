//! The default engine: fjall, one keyspace. `STORAGE.md`'s measurements chose it and its settings; why they are what
//! they are stands beside each.

use std::io;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::PinningPolicy;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::engine::local::{Kv, SealedRow, WriteFailure, panic_text};
use crate::engine::{Direction, EngineStat};
use crate::error::{Error, OpenError};
use crate::key::KeyRange;
use crate::options::Tuning;

mod journal;

/// All journals together: they are replayed at every open, so this bounds how long an open takes.
const JOURNAL_BYTES: u64 = 256 << 20;
/// Values from this size on are kept apart from the rows that merges rewrite: events are, indexes are not.
const BODY_BYTES: u32 = 512;
/// Threads for flushes and compactions: two keep up with the writer on two cores.
const WORKERS: usize = 2;
/// A disk that does not take so much more is full.
const PROBE_BYTES: usize = 256 << 10;

/// fjall as an ordered map.
pub(crate) struct Embedded {
    rows: Keyspace,
    database: Database,
    /// A file beside the database, there only while it is asked whether the disk has room.
    probe: PathBuf,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("embedded (fjall)")
    }
}

impl Embedded {
    /// Opens the database in `path`, or makes it.
    pub(crate) fn open(path: &Path, tuning: &Tuning) -> Result<Self, OpenError> {
        let damaged = |error: fjall::Error| match error {
            fjall::Error::Locked => OpenError::InUse { path: path.to_owned(), pid: None },
            fjall::Error::Io(source) => OpenError::Io { doing: format!("opening {}", path.display()), source },
            other => OpenError::Damaged { path: path.to_owned(), what: other.to_string() },
        };
        let opened = match open_database(path, tuning) {
            Err(Failure::Fjall(fjall::Error::JournalRecovery(error))) => {
                let torn =
                    journal::cut_torn_record(path).map_err(OpenError::io(format!("repairing {}", path.display())))?;
                if torn {
                    open_database(path, tuning)
                } else {
                    Err(Failure::Fjall(fjall::Error::JournalRecovery(error)))
                }
            }
            opened => opened,
        };
        let database = opened.map_err(|failure| match failure {
            Failure::Fjall(error) => damaged(error),
            Failure::Panic(what) => OpenError::Damaged { path: path.to_owned(), what },
        })?;
        let options = || table_shape(tuning.memtable_bytes);
        // One keyspace for all tables: an idle keyspace would pin the journals of the busy ones.
        let rows = database.keyspace("rows", options).map_err(damaged)?;
        Ok(Self { rows, database, probe: path.with_extension("probe") })
    }

    /// Writes as much as any flush begins with, and removes it again.
    fn probe_room(&self) -> io::Result<()> {
        let written = std::fs::write(&self.probe, [0; PROBE_BYTES]);
        std::fs::remove_file(&self.probe)?;
        written
    }
}

/// Why fjall did not open.
enum Failure {
    Fjall(fjall::Error),
    Panic(String),
}

/// How a new store's rows lie on the disk; an old one keeps what it was made with. Measured in
/// `spec/decisions/0008-rows-and-bodies.md`.
fn table_shape(memtable_bytes: u64) -> KeyspaceCreateOptions {
    // The first level takes twice what one merge brings, whatever the memtable: keys are hashes, so a merge rewrites all
    // of that level.
    let leveled = Leveled::default().with_table_target_size(2 * memtable_bytes);
    // Down to the third level, which holds some gigabytes of rows, what tells where a row is stays in memory: a percent of
    // that. Below it is cached as it is used.
    let pinned = || PinningPolicy::new([true, true, true, false]);
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .compaction_strategy(Arc::new(leveled))
        .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(BODY_BYTES)))
        .filter_block_pinning_policy(pinned())
        .index_block_pinning_policy(pinned())
}

fn open_database(path: &Path, tuning: &Tuning) -> Result<Database, Failure> {
    let builder = Database::builder(path)
        .cache_size(tuning.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(WORKERS);
    // Some garbage in a journal makes the recovery panic instead of failing.
    let opened = catch_unwind(AssertUnwindSafe(|| builder.open()));
    opened.map_err(|panic| Failure::Panic(panic_text(&*panic)))?.map_err(Failure::Fjall)
}

fn read_failure(error: &fjall::Error) -> Error {
    Error::Read { reason: error.to_string() }
}

impl Kv for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.rows.get(key).map(|found| found.map(Bytes::from)).map_err(|error| read_failure(&error))
    }

    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(Bytes, Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let bounds = (Bound::Included(&range.start[..]), Bound::Excluded(&range.end[..]));
        let mut rows = self.rows.range::<&[u8], _>(bounds);
        let mut next = || match direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.next_back(),
        };
        while let Some(guard) = next() {
            let (key, value) = Guard::into_inner(guard).map_err(|error| read_failure(&error))?;
            if visit(key.into(), value.into()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, rows: Vec<SealedRow>) -> Result<(), WriteFailure> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(&self.rows, key, value),
                None => batch.remove(&self.rows, key),
            }
        }
        batch.commit().map_err(|error| match error {
            fjall::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                WriteFailure::Full(error.to_string())
            }
            // A flush or compaction failed before this write; fjall does not say why.
            fjall::Error::Poisoned => match self.probe_room() {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => WriteFailure::Full(error.to_string()),
                _ => WriteFailure::Fatal("a flush or compaction in the background failed".to_owned()),
            },
            other => WriteFailure::Fatal(other.to_string()),
        })
    }

    fn stat(&self) -> EngineStat {
        let details = vec![
            ("journals".to_owned(), self.database.journal_count().to_string()),
            ("journal_bytes".to_owned(), self.database.journal_disk_space().unwrap_or_default().to_string()),
            ("flushes_waiting".to_owned(), self.database.outstanding_flushes().to_string()),
            ("compactions_running".to_owned(), self.database.active_compactions().to_string()),
        ];
        EngineStat { bytes_on_disk: self.database.disk_space().unwrap_or_default(), details }
    }
}
