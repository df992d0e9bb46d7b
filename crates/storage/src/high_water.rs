//! The high-water mark: the number of the last acknowledged commit, written outside the engine after each durable group.
//! At open an engine that holds less has lost what was acknowledged, and the server refuses to start.
//!
//! Two slots, each in a page of its own and each with a checksum, are written in turn and never fsynced: after a power
//! cut the mark may be old, which is harmless, but one slot is always whole, because only one is written at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file's name in the data directory.
pub(crate) const FILE: &str = "acknowledged";

const SLOT_BYTES: u64 = 4096;
const MARK_BYTES: usize = 12;

/// A place for the mark: a file, or the simulated disk of the `memory` engine.
pub(crate) trait HighWater: Send {
    /// Remembers `number`. A failure is reported to nobody but the log: the mark is a guard, not the data.
    fn remember(&mut self, number: u64);
}

/// The mark in a file.
#[derive(Debug)]
pub(crate) struct HighWaterFile {
    file: File,
    next_slot: u64,
    failed: bool,
}

impl HighWaterFile {
    /// Makes the file, holding 0, durably but for the directory's entry.
    pub(crate) fn create(directory: &Path) -> io::Result<()> {
        let file = File::create(directory.join(FILE))?;
        for slot in 0..2 {
            file.write_all_at(&encode(0), slot * SLOT_BYTES)?;
        }
        file.set_len(2 * SLOT_BYTES)?;
        file.sync_all()
    }

    /// Opens the file; the mark it holds, or `None` when neither slot is whole.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Option<u64>)> {
        let file = OpenOptions::new().read(true).write(true).open(directory.join(FILE))?;
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let mark = slots.iter().flatten().copied().max();
        // Write over the older one first, so that the newest mark survives a torn write.
        let next_slot = u64::from(slots[1] < slots[0]);
        Ok((Self { file, next_slot, failed: false }, mark))
    }
}

impl HighWater for HighWaterFile {
    fn remember(&mut self, number: u64) {
        match self.file.write_all_at(&encode(number), self.next_slot * SLOT_BYTES) {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                tracing::warn!(%error, "the high-water mark cannot be written; a loss at the next start may go unseen");
                self.failed = true;
            }
            Err(_) => {}
        }
        self.next_slot = 1 - self.next_slot;
    }
}

fn read_slot(file: &File, slot: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; MARK_BYTES];
    match file.read_exact_at(&mut bytes, slot * SLOT_BYTES) {
        Ok(()) => Ok(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode(number: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    let (value, crc) = bytes.split_at_mut(8);
    value.copy_from_slice(&number.to_le_bytes());
    crc.copy_from_slice(&crc32c::crc32c(value).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; MARK_BYTES]) -> Option<u64> {
    let (value, rest) = bytes.split_first_chunk::<8>()?;
    let crc = rest.first_chunk::<4>()?;
    (crc32c::crc32c(value) == u32::from_le_bytes(*crc)).then(|| u64::from_le_bytes(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mark_survives_a_torn_write_of_either_slot() {
        let directory = tempfile::tempdir().unwrap();
        HighWaterFile::create(directory.path()).unwrap();
        let (mut mark, found) = HighWaterFile::open(directory.path()).unwrap();
        assert_eq!(found, Some(0));
        for number in 1..=9 {
            mark.remember(number);
            let (mut reopened, found) = HighWaterFile::open(directory.path()).unwrap();
            assert_eq!(found, Some(number));
            // The next write is torn: the mark before it must still be found.
            reopened.file.write_all_at(&[0xee; 5], reopened.next_slot * SLOT_BYTES).unwrap();
            assert_eq!(HighWaterFile::open(directory.path()).unwrap().1, Some(number));
            reopened.remember(number);
            mark = HighWaterFile::open(directory.path()).unwrap().0;
        }
    }

    #[test]
    fn a_garbled_file_holds_no_mark() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), [7; 100]).unwrap();
        assert_eq!(HighWaterFile::open(directory.path()).unwrap().1, None);
    }
}
