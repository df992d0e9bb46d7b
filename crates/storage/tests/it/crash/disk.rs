//! A disk as a power cut leaves it. Strict: the content and the growth of a file are durable only once it was fsynced.
//! Generous: that a file was made, renamed or removed is durable at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use base::Random;

use super::recording::{Happened, Recording};

const PAGE: u64 = 4096;
const SECTOR: u64 = 512;

/// What of the writes that were not fsynced reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// Nothing of them.
    Lost,
    /// The first ones, the last of these only up to a sector.
    TornPrefix,
    /// Each page of 4 KiB, and each file's growth, by the toss of a coin.
    CoinFlips,
    /// All: what a process finds that looks at the files of one still running.
    Kept,
}

/// The content of a file, in pages; a page that is missing is zeros.
#[derive(Clone, Default)]
struct Content {
    length: u64,
    pages: BTreeMap<u64, Arc<[u8; 4096]>>,
}

impl Content {
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        self.length = self.length.max(offset + bytes.len() as u64);
        while !bytes.is_empty() {
            let within = usize::try_from(offset % PAGE).unwrap();
            let (part, rest) = bytes.split_at(bytes.len().min(4096 - within));
            let page = self.pages.entry(offset / PAGE).or_insert_with(|| Arc::new([0; 4096]));
            Arc::make_mut(page)[within..within + part.len()].copy_from_slice(part);
            offset += part.len() as u64;
            bytes = rest;
        }
    }

    fn truncate(&mut self, length: u64) {
        if length < self.length {
            self.pages.split_off(&length.div_ceil(PAGE));
            if let Some(last) = self.pages.get_mut(&(length / PAGE)) {
                Arc::make_mut(last)[usize::try_from(length % PAGE).unwrap()..].fill(0);
            }
        }
        self.length = length;
    }

    fn put(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.length).unwrap();
        for (number, page) in &self.pages {
            let length = (self.length.saturating_sub(number * PAGE)).min(PAGE);
            file.write_all_at(&page[..usize::try_from(length).unwrap()], number * PAGE).unwrap();
        }
    }
}

/// A change of a file that no fsync has covered.
#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: std::ops::Range<usize> },
    Truncate { length: u64 },
    Grow { length: u64 },
}

#[derive(Clone, Default)]
struct FileState {
    durable: Content,
    /// With the number of the record, so that a prefix over all files can be taken.
    pending: Vec<(usize, Change)>,
}

/// The disk while the recording is played.
#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, FileState>,
    directories: BTreeSet<String>,
    played: usize,
    pub(crate) syncs: usize,
    pub(crate) renames: usize,
}

/// What is on the disk after the cut.
pub(crate) struct Image {
    files: BTreeMap<String, Content>,
    directories: BTreeSet<String>,
}

impl Disk {
    /// Plays the next record.
    pub(crate) fn play(&mut self, recording: &Recording) {
        let number = self.played;
        self.played += 1;
        let mut change = |path: &String, change| {
            self.files.entry(path.clone()).or_default().pending.push((number, change));
        };
        match &recording.happened[number] {
            Happened::Write { path, offset, bytes } => {
                change(path, Change::Write { offset: *offset, bytes: bytes.clone() });
            }
            Happened::Truncate { path, length } => change(path, Change::Truncate { length: *length }),
            Happened::Grow { path, length } => change(path, Change::Grow { length: *length }),
            Happened::Create { path } => {
                self.files.insert(path.clone(), FileState::default());
            }
            Happened::MakeDirectory { path } => {
                self.directories.insert(path.clone());
            }
            Happened::Rename { from, to } => self.rename(from, to),
            Happened::Unlink { path } => {
                self.files.remove(path);
                self.directories.remove(path);
            }
            Happened::Sync { path } => {
                self.syncs += 1;
                if let Some(file) = self.files.get_mut(path) {
                    for (_, change) in std::mem::take(&mut file.pending) {
                        apply(&mut file.durable, &change, recording, None);
                    }
                }
            }
            // The kernel reports the failure once and takes the pages for clean: no later sync writes them.
            Happened::FailedSync { path } => {
                if let Some(file) = self.files.get_mut(path) {
                    file.pending.clear();
                }
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.renames += 1;
        match self.files.remove(from) {
            Some(file) => {
                self.files.insert(to.to_owned(), file);
            }
            None => panic!("a directory was renamed, which the model does not have: {from} to {to}"),
        }
    }

    /// Cuts the power now.
    pub(crate) fn cut(&self, recording: &Recording, unsynced: Unsynced, random: &Random) -> Image {
        let pending: BTreeSet<usize> =
            self.files.values().flat_map(|file| file.pending.iter().map(|(number, _)| *number)).collect();
        let last = pending.iter().nth(usize::try_from(random.below(pending.len() as u64)).unwrap()).copied();
        let mut files = BTreeMap::new();
        for (path, file) in &self.files {
            let mut content = file.durable.clone();
            match unsynced {
                Unsynced::Lost => {}
                Unsynced::Kept => {
                    file.pending.iter().for_each(|(_, change)| apply(&mut content, change, recording, None));
                }
                Unsynced::TornPrefix => {
                    for (number, change) in file.pending.iter().take_while(|(number, _)| Some(*number) <= last) {
                        let torn = (Some(*number) == last).then_some(random);
                        apply(&mut content, change, recording, torn);
                    }
                }
                Unsynced::CoinFlips => flip(&mut content, file, recording, random),
            }
            files.insert(path.clone(), content);
        }
        Image { files, directories: self.directories.clone() }
    }
}

/// Makes a change; `torn` cuts a write off within or before a sector.
fn apply(content: &mut Content, change: &Change, recording: &Recording, torn: Option<&Random>) {
    match change {
        Change::Write { offset, bytes } => {
            let mut bytes = recording.bytes(bytes);
            if let Some(random) = torn {
                let end = random.below(bytes.len() as u64 + 1);
                // Sectors are whole or garbage: half of the time the last one is the latter.
                let end = if random.chance(1, 2) { end } else { end.next_multiple_of(SECTOR).min(bytes.len() as u64) };
                bytes = &bytes[..usize::try_from(end).unwrap()];
            }
            content.write(*offset, bytes);
        }
        Change::Truncate { length } => content.truncate(*length),
        Change::Grow { length } => content.length = content.length.max(*length),
    }
}

/// Takes each page of a file from before or after the writes, and its length from before, after or between.
fn flip(content: &mut Content, file: &FileState, recording: &Recording, random: &Random) {
    let mut after = file.durable.clone();
    let mut lengths = vec![after.length];
    for (_, change) in &file.pending {
        apply(&mut after, change, recording, None);
        lengths.push(after.length);
    }
    let numbers: BTreeSet<u64> = content.pages.keys().chain(after.pages.keys()).copied().collect();
    for number in numbers {
        if random.chance(1, 2) {
            match after.pages.get(&number) {
                Some(page) => content.pages.insert(number, Arc::clone(page)),
                None => content.pages.remove(&number),
            };
        }
    }
    let length = lengths[usize::try_from(random.below(lengths.len() as u64)).unwrap()];
    content.length = u64::MAX;
    content.truncate(length);
}

impl Image {
    /// Writes what lies below `from` into the folder `to`.
    pub(crate) fn put(&self, from: &str, to: &Path) {
        for directory in
            self.directories.iter().filter(|path| path.as_str() == from || path.starts_with(&format!("{from}/")))
        {
            fs::create_dir_all(to.join(directory[from.len()..].trim_start_matches('/'))).unwrap();
        }
        for (path, content) in &self.files {
            if let Some(path) = path.strip_prefix(from).and_then(|path| path.strip_prefix('/')) {
                content.put(&to.join(path));
            }
        }
    }

    /// Whether the folder `disk` holds just this, byte for byte: nothing was changed past the recorder.
    pub(crate) fn compare(&self, disk: &Path) -> Result<(), String> {
        let mut found = 0;
        let mut folders = vec![disk.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                found += 1;
                let name = path.strip_prefix(disk).unwrap().to_string_lossy().into_owned();
                let content = self.files.get(&name).ok_or(format!("{name} was made unseen"))?;
                if !content.is(&File::open(&path).unwrap()) {
                    return Err(format!("{name} was changed unseen"));
                }
            }
        }
        if found == self.files.len() { Ok(()) } else { Err("a file was removed unseen".to_owned()) }
    }
}

impl Content {
    fn is(&self, file: &File) -> bool {
        if file.metadata().unwrap().len() != self.length {
            return false;
        }
        let mut page = [0; 4096];
        (0..self.length.div_ceil(PAGE)).all(|number| {
            let length = usize::try_from((self.length - number * PAGE).min(PAGE)).unwrap();
            file.read_exact_at(&mut page[..length], number * PAGE).unwrap();
            let expected = self.pages.get(&number).map_or(&[0; 4096], |page| &**page);
            page[..length] == expected[..length]
        })
    }
}
