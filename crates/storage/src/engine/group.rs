//! Decides what a group of batches comes to: which batches hold their preconditions, which positions their appends get,
//! and the one merged set of writes. Pure: the versions that preconditions ask for are given by the engine, and the
//! batches before in the same group count as committed.

use std::collections::BTreeMap;

use base::{Partition, Position};
use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::{Append, Batch, Committed, Op, Version};
use crate::error::Error;
use crate::key::Key;
use crate::table::{HEAD, LOG};

/// The new state of a key: the version of the batch that wrote it, and the value, `None` when it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) version: Version,
    pub(crate) value: Option<Bytes>,
}

/// The keys in one group, sorted as engines like them, each once: fjall gives a whole group one sequence number.
pub(crate) type Writes = BTreeMap<Bytes, Write>;

/// A group being put together.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    heads: &'a mut [Position],
    grown: Vec<bool>,
    pub(crate) writes: Writes,
}

impl<'a> Group<'a> {
    /// An empty group on top of `heads`, which it moves as batches append.
    pub(crate) fn new(heads: &'a mut [Position]) -> Self {
        let grown = vec![false; heads.len()];
        Self { heads, grown, writes: Writes::new() }
    }

    /// Adds `batch` as the commit `version` if its preconditions hold. `stored` reads a row's version from the engine.
    pub(crate) fn add(
        &mut self,
        batch: Batch,
        version: Version,
        mut stored: impl FnMut(&Key) -> Result<Option<Version>, Error>,
    ) -> Result<Committed, Error> {
        for precondition in &batch.preconditions {
            let key = precondition.key();
            let current = match self.writes.get(key.as_bytes()) {
                Some(Write { value: None, .. }) => None,
                Some(write) => Some(write.version),
                None => stored(key)?,
            };
            if !precondition.holds(current) {
                return Err(Error::Conflict { key: key.clone() });
            }
        }
        let positions = batch.appends.iter().map(|append| self.append(append, version)).collect::<Vec<_>>();
        for op in batch.ops {
            let (key, value) = match op {
                Op::Put { key, value } => (key.fill(&positions), Some(value.fill(&positions))),
                Op::Delete { key } => (key.to_bytes(), None),
            };
            self.writes.insert(key, Write { version, value });
        }
        Ok(Committed { version, positions })
    }

    /// Adds the rows of the heads that moved. Call once, when the group is complete.
    pub(crate) fn seal(mut self, version: Version) -> Writes {
        for (slot, grown) in self.grown.iter().enumerate() {
            let partition = Partition(u16::try_from(slot).unwrap_or(u16::MAX));
            if let (true, Some(head)) = (*grown, self.heads.get(slot)) {
                let value = Some(Bytes::copy_from_slice(&head.0.to_be_bytes()));
                self.writes.insert(Key::of(HEAD, &partition).to_bytes(), Write { version, value });
            }
        }
        self.writes
    }

    fn append(&mut self, append: &Append, version: Version) -> Position {
        let slot = usize::from(append.partition.0);
        let (Some(head), Some(grown)) = (self.heads.get_mut(slot), self.grown.get_mut(slot)) else {
            // `Batch::check` has refused such a batch before it was queued.
            return Position::START;
        };
        *head = head.next();
        *grown = true;
        let position = *head;
        let key = Key::of(LOG, &(append.partition, position)).to_bytes();
        self.writes.insert(key, Write { version, value: Some(log_value(append.kind.0, &append.payload)) });
        position
    }
}

fn log_value(kind: u16, payload: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(2 + payload.len());
    value.put_u16(kind);
    value.put_slice(payload);
    value.freeze()
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
