//! What a store says to a directory it cannot use.

use std::fs;

use storage::{Batch, Error, Faults, Health, OnLoss, OpenError, Store};

use crate::fixture::{Fixture, close, copy_folder, key};

async fn refusal(fixture: &Fixture) -> OpenError {
    Store::open(fixture.options.clone()).await.expect_err("the store must not open")
}

#[tokio::test]
async fn a_directory_in_use_names_the_process_and_what_to_do() {
    let fixture = Fixture::embedded();
    let store = fixture.open().await;
    let text = refusal(&fixture).await.to_string();
    assert!(text.contains(&format!("in use by another process (process {})", std::process::id())), "{text}");
    assert!(text.contains("choose another data_dir"), "{text}");
    close(store).await;
    fixture.open().await;
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_left_alone() {
    let fixture = Fixture::embedded();
    fs::create_dir_all(&fixture.options.data_dir).unwrap();
    fs::write(fixture.options.data_dir.join("thesis.odt"), "years of work").unwrap();
    let refused = refusal(&fixture).await;
    assert!(matches!(&refused, OpenError::NotOurs { found, .. } if found == "thesis.odt"), "{refused}");
    let left: Vec<_> = fs::read_dir(&fixture.options.data_dir).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was added");
}

#[tokio::test]
async fn a_directory_of_a_newer_release_or_another_engine_is_refused() {
    let mut fixture = Fixture::embedded();
    close(fixture.open().await).await;
    let marker = fixture.options.data_dir.join("store.json");
    let text = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, text.replace("\"format\": 1", "\"format\": 99, \"unheard_of\": true")).unwrap();
    let refused = refusal(&fixture).await;
    assert!(matches!(refused, OpenError::Newer { found: 99, newest: 1, .. }), "{refused}");
    fs::write(&marker, &text).unwrap();
    fixture.options.engine = storage::EngineChoice::Sled;
    let refused = refusal(&fixture).await.to_string();
    assert!(refused.contains("holdfast storage convert"), "{refused}");
    fs::write(&marker, "{ garbled").unwrap();
    assert!(matches!(refusal(&fixture).await, OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_missing_or_garbled_mark_is_damage_until_the_loss_is_accepted() {
    for garble in [true, false] {
        let mut fixture = Fixture::embedded();
        close(fixture.open().await).await;
        let mark = fixture.options.data_dir.join("acknowledged");
        if garble {
            fs::write(&mark, [0xee; 9_000]).unwrap();
        } else {
            fs::remove_file(&mark).unwrap();
        }
        for _ in 0..2 {
            let refused = refusal(&fixture).await;
            assert!(matches!(&refused, OpenError::Damaged { path, .. } if *path == mark), "{refused}");
        }
        fixture.options.on_loss = OnLoss::Accept;
        close(fixture.open().await).await;
        fixture.options.on_loss = OnLoss::Refuse;
        fixture.open().await;
    }
}

/// The engine's files are taken back to an earlier copy, as a wrong restore or a lost journal would.
#[tokio::test]
async fn acknowledged_data_that_is_gone_is_named_and_goes_on_only_when_accepted() {
    for mut fixture in [Fixture::embedded(), Fixture::sled()] {
        let data = fixture.options.data_dir.clone();
        close(fixture.open().await).await;
        let copy = fixture.folder().join("copy");
        copy_folder(&data.join("engine"), &copy);
        let store = fixture.open().await;
        for number in 0..5 {
            let mut batch = Batch::new();
            batch.put(&key(number), "acknowledged");
            store.commit(batch).await.unwrap();
        }
        close(store).await;
        fs::remove_dir_all(data.join("engine")).unwrap();
        copy_folder(&copy, &data.join("engine"));
        let refused = refusal(&fixture).await;
        assert!(matches!(refused, OpenError::LostAcknowledged { acknowledged: 5, found: 0 }), "{refused}");
        assert!(refused.to_string().contains("--accept-loss"));
        fixture.options.on_loss = OnLoss::Accept;
        let store = fixture.open().await;
        assert_eq!(store.get(&key(1)).await.unwrap(), None);
        let mut batch = Batch::new();
        batch.put(&key(1), "anew");
        assert!(store.commit(batch).await.unwrap().version.0 > 5, "no version is given twice");
        close(store).await;
        fixture.options.on_loss = OnLoss::Refuse;
        fixture.open().await;
    }
}

/// Three batches with a large value each; the mark is taken back to the second, as a power cut may leave it. Returns where
/// the middle of each value lies in the journal.
async fn three_large_batches(fixture: &Fixture) -> (std::path::PathBuf, Vec<usize>) {
    let mark = fixture.options.data_dir.join("acknowledged");
    let values: Vec<Vec<u8>> = (0..3)
        .map(|seed| {
            let mut value = vec![0; 60_000];
            base::Random::seeded(seed).fill(&mut value);
            value
        })
        .collect();
    for (number, value) in (0..).zip(&values) {
        let store = fixture.open().await;
        let older = fs::read(&mark).unwrap();
        let mut batch = Batch::new();
        batch.put(&key(number), value.clone());
        store.commit(batch).await.unwrap();
        close(store).await;
        if number == 2 {
            fs::write(&mark, older).unwrap();
        }
    }
    let engine = fixture.options.data_dir.join("engine");
    let journals = fs::read_dir(engine).unwrap().map(|entry| entry.unwrap().path());
    let journal = journals.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max().unwrap();
    let bytes = fs::read(&journal).unwrap();
    let middles = values.iter().map(|value| {
        let needle = &value[30_000..30_016];
        bytes.windows(16).position(|window| window == needle).expect("the value is in the journal")
    });
    (journal, middles.collect())
}

fn zero_page(journal: &std::path::Path, at: usize) -> Vec<u8> {
    let mut bytes = fs::read(journal).unwrap();
    bytes[at..at + 4_096].fill(0);
    fs::write(journal, &bytes).unwrap();
    bytes
}

/// A power cut tears the batch under way: its end was written, a page before it was not. Nobody was told of it.
#[tokio::test]
async fn a_torn_last_batch_is_cut_off_and_kept_aside() {
    let fixture = Fixture::embedded();
    let (journal, middles) = three_large_batches(&fixture).await;
    zero_page(&journal, middles[2]);
    let store = fixture.open().await;
    assert!(store.get(&key(1)).await.unwrap().is_some());
    assert_eq!(store.get(&key(2)).await.unwrap(), None);
    let mut batch = Batch::new();
    batch.put(&key(3), "goes on");
    store.commit(batch).await.unwrap();
    close(store).await;
    assert!(fs::metadata(fixture.options.data_dir.join("engine.torn")).unwrap().len() > 60_000);
    assert!(fixture.open().await.get(&key(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_batch_that_was_acknowledged_is_never_cut_off_in_silence() {
    let fixture = Fixture::embedded();
    let mark = fixture.options.data_dir.join("acknowledged");
    close(fixture.open().await).await;
    let (journal, middles) = three_large_batches(&fixture).await;
    // The last batch, and the mark knows of it.
    close(fixture.open().await).await;
    assert_ne!(fs::read(&mark).unwrap()[..8], 2u64.to_le_bytes());
    let whole = fs::read(&journal).unwrap();
    zero_page(&journal, middles[2]);
    let refused = refusal(&fixture).await;
    assert!(matches!(refused, OpenError::LostAcknowledged { acknowledged: 3, found: 2 }), "{refused}");
    // A batch before it: the journal is left as it was found.
    fs::write(&journal, &whole).unwrap();
    fs::remove_file(fixture.options.data_dir.join("engine.torn")).unwrap();
    let damaged = zero_page(&journal, middles[1]);
    let refused = refusal(&fixture).await;
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(fs::read(&journal).unwrap() == damaged, "nothing was cut off");
    assert!(!fixture.options.data_dir.join("engine.torn").exists());
}

#[tokio::test]
async fn engine_files_of_another_directory_are_refused() {
    let (one, mut other) = (Fixture::embedded(), Fixture::embedded());
    other.options.random = base::Random::seeded(9);
    close(one.open().await).await;
    close(other.open().await).await;
    fs::remove_dir_all(one.options.data_dir.join("engine")).unwrap();
    copy_folder(&other.options.data_dir.join("engine"), &one.options.data_dir.join("engine"));
    let refused = refusal(&one).await.to_string();
    assert!(refused.contains("belong to another data directory"), "{refused}");
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_writes_answers_reads_and_recovers() {
    let mut fixture = Fixture::embedded();
    let store = fixture.open().await;
    let mut batch = Batch::new();
    batch.put(&key(1), "before");
    store.commit(batch).await.unwrap();
    close(store).await;
    fixture.options.tuning.disk_reserve_bytes = u64::MAX;
    let store = fixture.open().await;
    let mut batch = Batch::new();
    batch.put(&key(2), "refused");
    let refused = store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, Error::Full { .. }) && refused.is_unavailable(), "{refused}");
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert_eq!(store.get(&key(1)).await.unwrap().unwrap().value, "before");
}

#[tokio::test]
async fn a_failed_sync_is_fatal_and_never_retried() {
    let fixture = Fixture::memory();
    let store = fixture.open().await;
    let storage::EngineChoice::Memory { disk } = &fixture.options.engine else { unreachable!() };
    disk.set_faults(Faults { sync_fails: 1_000, ..Faults::default() });
    let write = |number| {
        let mut batch = Batch::new();
        batch.put(&key(number), "value");
        batch
    };
    assert!(matches!(store.commit(write(1)).await, Err(Error::Fatal { .. })));
    disk.set_faults(Faults::default());
    assert!(
        matches!(store.commit(write(2)).await, Err(Error::Fatal { .. })),
        "the disk works again, but is not trusted"
    );
    assert!(matches!(store.health(), Health::Failed { .. }));
    assert_eq!(store.get(&key(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_disk_that_lies_about_syncing_is_found_out_at_the_next_open() {
    let fixture = Fixture::memory();
    let storage::EngineChoice::Memory { disk } = &fixture.options.engine else { unreachable!() };
    let store = fixture.open().await;
    disk.set_faults(Faults { sync_lies: 1_000, ..Faults::default() });
    for number in 0..100 {
        let mut batch = Batch::new();
        batch.put(&key(number), "value");
        store.commit(batch).await.unwrap();
    }
    disk.crash();
    let refused = refusal(&fixture).await;
    assert!(matches!(refused, OpenError::LostAcknowledged { acknowledged: 100, .. }), "{refused}");
}
