//! What can go wrong, in three families: *refusals* (the caller's doing), *unavailable* (try again later), *faults* (a bug
//! or a broken disk). None of these texts is shown to a client.

use std::io;
use std::path::PathBuf;

use base::Partition;

use crate::blob::BlobHash;
use crate::key::Key;
use crate::record::RecordError;

/// A failed read or commit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals: the batch or the question is at fault, or somebody else was first.
    /// A precondition did not hold: somebody else wrote the key first. Read again and decide anew.
    #[error("{key} was changed by somebody else")]
    Conflict {
        /// The key whose state was not as required.
        key: Key,
    },
    /// A key, value or batch is larger than every engine takes.
    #[error("a {what} of {bytes} bytes was to be written, at most {most} are accepted")]
    TooLarge {
        /// Key, value, log entry, batch or blob.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size accepted.
        most: usize,
    },
    /// The table is not in the catalogue, or belongs to the engine.
    #[error("table {table} cannot be written by a batch")]
    NotWritable {
        /// Its number.
        table: u8,
    },
    /// The log has no such partition.
    #[error("the log has {partitions} partitions, an entry was meant for number {partition}")]
    NoSuchPartition {
        /// The partition asked for.
        partition: Partition,
        /// How many there are.
        partitions: u16,
    },
    /// A blob was to be referred to that is not there.
    #[error("there is no blob {hash}")]
    NoSuchBlob {
        /// Its hash.
        hash: BlobHash,
    },
    /// A folder is not the backup it should be, or not the empty folder that a backup needs.
    #[error("the backup in {} cannot be used: {what}", path.display())]
    Archive {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A stamp stands for no append of its batch.
    #[error("a stamp belongs to another batch")]
    ForeignStamp,

    // Unavailable: nothing was written, and the same may work later.
    /// The disk is nearly full: reads go on, writes are refused until there is room.
    #[error("writes are refused, the disk is nearly full: {free} bytes are free, {reserve} must stay free")]
    Full {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// The database cannot be reached or does not take writes now.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// The store has been closed, or is closing.
    #[error("the store is closed")]
    Closed,
    /// It is not known whether the batch was committed: the database went away between the commit and its answer and
    /// could not be asked since. The caller's own preconditions make a repetition safe.
    #[error("it is not known whether the batch was committed: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },

    // Faults: a bug, a broken disk, damaged data.
    /// Writing failed in a way after which nothing may be written any more.
    #[error("writing to the disk failed, nothing more is written until a restart: {reason}")]
    Fatal {
        /// What the engine or the disk said.
        reason: String,
    },
    /// A stored value does not have the checksum it was written with.
    #[error("{key} is damaged on disk: {what}")]
    Damaged {
        /// The row.
        key: Key,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A stored record cannot be read.
    #[error("{key} cannot be read: {source}")]
    Record {
        /// The row.
        key: Key,
        /// Why.
        source: RecordError,
    },
    /// The engine failed to read.
    #[error("reading failed: {reason}")]
    Read {
        /// What the engine said.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being tried.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether a later attempt at the same may work.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable { .. } | Self::Closed | Self::Unknown { .. })
    }

    /// Whether somebody else wrote first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }
}

/// Why a store cannot be opened: each says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open.
    #[error("{} is in use by another process{}: stop it first, or choose another data_dir", path.display(), holder(*pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process, where it is known.
        pid: Option<u32>,
    },
    /// The directory holds something else.
    #[error("{} is not a data directory of ours (it holds {found:?}): choose an empty or new directory as data_dir", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Something it holds.
        found: String,
    },
    /// A newer release made it.
    #[error(
        "{} was made by release {made_by} in format {found}, this release reads formats up to {newest}: \
         run the newer release, or restore a backup made by this one", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this release reads.
        newest: u32,
        /// The release that made it.
        made_by: String,
    },
    /// It was made with another engine.
    #[error(
        "{} holds data of engine {found:?}, the configuration says {configured:?}: set storage.engine = {found:?}, or copy \
         the data with `holdfast storage convert`", path.display())]
    OtherEngine {
        /// The directory.
        path: PathBuf,
        /// The engine it was made with.
        found: String,
        /// The engine asked for.
        configured: String,
    },
    /// This binary was built without the engine.
    #[error("this binary was built without the {engine} engine: build it with the feature {engine:?}")]
    NotBuilt {
        /// The engine.
        engine: &'static str,
    },
    /// A restore or conversion into it was interrupted.
    #[error("{} holds an unfinished restore or conversion: delete it and start that again", path.display())]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// There is a store already where a new one should be made.
    #[error("{} holds a store of engine {engine:?} already: choose an empty or new directory as data_dir", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Its engine.
        engine: String,
    },
    /// The engine holds less than was acknowledged.
    #[error(
        "acknowledged data is missing: commit {acknowledged} was acknowledged, the newest one found is {found}. The newest \
         journal was damaged or rolled back: restore the disk or a backup, or start with --accept-loss to go on without \
         what is missing"
    )]
    LostAcknowledged {
        /// The last commit that was acknowledged.
        acknowledged: u64,
        /// The last commit that the engine holds.
        found: u64,
    },
    /// The engine or a file of the directory is damaged.
    #[error("{} is damaged: {what}. Restore the disk or a backup", path.display())]
    Damaged {
        /// The damaged file or directory.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database cannot be used.
    #[error("{what}: {advice}")]
    Database {
        /// What is wrong.
        what: String,
        /// What to do.
        advice: String,
    },
    /// A file could not be read or written.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was being tried.
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A first read or write failed.
    #[error(transparent)]
    Storage(#[from] Error),
}

impl OpenError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
