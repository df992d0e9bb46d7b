//! Readers of the log: a named cursor, a filter and a handler. Whatever must learn of what happened is one of these, so a
//! slow or broken one delays itself and nobody else.
//!
//! The framework gives each reader batches, back-off, a circuit breaker, a deadline, its lag as a number, and quarantine:
//! an entry that fails three times, or that was being worked on at two crashes of the process, is set aside and reported,
//! and the reader goes on. A handler sees every entry at least once and in order; after a failure or a crash it may see
//! some again.
//!
//! Where to go: `run` is the loop, `progress` the stored cursor, `in_flight` the journal that survives a crash,
//! [`mod@quarantine`] what operators see and replay.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Partition, Position, limits};
use tokio::sync::watch;

use crate::log::LogEntry;

mod in_flight;
pub(crate) mod progress;
pub mod quarantine;
mod run;

pub use run::Reader;

/// What a reader does with entries.
#[async_trait]
pub trait Handler: Send + 'static {
    /// Processes `entries`, in order. `Ok` means that all of them are done and need never be shown again.
    ///
    /// # Errors
    /// [`HandlerError`] says whether the time or an entry was at fault. A panic counts as a fault of an entry.
    async fn handle(&mut self, entries: &[LogEntry]) -> Result<(), HandlerError>;
}

/// Why a handler did not finish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// What the handler talks to is away. Nothing was wrong with the entries: all of them will be shown again, after a
    /// growing wait, for as long as it takes.
    #[error("not available now: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// The entry at this position cannot be processed; those before it are done. After three times it is set aside.
    #[error("the entry at {position} cannot be processed: {reason}")]
    Entry {
        /// Which entry.
        position: Position,
        /// Why.
        reason: String,
    },
}

/// Which entries a reader is shown; the others it passes over.
pub type Filter = Arc<dyn Fn(&LogEntry) -> bool + Send + Sync>;

/// Where a reader begins that has no cursor yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the first entry of the log.
    AtStart,
    /// After the last entry there is now.
    AtHead,
}

/// What makes a reader.
#[derive(Clone)]
pub struct ReaderOptions {
    /// Its name, unique and lasting: the cursor is stored under it.
    pub name: String,
    /// The partition it reads.
    pub partition: Partition,
    /// What it is shown.
    pub filter: Filter,
    /// Where it begins the first time.
    pub begin: Begin,
    /// Entries handed over at once, at most.
    pub batch: usize,
    /// How long one call of the handler may take before it counts as failed.
    pub deadline: Duration,
    /// Who this process is, when several processes share the store: the reader then runs under a lease.
    pub holder: Option<String>,
}

impl ReaderOptions {
    /// A reader of everything in `partition` from its start, without a lease.
    pub fn new(name: impl Into<String>, partition: Partition) -> Self {
        Self {
            name: name.into(),
            partition,
            filter: Arc::new(|_| true),
            begin: Begin::AtStart,
            batch: limits::READER_BATCH_ENTRIES,
            deadline: Duration::from_secs(60),
            holder: None,
        }
    }
}

impl fmt::Debug for ReaderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reader {} of partition {}", self.name, self.partition)
    }
}

/// What a reader is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Not started yet, or waiting for a lease that another process holds.
    #[default]
    Waiting,
    /// At the head of the log.
    Idle,
    /// Working through entries.
    Working,
    /// Waiting before the next attempt: the breaker is open.
    BackingOff,
    /// Stopped.
    Stopped,
}

/// What is to be seen of a reader from outside: enough to answer where a message is stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Everything up to here is done.
    pub cursor: Position,
    /// The end of the log when it last looked.
    pub head: Position,
    /// What it is doing.
    pub activity: Activity,
    /// Failures in a row.
    pub failures: u32,
    /// Entries set aside since it started.
    pub set_aside: u64,
    /// The last failure's reason.
    pub last_failure: Option<String>,
}

impl ReaderStatus {
    /// Entries not yet done.
    pub fn lag(&self) -> u64 {
        self.cursor.lag_to(self.head)
    }
}

/// Follows a reader's status.
pub type StatusWatch = watch::Receiver<ReaderStatus>;
