//! The store: one engine and what stands on it. Everything above this crate holds an `Arc<Store>`.

use std::path::Path;
use std::sync::Arc;

use base::{Clock, Partition, Random};
use tokio::sync::watch;

use crate::batch::{Batch, Committed, Version};
use crate::directory::Directory;
use crate::engine::staged::Staged;
use crate::engine::{Direction, Engine, HeadWatch, Health, Page, Stored};
use crate::error::{Error, OpenError};
use crate::key::{Key, KeyRange};
use crate::open;
use crate::options::StoreOptions;
use crate::record::Record;

/// An open store.
#[derive(Debug)]
pub struct Store {
    engine: Arc<dyn Engine>,
    /// After the engine, so that the directory is unlocked when the engine is gone.
    directory: Option<Directory>,
    options: StoreOptions,
    /// Counts requests for replays, so that readers look.
    replays: watch::Sender<u64>,
}

impl Store {
    /// Opens the store, or makes it where there is none.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do. An engine may have cut the damaged end off its journal by then; what
    /// was acknowledged and is missing stays refused at every later open.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let opened = open::open(&options).await?;
        if opened.directory.as_ref().is_some_and(|directory| directory.marker().unfinished) {
            return Err(OpenError::Unfinished { path: options.data_dir });
        }
        Ok(Self { engine: opened.engine, directory: opened.directory, options, replays: watch::Sender::new(0) })
    }

    /// Whether there is a store in `data_dir`.
    pub fn is_in(data_dir: &Path) -> bool {
        Directory::is_in(data_dir)
    }

    /// The engine, for what this type does not offer.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The clock the store was opened with.
    pub fn clock(&self) -> &Clock {
        &self.options.clock
    }

    /// The randomness the store was opened with.
    pub fn random(&self) -> &Random {
        &self.options.random
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.options
    }

    pub(crate) fn replays(&self) -> watch::Receiver<u64> {
        self.replays.subscribe()
    }

    pub(crate) fn wake_replays(&self) {
        self.replays.send_modify(|count| *count += 1);
    }

    /// The data directory; `None` for a memory store.
    pub fn data_dir(&self) -> Option<&Path> {
        self.directory.as_ref().map(Directory::path)
    }

    /// The partition of a room or user id.
    pub fn partition_of(&self, name: &str) -> Partition {
        Partition::of(name, self.engine.partitions())
    }

    /// Reads a row. See [`Engine::get`].
    ///
    /// # Errors
    /// As every read.
    pub async fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        self.engine.get(key).await
    }

    /// Reads a row as a record, with its version.
    ///
    /// # Errors
    /// As every read; [`Error::Record`] when it is not such a record.
    pub async fn get_record<R: Record>(&self, key: &Key) -> Result<Option<(R, Version)>, Error> {
        let Some(stored) = self.engine.get(key).await? else { return Ok(None) };
        let record = R::decode(&stored.value).map_err(|source| Error::Record { key: key.clone(), source })?;
        Ok(Some((record, stored.version)))
    }

    /// Reads a page of a range. See [`Engine::scan`].
    ///
    /// # Errors
    /// As every read.
    pub async fn scan(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
        self.engine.scan(range, direction, limit).await
    }

    /// Commits a batch. See [`Engine::commit`].
    ///
    /// # Errors
    /// [`Error::Conflict`] when a precondition did not hold, and as [`Engine::commit`] says.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        self.engine.commit(batch).await
    }

    /// A store above this one whose commits are gathered into one batch. See [`Staging`].
    pub fn stage(&self) -> Staging {
        let staged = Arc::new(Staged::new(Arc::clone(&self.engine)));
        let engine: Arc<dyn Engine> = Arc::<Staged>::clone(&staged);
        let store = Self { engine, directory: None, options: self.options.clone(), replays: watch::Sender::new(0) };
        Staging { staged, store }
    }

    /// Follows the head of a partition. See [`Engine::watch`].
    ///
    /// # Errors
    /// [`Error::NoSuchPartition`].
    pub fn watch(&self, partition: Partition) -> Result<HeadWatch, Error> {
        let partitions = self.engine.partitions();
        self.engine.watch(partition).ok_or(Error::NoSuchPartition { partition, partitions })
    }

    /// Whether writes are taken now.
    pub fn health(&self) -> Health {
        self.engine.health().borrow().clone()
    }

    /// Finishes what is under way. The directory can be opened again when the last handle on the store is gone.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Several batches becoming one. Positions in the log are not known before that one is committed: rows whose key holds one
/// cannot be read back, values that hold one read as position 0, and the commits in between name none.
#[derive(Debug)]
pub struct Staging {
    staged: Arc<Staged>,
    store: Store,
}

impl Staging {
    /// The store to read from and commit to meanwhile.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What was gathered, for the store below.
    pub fn finish(self) -> Batch {
        self.staged.take()
    }
}
