//! Blobs on disk: content-addressed, so the same upload is stored once, and reference-counted, so a blob goes when nothing
//! refers to it any more. They are files, not rows, because an engine would rewrite them at every compaction.
//!
//! A reference is a row that names who refers, written in the same batch as the fact that needs it. The count beside it is
//! what settles races: every new reference changes the blob's row, so the collector, which requires that row unchanged,
//! never removes what was just referred to.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Timestamp, limits, task};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::batch::Batch;
use crate::directory::{make_directory, sync_directory};
use crate::engine::Direction;
use crate::error::Error;
use crate::key::{Key, KeyParts, KeyRange, KeyReader, KeyWriter};
use crate::record::Record;
use crate::store::Store;
use crate::table::{BLOB, BLOB_REFERENCE};
use crate::text::hex;

/// The folder of files that are not blobs yet, or no more.
const NEW: &str = "new";
/// What a blob's file is called while it is being removed, before its hash.
const REMOVED: &str = "removed-";

/// The SHA-256 of a blob's content: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// Reads a hash as [`fmt::Display`] writes it.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (slot, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *slot = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyParts for BlobHash {
    fn write(&self, writer: &mut KeyWriter) {
        self.0.write(writer);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, crate::key::KeyError> {
        <[u8; 32]>::read(reader).map(Self)
    }
}

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// Its size in bytes.
    pub bytes: u64,
    /// How many referrers it has.
    pub references: u64,
    /// When its last reference came or went, or it was stored.
    pub touched: Timestamp,
}

crate::first_version!(BlobRecord);

/// A change of who refers to a blob. The referrer is any name that its owner finds again, such as a table and a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// This referrer needs the blob.
    Add(BlobHash, String),
    /// This referrer needs it no more.
    Remove(BlobHash, String),
}

/// The blobs of a store.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<Store>,
    folder: PathBuf,
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs removed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed that no row knew: uploads cut off by a crash.
    pub strays: u64,
}

impl Blobs {
    /// The blobs of `store`, in the folder `blobs` of its data directory. Removals that a crash cut off are settled.
    ///
    /// # Errors
    /// When the folder cannot be made or read; a memory store has none and keeps no blobs.
    pub async fn open_in(store: &Arc<Store>) -> Result<Self, Error> {
        let Some(data_dir) = store.data_dir() else {
            return Err(Error::Unavailable { reason: "a memory store has no folder for blobs".to_owned() });
        };
        let folder = data_dir.join("blobs");
        let new = folder.join(NEW);
        let names = blocking("making the folder for blobs", move || {
            make_directory(&new)?;
            fs::read_dir(new)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()
        });
        let blobs = Self { store: Arc::clone(store), folder };
        for hash in names.await?.iter().filter_map(|name| BlobHash::parse(name.strip_prefix(REMOVED)?)) {
            blobs.settle(hash).await?;
        }
        Ok(blobs)
    }

    /// Begins a blob, to be written piece by piece.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub async fn begin(&self) -> Result<BlobWriter, Error> {
        let name = hex(&self.store.random().bytes::<16>());
        let path = self.folder.join(NEW).join(name);
        let file = blocking("making a file for a blob", {
            let path = path.clone();
            move || File::options().write(true).create_new(true).open(path)
        })
        .await?;
        Ok(BlobWriter { blobs: self.clone(), path, file: Some(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Stores `content` as a blob.
    ///
    /// # Errors
    /// As [`BlobWriter::write`] and [`BlobWriter::finish`].
    pub async fn put(&self, content: impl Into<Bytes>) -> Result<BlobHash, Error> {
        let mut writer = self.begin().await?;
        writer.write(content.into()).await?;
        writer.finish().await
    }

    /// What is known of a blob; `None` when there is none.
    ///
    /// # Errors
    /// As every read.
    pub async fn find(&self, hash: BlobHash) -> Result<Option<BlobRecord>, Error> {
        Ok(self.store.get_record(&Key::of(BLOB, &hash)).await?.map(|(record, _)| record))
    }

    /// The blob's file, to be read; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(&self, hash: BlobHash) -> Result<Option<File>, Error> {
        let path = self.path(hash);
        let opened = task::blocking(move || File::open(path)).await.map_err(|_| Error::Closed)?;
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { doing: format!("opening blob {hash}"), source }),
        }
    }

    /// Adds to `batch` what makes these references come and go with it. One call for all references of a batch. Adding one
    /// that is there already, and removing one that is not, changes nothing.
    ///
    /// # Errors
    /// [`Error::NoSuchBlob`] when a blob to be referred to is not there; otherwise as every read. The commit then fails with
    /// [`Error::Conflict`] when somebody else changed the same blob's references meanwhile: read again and try anew.
    pub async fn change_references(&self, batch: &mut Batch, changes: &[Reference]) -> Result<(), Error> {
        let mut wanted: BTreeMap<(BlobHash, &str), bool> = BTreeMap::new();
        for change in changes {
            match change {
                Reference::Add(hash, referrer) => wanted.insert((*hash, referrer), true),
                Reference::Remove(hash, referrer) => wanted.insert((*hash, referrer), false),
            };
        }
        let mut counts: BTreeMap<BlobHash, i64> = BTreeMap::new();
        for ((hash, referrer), add) in wanted {
            let key = Key::of(BLOB_REFERENCE, &(hash, referrer.to_owned()));
            let there = self.store.get(&key).await?.map(|stored| stored.version);
            batch.require_version(&key, there);
            match (add, there.is_some()) {
                (true, false) => batch.put(&key, Bytes::new()),
                (false, true) => batch.delete(&key),
                _ => continue,
            }
            *counts.entry(hash).or_default() += if add { 1 } else { -1 };
        }
        for (hash, change) in counts {
            let key = Key::of(BLOB, &hash);
            let Some((record, version)) = self.store.get_record::<BlobRecord>(&key).await? else {
                return Err(Error::NoSuchBlob { hash });
            };
            let references = record.references.saturating_add_signed(change);
            batch.require_unchanged(&key, version);
            batch.put_record(&key, &BlobRecord { references, touched: self.store.clock().now(), ..record });
        }
        Ok(())
    }

    /// Removes the blobs that nothing has referred to for [`limits::BLOB_GRACE`], and files of uploads that were cut off.
    /// Meant for a reader under a lease: one process at a time.
    ///
    /// # Errors
    /// As every read and commit, and when a file cannot be removed.
    pub async fn collect(&self) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        let mut rest = Some(KeyRange::table(BLOB));
        while let Some(range) = rest {
            let page = self.store.scan(&range, Direction::Forward, 1_000).await?;
            rest = page.rest;
            for row in page.rows {
                let record =
                    BlobRecord::decode(&row.value).map_err(|source| Error::Record { key: row.key.clone(), source })?;
                let idle = self.store.clock().now().since(record.touched);
                let Ok(hash) = row.key.parts::<BlobHash>() else { continue };
                if record.references > 0 || idle < limits::BLOB_GRACE {
                    continue;
                }
                let mut batch = Batch::new();
                batch.require_unchanged(&row.key, row.version);
                batch.delete(&row.key);
                match self.store.commit(batch).await {
                    Err(error) if error.is_conflict() => continue,
                    other => other?,
                };
                self.remove_file(hash).await?;
                collected.blobs += 1;
                collected.bytes += record.bytes;
            }
        }
        collected.strays = self.collect_strays().await?;
        Ok(collected)
    }

    /// The file goes to where uploads lie first, and is put back if the blob was stored again meanwhile.
    async fn remove_file(&self, hash: BlobHash) -> Result<(), Error> {
        let (path, aside) = (self.path(hash), self.aside(hash));
        let moved = task::blocking(move || fs::rename(path, aside)).await.map_err(|_| Error::Closed)?;
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::Io { doing: format!("removing blob {hash}"), source }),
            Ok(()) => self.settle(hash).await,
        }
    }

    /// Ends a removal: the row decides whether the file that was moved aside goes or comes back.
    async fn settle(&self, hash: BlobHash) -> Result<(), Error> {
        let wanted = self.find(hash).await?.is_some();
        let (path, aside) = (self.path(hash), self.aside(hash));
        blocking(format!("removing blob {hash}"), move || {
            if wanted && !path.exists() { fs::rename(aside, path) } else { fs::remove_file(aside) }
        })
        .await
    }

    fn aside(&self, hash: BlobHash) -> PathBuf {
        self.folder.join(NEW).join(format!("{REMOVED}{hash}"))
    }

    async fn collect_strays(&self) -> Result<u64, Error> {
        let folder = self.folder.join(NEW);
        blocking("removing files of uploads that were cut off", move || {
            let mut strays = 0;
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(REMOVED) {
                    continue;
                }
                // By the file system's clock on both sides: the file's age is what counts.
                let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
                if age > limits::BLOB_GRACE {
                    fs::remove_file(entry.path())?;
                    strays += 1;
                }
            }
            Ok(strays)
        })
        .await
    }

    /// `blobs/3f/3f…`: a first level of 256 folders keeps each small.
    fn path(&self, hash: BlobHash) -> PathBuf {
        path_in(&self.folder, hash)
    }

    async fn publish(&self, new: PathBuf, hash: BlobHash, bytes: u64) -> Result<(), Error> {
        let path = self.path(hash);
        let link = || {
            let (new, path) = (new.clone(), path.clone());
            blocking(format!("storing blob {hash}"), move || link_durably(&new, &path))
        };
        let key = Key::of(BLOB, &hash);
        loop {
            link().await?;
            let found = self.store.get_record::<BlobRecord>(&key).await?;
            let touched = self.store.clock().now();
            let record = match &found {
                Some((record, _)) => BlobRecord { touched, ..record.clone() },
                None => BlobRecord { bytes, references: 0, touched },
            };
            let mut batch = Batch::new();
            batch.require_version(&key, found.map(|(_, version)| version));
            batch.put_record(&key, &record);
            match self.store.commit(batch).await {
                Err(error) if error.is_conflict() => continue,
                other => other?,
            };
            // A collector may have removed the file between the link and the commit; the row now keeps it away.
            if path.exists() {
                break;
            }
        }
        blocking("tidying up after an upload", move || fs::remove_file(new)).await
    }
}

/// A blob being written. Dropped before it is finished, it leaves a file that the next collection removes.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    path: PathBuf,
    file: Option<File>,
    hash: Sha256,
    bytes: u64,
}

impl BlobWriter {
    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past [`limits::BLOB_BYTES`]; otherwise when the file cannot be written.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        self.bytes += piece.len() as u64;
        if self.bytes > limits::BLOB_BYTES {
            let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
            let most = usize::try_from(limits::BLOB_BYTES).unwrap_or(usize::MAX);
            return Err(Error::TooLarge { what: "blob", bytes, most });
        }
        self.hash.update(&piece);
        // Taken out for the time of the write: after a failure there is no file, and every later call fails too.
        let Some(mut file) = self.file.take() else { return Err(Error::Closed) };
        let written = blocking("writing a blob", move || file.write_all(&piece).map(|()| file)).await?;
        self.file = Some(written);
        Ok(())
    }

    /// Makes the blob durable and known; it has no references yet and lives for [`limits::BLOB_GRACE`] without.
    ///
    /// # Errors
    /// When the file cannot be synced or the row cannot be committed.
    pub async fn finish(mut self) -> Result<BlobHash, Error> {
        let Some(file) = self.file.take() else { return Err(Error::Closed) };
        blocking("syncing a blob", move || file.sync_all()).await?;
        let hash = BlobHash(self.hash.finalize().into());
        self.blobs.publish(self.path, hash, self.bytes).await?;
        Ok(hash)
    }
}

/// Where a blob lies in a folder of blobs.
pub(crate) fn path_in(folder: &Path, hash: BlobHash) -> PathBuf {
    let name = hash.to_string();
    folder.join(name.get(..2).unwrap_or_default()).join(name)
}

/// Gives the file `new` the name `path` as well, durably. A file that already has it is the same content.
fn link_durably(new: &Path, path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    make_directory(folder)?;
    match fs::hard_link(new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(folder)
}

/// The hash and size of a file's content.
pub(crate) fn hash_file(file: &mut File) -> io::Result<(BlobHash, u64)> {
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 256 * 1024]);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok((BlobHash(hash.finalize().into()), bytes));
        }
        hash.update(piece.get(..length).unwrap_or_default());
        bytes += length as u64;
    }
}

async fn blocking<T: Send + 'static>(
    doing: impl Into<String>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    task::blocking(work).await.map_err(|_| Error::Closed)?.map_err(Error::io(doing))
}
