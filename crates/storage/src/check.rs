//! Verifying a store and measuring it: every value's checksum, the log's positions, this crate's own records, blobs and
//! their references. It reads everything, changes nothing, and says what it found; a store in use may be checked too, but
//! then what is being written at the moment can look unfinished.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use base::{Partition, Position, task};
use serde::{Deserialize, Serialize};

use crate::blob::{self, BlobHash, BlobRecord};
use crate::engine::{Row, Verified};
use crate::error::Error;
use crate::key::KeyRange;
use crate::progress::Progress;
use crate::reader::progress::Progress as Cursor;
use crate::reader::quarantine::SetAside;
use crate::record::Record;
use crate::store::Store;
use crate::table::{self, BLOB, BLOB_REFERENCE, CURSOR, HEAD, LOG, QUARANTINE, TableEntry};

/// Most findings that are told one by one; the others are counted. A disk that is broken all over fills no log.
const FINDINGS_TOLD: usize = 100;

/// Rows and bytes of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStat {
    /// The table's name.
    pub table: String,
    /// The crate that owns it.
    pub owner: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its keys and values as stored, before the engine packs them.
    pub bytes: u64,
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rows and bytes a table, in the catalogue's order.
    pub tables: Vec<TableStat>,
    /// Log entries verified to follow each other without gaps.
    pub log_entries: u64,
    /// Blobs whose content was read and has the hash that is its name.
    pub blobs: u64,
    /// Bytes of those.
    pub blob_bytes: u64,
    /// What is wrong, one sentence each; the first of them.
    pub findings: Vec<String>,
    /// How many things are wrong in all.
    pub found: u64,
}

impl Report {
    fn find(&mut self, finding: String) {
        self.found += 1;
        if self.findings.len() < FINDINGS_TOLD {
            self.findings.push(finding);
        }
    }
}

/// What a store takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The engine's name.
    pub engine: String,
    /// Partitions of the log.
    pub partitions: u16,
    /// Rows and bytes a table, in the catalogue's order.
    pub tables: Vec<TableStat>,
    /// Bytes that the engine takes on disk.
    pub bytes_on_disk: u64,
    /// What else the engine tells of itself.
    pub details: Vec<(String, String)>,
    /// Blobs known.
    pub blobs: u64,
    /// Bytes of the blobs known.
    pub blob_bytes: u64,
}

/// Counts rows and bytes of each table.
///
/// # Errors
/// As every read.
pub async fn stat(store: &Store, progress: &dyn Progress) -> Result<Stat, Error> {
    let engine = store.engine().stat().await?;
    let mut stat = Stat {
        engine: store.engine().name().to_owned(),
        partitions: store.engine().partitions(),
        bytes_on_disk: engine.bytes_on_disk,
        details: engine.details,
        ..Stat::default()
    };
    progress.step("counting rows", None);
    for entry in table::all() {
        let mut counted = empty(entry);
        walk(store, entry, progress, &mut |page| {
            count(&mut counted, page);
            for row in page.rows.iter().filter(|_| entry.id == BLOB) {
                stat.blobs += 1;
                stat.blob_bytes += BlobRecord::decode(&row.value).map_or(0, |record| record.bytes);
            }
        })
        .await?;
        stat.tables.push(counted);
    }
    stat.tables.retain(|table| table.rows > 0 || table.table != "test");
    Ok(stat)
}

/// Verifies everything that can be verified without keys.
///
/// # Errors
/// When the store cannot be read at all; damage that is found is in the report.
pub async fn check(store: &Store, progress: &dyn Progress) -> Result<Report, Error> {
    let mut check = Check::default();
    progress.step("verifying rows", None);
    for entry in table::all() {
        let mut counted = empty(entry);
        walk(store, entry, progress, &mut |page| {
            count(&mut counted, page);
            for (key, what) in &page.damaged {
                check.report.find(format!("{key} is damaged: {what}"));
            }
            page.rows.iter().for_each(|row| check.row(entry, row));
        })
        .await?;
        check.report.tables.push(counted);
    }
    check.report.tables.retain(|table| table.rows > 0 || table.table != "test");
    check.positions(store);
    check.references();
    if let Some(data_dir) = store.data_dir() {
        check.files(&data_dir.join("blobs"), progress).await?;
    }
    Ok(check.report)
}

fn empty(entry: &TableEntry) -> TableStat {
    TableStat { table: entry.name.to_owned(), owner: entry.owner.to_owned(), rows: 0, bytes: 0 }
}

fn count(table: &mut TableStat, page: &Verified) {
    table.rows += (page.rows.len() + page.damaged.len()) as u64;
    table.bytes += page.bytes;
}

async fn walk(
    store: &Store,
    entry: &TableEntry,
    progress: &dyn Progress,
    visit: &mut (dyn FnMut(&Verified) + Send),
) -> Result<(), Error> {
    let mut rest = Some(KeyRange::table(entry.id));
    while let Some(range) = rest {
        let mut page = store.engine().verify(&range).await?;
        rest = page.rest.take();
        visit(&page);
        progress.advance((page.rows.len() + page.damaged.len()) as u64);
    }
    Ok(())
}

/// What a check remembers between rows.
#[derive(Default)]
struct Check {
    report: Report,
    heads: BTreeMap<Partition, Position>,
    last: BTreeMap<Partition, Position>,
    blobs: BTreeMap<BlobHash, BlobRecord>,
    references: BTreeMap<BlobHash, u64>,
}

impl Check {
    fn row(&mut self, entry: &TableEntry, row: &Row) {
        match entry.id {
            HEAD => match (row.key.parts::<Partition>(), row.value.first_chunk()) {
                (Ok(partition), Some(head)) => {
                    self.heads.insert(partition, Position(u64::from_be_bytes(*head)));
                }
                _ => self.report.find(format!("{} is not the head of a partition", row.key)),
            },
            LOG => self.log_entry(row),
            CURSOR => self.record::<Cursor>(row),
            QUARANTINE => self.record::<SetAside>(row),
            BLOB => match (row.key.parts::<BlobHash>(), BlobRecord::decode(&row.value)) {
                (Ok(hash), Ok(record)) => {
                    self.blobs.insert(hash, record);
                }
                _ => self.report.find(format!("{} is not a blob's row", row.key)),
            },
            BLOB_REFERENCE => match row.key.parts::<(BlobHash, String)>() {
                Ok((hash, _)) => *self.references.entry(hash).or_default() += 1,
                Err(error) => self.report.find(format!("{}: {error}", row.key)),
            },
            _ => {}
        }
    }

    fn record<R: Record>(&mut self, row: &Row) {
        if let Err(error) = R::decode(&row.value) {
            self.report.find(format!("{}: {error}", row.key));
        }
    }

    fn log_entry(&mut self, row: &Row) {
        let Ok((partition, position)) = row.key.parts::<(Partition, Position)>() else {
            return self.report.find(format!("{} is not a log entry's key", row.key));
        };
        // The first entry may have any number: the log's beginning may have been trimmed.
        let before = self.last.insert(partition, position);
        if before.is_some_and(|before| before.next() != position) {
            let before = before.unwrap_or_default();
            self.report.find(format!("partition {partition} of the log has a gap between {before} and {position}"));
        }
        self.report.log_entries += 1;
    }

    /// The log must end where its heads say.
    fn positions(&mut self, store: &Store) {
        for partition in (0..store.engine().partitions()).map(Partition) {
            let head = self.heads.get(&partition).copied().unwrap_or_default();
            let last = self.last.get(&partition).copied().unwrap_or_default();
            if head != last {
                self.report.find(format!("partition {partition} of the log ends at {last}, its head says {head}"));
            }
        }
    }

    /// Each blob's count must be that of the rows which refer to it.
    fn references(&mut self) {
        let blobs = std::mem::take(&mut self.blobs);
        for (hash, record) in &blobs {
            let rows = self.references.remove(hash).unwrap_or_default();
            if rows != record.references {
                self.report.find(format!("blob {hash} counts {} references, {rows} are there", record.references));
            }
        }
        for (hash, rows) in std::mem::take(&mut self.references) {
            self.report.find(format!("{rows} references name blob {hash}, which is not known"));
        }
        self.blobs = blobs;
    }

    /// Each blob's file must be there and have the content that its name says.
    async fn files(&mut self, folder: &Path, progress: &dyn Progress) -> Result<(), Error> {
        progress.step("verifying blobs", Some(self.blobs.len() as u64));
        for (hash, record) in std::mem::take(&mut self.blobs) {
            let path = blob::path_in(folder, hash);
            let read = task::blocking(move || File::open(path).and_then(|mut file| blob::hash_file(&mut file)));
            match read.await.map_err(|_| Error::Closed)? {
                Ok((found, bytes)) if found == hash && bytes == record.bytes => {
                    self.report.blobs += 1;
                    self.report.blob_bytes += bytes;
                }
                Ok(_) => self.report.find(format!("blob {hash} has another content than its name says")),
                Err(error) => self.report.find(format!("blob {hash} cannot be read: {error}")),
            }
            progress.advance(1);
        }
        Ok(())
    }
}
