//! Ordered key-value engines, atomic batches with preconditions, the log, readers and leases, blobs, backup.
//!
//! **Invariant.** Nothing here knows what a message, a room or a user is. There is one write path, [`Engine::commit`]:
//! a [`Batch`] of puts, deletes and log appends under preconditions, all or nothing, durable when it returns.
//!
//! Where to go: [`table`] is the catalogue, [`key`] the codec of keys, [`record`] that of values; [`engine`] the contract
//! and its engines; [`store`] opens one.

mod archive;
pub mod backup;
pub mod batch;
pub mod blob;
pub mod check;
mod directory;
mod disk;
pub mod engine;
pub mod error;
mod frame;
mod high_water;
mod import;
pub mod key;
pub mod lease;
pub mod log;
pub mod note;
mod open;
pub mod options;
pub mod progress;
pub mod reader;
pub mod record;
pub mod store;
pub mod table;
mod text;

pub use archive::{ArchiveFile, Manifest};
pub use batch::{Batch, Committed, Kind, Precondition, Stamp, Template, Version, split_stamp};
pub use blob::{BlobHash, Blobs};
pub use engine::memory::{Faults, MemoryDisk};
pub use engine::{Direction, Engine, HeadWatch, Health, Page, Row, Stored};
pub use error::{Error, OpenError};
pub use key::{Key, KeyParts, KeyRange, KeyWriter};
pub use lease::Lease;
pub use log::LogEntry;
pub use note::Note;
pub use options::{EngineChoice, OnLoss, StoreOptions, Tuning};
pub use progress::{Progress, Quiet};
pub use record::{NoPrevious, Record, RecordError};
pub use store::{Staging, Store};
