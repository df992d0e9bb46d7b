//! What was written while an export ran: the writer copies each durable group into a file, and the export reads it back
//! and lays it over the rows it scanned. It serves the engines that have no snapshots.
//!
//! The file lives as long as one export and is never read after a crash, so its records need no checksum: they get one
//! in the archive.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write as _};
use std::path::Path;

use base::limits;
use bytes::Bytes;

use crate::engine::Change;
use crate::engine::group::Writes;
use crate::error::Error;
use crate::key::Key;
use crate::table::META;

/// The writer's end.
#[derive(Debug)]
pub(crate) struct SpoolWriter {
    file: BufWriter<File>,
    failure: Option<io::Error>,
}

impl SpoolWriter {
    /// A spool in the file `path`, which is removed at once: it goes away with its last handle.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        std::fs::remove_file(path)?;
        Ok(Self { file: BufWriter::new(file), failure: None })
    }

    /// Copies a durable group. A failure spoils the export, never the commit.
    pub(crate) fn record(&mut self, writes: &Writes) {
        if self.failure.is_none() {
            self.failure = writes.iter().try_for_each(|(key, write)| self.one(key, write.value.as_ref())).err();
        }
    }

    /// The file, at its beginning.
    pub(crate) fn finish(self) -> Result<File, Error> {
        let doing = "keeping what was written during the export";
        if let Some(failure) = self.failure {
            return Err(Error::io(doing)(failure));
        }
        let mut file = self.file.into_inner().map_err(|error| Error::io(doing)(error.into_error()))?;
        file.rewind().map_err(Error::io(doing))?;
        Ok(file)
    }

    fn one(&mut self, key: &[u8], value: Option<&Bytes>) -> io::Result<()> {
        if key.first() == Some(&META.0) {
            return Ok(());
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.file.write_all(&length(key))?;
        self.file.write_all(key)?;
        self.file.write_all(&[u8::from(value.is_some())])?;
        if let Some(value) = value {
            self.file.write_all(&length(value))?;
            self.file.write_all(value)?;
        }
        Ok(())
    }
}

/// The export's end: the changes in the order they were made.
#[derive(Debug)]
pub(crate) struct SpoolReader(BufReader<File>);

impl SpoolReader {
    pub(crate) fn new(file: File) -> Self {
        Self(BufReader::new(file))
    }

    fn one(&mut self) -> io::Result<Option<Change>> {
        let mut first = [0];
        if self.0.read(&mut first)? == 0 {
            return Ok(None);
        }
        let mut rest = [0; 3];
        self.0.read_exact(&mut rest)?;
        let [b, c, d] = rest;
        let key = self.bytes(u32::from_le_bytes([first[0], b, c, d]))?;
        let key = Key::from_bytes(key).ok_or(io::ErrorKind::InvalidData)?;
        let mut present = [0];
        self.0.read_exact(&mut present)?;
        let value = match present {
            [0] => None,
            _ => {
                let mut length = [0; 4];
                self.0.read_exact(&mut length)?;
                Some(self.bytes(u32::from_le_bytes(length))?)
            }
        };
        Ok(Some(Change { key, value }))
    }

    fn bytes(&mut self, length: u32) -> io::Result<Bytes> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limits::VALUE_BYTES + limits::KEY_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Iterator for SpoolReader {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.one().map_err(Error::io("reading back what was written during the export")).transpose()
    }
}
