//! Several batches as one: a store whose commits are gathered instead of written, and which reads as if they had been. What
//! was gathered is then committed as a single batch, so that a fact which takes several steps to put together (a room with its
//! first events, the upgrade of one room to another) is still written whole or not at all.
//!
//! Preconditions on what was read from the store below go into that batch; those on what was gathered here are checked here.
//! Positions of the log are not known before that commit: rows whose key holds one cannot be read back, and values that hold
//! one read as position 0.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base::limits;
use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::{Batch, Committed, Op, Precondition, Version};
use crate::engine::{Change, Direction, Engine, EngineStat, Export, HeadWatch, Health, Page, Row, Stored, Verified};
use crate::error::Error;
use crate::key::{Key, KeyRange};

/// The versions of gathered rows are counted down from the greatest, where no engine's commits will ever come.
const LAST_VERSION: u64 = u64::MAX;

/// A row as gathered: `None` was removed.
type Gathered = BTreeMap<Bytes, (Version, Option<Bytes>)>;

#[derive(Debug, Default)]
struct State {
    rows: Gathered,
    batch: Batch,
    commits: u64,
}

/// The engine of such a store.
pub(crate) struct Staged {
    below: Arc<dyn Engine>,
    state: Mutex<State>,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "staged over {:?}", self.below)
    }
}

impl Staged {
    pub(crate) fn new(below: Arc<dyn Engine>) -> Self {
        Self { below, state: Mutex::default() }
    }

    /// Takes what was gathered; the store is then as if nothing had been.
    pub(crate) fn take(&self) -> Batch {
        std::mem::take(&mut *self.state()).batch
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gathered(&self, key: &Key) -> Option<Option<Stored>> {
        let state = self.state();
        let (version, value) = state.rows.get(key.as_bytes())?;
        Some(value.clone().map(|value| Stored { value, version: *version }))
    }

    fn over(&self, range: &KeyRange, direction: Direction, limit: usize, page: Page) -> Page {
        let Page { rows, rest } = page;
        let seen = match (&rest, direction) {
            (None, _) => range.clone(),
            (Some(rest), Direction::Forward) => KeyRange { start: range.start.clone(), end: rest.start.clone() },
            (Some(rest), Direction::Backward) => KeyRange { start: rest.end.clone(), end: range.end.clone() },
        };
        let mut merged: BTreeMap<Bytes, Row> = rows.into_iter().map(|row| (row.key.to_bytes(), row)).collect();
        if !seen.is_empty() {
            for (key, (version, value)) in self.state().rows.range(seen.start..seen.end) {
                match (Key::from_bytes(key.clone()), value) {
                    (Some(name), Some(value)) => {
                        merged.insert(key.clone(), Row { key: name, value: value.clone(), version: *version });
                    }
                    _ => drop(merged.remove(key)),
                }
            }
        }
        let mut rows: Vec<Row> = match direction {
            Direction::Forward => merged.into_values().collect(),
            Direction::Backward => merged.into_values().rev().collect(),
        };
        let limit = limit.clamp(1, limits::SCAN_ROWS);
        if rows.len() <= limit {
            return Page { rows, rest };
        }
        rows.truncate(limit);
        let rest = rows.last().map(|last| match direction {
            Direction::Forward => range.after(&last.key),
            Direction::Backward => range.before(&last.key),
        });
        Page { rows, rest }
    }
}

impl State {
    /// Whether `precondition` holds among what was gathered; `None` when it speaks of a row below.
    fn holds(&self, precondition: &Precondition) -> Option<bool> {
        let (version, value) = self.rows.get(precondition.key().as_bytes())?;
        Some(precondition.holds(value.is_some().then_some(*version)))
    }

    fn gather(&mut self, mut batch: Batch) -> Result<Committed, Error> {
        let failed = batch.preconditions.iter().find(|precondition| self.holds(precondition) == Some(false));
        if let Some(precondition) = failed {
            return Err(Error::Conflict { key: precondition.key().clone() });
        }
        batch.preconditions.retain(|precondition| self.holds(precondition).is_none());
        self.commits += 1;
        let version = Version(LAST_VERSION - self.commits);
        for op in &batch.ops {
            match op {
                Op::Put { key, value } if key.stamps.is_empty() => {
                    self.rows.insert(key.bytes.clone(), (version, Some(value.bytes.clone())));
                }
                // Its key is not known yet.
                Op::Put { .. } => {}
                Op::Delete { key } => drop(self.rows.insert(key.to_bytes(), (version, None))),
            }
        }
        self.batch.absorb(batch);
        Ok(Committed { version, positions: Vec::new() })
    }
}

#[async_trait]
impl Engine for Staged {
    fn name(&self) -> &'static str {
        self.below.name()
    }

    fn partitions(&self) -> u16 {
        self.below.partitions()
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        match self.gathered(key) {
            Some(row) => Ok(row),
            None => self.below.get(key).await,
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error> {
        let gathered: Vec<Option<Option<Stored>>> = keys.iter().map(|key| self.gathered(key)).collect();
        let others: Vec<Key> =
            keys.iter().zip(&gathered).filter(|(_, row)| row.is_none()).map(|(key, _)| key.clone()).collect();
        let mut below = self.below.get_many(&others).await?.into_iter();
        Ok(gathered.into_iter().map(|row| row.unwrap_or_else(|| below.next().flatten())).collect())
    }

    async fn scan(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
        let page = self.below.scan(range, direction, limit).await?;
        Ok(self.over(range, direction, limit, page))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        batch.check(self.partitions())?;
        self.state().gather(batch)
    }

    fn watch(&self, partition: base::Partition) -> Option<HeadWatch> {
        self.below.watch(partition)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.below.health()
    }

    async fn export(&self, spool: &Path) -> Result<Box<dyn Export>, Error> {
        self.below.export(spool).await
    }

    async fn import(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.below.import(changes).await
    }

    async fn stat(&self) -> Result<EngineStat, Error> {
        self.below.stat().await
    }

    async fn verify(&self, range: &KeyRange) -> Result<Verified, Error> {
        self.below.verify(range).await
    }

    /// The store below goes on.
    async fn close(&self) {}
}

#[cfg(test)]
#[path = "staged_tests.rs"]
mod tests;
