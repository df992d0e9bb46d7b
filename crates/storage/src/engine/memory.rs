//! The engine that keeps nothing on a real disk, for tests and simulation: an ordered map above a simulated disk with a
//! journal, on which seeded faults happen. The map dies with the process it simulates; the disk stays, and what it
//! still holds after a crash is what had been synced and, as chance has it, a torn piece of the rest.
//!
//! Everything else is the real thing: the same group-commit writer, checksums, high-water mark and readers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::{Clock, Random};
use bytes::{Buf, BufMut, Bytes};
use tokio::sync::mpsc;

use crate::engine::local::{Kv, SealedRow, WriteFailure};
use crate::engine::writer::{Command, GroupWriter};
use crate::engine::{Direction, EngineStat};
use crate::error::Error;
use crate::high_water::HighWater;
use crate::key::KeyRange;

type Rows = BTreeMap<Bytes, Bytes>;

/// What may go wrong on a simulated disk. All chances are in a thousand operations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A sync fails, as a dying disk's does. Nothing more is written before the next open.
    pub sync_fails: u64,
    /// A write meets the end of the disk half-way.
    pub write_hits_full_disk: u64,
    /// A sync says that it worked and has not: what a broken disk or a lying controller does.
    pub sync_lies: u64,
    /// A read fails.
    pub read_fails: u64,
    /// The longest that a group's write or a read takes; each takes a random part of it.
    pub delay_most: Duration,
}

/// A simulated disk. Clones are the same disk; it outlives the stores opened on it.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

struct Disk {
    /// The state at the last fold: what a real engine has in its tables.
    base: Rows,
    journal: Vec<u8>,
    keeps_journal: bool,
    /// Bytes of the journal that a crash cannot touch.
    synced: usize,
    mark: u64,
    /// Small files outside the engine: they survive the process's death, as the page cache does.
    files: BTreeMap<String, Vec<u8>>,
    faults: Faults,
    random: Random,
    /// Which open this is: a store opened before a crash can no longer write.
    generation: u64,
}

/// How far a journal grows before it is folded into the base.
const FOLD_BYTES: usize = 4 << 20;

impl MemoryDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::faulty(Random::seeded(0), Faults::default())
    }

    /// An empty disk on which `faults` happen as `random` has it.
    pub fn faulty(random: Random, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            base: Rows::new(),
            journal: Vec::new(),
            keeps_journal: true,
            synced: 0,
            mark: 0,
            files: BTreeMap::new(),
            faults,
            random,
            generation: 0,
        })))
    }

    /// A disk that nobody will open a second time: it keeps no journal, so the rows lie in memory once.
    pub fn ephemeral() -> Self {
        let disk = Self::new();
        disk.lock().keeps_journal = false;
        disk
    }

    /// Changes what may go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Power is cut: of what was not synced, a random part of the journal is left, its end torn. Stores that are open on
    /// this disk can no longer write; open a new one.
    pub fn crash(&self) {
        let mut disk = self.lock();
        let unsynced = disk.journal.len() - disk.synced;
        let kept = disk.random.below(unsynced as u64 + 1);
        let length = disk.synced + usize::try_from(kept).unwrap_or(unsynced);
        disk.journal.truncate(length);
        if kept > 0 && disk.random.chance(1, 2) {
            // The last sector was being written: it holds something else.
            let torn = disk.random.below(kept.min(512)) + 1;
            let start = length - usize::try_from(torn).unwrap_or(1);
            let random = disk.random.clone();
            if let Some(sector) = disk.journal.get_mut(start..) {
                random.fill(sector);
            }
        }
        disk.generation += 1;
    }

    /// Bytes of a small file outside the engine.
    pub(crate) fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().files.get(name).cloned()
    }

    /// Writes a small file outside the engine.
    pub(crate) fn write_file(&self, name: &str, bytes: Vec<u8>) {
        self.lock().files.insert(name.to_owned(), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryDisk({} bytes of journal)", self.lock().journal.len())
    }
}

impl Disk {
    fn chance(&self, in_thousand: u64) -> bool {
        in_thousand > 0 && self.random.chance(in_thousand, 1_000)
    }

    fn delay(&self) -> Option<Duration> {
        let most = u64::try_from(self.faults.delay_most.as_micros()).unwrap_or(u64::MAX);
        (most > 0).then(|| Duration::from_micros(self.random.below(most + 1)))
    }

    /// Lays the journal over the base and forgets it; what is torn at its end is dropped, as recovery drops it.
    fn fold(&mut self) {
        let journal = std::mem::take(&mut self.journal);
        let mut rest = &journal[..];
        while let Some(rows) = take_group(&mut rest) {
            apply(&mut self.base, rows);
        }
        self.synced = 0;
    }
}

/// The mark on a simulated disk.
impl HighWater for MemoryDisk {
    fn remember(&mut self, number: u64) {
        self.lock().mark = number;
    }
}

/// The map above the disk.
pub(crate) struct Memory {
    rows: Mutex<Rows>,
    disk: MemoryDisk,
    generation: u64,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl Memory {
    /// Recovers from `disk`, and the high-water mark found there.
    pub(crate) fn open(disk: &MemoryDisk) -> (Self, u64) {
        let mut inner = disk.lock();
        inner.fold();
        inner.generation += 1;
        let (rows, generation, mark) = (inner.base.clone(), inner.generation, inner.mark);
        drop(inner);
        (Self { rows: Mutex::new(rows), disk: disk.clone(), generation }, mark)
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_fail(&self) -> Result<(), Error> {
        let disk = self.disk.lock();
        if disk.chance(disk.faults.read_fails) {
            return Err(Error::Read { reason: "the simulated disk failed to read".to_owned() });
        }
        Ok(())
    }
}

impl Kv for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.may_fail()?;
        Ok(self.rows().get(key).cloned())
    }

    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        visit: &mut dyn FnMut(Bytes, Bytes) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.may_fail()?;
        let rows = self.rows();
        let mut range = rows.range::<Bytes, _>((Bound::Included(&range.start), Bound::Excluded(&range.end)));
        let mut next = || match direction {
            Direction::Forward => range.next(),
            Direction::Backward => range.next_back(),
        };
        while let Some((key, value)) = next() {
            if visit(key.clone(), value.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, rows: Vec<SealedRow>) -> Result<(), WriteFailure> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(WriteFailure::Fatal("the simulated power was cut".to_owned()));
        }
        let group = encode_group(&rows);
        if disk.chance(disk.faults.write_hits_full_disk) {
            let half = group.get(..group.len() / 2).unwrap_or_default().to_vec();
            disk.journal.extend_from_slice(&half);
            return Err(WriteFailure::Full("the simulated disk is full".to_owned()));
        }
        if disk.keeps_journal {
            disk.journal.extend_from_slice(&group);
        }
        if disk.chance(disk.faults.sync_fails) {
            return Err(WriteFailure::Fatal("the simulated disk failed to sync".to_owned()));
        }
        if !disk.chance(disk.faults.sync_lies) {
            disk.synced = disk.journal.len();
        }
        if disk.synced == disk.journal.len() && disk.journal.len() > FOLD_BYTES {
            disk.fold();
        }
        drop(disk);
        apply(&mut self.rows(), rows);
        Ok(())
    }

    fn stat(&self) -> EngineStat {
        let rows = self.rows();
        let bytes: usize = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        EngineStat { bytes_on_disk: bytes as u64, details: vec![("rows".to_owned(), rows.len().to_string())] }
    }

    fn read_delay(&self) -> Option<Duration> {
        self.disk.lock().delay()
    }
}

/// Serves the queue as a task, so that a simulated clock and a seed decide its order.
pub(crate) async fn run(mut writer: GroupWriter<Memory>, mut queue: mpsc::Receiver<Command>, clock: Clock) {
    while let Some(command) = queue.recv().await {
        let delay = writer.kv.disk.lock().delay();
        if let Some(delay) = delay {
            clock.sleep(delay).await;
        }
        if let Some(closed) = writer.serve(command, &mut queue) {
            return writer.finish(&mut queue, closed);
        }
    }
}

fn apply(rows: &mut Rows, group: Vec<(Bytes, Option<Bytes>)>) {
    for (key, value) in group {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

/// A group in the journal: length, checksum, rows.
fn encode_group(rows: &[SealedRow]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in rows {
        put_bytes(&mut body, key);
        body.put_u8(u8::from(value.is_some()));
        if let Some(value) = value {
            put_bytes(&mut body, value);
        }
    }
    let mut group = Vec::with_capacity(body.len() + 8);
    group.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    group.put_u32(crc32c::crc32c(&body));
    group.extend_from_slice(&body);
    group
}

/// Takes the next group off the journal; `None` at its end, which is also where it is torn.
fn take_group(journal: &mut &[u8]) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    let (length, rest) = journal.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (mut body, rest) = rest.split_at_checked(length)?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut rows = Vec::new();
    while body.has_remaining() {
        let key = take_bytes(&mut body)?;
        let value = if body.try_get_u8().ok()? == 0 { None } else { Some(take_bytes(&mut body)?) };
        rows.push((key, value));
    }
    *journal = rest;
    Some(rows)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

fn take_bytes(from: &mut &[u8]) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32().ok()?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(Bytes::copy_from_slice(bytes))
}
