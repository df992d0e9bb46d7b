//! The journal of work in flight: which entries a handler has in its hands. It is written before and cleared after each
//! call, without an fsync: it has to survive the death of the process, not that of the machine.
//!
//! One small file a reader, in the data directory of the node that runs it: what a node was doing when it died is that
//! node's knowledge. What follows from it is stored with the cursor, for all nodes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use base::{Partition, Position};
use sha2::{Digest, Sha256};

use crate::engine::memory::MemoryDisk;
use crate::error::Error;
use crate::options::EngineChoice;
use crate::store::Store;
use crate::text::hex;

const ENTRY_BYTES: usize = 20;

/// One reader's journal.
#[derive(Debug)]
pub(crate) enum InFlight {
    File(File),
    Memory(MemoryDisk, String),
}

impl InFlight {
    /// Opens the journal of the reader, and what it held: the first and last entry in flight when the process died.
    pub(crate) fn open(
        store: &Store,
        name: &str,
        partition: Partition,
    ) -> Result<(Self, Option<(Position, Position)>), Error> {
        let file = format!("in-flight/{}", file_name(name, partition));
        if let EngineChoice::Memory { disk } = &store.options().engine {
            let held = disk.read_file(&file).as_deref().and_then(decode);
            return Ok((Self::Memory(disk.clone(), file), held));
        }
        let path = store.options().data_dir.join(file);
        let (file, held) = open_file(&path).map_err(Error::io(format!("opening {}", path.display())))?;
        Ok((Self::File(file), held))
    }

    /// The handler gets the entries from `first` to `last`.
    pub(crate) fn begin(&self, first: Position, last: Position) -> Result<(), Error> {
        self.write(&encode(first, last))
    }

    /// The handler is done, or failed in an orderly way.
    pub(crate) fn end(&self) -> Result<(), Error> {
        self.write(&[0; ENTRY_BYTES])
    }

    fn write(&self, entry: &[u8; ENTRY_BYTES]) -> Result<(), Error> {
        match self {
            Self::File(file) => file.write_all_at(entry, 0).map_err(Error::io("writing the journal of work in flight")),
            Self::Memory(disk, name) => {
                disk.write_file(name, entry.to_vec());
                Ok(())
            }
        }
    }
}

fn open_file(path: &Path) -> io::Result<(File, Option<(Position, Position)>)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut entry = [0; ENTRY_BYTES];
    match file.read_exact_at(&mut entry, 0) {
        Ok(()) => Ok((file, decode(&entry))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((file, None)),
        Err(error) => Err(error),
    }
}

/// A name of fixed length that any file system takes, whatever the reader is called.
fn file_name(name: &str, partition: Partition) -> String {
    let hash = Sha256::new().chain_update(partition.0.to_be_bytes()).chain_update(name).finalize();
    hex(hash.get(..16).unwrap_or_default())
}

fn encode(first: Position, last: Position) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    let (range, crc) = entry.split_at_mut(16);
    let (from, to) = range.split_at_mut(8);
    from.copy_from_slice(&first.0.to_le_bytes());
    to.copy_from_slice(&last.0.to_le_bytes());
    crc.copy_from_slice(&crc32c::crc32c(range).to_le_bytes());
    entry
}

/// What an entry says; `None` for a cleared or torn one.
fn decode(entry: &[u8]) -> Option<(Position, Position)> {
    let (range, crc) = entry.split_at_checked(16)?;
    if crc32c::crc32c(range) != u32::from_le_bytes(*crc.first_chunk()?) {
        return None;
    }
    let (from, rest) = range.split_first_chunk::<8>()?;
    let to = rest.first_chunk::<8>()?;
    Some((Position(u64::from_le_bytes(*from)), Position(u64::from_le_bytes(*to))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_and_a_torn_or_cleared_one_is_none() {
        let entry = encode(Position(3), Position(9));
        assert_eq!(decode(&entry), Some((Position(3), Position(9))));
        assert_eq!(decode(&[0; ENTRY_BYTES]), None);
        assert_eq!(decode(&entry[..19]), None);
        let mut torn = entry;
        torn[15] ^= 1;
        assert_eq!(decode(&torn), None);
    }
}
