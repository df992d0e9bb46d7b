//! A note of what a process has in its hands: it is written before dangerous work and wiped after it, and read at the next
//! start. Without an fsync: it has to survive the death of the process, not that of the machine.
//!
//! Must not be used for what must not be lost: a torn note is none.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::memory::MemoryDisk;
use crate::error::Error;
use crate::options::EngineChoice;
use crate::store::Store;

/// Length of what is noted, and its checksum.
const HEAD_BYTES: usize = 8;

/// A place for one note.
#[derive(Debug)]
pub struct Note(Place);

#[derive(Debug)]
enum Place {
    File(File),
    Memory(MemoryDisk, String),
}

impl Note {
    /// Opens the place called `name` (letters, digits and dashes), and what was noted there when the process died.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(store: &Store, name: &str) -> Result<(Self, Option<Vec<u8>>), Error> {
        let file = format!("in-flight/{name}");
        if let EngineChoice::Memory { disk } = &store.options().engine {
            let held = disk.read_file(&file).as_deref().and_then(decode);
            return Ok((Self(Place::Memory(disk.clone(), file)), held));
        }
        let path = store.options().data_dir.join(file);
        let (file, held) = open_file(&path).map_err(Error::io(format!("opening {}", path.display())))?;
        Ok((Self(Place::File(file)), held))
    }

    /// Notes `bytes` in place of what was noted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let head = [length.to_le_bytes(), crc32c::crc32c(bytes).to_le_bytes()].concat();
        self.put(&[&head, bytes].concat())
    }

    /// Wipes the note. What it said may still lie in the file, and is none.
    ///
    /// # Errors
    /// As [`Note::write`].
    pub fn wipe(&self) -> Result<(), Error> {
        self.put(&[u8::MAX; HEAD_BYTES])
    }

    fn put(&self, bytes: &[u8]) -> Result<(), Error> {
        match &self.0 {
            Place::File(file) => file.write_all_at(bytes, 0).map_err(Error::io("noting work in flight")),
            Place::Memory(disk, name) => {
                disk.write_file(name, bytes.to_vec());
                Ok(())
            }
        }
    }
}

fn open_file(path: &Path) -> io::Result<(File, Option<Vec<u8>>)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok((file, decode(&bytes)))
}

/// What is noted; `None` for what was wiped or is torn.
fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let noted = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (crc32c::crc32c(noted) == u32::from_le_bytes(*crc)).then(|| noted.to_vec())
}

#[cfg(test)]
mod tests {
    use base::{Clock, Timestamp};

    use super::*;
    use crate::options::StoreOptions;

    #[tokio::test]
    async fn a_note_is_there_at_the_next_start_until_it_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        for engine in [EngineChoice::Embedded, EngineChoice::Memory { disk: MemoryDisk::new() }] {
            let mut options = StoreOptions::new(folder.path().join("data"), engine);
            options.clock = Clock::simulated(Timestamp(0));
            options.tuning.disk_reserve_bytes = 0;
            let store = Store::open(options).await.unwrap();
            let open = || Note::open(&store, "work-0").unwrap();
            let (note, held) = open();
            assert_eq!(held, None);
            note.write(&[7; 70_000]).unwrap();
            note.write(b"short").unwrap();
            assert_eq!(open().1.as_deref(), Some(b"short".as_slice()));
            note.write(b"").unwrap();
            assert_eq!(open().1.as_deref(), Some(b"".as_slice()));
            note.wipe().unwrap();
            assert_eq!(open().1, None);
            store.close().await;
        }
    }

    #[test]
    fn a_torn_note_is_none() {
        let noted = [&5u32.to_le_bytes(), &crc32c::crc32c(b"event").to_le_bytes(), b"event".as_slice()].concat();
        assert_eq!(decode(&noted).as_deref(), Some(b"event".as_slice()));
        assert_eq!(decode(&noted[..12]), None);
        let mut torn = noted;
        torn[9] ^= 1;
        assert_eq!(decode(&torn), None);
        assert_eq!(decode(&[]), None);
    }
}
