//! A backup's files: a folder with a manifest, the rows, the changes made while the rows were read, and the blobs.
//!
//! ```text
//! manifest.json   what, when, of which store; name, size and SHA-256 of each file. Written last: no manifest, no backup.
//! rows.zst        every row, in key order, while the server went on writing
//! changes.zst     what it wrote meanwhile: laid over the rows they give one point in time
//! blobs/3f/3f…    the blobs of that point
//! ```

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use base::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::directory::sync_directory;
use crate::engine::Change;
use crate::error::Error;
use crate::frame;
use crate::text::hex;

/// The newest format of archives that this release reads, and the one it writes.
pub(crate) const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
/// Level 3 of zstd packs events four to one at the speed of a disk.
const LEVEL: i32 = 3;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// So that the file tells a person what it is.
    pub what: String,
    /// The archive's format.
    pub format: u32,
    /// The release that made it.
    pub made_by: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The engine it was taken from.
    pub engine: String,
    /// Partitions of the log.
    pub partitions: u16,
    /// The files with rows and changes.
    pub files: Vec<ArchiveFile>,
    /// Blobs in the archive.
    pub blobs: u64,
    /// Bytes of the blobs.
    pub blob_bytes: u64,
    /// Hashes of blobs that the store should have had and had not: nothing that a backup can mend.
    pub missing_blobs: Vec<String>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// Its name in the archive's folder.
    pub name: String,
    /// How many rows or changes it holds.
    pub records: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of it, in hex.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of the archive in `folder`.
    ///
    /// # Errors
    /// [`Error::Archive`] when there is none, or a newer release made it.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let refuse = |what: String| Error::Archive { path: folder.to_owned(), what };
        let bytes = match fs::read(folder.join(MANIFEST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(refuse("it has no manifest.json: it is no backup, or one that was cut off".to_owned()));
            }
            other => other.map_err(Error::io(format!("reading {}", folder.join(MANIFEST).display())))?,
        };
        let garbled = |error: serde_json::Error| refuse(format!("its manifest.json cannot be read: {error}"));
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(garbled)?;
        let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if format > u64::from(FORMAT) {
            return Err(refuse(format!(
                "it has format {format}, this release reads up to {FORMAT}: use the newer release"
            )));
        }
        serde_json::from_value(value).map_err(garbled)
    }

    /// Writes the manifest durably: from now on the archive is one.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(MANIFEST);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            sync_directory(folder)
        };
        write().map_err(Error::io(format!("writing {}", path.display())))
    }
}

/// A file of rows or changes being written.
pub(crate) struct RecordsWriter {
    name: String,
    out: zstd::Encoder<'static, Hashing<BufWriter<File>>>,
    records: u64,
}

impl RecordsWriter {
    pub(crate) fn create(folder: &Path, name: &str) -> io::Result<Self> {
        let file = BufWriter::new(File::create_new(folder.join(name))?);
        let out = zstd::Encoder::new(Hashing { inner: file, hash: Sha256::new(), bytes: 0 }, LEVEL)?;
        Ok(Self { name: name.to_owned(), out, records: 0 })
    }

    pub(crate) fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        self.records += 1;
        frame::write(&mut self.out, key, value)
    }

    pub(crate) fn finish(self) -> io::Result<ArchiveFile> {
        let Hashing { inner, hash, bytes } = self.out.finish()?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(ArchiveFile { name: self.name, records: self.records, bytes, sha256: hex(&hash.finalize()) })
    }
}

/// A file of rows or changes, read back in order.
pub(crate) struct RecordsReader {
    from: zstd::Decoder<'static, BufReader<File>>,
    path: String,
}

impl RecordsReader {
    pub(crate) fn open(folder: &Path, file: &ArchiveFile) -> Result<Self, Error> {
        let path = folder.join(&file.name);
        let doing = format!("reading {}", path.display());
        let open = || zstd::Decoder::new(File::open(&path)?);
        let from = open().map_err(Error::io(doing))?;
        Ok(Self { from, path: path.display().to_string() })
    }
}

impl Iterator for RecordsReader {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        frame::read(&mut self.from).map_err(Error::io(format!("reading {}", self.path))).transpose()
    }
}

/// Checks that `file` is what the manifest says; `None`, or what is wrong with it. Calls `advance` with the bytes read.
pub(crate) fn verify(folder: &Path, file: &ArchiveFile, advance: &dyn Fn(u64)) -> io::Result<Option<String>> {
    let path = folder.join(&file.name);
    let mut from = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(format!("{} is missing", file.name))),
        other => other?,
    };
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0u64, vec![0; 1 << 20]);
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(piece.get(..length).unwrap_or_default());
        bytes += length as u64;
        advance(length as u64);
    }
    let whole = bytes == file.bytes && hex(&hash.finalize()) == file.sha256;
    Ok((!whole).then(|| format!("{} does not have its checksum", file.name)))
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(piece)?;
        self.hash.update(piece.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
