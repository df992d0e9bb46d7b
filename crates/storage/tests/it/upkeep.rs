//! Check, stat, backup, restore and convert: over every engine, while the store is being written, and on damaged files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{Position, task};
use storage::blob::Reference;
use storage::table::TEST;
use storage::{
    Batch, Blobs, Direction, EngineChoice, Error, Faults, KeyRange, MemoryDisk, OpenError, Quiet, Store, backup, check,
};

use crate::fixture::{Fixture, KIND, P0, close, copy_folder, key};

/// Rows, log entries and a blob with a reference.
async fn fill(store: &Arc<Store>) {
    for number in 0..300 {
        let mut batch = Batch::new();
        batch.put(&key(number), format!("row {number}"));
        batch.append(P0, KIND, format!("entry {number}"));
        store.commit(batch).await.unwrap();
    }
    if store.data_dir().is_some() {
        let blobs = Blobs::open_in(store).await.unwrap();
        let hash = blobs.put("a picture").await.unwrap();
        let mut batch = Batch::new();
        blobs.change_references(&mut batch, &[Reference::Add(hash, "message".to_owned())]).await.unwrap();
        store.commit(batch).await.unwrap();
    }
}

async fn rows(store: &Store) -> Vec<(storage::Key, bytes::Bytes)> {
    let (mut rest, mut rows) = (Some(KeyRange::everything()), Vec::new());
    while let Some(range) = rest {
        let page = store.scan(&range, Direction::Forward, 1_000).await.unwrap();
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
        rest = page.rest;
    }
    rows.retain(|(key, _)| key.table() != storage::table::META);
    rows
}

async fn assert_sound(store: &Store) -> check::Report {
    let report = check::check(store, &Quiet).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    report
}

fn engines() -> Vec<Fixture> {
    let mut engines = vec![Fixture::memory(), Fixture::embedded(), Fixture::sled()];
    engines.extend(Fixture::postgres());
    engines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_engine_converts_to_any_other() {
    for from in engines() {
        let source = Arc::new(from.open().await);
        fill(&source).await;
        for to in engines() {
            let converted = backup::convert(&source, to.options.clone(), &Quiet).await.unwrap();
            let target = to.open().await;
            assert_eq!(rows(&target).await, rows(&source).await);
            assert_eq!(converted.rows, rows(&target).await.len() as u64);
            assert_eq!(converted.blobs, u64::from(source.data_dir().is_some()));
            assert_eq!(target.watch(P0).unwrap().head(), Position(300));
            let mut batch = Batch::new();
            batch.append(P0, KIND, "goes on");
            assert_eq!(target.commit(batch).await.unwrap().positions, [Position(301)]);
            if source.data_dir().is_some() && target.data_dir().is_some() {
                assert_eq!(assert_sound(&target).await.blobs, 1);
            }
        }
    }
}

/// A writer keeps two rows equal in every batch, and counts; whatever moment a backup catches, they are equal in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_being_written_is_one_point_in_time() {
    for fixture in engines() {
        let store = Arc::new(fixture.open().await);
        fill(&store).await;
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writer = {
            let (store, stop, acknowledged) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&acknowledged));
            task::spawn(async move {
                for round in 1.. {
                    let mut batch = Batch::new();
                    batch.put(&key(0), format!("round {round}"));
                    batch.put(&key(1_000_000), format!("round {round}"));
                    batch.put(&key(2_000 + round % 50), "comes");
                    batch.delete(&key(2_000 + (round + 25) % 50));
                    batch.append(P0, KIND, format!("round {round}"));
                    store.commit(batch).await.unwrap();
                    acknowledged.store(round, Ordering::SeqCst);
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            })
        };
        for attempt in 0..3 {
            let folder = fixture.folder().join(format!("backup-{attempt}"));
            let before = acknowledged.load(Ordering::SeqCst);
            let manifest = backup::backup(&store, &folder, &Quiet).await.unwrap();
            assert_eq!(manifest.blobs, u64::from(store.data_dir().is_some()));
            let target = Fixture::embedded();
            backup::restore(&folder, target.options.clone(), &Quiet).await.unwrap();
            let restored = target.open().await;
            let (one, other) = (restored.get(&key(0)).await.unwrap(), restored.get(&key(1_000_000)).await.unwrap());
            if let (Some(one), Some(other)) = (&one, &other) {
                assert_eq!(one.value, other.value);
                let round: u64 = std::str::from_utf8(&one.value[6..]).unwrap().parse().unwrap();
                assert!(round >= before, "what was acknowledged before the backup began is in it");
                assert_eq!(restored.watch(P0).unwrap().head(), Position(300 + round));
            }
            assert_sound(&restored).await;
        }
        stop.store(true, Ordering::SeqCst);
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_or_unfinished_backup_is_refused_before_anything_is_written() {
    let fixture = Fixture::embedded();
    let store = Arc::new(fixture.open().await);
    fill(&store).await;
    let whole = fixture.folder().join("whole");
    backup::backup(&store, &whole, &Quiet).await.unwrap();
    let again = backup::backup(&store, &whole, &Quiet).await.unwrap_err();
    assert!(again.to_string().contains("choose a new folder"), "{again}");
    let refused = async |spoil: &dyn Fn(&Path)| {
        let (spoiled, target) = (tempfile::tempdir().unwrap(), Fixture::embedded());
        copy_folder(&whole, spoiled.path());
        spoil(spoiled.path());
        let error = backup::restore(spoiled.path(), target.options.clone(), &Quiet).await.unwrap_err().to_string();
        (error, target)
    };
    let flip = |path: &Path, name: &str| {
        let mut bytes = fs::read(path.join(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path.join(name), bytes).unwrap();
    };
    let (error, target) = refused(&|path| flip(path, "rows.zst")).await;
    assert!(error.contains("rows.zst does not have its checksum"), "{error}");
    assert!(!target.options.data_dir.exists(), "nothing was written");
    let (error, _) = refused(&|path| fs::remove_file(path.join("changes.zst")).unwrap()).await;
    assert!(error.contains("changes.zst is missing"), "{error}");
    let (error, _) = refused(&|path| fs::remove_file(path.join("manifest.json")).unwrap()).await;
    assert!(error.contains("it is no backup, or one that was cut off"), "{error}");
    let (error, target) = refused(&|path| {
        let folder = fs::read_dir(path.join("blobs")).unwrap().next().unwrap().unwrap().path();
        let blob = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        fs::write(blob, "another picture").unwrap();
    })
    .await;
    assert!(error.contains("0 of its 1 blobs are whole"), "{error}");
    let unfinished = Store::open(target.options.clone()).await.unwrap_err();
    assert!(matches!(unfinished, OpenError::Unfinished { .. }), "{unfinished}");
    let occupied = backup::restore(&whole, target.options.clone(), &Quiet).await.unwrap_err();
    assert!(matches!(occupied, OpenError::NotEmpty { .. }), "{occupied}");
}

#[tokio::test]
async fn an_export_that_was_given_up_leaves_room_for_the_next_and_one_is_enough() {
    let fixture = Fixture::sled();
    let store = Arc::new(fixture.open().await);
    fill(&store).await;
    let spool = fixture.folder().join("spool");
    let export = store.engine().export(&spool).await.unwrap();
    let second = store.engine().export(&fixture.folder().join("spool-2")).await;
    assert!(second.err().unwrap().to_string().contains("another backup is running"));
    drop(export);
    backup::backup(&store, &fixture.folder().join("backup"), &Quiet).await.unwrap();
}

#[tokio::test]
async fn stat_counts_rows_and_bytes_of_each_table() {
    for fixture in engines() {
        let store = Arc::new(fixture.open().await);
        fill(&store).await;
        let stat = check::stat(&store, &Quiet).await.unwrap();
        let of = |name: &str| stat.tables.iter().find(|table| table.table == name).unwrap();
        assert_eq!((of("log").rows, of("test").rows, of("head").rows), (300, 300, 1));
        assert!(of("log").bytes > 300 * 10);
        assert_eq!(stat.blobs, u64::from(store.data_dir().is_some()));
        assert!(stat.bytes_on_disk > 0, "{stat:?}");
    }
}

/// Rows are damaged behind the store's back, through another handle on the same simulated disk or files.
#[tokio::test]
async fn check_finds_damage_and_names_it() {
    let fixture = Fixture::embedded();
    let store = Arc::new(fixture.open().await);
    fill(&store).await;
    assert_eq!(assert_sound(&store).await.log_entries, 300);
    let blobs = fixture.options.data_dir.join("blobs");
    for folder in fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("new"))
    {
        for blob in fs::read_dir(folder).unwrap() {
            fs::write(blob.unwrap().path(), "something else").unwrap();
        }
    }
    let report = check::check(&store, &Quiet).await.unwrap();
    assert!(report.findings[0].contains("another content than its name says"), "{:?}", report.findings);
    // What no batch may do, an import may: it plants what a bug or a broken disk would leave.
    let head = storage::Key::of(storage::table::HEAD, &P0);
    let entry = storage::Key::of(storage::table::LOG, &(P0, Position(150)));
    let reference = storage::Key::of(storage::table::BLOB_REFERENCE, &([7u8; 32], "nobody".to_owned()));
    let change =
        |key, value: Option<&'static [u8]>| storage::engine::Change { key, value: value.map(bytes::Bytes::from) };
    let planted =
        vec![change(head, Some(&[0, 0, 0, 0, 0, 0, 9, 9])), change(entry, None), change(reference, Some(b""))];
    store.engine().import(planted).await.unwrap();
    let report = check::check(&store, &Quiet).await.unwrap();
    let text = report.findings.join("\n");
    assert_eq!(report.found, 4, "{text}");
    assert!(text.contains("partition 0 of the log has a gap between 149 and 151"), "{text}");
    assert!(text.contains("partition 0 of the log ends at 300, its head says 2313"), "{text}");
    assert!(text.contains("1 references name blob 0707"), "{text}");
}

#[tokio::test]
async fn a_store_of_one_disk_is_read_by_the_next_one_opened_on_it() {
    let disk = MemoryDisk::faulty(base::Random::seeded(3), Faults::default());
    let fixture = Fixture::new(EngineChoice::Memory { disk });
    let store = Arc::new(fixture.open().await);
    fill(&store).await;
    close(Arc::into_inner(store).unwrap()).await;
    let store = fixture.open().await;
    let page = store.scan(&KeyRange::table(TEST), Direction::Forward, 1).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    assert!(matches!(Blobs::open_in(&Arc::new(store)).await, Err(Error::Unavailable { .. })));
}
