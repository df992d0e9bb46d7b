//! Damage to the newest log, as a failing disk does it: it must be seen, at the open or by whoever reads, and what opens
//! and reads without complaint must hold every acknowledged event.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use base::Random;
use storage::{OpenError, Store};

use super::child::{Bodies, Files, Plan};
use super::disk::{Disk, Unsynced};
use super::ledger::{Acknowledged, Ledger};
use super::random;
use super::recording::{Happened, Recorder};
use crate::fixture::copy_folder;

/// What happens to a log whose written part ends at `end`.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut { bytes: u64 },
    Garble { from_end: u64, bytes: u64 },
    Zero { from_end: u64, bytes: u64 },
    FlipAt { percent: u64 },
    GarblePageAt { percent: u64 },
}

const DAMAGES: [Damage; 9] = [
    Damage::Cut { bytes: 100 },
    Damage::Cut { bytes: 64 << 10 },
    Damage::Garble { from_end: 512, bytes: 512 },
    Damage::Garble { from_end: 64 << 10, bytes: 64 << 10 },
    Damage::Zero { from_end: 4 << 10, bytes: 4 << 10 },
    Damage::FlipAt { percent: 50 },
    Damage::FlipAt { percent: 60 },
    Damage::GarblePageAt { percent: 60 },
    Damage::GarblePageAt { percent: 97 },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_the_newest_journal_is_seen() {
    damage_is_seen(Files::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_the_newest_part_of_sleds_log_is_seen() {
    damage_is_seen(Files::Sled).await;
}

async fn damage_is_seen(engine: Files) {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    let original = folder.path().join("data");
    // 2.6 MB: one journal of the embedded engine, and a log without anything stale in it.
    let memtable_bytes = 32 << 20;
    let plan = Plan { events: 1_500, reports: reports.clone(), memtable_bytes, ..Plan::endless(engine, &original) };
    assert!(plan.command().output().unwrap().status.success());
    let reports = fs::read_to_string(reports).unwrap();
    let acknowledged: Vec<Acknowledged> = reports.lines().filter_map(Acknowledged::from_line).collect();
    assert_eq!(acknowledged.len(), 1_500);
    let copy = Plan { data_dir: folder.path().join("copy"), ..plan };
    let random = random("damage");
    copy_folder(&original, &copy.data_dir);
    assert_eq!(open_and_check(&copy, &acknowledged).await, Seen::Nothing, "undamaged");
    let mut seen_at_open = 0;
    for damage in DAMAGES {
        fs::remove_dir_all(&copy.data_dir).unwrap();
        copy_folder(&original, &copy.data_dir);
        harm(&newest_log(engine, &copy.data_dir), damage, &random);
        let seen = open_and_check(&copy, &acknowledged).await;
        println!("{engine:?} {damage:?}: {seen:?}");
        assert_ne!(seen, Seen::TooLate, "{engine:?} {damage:?}: acknowledged events were dropped silently");
        seen_at_open += usize::from(matches!(seen, Seen::AtOpen(_)));
    }
    assert!(seen_at_open > 0, "no damage did anything: was it the right file?");
}

/// A journal that is complete but whose rows have not been flushed yet: what is dropped from it leaves younger commits
/// in the next journal, so the number of the newest commit says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_the_journal_before_the_newest_is_seen() {
    // On a busy machine the flush is done before the next journal has its first group; then the cut does no harm.
    for _ in 0..5 {
        let Some(recorder) = Recorder::new() else { return };
        match cut_the_journal_before_the_newest(&recorder).await {
            Seen::AtOpen(text) if text.contains("are missing before the newest one") => return,
            Seen::Nothing => {}
            seen => panic!("the cut shows as {seen:?}"),
        }
    }
    panic!("the flush was always faster than the next group");
}

async fn cut_the_journal_before_the_newest(recorder: &Recorder) -> Seen {
    // fjall begins a new journal with the first flush after 64 MB, here the third: what it flushes lies in the old one.
    let plan = Plan {
        events: 1_600,
        reports: recorder.reports(),
        bodies: Bodies::Large,
        memtable_bytes: 22 << 20,
        ..Plan::endless(Files::Embedded, &recorder.data_dir())
    };
    assert!(recorder.run(&plan, &[]).success());
    let recording = recorder.read();
    let mut disk = Disk::default();
    let (mut journals, mut acknowledged, mut goes_on) = (Vec::new(), Vec::new(), false);
    for happened in &recording.happened {
        disk.play(&recording);
        match happened {
            Happened::Create { path } if path.ends_with(".jnl") => journals.push(path.clone()),
            Happened::Write { path, .. } if journals.get(1) == Some(path) => goes_on = true,
            Happened::Write { path, bytes, .. } if path == "reports" => {
                let line = String::from_utf8_lossy(recording.bytes(bytes));
                acknowledged.extend(Acknowledged::from_line(line.trim_end()));
                if goes_on {
                    break;
                }
            }
            _ => {}
        }
    }
    assert!(journals.len() > 1, "there was but one journal");
    let random = random("damage to a complete journal");
    let data_dir = recorder.scratch().join("copy");
    let copy = Plan { data_dir, ..plan };
    disk.cut(&recording, Unsynced::Kept, &random).put("data", &copy.data_dir);
    let complete = copy.data_dir.join(journals[0].strip_prefix("data/").unwrap());
    if !complete.exists() {
        return Seen::Nothing;
    }
    harm(&complete, Damage::Cut { bytes: 100 }, &random);
    let seen = open_and_check(&copy, &acknowledged).await;
    println!("the journal before the newest cut: {seen:?}");
    seen
}

/// How damage shows.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Everything is there all the same.
    Nothing,
    /// The store does not open, and says why.
    AtOpen(String),
    /// Reading tells.
    AtRead(String),
    /// It opens, it reads, and something is missing.
    TooLate,
}

async fn open_and_check(plan: &Plan, acknowledged: &[Acknowledged]) -> Seen {
    let store = match Store::open(plan.options()).await {
        Ok(store) => store,
        Err(
            error @ (OpenError::LostAcknowledged { .. }
            | OpenError::Damaged { .. }
            | OpenError::Storage(storage::Error::Damaged { .. } | storage::Error::Read { .. })),
        ) => return Seen::AtOpen(error.to_string()),
        Err(error) => panic!("the damage shows as something else: {error}"),
    };
    let mut ledger = Ledger::default();
    acknowledged.iter().for_each(|acknowledged| ledger.acknowledge(*acknowledged));
    let checked = ledger.check(&store).await;
    store.close().await;
    match checked {
        Ok(_) => Seen::Nothing,
        Err(text) if text.contains("is damaged on disk") || text.contains("reading failed") => Seen::AtRead(text),
        Err(text) => {
            println!("{text}");
            Seen::TooLate
        }
    }
}

fn newest_log(engine: Files, data: &Path) -> PathBuf {
    let folder = data.join("engine");
    match engine {
        Files::Sled => folder.join("db"),
        Files::Embedded => {
            let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let number = |path: &PathBuf| path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let journals = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
            journals.max_by_key(number).unwrap()
        }
    }
}

fn harm(path: &Path, damage: Damage, random: &Random) {
    let bytes = fs::read(path).unwrap();
    // Logs are made larger than what is in them: what was written ends with the last byte that is not zero.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    assert!(end > 1 << 18, "{} holds only {end} bytes", path.display());
    let file = File::options().write(true).open(path).unwrap();
    let put = |at: u64, length: u64, fill: &dyn Fn(&mut [u8])| {
        let mut garbage = vec![0; usize::try_from(length).unwrap()];
        fill(&mut garbage);
        file.write_all_at(&garbage, at).unwrap();
    };
    match damage {
        Damage::Cut { bytes } => file.set_len(end - bytes).unwrap(),
        Damage::Garble { from_end, bytes } => put(end - from_end, bytes, &|garbage| random.fill(garbage)),
        Damage::Zero { from_end, bytes } => put(end - from_end, bytes, &|_| {}),
        Damage::GarblePageAt { percent } => put(end * percent / 100 / 4096 * 4096, 4096, &|page| random.fill(page)),
        Damage::FlipAt { percent } => {
            let at = end * percent / 100;
            let byte = bytes[usize::try_from(at).unwrap()];
            put(at, 1, &|flipped| flipped[0] = byte ^ 0x10);
        }
    }
}
