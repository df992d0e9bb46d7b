//! What was written while an export ran: the writer copies each durable group into a file, and the export reads it back
//! and lays it over the rows it scanned. It serves the engines that have no snapshots.
//!
//! The file lives as long as one export and is never read after a crash, so its records need no checksum: they get one
//! in the archive.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek};
use std::path::Path;
use std::sync::{Arc, Weak};

use crate::engine::Change;
use crate::engine::group::Writes;
use crate::error::Error;
use crate::frame;
use crate::table::META;

/// The writer's end.
#[derive(Debug)]
pub(crate) struct SpoolWriter {
    /// Gone when the export was given up.
    wanted: Weak<()>,
    file: BufWriter<File>,
    failure: Option<io::Error>,
}

impl SpoolWriter {
    /// A spool in the file `path`, which is removed at once: it goes away with its last handle.
    pub(crate) fn create(path: &Path, wanted: &Arc<()>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        std::fs::remove_file(path)?;
        Ok(Self { wanted: Arc::downgrade(wanted), file: BufWriter::new(file), failure: None })
    }

    /// Whether the export still waits for it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }

    /// Copies a durable group. A failure spoils the export, never the commit.
    pub(crate) fn record(&mut self, writes: &Writes) {
        if self.failure.is_none() {
            self.failure = writes.iter().try_for_each(|(key, write)| self.one(key, write.value.as_deref())).err();
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

    fn one(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        // What only the engine understands of itself stays with it.
        if key.first() == Some(&META.0) { Ok(()) } else { frame::write(&mut self.file, key, value) }
    }
}

/// The export's end: the changes in the order they were made.
#[derive(Debug)]
pub(crate) struct SpoolReader(BufReader<File>);

impl SpoolReader {
    pub(crate) fn new(file: File) -> Self {
        Self(BufReader::new(file))
    }
}

impl Iterator for SpoolReader {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        frame::read(&mut self.0).map_err(Error::io("reading back what was written during the export")).transpose()
    }
}
