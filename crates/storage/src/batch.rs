//! What is written at once: puts, deletes and log appends that become visible and durable together or not at all, and
//! the preconditions under which they may.

use base::{Partition, Position, limits};
use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::key::Key;
use crate::record::Record;
use crate::table;

/// Which commit wrote a row last. Equal versions of one key mean that nothing was written between; nothing else may be
/// read into the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// What a log entry is about, given out by the crates that append. Readers filter by it without reading the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

/// Stands for the position that the engine will give to an append of the same batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub(crate) u16);

/// Bytes with gaps of eight, each to be filled with a position (big-endian) at commit.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) bytes: Bytes,
    pub(crate) stamps: Vec<(u32, Stamp)>,
}

impl Template {
    /// `bytes` without a gap.
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), stamps: Vec::new() }
    }

    /// `bytes` followed by the position of `stamp`; [`split_stamp`] takes them apart again.
    pub fn with_stamp(bytes: impl Into<Vec<u8>>, stamp: Stamp) -> Self {
        let mut bytes: Vec<u8> = bytes.into();
        let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes: bytes.into(), stamps: vec![(offset, stamp)] }
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes with the gaps filled. A stamp of another batch fills with 0, which `Batch::check` refuses before.
    pub(crate) fn fill(self, positions: &[Position]) -> Bytes {
        if self.stamps.is_empty() {
            return self.bytes;
        }
        // Nobody else holds the bytes of a template made for this batch, so they are filled where they are.
        let mut bytes = BytesMut::from(self.bytes);
        for (offset, stamp) in self.stamps {
            let position = positions.get(usize::from(stamp.0)).copied().unwrap_or_default();
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            if let Some(gap) = bytes.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<8>()) {
                *gap = position.0.to_be_bytes();
            }
        }
        bytes.freeze()
    }
}

/// Takes a value made by [`Template::with_stamp`] apart.
pub fn split_stamp(value: &[u8]) -> Option<(&[u8], Position)> {
    value.split_last_chunk().map(|(bytes, position)| (bytes, Position(u64::from_be_bytes(*position))))
}

/// Room made at the first operation: an event with its indexes needs as many.
const USUAL_OPS: usize = 12;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put { key: Template, value: Template },
    Delete { key: Key },
}

#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) partition: Partition,
    pub(crate) kind: Kind,
    pub(crate) payload: Bytes,
}

/// What must hold for a batch to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is stored under this key.
    Absent(Key),
    /// The row is there and was last written by the commit with this version.
    Unchanged(Key, Version),
}

impl Precondition {
    /// The key it speaks of.
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Unchanged(key, _) => key,
        }
    }

    /// Whether it holds when the row's version is `version`.
    pub(crate) fn holds(&self, version: Option<Version>) -> bool {
        match self {
            Self::Absent(_) => version.is_none(),
            Self::Unchanged(_, expected) => version == Some(*expected),
        }
    }
}

/// A set of changes that become durable together or not at all. Later operations on a key win over earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) preconditions: Vec<Precondition>,
    pub(crate) ops: Vec<Op>,
    pub(crate) appends: Vec<Append>,
    bytes: usize,
}

impl Batch {
    /// An empty batch. Committing it does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry to `partition` of the log. The stamp stands for its position in keys and values of this batch.
    pub fn append(&mut self, partition: Partition, kind: Kind, payload: impl Into<Bytes>) -> Stamp {
        let payload = payload.into();
        // More than 65,535 appends make the batch too large long before the number could wrap: see `check`.
        let stamp = Stamp(u16::try_from(self.appends.len()).unwrap_or(u16::MAX));
        self.bytes += payload.len() + 16;
        self.appends.push(Append { partition, kind, payload });
        stamp
    }

    /// Writes a row.
    pub fn put(&mut self, key: &Key, value: impl Into<Bytes>) {
        self.put_template(Template::plain(key.to_bytes()), Template::plain(value));
    }

    /// Writes a record.
    pub fn put_record(&mut self, key: &Key, record: &impl Record) {
        self.put(key, record.encode());
    }

    /// Writes a row whose key or value holds positions that this batch's appends will get.
    pub fn put_template(&mut self, key: Template, value: Template) {
        if self.ops.is_empty() {
            self.ops.reserve(USUAL_OPS);
        }
        self.bytes += key.len() + value.len();
        self.ops.push(Op::Put { key, value });
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, key: &Key) {
        self.bytes += key.as_bytes().len();
        self.ops.push(Op::Delete { key: key.clone() });
    }

    /// Commits only if nothing is stored under `key`.
    pub fn require_absent(&mut self, key: &Key) {
        self.require(Precondition::Absent(key.clone()));
    }

    /// Commits only if the row under `key` was last written by the commit with `version`.
    pub fn require_unchanged(&mut self, key: &Key, version: Version) {
        self.require(Precondition::Unchanged(key.clone(), version));
    }

    /// Commits only if `version`, as a read returned it, still is the state of `key`: `None` for an absent row.
    pub fn require_version(&mut self, key: &Key, version: Option<Version>) {
        match version {
            Some(version) => self.require_unchanged(key, version),
            None => self.require_absent(key),
        }
    }

    /// Adds a precondition.
    pub fn require(&mut self, precondition: Precondition) {
        self.bytes += precondition.key().as_bytes().len();
        self.preconditions.push(precondition);
    }

    /// Adds all of `other`, as if it had been done after what is here. Stamps of `other` stand for the same appends.
    pub fn absorb(&mut self, other: Self) {
        let offset = u16::try_from(self.appends.len()).unwrap_or(u16::MAX);
        let moved = |mut template: Template| {
            // Past the last number the batch is refused as too large: see `check`.
            template.stamps.iter_mut().for_each(|(_, stamp)| stamp.0 = stamp.0.saturating_add(offset));
            template
        };
        self.preconditions.extend(other.preconditions);
        self.appends.extend(other.appends);
        self.ops.extend(other.ops.into_iter().map(|op| match op {
            Op::Put { key, value } => Op::Put { key: moved(key), value: moved(value) },
            Op::Delete { key } => Op::Delete { key },
        }));
        self.bytes += other.bytes;
    }

    /// Bytes of keys, values and payloads.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it would change and check nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.appends.is_empty() && self.preconditions.is_empty()
    }

    /// Checks what can be checked without an engine.
    pub(crate) fn check(&self, partitions: u16) -> Result<(), Error> {
        let too_large = |what, bytes, most| Err(Error::TooLarge { what, bytes, most });
        if self.bytes > limits::BATCH_BYTES || self.appends.len() >= usize::from(u16::MAX) {
            return too_large("batch", self.bytes, limits::BATCH_BYTES);
        }
        for append in &self.appends {
            if append.payload.len() > limits::VALUE_BYTES {
                return too_large("log entry", append.payload.len(), limits::VALUE_BYTES);
            }
            if append.partition.0 >= partitions {
                return Err(Error::NoSuchPartition { partition: append.partition, partitions });
            }
        }
        for precondition in &self.preconditions {
            if !precondition.key().is_short_enough() {
                return too_large("key", precondition.key().as_bytes().len(), limits::KEY_BYTES);
            }
        }
        self.ops.iter().try_for_each(|op| self.check_op(op))
    }

    fn check_op(&self, op: &Op) -> Result<(), Error> {
        let (key, value, stamps) = match op {
            Op::Delete { key } => (key.as_bytes(), 0, None),
            Op::Put { key, value } => (&key.bytes[..], value.len(), Some(key.stamps.iter().chain(&value.stamps))),
        };
        if key.len() > limits::KEY_BYTES {
            return Err(Error::TooLarge { what: "key", bytes: key.len(), most: limits::KEY_BYTES });
        }
        if value > limits::VALUE_BYTES {
            return Err(Error::TooLarge { what: "value", bytes: value, most: limits::VALUE_BYTES });
        }
        let number = key.first().copied().unwrap_or_default();
        match table::TableId(number).entry() {
            Some(entry) if !entry.engine_only => {}
            _ => return Err(Error::NotWritable { table: number }),
        }
        let known = |stamp: &Stamp| usize::from(stamp.0) < self.appends.len();
        match stamps.into_iter().flatten().find(|(_, stamp)| !known(stamp)) {
            Some(_) => Err(Error::ForeignStamp),
            None => Ok(()),
        }
    }
}

/// A batch that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The version that every row written by the batch now has.
    pub version: Version,
    /// The positions of the batch's appends, in the order they were added.
    pub positions: Vec<Position>,
}

impl Committed {
    /// The position that `stamp` stood for.
    pub fn position(&self, stamp: Stamp) -> Option<Position> {
        self.positions.get(usize::from(stamp.0)).copied()
    }
}
