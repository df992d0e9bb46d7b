//! What every engine must do, run over all of them: a new engine passes this file or is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Partition, Position, limits, task};
use bytes::Bytes;
use storage::table::{LOG, META, TEST};
use storage::{Batch, Direction, Error, Key, KeyRange, KeyWriter, Kind, Store, Template, split_stamp};

use crate::fixture::{Fixture, KIND, P0, close, key};

/// Writes a test for each case and engine: `conformance::sled::a_batch_is_all_or_nothing`.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        conformance!(@engine memory $($case),*);
        conformance!(@engine embedded $($case),*);
        conformance!(@engine sled $($case),*);
        conformance!(@engine postgres $($case),*);
    };
    (@engine $engine:ident $($case:ident),*) => {
        mod $engine {
            use crate::fixture::Fixture;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    // `None` where there is no server to run: the fixture has said so.
                    if let Some(fixture) = Option::<Fixture>::from(Fixture::$engine()) {
                        super::$case(fixture).await;
                    }
                }
            )*
        }
    };
}

conformance!(
    what_was_written_is_read,
    a_batch_is_all_or_nothing,
    the_last_operation_on_a_key_wins,
    scans_agree_with_a_model,
    a_page_is_bounded_in_rows_and_bytes,
    preconditions_hold_or_refuse,
    batches_of_one_group_see_each_other,
    a_version_changes_with_every_write,
    positions_are_in_order_and_without_gaps,
    stamps_are_filled_in_keys_and_values,
    partitions_count_on_their_own,
    a_watch_wakes_for_later_positions,
    one_of_many_rivals_wins,
    counters_lose_no_update,
    oversized_and_foreign_batches_are_refused,
    everything_survives_a_reopen,
    the_largest_values_and_keys_fit,
    a_closed_store_refuses,
);

fn put(number: u64, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(&key(number), value.to_owned());
    batch
}

async fn value(store: &Store, key: &Key) -> Option<Bytes> {
    store.get(key).await.unwrap().map(|stored| stored.value)
}

async fn what_was_written_is_read(fixture: Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.get(&key(1)).await.unwrap(), None);
    let committed = store.commit(put(1, "one")).await.unwrap();
    let stored = store.get(&key(1)).await.unwrap().unwrap();
    assert_eq!((stored.value, stored.version), (Bytes::from("one"), committed.version));
    let mut batch = Batch::new();
    batch.put(&key(2), "");
    batch.delete(&key(1));
    batch.delete(&key(9));
    store.commit(batch).await.unwrap();
    let found = store.engine().get_many(&[key(2), key(1)]).await.unwrap();
    let found: Vec<Option<Bytes>> = found.into_iter().map(|stored| stored.map(|stored| stored.value)).collect();
    assert_eq!(found, [Some(Bytes::new()), None]);
}

async fn a_batch_is_all_or_nothing(fixture: Fixture) {
    let store = fixture.open().await;
    store.commit(put(1, "taken")).await.unwrap();
    let mut batch = Batch::new();
    batch.put(&key(2), "two");
    batch.append(P0, KIND, "entry");
    batch.delete(&key(1));
    batch.require_absent(&key(1));
    let refused = store.commit(batch).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { key: conflict } if conflict == key(1)));
    assert_eq!(value(&store, &key(2)).await, None);
    assert_eq!(value(&store, &key(1)).await, Some("taken".into()));
    assert_eq!(store.log_entries(P0, Position::START, Position(9), 9).await.unwrap(), []);
    let mut batch = Batch::new();
    assert_eq!(
        store
            .commit({
                batch.append(P0, KIND, "first");
                batch
            })
            .await
            .unwrap()
            .positions,
        [Position(1)]
    );
}

async fn the_last_operation_on_a_key_wins(fixture: Fixture) {
    let store = fixture.open().await;
    let mut batch = put(1, "old");
    batch.put(&key(1), "new");
    batch.put(&key(2), "gone");
    batch.delete(&key(2));
    batch.delete(&key(3));
    batch.put(&key(3), "back");
    store.commit(batch).await.unwrap();
    assert_eq!(value(&store, &key(1)).await, Some("new".into()));
    assert_eq!(value(&store, &key(2)).await, None);
    assert_eq!(value(&store, &key(3)).await, Some("back".into()));
}

/// Keys of differing lengths, prefixes of each other, zeros and FFs.
fn awkward_key(number: u64) -> Key {
    let bytes: Vec<u8> =
        number.to_be_bytes().iter().filter(|byte| **byte != 1).map(|byte| byte.wrapping_mul(85)).collect();
    Key::of(TEST, &(bytes, number))
}

async fn scans_agree_with_a_model(fixture: Fixture) {
    let store = fixture.open().await;
    let mut model = BTreeMap::new();
    for round in 0..6u64 {
        let mut batch = Batch::new();
        for number in 0..200u64 {
            let key = awkward_key(number * 7 + round);
            if number % 5 == round {
                model.remove(&key);
                batch.delete(&key);
            } else {
                let value = format!("{round}/{number}");
                batch.put(&key, value.clone());
                model.insert(key, Bytes::from(value));
            }
        }
        store.commit(batch).await.unwrap();
    }
    for (from, to) in [(0, 2_000), (3, 900), (900, 3), (5, 5), (100, 101)] {
        let range = KeyRange::between(&awkward_key(from), &awkward_key(to));
        let expected: Vec<(Key, Bytes)> = model
            .iter()
            .filter(|(key, _)| **key >= awkward_key(from) && **key < awkward_key(to))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for page in [1, 7, 5_000] {
            assert_eq!(all(&store, range.clone(), Direction::Forward, page).await, expected);
            let backward = all(&store, range.clone(), Direction::Backward, page).await;
            assert!(backward.iter().rev().eq(expected.iter()));
        }
    }
}

async fn all(store: &Store, range: KeyRange, direction: Direction, page: usize) -> Vec<(Key, Bytes)> {
    let (mut rest, mut rows) = (Some(range), Vec::new());
    while let Some(range) = rest {
        let page = store.scan(&range, direction, page).await.unwrap();
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
        rest = page.rest;
    }
    rows
}

async fn a_page_is_bounded_in_rows_and_bytes(fixture: Fixture) {
    let store = fixture.open().await;
    for number in 0..100 {
        let mut batch = Batch::new();
        batch.put(&key(number), vec![u8::try_from(number).unwrap(); limits::VALUE_BYTES]);
        store.commit(batch).await.unwrap();
    }
    let range = KeyRange::table(TEST);
    let page = store.scan(&range, Direction::Forward, 3).await.unwrap();
    assert_eq!((page.rows.len(), page.rest.is_some()), (3, true));
    let page = store.scan(&range, Direction::Backward, 100).await.unwrap();
    assert!(page.rows.len() < 100, "9.6 MB do not fit a page");
    assert_eq!(page.rows[0].key, key(99));
    assert!(page.rest.is_some());
    assert_eq!(all(&store, range, Direction::Backward, 100).await.len(), 100);
    let exact = store.scan(&KeyRange::between(&key(0), &key(3)), Direction::Forward, 3).await.unwrap();
    assert_eq!((exact.rows.len(), exact.rest), (3, None), "a range read to its end has no rest");
}

async fn preconditions_hold_or_refuse(fixture: Fixture) {
    let store = fixture.open().await;
    let first = store.commit(put(1, "a")).await.unwrap().version;
    let second = store.commit(put(1, "b")).await.unwrap().version;
    let attempt = |expected, absent: Option<u64>| {
        let mut batch = put(2, "written");
        batch.require_version(&key(1), expected);
        absent.into_iter().for_each(|number| batch.require_absent(&key(number)));
        batch
    };
    assert!(store.commit(attempt(Some(first), None)).await.unwrap_err().is_conflict(), "it has changed since");
    assert!(store.commit(attempt(None, None)).await.unwrap_err().is_conflict(), "it is there");
    assert!(store.commit(attempt(Some(second), Some(1))).await.unwrap_err().is_conflict(), "one of two fails");
    assert_eq!(value(&store, &key(2)).await, None);
    store.commit(attempt(Some(second), Some(3))).await.unwrap();
    let mut gone = Batch::new();
    gone.delete(&key(1));
    store.commit(gone).await.unwrap();
    assert!(store.commit(attempt(Some(second), None)).await.unwrap_err().is_conflict(), "it is gone");
    store.commit(attempt(None, None)).await.unwrap();
    let mut only_checks = Batch::new();
    only_checks.require_absent(&key(2));
    assert!(store.commit(only_checks).await.unwrap_err().is_conflict());
    let mut only_checks = Batch::new();
    only_checks.require_absent(&key(1));
    store.commit(only_checks).await.unwrap();
    assert_eq!(value(&store, &key(1)).await, None, "a check leaves nothing behind");
}

/// 50 batches at once, each of which needs the one before: however they are grouped, what is committed is a chain.
async fn batches_of_one_group_see_each_other(fixture: Fixture) {
    let store = Arc::new(fixture.open().await);
    store.commit(put(0, "start")).await.unwrap();
    let tasks: Vec<_> = (1..=50)
        .map(|number| {
            let store = Arc::clone(&store);
            task::spawn(async move {
                let mut batch = put(number, "link");
                batch.delete(&key(number - 1));
                let before = store.get(&key(number - 1)).await.unwrap();
                batch.require_version(&key(number - 1), before.map(|stored| stored.version));
                batch.require_absent(&key(number));
                store.commit(batch).await.map(|_| number)
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => {}
            Err(error) if error.is_conflict() => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let left = all(&store, KeyRange::table(TEST), Direction::Forward, 100).await;
    assert!(!left.is_empty() && refused < 50, "{refused} refused, {} left", left.len());
}

async fn a_version_changes_with_every_write(fixture: Fixture) {
    let store = fixture.open().await;
    let mut seen = Vec::new();
    for round in 0..20 {
        let mut batch = put(1, "same value");
        if round % 3 == 0 {
            batch.delete(&key(1));
            batch.put(&key(1), "same value");
        }
        let version = store.commit(batch).await.unwrap().version;
        assert!(!seen.contains(&version));
        assert_eq!(store.get(&key(1)).await.unwrap().unwrap().version, version);
        seen.push(version);
    }
}

async fn positions_are_in_order_and_without_gaps(fixture: Fixture) {
    let store = Arc::new(fixture.open().await);
    let producers: Vec<_> = (0..16u64)
        .map(|producer| {
            let store = Arc::clone(&store);
            task::spawn(async move {
                let mut positions = Vec::new();
                for round in 0..20u64 {
                    let mut batch = Batch::new();
                    for part in 0..=(round % 3) {
                        batch.append(P0, KIND, format!("{producer}/{round}/{part}"));
                    }
                    if round % 7 == 6 {
                        batch.require_absent(&key(0));
                        assert!(store.commit(batch).await.unwrap_err().is_conflict());
                    } else {
                        positions.extend(store.commit(batch).await.unwrap().positions);
                    }
                }
                positions
            })
        })
        .collect();
    store.commit(put(0, "in the way")).await.unwrap();
    let mut given = Vec::new();
    for producer in producers {
        let positions = producer.await.unwrap();
        assert!(positions.is_sorted(), "a producer's entries keep their order");
        given.extend(positions);
    }
    given.sort_unstable();
    let expected: Vec<Position> = (1..=given.len() as u64).map(Position).collect();
    assert_eq!(given, expected);
    let entries = store.log_entries(P0, Position::START, Position(u64::MAX - 1), 10_000).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.position).collect::<Vec<_>>(), expected);
    assert_eq!(store.watch(P0).unwrap().head(), *expected.last().unwrap());
}

async fn stamps_are_filled_in_keys_and_values(fixture: Fixture) {
    let store = fixture.open().await;
    let mut batch = Batch::new();
    batch.append(P0, KIND, "before");
    store.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    let one = batch.append(P0, Kind(1), "one");
    let two = batch.append(P0, Kind(2), "two");
    for stamp in [two, one] {
        let key = KeyWriter::new(TEST).part(&9u64).stamp(stamp).template();
        batch.put_template(key, Template::with_stamp("at ", stamp));
    }
    let committed = store.commit(batch).await.unwrap();
    assert_eq!((committed.position(one), committed.position(two)), (Some(Position(2)), Some(Position(3))));
    let rows = all(&store, KeyRange::prefix(TEST, &9u64), Direction::Forward, 10).await;
    let read: Vec<_> = rows
        .iter()
        .map(|(key, value)| {
            let (_, in_key) = key.parts::<(u64, Position)>().unwrap();
            let (text, in_value) = split_stamp(value).unwrap();
            (in_key, text.to_vec(), in_value)
        })
        .collect();
    let expected = [2, 3].map(|position| (Position(position), b"at ".to_vec(), Position(position)));
    assert_eq!(read, expected);
    let entries = store.log_entries(P0, Position(1), Position(9), 9).await.unwrap();
    let kinds: Vec<(Kind, Bytes)> = entries.into_iter().map(|entry| (entry.kind, entry.payload)).collect();
    assert_eq!(kinds, [(Kind(1), "one".into()), (Kind(2), "two".into())]);
}

async fn partitions_count_on_their_own(mut fixture: Fixture) {
    fixture.options.partitions = 3;
    let store = fixture.open().await;
    let mut batch = Batch::new();
    for partition in [0, 2, 2] {
        batch.append(Partition(partition), KIND, format!("{partition}"));
    }
    let positions = store.commit(batch).await.unwrap().positions;
    assert_eq!(positions, [Position(1), Position(1), Position(2)]);
    assert_eq!(store.watch(Partition(1)).unwrap().head(), Position::START);
    assert_eq!(store.watch(Partition(2)).unwrap().head(), Position(2));
    let mut foreign = Batch::new();
    foreign.append(Partition(3), KIND, "nowhere");
    assert!(matches!(store.commit(foreign).await, Err(Error::NoSuchPartition { partitions: 3, .. })));
    assert!(store.watch(Partition(3)).is_err());
    close(store).await;
    fixture.options.partitions = 1;
    let store = fixture.open().await;
    assert_eq!(store.engine().partitions(), 3, "a store keeps the partitions it was made with");
    assert_eq!(store.watch(Partition(2)).unwrap().head(), Position(2));
}

async fn a_watch_wakes_for_later_positions(fixture: Fixture) {
    let store = Arc::new(fixture.open().await);
    let mut watch = store.watch(P0).unwrap();
    let waiter = task::spawn(async move { watch.after(Position(2)).await });
    for _ in 0..3 {
        assert!(!waiter.is_finished());
        let mut batch = Batch::new();
        batch.append(P0, KIND, "entry");
        store.commit(batch).await.unwrap();
    }
    let woken = store.clock().timeout(Duration::from_secs(30), waiter).await.expect("the watch wakes");
    assert_eq!(woken.unwrap().unwrap(), Position(3));
    let mut entries = store.watch(P0).unwrap();
    assert_eq!(entries.after(Position(1)).await.unwrap(), Position(3), "what is past does not wait");
}

async fn one_of_many_rivals_wins(fixture: Fixture) {
    let store = Arc::new(fixture.open().await);
    for round in 0..10u64 {
        let rivals: Vec<_> = (0..8)
            .map(|rival| {
                let store = Arc::clone(&store);
                let mut batch = put(round, &format!("rival {rival}"));
                batch.require_absent(&key(round));
                batch.append(P0, KIND, "won");
                task::spawn(async move { store.commit(batch).await })
            })
            .collect();
        let mut won = 0;
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(committed) => {
                    assert_eq!(committed.positions, [Position(round + 1)]);
                    won += 1;
                }
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}

async fn counters_lose_no_update(fixture: Fixture) {
    let store = Arc::new(fixture.open().await);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            task::spawn(async move {
                for _ in 0..10 {
                    loop {
                        let stored = store.get(&key(5)).await.unwrap();
                        let (count, version) = stored.map_or((0, None), |stored| {
                            (u64::from_be_bytes(stored.value[..].try_into().unwrap()), Some(stored.version))
                        });
                        let mut batch = Batch::new();
                        batch.put(&key(5), (count + 1).to_be_bytes().to_vec());
                        batch.require_version(&key(5), version);
                        match store.commit(batch).await {
                            Ok(_) => break,
                            Err(error) => assert!(error.is_conflict(), "{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(value(&store, &key(5)).await.unwrap()[..], 80u64.to_be_bytes());
}

async fn oversized_and_foreign_batches_are_refused(fixture: Fixture) {
    let store = fixture.open().await;
    let mut batch = Batch::new();
    batch.put(&key(1), vec![0; limits::VALUE_BYTES + 1]);
    assert!(matches!(store.commit(batch).await, Err(Error::TooLarge { what: "value", .. })));
    let mut batch = Batch::new();
    batch.put(&Key::of(TEST, &vec![1u8; limits::KEY_BYTES]), "long key");
    assert!(matches!(store.commit(batch).await, Err(Error::TooLarge { what: "key", .. })));
    let mut batch = Batch::new();
    for number in 0..100 {
        batch.put(&key(number), vec![0; limits::VALUE_BYTES]);
    }
    assert!(matches!(store.commit(batch).await, Err(Error::TooLarge { what: "batch", .. })));
    let mut batch = Batch::new();
    batch.append(P0, KIND, vec![0; limits::VALUE_BYTES + 1]);
    assert!(matches!(store.commit(batch).await, Err(Error::TooLarge { what: "log entry", .. })));
    for table in [LOG, META, storage::table::TableId(200)] {
        let mut batch = Batch::new();
        batch.put(&Key::of(table, &1u64), "not mine");
        assert!(matches!(store.commit(batch).await, Err(Error::NotWritable { .. })), "{table:?}");
    }
    let mut other = Batch::new();
    let stamp = other.append(P0, KIND, "");
    let mut batch = Batch::new();
    batch.put_template(Template::plain(key(1).to_bytes()), Template::with_stamp("", stamp));
    assert!(matches!(store.commit(batch).await, Err(Error::ForeignStamp)));
    assert!(all(&store, KeyRange::table(TEST), Direction::Forward, 10).await.is_empty());
    store.commit(Batch::new()).await.unwrap();
}

async fn everything_survives_a_reopen(fixture: Fixture) {
    let store = fixture.open().await;
    for number in 0..50 {
        let mut batch = put(number, "kept");
        batch.append(P0, KIND, format!("entry {number}"));
        store.commit(batch).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.delete(&key(7));
    let last = store.commit(batch).await.unwrap().version;
    close(store).await;
    for _ in 0..2 {
        let store = fixture.open().await;
        assert_eq!(all(&store, KeyRange::table(TEST), Direction::Forward, 100).await.len(), 49);
        assert_eq!(store.log_entries(P0, Position(49), Position(99), 9).await.unwrap()[0].payload, "entry 49");
        assert_eq!(store.watch(P0).unwrap().head(), Position(50));
        close(store).await;
    }
    let store = fixture.open().await;
    let mut batch = put(7, "again");
    batch.append(P0, KIND, "after");
    let committed = store.commit(batch).await.unwrap();
    assert_eq!(committed.positions, [Position(51)]);
    assert!(committed.version > last, "versions go on where they were");
}

async fn the_largest_values_and_keys_fit(fixture: Fixture) {
    let store = fixture.open().await;
    let long = Key::of(TEST, &[0xffu8; limits::KEY_BYTES - 1]);
    let large = vec![0xa5; limits::VALUE_BYTES];
    let mut batch = Batch::new();
    batch.put(&long, large.clone());
    batch.append(P0, KIND, large.clone());
    store.commit(batch).await.unwrap();
    assert_eq!(value(&store, &long).await, Some(large.clone().into()));
    let rows = all(&store, KeyRange::table(TEST), Direction::Backward, 10).await;
    assert_eq!(rows, [(long, Bytes::from(large.clone()))]);
    let entries = store.log_entries(P0, Position::START, Position(1), 1).await.unwrap();
    assert_eq!(entries[0].payload, large);
    let mut full = Batch::new();
    for number in 0..80 {
        full.put(&key(number), large.clone());
    }
    store.commit(full).await.unwrap();
    assert_eq!(value(&store, &key(79)).await, Some(large.into()));
}

async fn a_closed_store_refuses(fixture: Fixture) {
    let store = fixture.open().await;
    store.commit(put(1, "kept")).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(store.commit(put(2, "late")).await, Err(Error::Closed)));
}
