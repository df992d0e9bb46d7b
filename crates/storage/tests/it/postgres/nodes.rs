//! Several nodes on one database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base::{Position, task};
use storage::engine::{Change, RawRow};
use storage::table::{HEAD, META};
use storage::{Batch, Direction, Error, Health, Key, KeyRange, OnLoss, OpenError, Store};

use crate::fixture::{Fixture, KIND, P0, close, key};
use crate::postgres::server::{self, execute};

/// Two nodes on a new database, and its URL; `None` where there is no server.
async fn two_nodes() -> Option<([Fixture; 2], [Arc<Store>; 2], String)> {
    let url = server::shared()?.new_database();
    let fixtures = [Fixture::node(&url, 1), Fixture::node(&url, 2)];
    let stores = [Arc::new(fixtures[0].open().await), Arc::new(fixtures[1].open().await)];
    Some((fixtures, stores, url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_at_once_on_an_empty_database_both_come_up() {
    let Some(server) = server::shared() else { return };
    for _ in 0..5 {
        let url = server.new_database();
        let nodes: Vec<_> = (0..4).map(|seed| Fixture::node(&url, seed)).collect();
        let opening: Vec<_> = nodes.iter().map(|node| task::spawn(Store::open(node.options.clone()))).collect();
        for store in opening {
            let store = store.await.unwrap().unwrap();
            let mut batch = Batch::new();
            batch.append(P0, KIND, "here");
            store.commit(batch).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_two_nodes_are_in_order_and_without_gaps() {
    let Some((_fixtures, stores, _)) = two_nodes().await else { return };
    let producers: Vec<_> = (0..16u64)
        .map(|producer| {
            let store = Arc::clone(&stores[usize::try_from(producer % 2).unwrap()]);
            task::spawn(async move {
                let mut positions = Vec::new();
                for round in 0..20u64 {
                    let mut batch = Batch::new();
                    for part in 0..=(round % 3) {
                        batch.append(P0, KIND, format!("{producer}/{round}/{part}"));
                    }
                    positions.extend(store.commit(batch).await.unwrap().positions);
                }
                positions
            })
        })
        .collect();
    let mut given = BTreeSet::new();
    for producer in producers {
        let positions = producer.await.unwrap();
        assert!(positions.is_sorted());
        positions.into_iter().for_each(|position| assert!(given.insert(position), "{position} was given twice"));
    }
    assert!(given.iter().copied().eq((1..=given.len() as u64).map(Position)));
    for store in &stores {
        let entries = store.log_entries(P0, Position::START, Position(9_999), 10_000).await.unwrap();
        assert!(entries.iter().map(|entry| entry.position).eq(given.iter().copied()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rivals_on_two_nodes_one_wins_and_counters_lose_no_update() {
    let Some((_fixtures, stores, _)) = two_nodes().await else { return };
    for round in 0..20u64 {
        let rivals: Vec<_> = (0..6)
            .map(|rival| {
                let store = Arc::clone(&stores[rival % 2]);
                task::spawn(async move {
                    let mut batch = Batch::new();
                    batch.put(&key(round), format!("rival {rival}"));
                    batch.require_absent(&key(round));
                    store.commit(batch).await
                })
            })
            .collect();
        let mut won = 0;
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    let workers: Vec<_> = (0..6).map(|worker| task::spawn(count(Arc::clone(&stores[worker % 2]), 15))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let counted = stores[0].get(&key(1_000)).await.unwrap().unwrap().value;
    assert_eq!(counted[..], 90u64.to_be_bytes());
}

async fn count(store: Arc<Store>, times: u64) {
    for _ in 0..times {
        loop {
            let stored = store.get(&key(1_000)).await.unwrap();
            let (count, version) = stored.map_or((0, None), |stored| {
                (u64::from_be_bytes(stored.value[..].try_into().unwrap()), Some(stored.version))
            });
            let mut batch = Batch::new();
            batch.put(&key(1_000), (count + 1).to_be_bytes().to_vec());
            batch.require_version(&key(1_000), version);
            match store.commit(batch).await {
                Ok(_) => break,
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
    }
}

/// Each node's batches lock what the other's write, in the other order: the database ends deadlocks, the writer retries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_cross_each_other_come_through() {
    let Some((_fixtures, stores, _)) = two_nodes().await else { return };
    let mut seed = Batch::new();
    seed.put(&key(1), "one");
    seed.put(&key(2), "two");
    stores[0].commit(seed).await.unwrap();
    let crossing = |store: Arc<Store>, locked: u64, written: u64| async move {
        let mut committed = 0;
        for round in 0..40u32 {
            let version = store.get(&key(locked)).await.unwrap().unwrap().version;
            let mut batch = Batch::new();
            batch.require_unchanged(&key(locked), version);
            batch.put(&key(written), format!("{locked} {round}"));
            match store.commit(batch).await {
                Ok(_) => committed += 1,
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
        committed
    };
    let one = task::spawn(crossing(Arc::clone(&stores[0]), 1, 2));
    let other = task::spawn(crossing(Arc::clone(&stores[1]), 2, 1));
    assert!(one.await.unwrap() + other.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_hears_of_other_nodes_at_once_and_polls_when_nobody_says_anything() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let (speaking, mut deaf) = (Fixture::node(&url, 1), Fixture::node(&url, 2));
    let mut hearing = Fixture::node(&url, 3);
    hearing.options.tuning.poll = Duration::from_secs(3_600);
    deaf.options.tuning.poll = Duration::from_millis(20);
    let (speaking, hearing, deaf) = (speaking.open().await, hearing.open().await, deaf.open().await);
    let mut batch = Batch::new();
    batch.append(P0, KIND, "heard");
    speaking.commit(batch).await.unwrap();
    let mut watch = hearing.watch(P0).unwrap();
    let heard = hearing.clock().timeout(Duration::from_secs(20), watch.after(Position::START)).await;
    assert_eq!(heard.expect("a notification").unwrap(), Position(1));
    execute(&url, "UPDATE holdfast.partition SET head = 2 WHERE partition = 0").unwrap();
    let mut watch = deaf.watch(P0).unwrap();
    let seen = deaf.clock().timeout(Duration::from_secs(20), watch.after(Position(1))).await;
    assert_eq!(seen.expect("a poll").unwrap(), Position(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_one_point_in_time_and_imports_elsewhere() {
    let Some((_fixtures, stores, _)) = two_nodes().await else { return };
    for number in 0..2_500u64 {
        if number % 500 == 0 {
            let mut batch = Batch::new();
            (number..number + 500).for_each(|number| batch.put(&key(number), number.to_string()));
            batch.append(P0, KIND, number.to_string());
            stores[0].commit(batch).await.unwrap();
        }
    }
    let mut export = stores[1].engine().export(std::path::Path::new("unused")).await.unwrap();
    let mut after = Batch::new();
    after.put(&key(0), "too late");
    after.append(P0, KIND, "too late");
    stores[0].commit(after).await.unwrap();
    let mut rows: Vec<RawRow> = Vec::new();
    loop {
        let page = export.rows().await.unwrap();
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    assert_eq!(export.finish().await.unwrap().count(), 0);
    assert_eq!(rows.len(), 2_500 + 5 + 1, "rows, entries and one head");
    assert!(rows.iter().all(|row| row.key.table() != META));
    assert!(rows.contains(&RawRow { key: Key::of(HEAD, &P0), value: 5u64.to_be_bytes().to_vec().into() }));
    assert!(!rows.iter().any(|row| row.value == "too late"));

    let Some(target) = Fixture::postgres() else { return };
    let store = target.open().await;
    let changes = rows.iter().cloned().map(|RawRow { key, value }| Change { key, value: Some(value) }).collect();
    store.engine().import(changes).await.unwrap();
    close(store).await;
    let store = target.open().await;
    let mut copied = Vec::new();
    let mut rest = Some(KeyRange::everything());
    while let Some(range) = rest {
        let page = store.scan(&range, Direction::Forward, 700).await.unwrap();
        copied.extend(page.rows.into_iter().map(|row| RawRow { key: row.key, value: row.value }));
        rest = page.rest;
    }
    assert_eq!(copied, rows);
    let mut batch = Batch::new();
    batch.append(P0, KIND, "next");
    assert_eq!(store.commit(batch).await.unwrap().positions, [Position(6)]);
    let verified = store.engine().verify(&KeyRange::everything()).await.unwrap();
    assert!(verified.damaged.is_empty() && verified.bytes > 0);
    let stat = store.engine().stat().await.unwrap();
    assert!(stat.bytes_on_disk > 0 && stat.details.iter().any(|(name, _)| name == "t_log"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_value_is_seen_and_named() {
    let Some((_fixtures, [store, _], url)) = two_nodes().await else { return };
    let mut batch = Batch::new();
    (0..3).for_each(|number| batch.put(&key(number), "a value"));
    store.commit(batch).await.unwrap();
    let flip = "UPDATE holdfast.t_test SET v = set_byte(v, 7, 1) WHERE k = (SELECT k FROM holdfast.t_test ORDER BY k OFFSET 1 LIMIT 1)";
    execute(&url, flip).unwrap();
    assert!(matches!(store.get(&key(1)).await, Err(Error::Damaged { key: found, .. }) if found == key(1)));
    let verified = store.engine().verify(&KeyRange::everything()).await.unwrap();
    assert_eq!((verified.rows.len(), verified.damaged.len()), (2, 1));
    assert_eq!(verified.damaged[0].0, key(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_directory_is_found_out() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let twins = [Fixture::node(&url, 1), Fixture::node(&url, 1)];
    let write = |number| {
        let mut batch = Batch::new();
        batch.put(&key(number), "value");
        batch
    };
    let (one, other) = (twins[0].open().await, twins[1].open().await);
    one.commit(write(1)).await.unwrap();
    let refused = other.commit(write(2)).await.unwrap_err();
    assert!(matches!(&refused, Error::Fatal { reason } if reason.contains("data directory copied")), "{refused}");
    assert!(matches!(other.health(), Health::Failed { .. }));
    assert_eq!(one.get(&key(2)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lost_acknowledged_commits_is_refused_until_accepted() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let mut fixture = Fixture::node(&url, 1);
    let write = || {
        let mut batch = Batch::new();
        batch.append(P0, KIND, "acknowledged");
        batch
    };
    let store = fixture.open().await;
    for _ in 0..5 {
        store.commit(write()).await.unwrap();
    }
    // What a restored backup or a late replica would hold; the old connections end with the old server.
    let back = "UPDATE holdfast.writer SET commit_number = 2; UPDATE holdfast.partition SET head = 2 WHERE partition = 0; \
                DELETE FROM holdfast.t_log WHERE k > (SELECT k FROM holdfast.t_log ORDER BY k OFFSET 1 LIMIT 1); \
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid()";
    execute(&url, back).unwrap();
    let refused = store.commit(write()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Fatal { reason } if reason.contains("acknowledged data is missing")),
        "{refused}"
    );
    assert!(matches!(store.health(), Health::Failed { .. }));
    close(store).await;
    let refused = Store::open(fixture.options.clone()).await.unwrap_err();
    assert!(matches!(refused, OpenError::LostAcknowledged { acknowledged: 5, found: 2 }), "{refused}");
    fixture.options.on_loss = OnLoss::Accept;
    let store = fixture.open().await;
    assert_eq!(store.commit(write()).await.unwrap().positions, [Position(3)]);
    close(store).await;
    fixture.options.on_loss = OnLoss::Refuse;
    fixture.open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_went_back_is_found_out_by_a_node_that_had_only_read_it() {
    let Some((_fixtures, [writer, reader], url)) = two_nodes().await else { return };
    for _ in 0..3 {
        let mut batch = Batch::new();
        batch.append(P0, KIND, "entry");
        writer.commit(batch).await.unwrap();
    }
    let mut watch = reader.watch(P0).unwrap();
    watch.after(Position(2)).await.unwrap();
    execute(&url, "UPDATE holdfast.partition SET head = 1 WHERE partition = 0; NOTIFY holdfast_log").unwrap();
    let mut health = reader.engine().health();
    let failed = health.wait_for(|health| matches!(health, Health::Failed { .. }));
    reader.clock().timeout(Duration::from_secs(20), failed).await.expect("it is noticed").unwrap();
}
