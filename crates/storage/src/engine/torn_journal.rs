//! What fjall does not forgive its journal: a last batch whose end is there while pages before it are not, as a power cut
//! leaves it when the disk wrote the later page first. fjall takes that for damage and does not open.
//!
//! The group-commit writer has one batch under way and waits for its sync, so what a power cut tears is always the last
//! batch of the newest journal, and nobody was told that it was committed. It is cut off, and kept in a file of its own. Whether
//! something that was acknowledged is missing then, the high-water mark and the ring of groups tell as always.
//!
//! Only the frame of fjall's journal is read here (format 3): tags and lengths, no contents.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::directory::sync_directory;

/// Lengths of what follows the tag of a batch's start, its end (checksum and trailer), and of a cleared keyspace.
const START_BYTES: i64 = 4 + 8;
const END_BYTES: i64 = 8 + 4;
const CLEAR_BYTES: i64 = 8;

/// A last batch that was cut off.
#[derive(Debug)]
pub(crate) struct CutBatch {
    journal: PathBuf,
    /// Where it began.
    start: u64,
    /// The file that has it now.
    kept: PathBuf,
}

impl CutBatch {
    /// Cuts the last batch off the newest journal in `engine` and keeps it in the file `kept`; `None` when there is none.
    pub(crate) fn cut(engine: &Path, kept: &Path) -> io::Result<Option<Self>> {
        let Some(journal) = newest_journal(engine)? else { return Ok(None) };
        let mut file = File::options().read(true).write(true).open(&journal)?;
        let Some(start) = last_start(&mut file)? else { return Ok(None) };
        let mut batch = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut batch)?;
        let mut keep = File::create(kept)?;
        keep.write_all(&batch)?;
        keep.sync_all()?;
        sync_directory(kept.parent().unwrap_or(Path::new(".")))?;
        file.set_len(start)?;
        file.sync_all()?;
        Ok(Some(Self { journal, start, kept: kept.to_owned() }))
    }

    /// Puts it back: it was not what kept the engine from opening.
    pub(crate) fn undo(self) -> io::Result<()> {
        let batch = fs::read(&self.kept)?;
        let file = File::options().write(true).open(&self.journal)?;
        file.write_all_at(&batch, self.start)?;
        file.sync_all()?;
        fs::remove_file(&self.kept)
    }
}

fn newest_journal(engine: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let (true, Some(number)) = (is_journal, number) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where the last batch that was begun begins. What cannot be read ends the journal, as it does for fjall.
fn last_start(file: &mut File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut start = None;
    loop {
        let at = reader.stream_position()?;
        match skip_entry(&mut reader) {
            Ok(Tag::Start) if reader.stream_position()? <= length => start = Some(at),
            Ok(_) if reader.stream_position()? <= length => {}
            Err(error)
                if error.kind() != io::ErrorKind::UnexpectedEof && error.kind() != io::ErrorKind::InvalidData =>
            {
                return Err(error);
            }
            _ => return Ok(start),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Tag {
    Start,
    Other,
}

fn skip_entry(reader: &mut BufReader<&mut File>) -> io::Result<Tag> {
    let mut tag = [0];
    reader.read_exact(&mut tag)?;
    let rest = match tag {
        [1] => START_BYTES,
        [2] => {
            // Value type, compression, keyspace; then the lengths of key, value, and value as stored.
            let mut head = [0; 1 + 1 + 8 + 2 + 4 + 4];
            reader.read_exact(&mut head)?;
            let [.., key_low, key_high, _, _, _, _, a, b, c, d] = head;
            i64::from(u16::from_le_bytes([key_low, key_high])) + i64::from(u32::from_le_bytes([a, b, c, d]))
        }
        [3] => END_BYTES,
        [4] => CLEAR_BYTES,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    reader.seek_relative(rest)?;
    Ok(if tag == [1] { Tag::Start } else { Tag::Other })
}
