//! Backup while the server writes, restore, and conversion from one engine to another. All three are copies through the
//! engine's contract, never of an engine's files: what was made with one engine can be restored into any other.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use base::task;
use bytes::Bytes;

use crate::archive::{self, ArchiveFile, Manifest, RecordsReader, RecordsWriter};
use crate::blob::{self, BlobHash, BlobRecord};
use crate::directory::{make_directory, sync_directory};
use crate::engine::{Change, RawRow};
use crate::error::{Error, OpenError};
use crate::import::Importing;
use crate::key::Key;
use crate::options::StoreOptions;
use crate::progress::Progress;
use crate::record::Record;
use crate::store::Store;
use crate::table::BLOB;

/// Writes a backup of `store` into the folder `to`, which must be empty or not exist. The store goes on serving.
///
/// # Errors
/// [`Error::Archive`] when `to` holds something; otherwise when reading the store or writing the files fails. What was
/// written by then has no manifest and is no backup.
pub async fn backup(store: &Store, to: &Path, progress: &dyn Progress) -> Result<Manifest, Error> {
    let made = make_directory(to).and_then(|()| fs::read_dir(to)).and_then(|mut entries| entries.next().transpose());
    if let Some(entry) = made.map_err(Error::io(format!("making {}", to.display())))? {
        let what = format!("it holds {:?} already: choose a new folder", entry.file_name());
        return Err(Error::Archive { path: to.to_owned(), what });
    }
    progress.step("rows", None);
    let mut blobs = BlobList::default();
    let mut export = store.engine().export(&to.join("spool")).await?;
    let mut rows_file = create(to, "rows.zst")?;
    loop {
        let rows = export.rows().await?;
        if rows.is_empty() {
            break;
        }
        rows.iter().try_for_each(|row| blobs.see(&row.key, Some(&row.value)))?;
        let count = rows.len() as u64;
        rows_file = write_rows(rows_file, rows).await?;
        progress.advance(count);
    }
    progress.step("changes made meanwhile", None);
    let changes = export.finish().await?;
    let (files, blobs) = write_changes(rows_file, create(to, "changes.zst")?, changes, blobs).await?;
    let copied = match store.data_dir() {
        Some(data_dir) => copy_blobs(&data_dir.join("blobs"), &to.join("blobs"), blobs, progress).await?,
        None => Copied::default(),
    };
    let manifest = Manifest {
        what: "a backup of a Holdfast homeserver; restore it with `holdfast storage restore`".to_owned(),
        format: archive::FORMAT,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: store.clock().now(),
        engine: store.engine().name().to_owned(),
        partitions: store.engine().partitions(),
        files,
        blobs: copied.blobs,
        blob_bytes: copied.bytes,
        missing_blobs: copied.missing,
    };
    manifest.write(to)?;
    Ok(manifest)
}

/// Makes the store that `options` say from the archive in `from`. Its checksums are verified before anything is written.
///
/// # Errors
/// [`Error::Archive`] when the archive is not whole; [`OpenError::NotEmpty`] when there is a store already; otherwise when
/// reading or writing fails. A store that was not filled to the end does not open.
pub async fn restore(from: &Path, mut options: StoreOptions, progress: &dyn Progress) -> Result<Manifest, OpenError> {
    let manifest = Manifest::read(from)?;
    progress.step("verifying checksums", Some(manifest.files.iter().map(|file| file.bytes).sum()));
    for file in &manifest.files {
        let found = archive::verify(from, file, &|bytes| progress.advance(bytes));
        if let Some(what) = found.map_err(Error::io(format!("reading {}", from.join(&file.name).display())))? {
            return Err(Error::Archive { path: from.to_owned(), what }.into());
        }
    }
    options.partitions = manifest.partitions;
    let mut importing = Importing::begin(&options).await?;
    progress.step("rows", Some(manifest.files.iter().map(|file| file.records).sum()));
    let mut blobs = BlobList::default();
    for file in &manifest.files {
        for change in RecordsReader::open(from, file)? {
            let change = change?;
            blobs.see(&change.key, change.value.as_ref())?;
            importing.add(change, progress).await?;
        }
    }
    let copied = copy_blobs(&from.join("blobs"), &options.data_dir.join("blobs"), blobs, progress).await?;
    if copied.missing != manifest.missing_blobs {
        let what = format!("{} of its {} blobs are whole", copied.blobs, manifest.blobs);
        return Err(Error::Archive { path: from.to_owned(), what }.into());
    }
    importing.finish(progress).await?;
    Ok(manifest)
}

/// What a conversion copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Rows copied.
    pub rows: u64,
    /// Blobs copied.
    pub blobs: u64,
    /// Hashes of blobs that were missing in the source.
    pub missing_blobs: Vec<String>,
}

/// Copies the store `from`, which nobody else may have open, into the new one that `to` says.
///
/// # Errors
/// [`OpenError::NotEmpty`] when there is a store already; otherwise when reading or writing fails.
pub async fn convert(from: &Store, mut to: StoreOptions, progress: &dyn Progress) -> Result<Converted, OpenError> {
    to.partitions = from.engine().partitions();
    let mut importing = Importing::begin(&to).await?;
    progress.step("rows", None);
    let (mut rows, mut blobs) = (0, BlobList::default());
    let folder = from.data_dir().map_or_else(std::env::temp_dir, Path::to_owned);
    let spool = folder.join(format!("spool-{:016x}", from.random().next_u64()));
    let mut export = from.engine().export(&spool).await?;
    loop {
        let page = export.rows().await?;
        if page.is_empty() {
            break;
        }
        for RawRow { key, value } in page {
            blobs.see(&key, Some(&value))?;
            rows += 1;
            importing.add(Change { key, value: Some(value) }, progress).await?;
        }
    }
    for change in export.finish().await? {
        let change = change?;
        blobs.see(&change.key, change.value.as_ref())?;
        importing.add(change, progress).await?;
    }
    let copied = match from.data_dir() {
        Some(data_dir) => copy_blobs(&data_dir.join("blobs"), &to.data_dir.join("blobs"), blobs, progress).await?,
        None => Copied::default(),
    };
    importing.finish(progress).await?;
    Ok(Converted { rows, blobs: copied.blobs, missing_blobs: copied.missing })
}

/// The blobs of the point in time that rows and changes give. 40 bytes each in memory: a million blobs are 40 MB.
#[derive(Default)]
struct BlobList(BTreeMap<BlobHash, u64>);

impl BlobList {
    /// Learns from a row, or its removal, which blobs there are and how many references each has.
    fn see(&mut self, key: &Key, value: Option<&Bytes>) -> Result<(), Error> {
        if key.table() != BLOB {
            return Ok(());
        }
        let Ok(hash) = key.parts::<BlobHash>() else { return Ok(()) };
        match value {
            None => self.0.remove(&hash),
            Some(value) => {
                let record = BlobRecord::decode(value).map_err(|source| Error::Record { key: key.clone(), source })?;
                self.0.insert(hash, record.references)
            }
        };
        Ok(())
    }
}

/// What copying blobs came to.
#[derive(Default)]
struct Copied {
    blobs: u64,
    bytes: u64,
    missing: Vec<String>,
}

/// Copies blobs from one folder of blobs to another, each checked against its hash. One that nothing referred to may have
/// been collected meanwhile; any other that is not there, or is not what its name says, is missing.
async fn copy_blobs(from: &Path, to: &Path, blobs: BlobList, progress: &dyn Progress) -> Result<Copied, Error> {
    progress.step("blobs", Some(blobs.0.len() as u64));
    let mut copied = Copied::default();
    for (hash, references) in blobs.0 {
        let (source, target) = (blob::path_in(from, hash), blob::path_in(to, hash));
        let copy = task::blocking(move || copy_blob(&source, &target, hash)).await.map_err(|_| Error::Closed)?;
        match copy.map_err(Error::io(format!("copying blob {hash}")))? {
            Some(bytes) => (copied.blobs, copied.bytes) = (copied.blobs + 1, copied.bytes + bytes),
            None if references > 0 => copied.missing.push(hash.to_string()),
            None => {}
        }
        progress.advance(1);
    }
    Ok(copied)
}

/// The size of the blob copied; `None` when it is not there or not what its name says.
fn copy_blob(source: &Path, target: &Path, hash: BlobHash) -> io::Result<Option<u64>> {
    if !source.exists() {
        return Ok(None);
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    make_directory(folder)?;
    fs::copy(source, target)?;
    // What is checked is the copy: it is what will be needed.
    let mut copy = File::open(target)?;
    let (found, bytes) = blob::hash_file(&mut copy)?;
    if found != hash {
        fs::remove_file(target)?;
        return Ok(None);
    }
    copy.sync_all()?;
    sync_directory(folder)?;
    Ok(Some(bytes))
}

fn create(folder: &Path, name: &str) -> Result<RecordsWriter, Error> {
    RecordsWriter::create(folder, name).map_err(writing(name))
}

fn writing(name: &str) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("writing {name}"))
}

/// Packs rows away from the runtime's threads: packing a page takes milliseconds.
async fn write_rows(mut file: RecordsWriter, rows: Vec<RawRow>) -> Result<RecordsWriter, Error> {
    let work = move || {
        rows.iter().try_for_each(|row| file.write(row.key.as_bytes(), Some(&row.value)))?;
        Ok(file)
    };
    task::blocking(work).await.map_err(|_| Error::Closed)?.map_err(writing("rows.zst"))
}

/// Packs the changes, and finishes both files.
async fn write_changes(
    rows_file: RecordsWriter,
    mut changes_file: RecordsWriter,
    changes: Box<dyn Iterator<Item = Result<Change, Error>> + Send>,
    mut blobs: BlobList,
) -> Result<(Vec<ArchiveFile>, BlobList), Error> {
    let work = move || {
        for change in changes {
            let change = change?;
            blobs.see(&change.key, change.value.as_ref())?;
            changes_file.write(change.key.as_bytes(), change.value.as_deref()).map_err(writing("changes.zst"))?;
        }
        let rows = rows_file.finish().map_err(writing("rows.zst"))?;
        let changes = changes_file.finish().map_err(writing("changes.zst"))?;
        Ok((vec![rows, changes], blobs))
    };
    task::blocking(work).await.map_err(|_| Error::Closed)?
}
