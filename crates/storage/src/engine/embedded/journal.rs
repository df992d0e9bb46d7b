//! The end of fjall's newest journal after a power cut. Pages reach a disk in any order: when the last record's end does
//! and a page in its middle does not, fjall takes that for damage and does not open. But a record that no sync covered
//! is one that nobody was told of, and there is never more than one: each group is synced before the next is written.
//!
//! So what lies after the last good record is cut off, if it is no more than one record; what was cut is kept in a file
//! beside the database. Whether it was acknowledged after all (a disk that damaged it later) the high-water mark tells.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::directory::sync_directory;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// What ends each record.
const TRAILER: &[u8] = b"FJL\x03";

/// Cuts a torn record off the newest journal below `database` and says whether there was one.
pub(super) fn cut_torn_record(database: &Path) -> io::Result<bool> {
    let Some(path) = newest(database)? else { return Ok(false) };
    let bytes = fs::read(&path)?;
    let mut good = 0;
    while let Some(length) = bytes.get(good..).and_then(record) {
        good += length;
    }
    // A journal is made longer than what is in it.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let Some(torn) = bytes.get(good..end).filter(|torn| !torn.is_empty() && ends(torn) <= 1) else {
        return Ok(false);
    };
    // Kept durably before it is cut off, so that it is always in one of the two places.
    let mut kept = File::create(database.with_extension("torn"))?;
    kept.write_all(torn)?;
    kept.sync_all()?;
    sync_directory(database.parent().unwrap_or(Path::new(".")))?;
    let journal = File::options().write(true).open(&path)?;
    journal.set_len(good as u64)?;
    journal.sync_all()?;
    tracing::warn!(journal = %path.display(), bytes = torn.len(), "cut off a record that a power cut tore");
    Ok(true)
}

fn newest(database: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        if let (true, Some(number)) = (is_journal, number) {
            newest = newest.into_iter().chain([(number, path)]).max();
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// How many records seem to end in `bytes`.
fn ends(bytes: &[u8]) -> usize {
    let ends = |window: &&[u8]| window.first() == Some(&END) && window.ends_with(TRAILER);
    bytes.windows(1 + 8 + TRAILER.len()).filter(ends).count()
}

/// The length of the record at the beginning of `bytes`; `None` when there is no good one.
fn record(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let [START] = take(&mut rest)? else { return None };
    let items = u32::from_le_bytes(take(&mut rest)?);
    let _sequence: [u8; 8] = take(&mut rest)?;
    let contents = rest;
    for _ in 0..items {
        match take(&mut rest)? {
            [ITEM] => {
                let _type_compression_keyspace: [u8; 10] = take(&mut rest)?;
                let key = u16::from_le_bytes(take(&mut rest)?);
                let _length: [u8; 4] = take(&mut rest)?;
                let value = u32::from_le_bytes(take(&mut rest)?);
                rest = rest.get(usize::from(key).checked_add(usize::try_from(value).ok()?)?..)?;
            }
            [CLEAR] => {
                let _keyspace: [u8; 8] = take(&mut rest)?;
            }
            _ => return None,
        }
    }
    let mut hash = Xxh3::default();
    hash.update(contents.get(..contents.len() - rest.len())?);
    let [END] = take(&mut rest)? else { return None };
    let expected = u64::from_le_bytes(take(&mut rest)?);
    let rest = rest.strip_prefix(TRAILER)?;
    (hash.finish() == expected).then(|| bytes.len() - rest.len())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
