//! What a store is opened with.

use std::path::PathBuf;
use std::time::Duration;

use base::{Clock, Random, Secret, limits};

use crate::engine::memory::MemoryDisk;

/// Which engine keeps the rows.
#[derive(Clone, Debug)]
pub enum EngineChoice {
    /// fjall in the data directory: the default.
    Embedded,
    /// sled 0.34 in the data directory.
    Sled,
    /// A PostgreSQL server, shared by several nodes.
    Postgres {
        /// Its URL (`postgres://user:password@host/database`), which may hold a password.
        url: Secret<String>,
    },
    /// Nothing on disk. Everything is gone with the disk's last handle.
    Memory {
        /// The simulated disk.
        disk: MemoryDisk,
    },
}

impl EngineChoice {
    /// The engine's name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Sled => "sled",
            Self::Postgres { .. } => "postgres",
            Self::Memory { .. } => "memory",
        }
    }
}

/// What to do when the engine holds less than was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Refuse to open: the loss can still be repaired.
    #[default]
    Refuse,
    /// Go on without what is missing.
    Accept,
}

/// Sizes that operators may change.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Bytes of rows cached in memory by the embedded engines.
    pub cache_bytes: u64,
    /// Bytes of the embedded engine's memtable: a larger one writes less often and opens more slowly.
    pub memtable_bytes: u64,
    /// Bytes of disk that must stay free; below it, writes are refused.
    pub disk_reserve_bytes: u64,
    /// How often a PostgreSQL node looks for other nodes' commits when it heard of none.
    pub poll: Duration,
    /// How long a commit goes on trying while PostgreSQL is away.
    pub patience: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            memtable_bytes: 32 << 20,
            disk_reserve_bytes: limits::DISK_RESERVE_BYTES,
            poll: Duration::from_secs(1),
            patience: limits::POSTGRES_PATIENCE,
        }
    }
}

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory: the embedded engines' files, blobs, and what guards them. Not used by the memory engine.
    pub data_dir: PathBuf,
    /// The engine.
    pub engine: EngineChoice,
    /// Partitions of the log, when the store is made; later opens keep what it was made with.
    pub partitions: u16,
    /// What to do about missing acknowledged data.
    pub on_loss: OnLoss,
    /// Sizes.
    pub tuning: Tuning,
    /// The clock.
    pub clock: Clock,
    /// The source of randomness.
    pub random: Random,
}

impl StoreOptions {
    /// Options for `engine` in `data_dir`, with the system's clock and randomness and default sizes. PostgreSQL gets 16
    /// partitions, so that as many nodes can append at once; an engine with one writer gains nothing from a second.
    pub fn new(data_dir: impl Into<PathBuf>, engine: EngineChoice) -> Self {
        let partitions = if matches!(engine, EngineChoice::Postgres { .. }) { 16 } else { 1 };
        Self {
            data_dir: data_dir.into(),
            engine,
            partitions,
            on_loss: OnLoss::Refuse,
            tuning: Tuning::default(),
            clock: Clock::system(),
            random: Random::system(),
        }
    }
}
