//! A record torn at the end of the newest journal is cut off; damage before that is left for fjall to refuse.

use bytes::Bytes;

use super::*;
use crate::engine::embedded::Embedded;
use crate::engine::local::Kv;
use crate::error::OpenError;
use crate::options::Tuning;

fn key(number: u8) -> Bytes {
    vec![number; 3].into()
}

/// A database of five groups, and where in its journal the values of each begin.
fn five_groups(folder: &Path) -> (PathBuf, Vec<usize>) {
    let database = Embedded::open(folder, &Tuning::default()).unwrap();
    for number in 1..=5 {
        // Too irregular to be compressed away.
        let value: Vec<u8> = (0..9_000u32).map(|at| (at * at / 7 % 251) as u8 ^ number).collect();
        database.write(vec![(key(number), Some(value.into())), (key(number + 100), Some("small".into()))]).unwrap();
    }
    drop(database);
    let journal = newest(folder).unwrap().unwrap();
    let bytes = fs::read(&journal).unwrap();
    let places = (1..=5).map(|number| bytes.windows(3).position(|window| window == [number; 3]).unwrap() + 3);
    (journal.clone(), places.collect())
}

fn zero(journal: &Path, at: usize, length: usize) {
    let mut bytes = fs::read(journal).unwrap();
    bytes[at..at + length].fill(0);
    fs::write(journal, bytes).unwrap();
}

#[test]
fn a_record_torn_in_its_middle_is_cut_off_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("engine");
    let (journal, places) = five_groups(&database);
    zero(&journal, places[4] + 100, 300);
    let opened = Embedded::open(&database, &Tuning::default()).unwrap();
    let found: Vec<bool> = (1..=5).map(|number| opened.get(&key(number)).unwrap().is_some()).collect();
    assert_eq!(found, [true, true, true, true, false]);
    assert_eq!(opened.get(&key(105)).unwrap(), None, "a group is there as a whole or not at all");
    assert!(fs::metadata(folder.path().join("engine.torn")).unwrap().len() > 1_000);
    opened.write(vec![(key(9), Some("after".into()))]).unwrap();
    drop(opened);
    let opened = Embedded::open(&database, &Tuning::default()).unwrap();
    assert_eq!(opened.get(&key(9)).unwrap(), Some("after".into()));
}

#[test]
fn a_record_damaged_before_the_last_one_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("engine");
    let (journal, places) = five_groups(&database);
    zero(&journal, places[2] + 100, 300);
    let before = fs::read(&journal).unwrap();
    for _ in 0..2 {
        let refused = Embedded::open(&database, &Tuning::default()).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
    assert!(fs::read(&journal).unwrap() == before);
    assert!(!folder.path().join("engine.torn").exists());
}

#[test]
fn a_sound_journal_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    five_groups(folder.path());
    assert!(!cut_torn_record(folder.path()).unwrap());
}
