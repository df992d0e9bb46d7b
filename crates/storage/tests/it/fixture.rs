//! Stores to test with: each engine in a folder or on a disk of its own, closed and opened again as often as a test likes.

use std::path::Path;

use base::{Partition, Random, Secret};
use storage::table::TEST;
use storage::{EngineChoice, Faults, Key, Kind, MemoryDisk, Store, StoreOptions};
use tempfile::TempDir;

/// A kind of log entry that means nothing.
pub(crate) const KIND: Kind = Kind(7);
/// The partition that every store has.
pub(crate) const P0: Partition = Partition(0);

/// An engine and the place where its data lies.
pub(crate) struct Fixture {
    pub(crate) options: StoreOptions,
    /// Removed when the fixture goes.
    folder: TempDir,
}

impl Fixture {
    pub(crate) fn new(engine: EngineChoice) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(folder.path().join("data"), engine);
        // A test must run on a nearly full machine too, and 100 stores at once fit into its memory.
        options.tuning.disk_reserve_bytes = 0;
        options.tuning.cache_bytes = 8 << 20;
        options.tuning.memtable_bytes = 4 << 20;
        options.random = Random::seeded(1);
        Self { options, folder }
    }

    pub(crate) fn memory() -> Self {
        Self::new(EngineChoice::Memory { disk: MemoryDisk::faulty(Random::seeded(2), Faults::default()) })
    }

    pub(crate) fn embedded() -> Self {
        Self::new(EngineChoice::Embedded)
    }

    pub(crate) fn sled() -> Self {
        Self::new(EngineChoice::Sled)
    }

    /// A database of its own on the server that this process runs; `None` where PostgreSQL is not installed.
    pub(crate) fn postgres() -> Option<Self> {
        let url = crate::postgres::server::shared()?.new_database();
        Some(Self::node(&url, 1))
    }

    /// One of several nodes on the database at `url`; each has a seed of its own.
    pub(crate) fn node(url: &str, seed: u64) -> Self {
        let mut fixture = Self::new(EngineChoice::Postgres { url: Secret::new(url.to_owned()) });
        fixture.options.random = Random::seeded(seed);
        fixture
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options.clone()).await.unwrap()
    }

    /// A folder for whatever else the test writes.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Closes a store and lets its directory go.
pub(crate) async fn close(store: Store) {
    store.close().await;
}

/// A key of the suites' table.
pub(crate) fn key(number: u64) -> Key {
    Key::of(TEST, &number)
}

/// Copies a folder and what is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
