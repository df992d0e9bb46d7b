//! The server is killed under load and started again: what was acknowledged is whole, nothing is half there, positions
//! have no gaps, and no answer is missing or wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::{Clock, Position, task};
use storage::{Batch, Committed, Error, Store};

use crate::fixture::{Fixture, KIND, P0, key};
use crate::postgres::server::Server;

const PRODUCERS: u64 = 24;
const ROWS: u64 = 4;
const CRASHES: u32 = 5;

fn row(producer: u64, round: u64, part: u64) -> storage::Key {
    key((producer << 40) | (round << 8) | part)
}

fn batch(producer: u64, round: u64) -> Batch {
    let mut batch = Batch::new();
    batch.append(P0, KIND, format!("{producer}/{round}"));
    batch.require_absent(&row(producer, round, 0));
    (0..ROWS).for_each(|part| batch.put(&row(producer, round, part), format!("{producer}/{round}/{part}")));
    batch
}

/// Commits one batch after the other until told to stop; what was answered to each.
async fn produce(store: Arc<Store>, producer: u64, stop: Arc<AtomicBool>) -> Vec<Result<Committed, Error>> {
    let mut answers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        answers.push(store.commit(batch(producer, answers.len() as u64)).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_server_killed_under_load_loses_nothing_and_every_answer_is_right() {
    let Some(mut server) = Server::start() else { return };
    let url = server.new_database();
    // Two nodes: after a crash each finds out about its own commits.
    let fixtures = [Fixture::node(&url, 1), Fixture::node(&url, 2)];
    let stores = [Arc::new(fixtures[0].open().await), Arc::new(fixtures[1].open().await)];
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let store = Arc::clone(&stores[usize::try_from(producer % 2).unwrap()]);
            task::spawn(produce(store, producer, Arc::clone(&stop)))
        })
        .collect();
    let (clock, random) = (Clock::system(), base::Random::seeded(11));
    for _ in 0..CRASHES {
        clock.sleep(Duration::from_millis(300 + random.below(500))).await;
        tokio::task::block_in_place(|| server.stop_immediately());
        clock.sleep(Duration::from_millis(random.below(300))).await;
        tokio::task::block_in_place(|| server.up());
    }
    clock.sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = BTreeMap::new();
    for (producer, task) in (0..PRODUCERS).zip(producers) {
        for (round, answer) in (0..).zip(task.await.unwrap()) {
            answers.insert((producer, round), answer);
        }
    }
    check(&stores[0], &answers).await;
    // A store opened anew agrees, and its head with its log.
    stores[1].close().await;
    let reopened = Fixture::node(&url, 3).open().await;
    check(&reopened, &answers).await;
}

async fn check(store: &Store, answers: &BTreeMap<(u64, u64), Result<Committed, Error>>) {
    let mut log = BTreeMap::new();
    let mut after = Position::START;
    loop {
        let entries = store.log_entries(P0, after, Position(u64::MAX - 1), 10_000).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = last.position;
        for entry in entries {
            let text = String::from_utf8(entry.payload.to_vec()).unwrap();
            let (producer, round) = text.split_once('/').unwrap();
            let of: (u64, u64) = (producer.parse().unwrap(), round.parse().unwrap());
            assert_eq!(log.insert(of, entry.position), None, "{of:?} was committed twice");
        }
    }
    let mut positions: Vec<Position> = log.values().copied().collect();
    positions.sort_unstable();
    assert!(positions.into_iter().eq((1..=log.len() as u64).map(Position)), "positions have gaps");
    let mut acknowledged = 0;
    for ((producer, round), answer) in answers {
        let keys: Vec<_> = (0..ROWS).map(|part| row(*producer, *round, part)).collect();
        let rows = store.engine().get_many(&keys).await.unwrap();
        let there = rows.iter().flatten().count();
        let position = log.get(&(*producer, *round));
        match answer {
            Ok(committed) => {
                acknowledged += 1;
                assert_eq!(position, committed.positions.first(), "{producer}/{round}");
                assert!(rows.iter().flatten().all(|row| row.version == committed.version));
                assert_eq!(there, keys.len(), "{producer}/{round} is not whole");
            }
            Err(Error::Unknown { .. }) => assert_eq!(there, if position.is_some() { keys.len() } else { 0 }),
            Err(error) => {
                assert!(error.is_unavailable(), "{producer}/{round}: {error}");
                assert_eq!((there, position), (0, None), "{producer}/{round} was refused ({error}) and is there");
            }
        }
    }
    let refused = answers.len() - acknowledged;
    println!("{acknowledged} batches acknowledged, {refused} not, over {CRASHES} crashes");
    assert!(acknowledged > 100, "only {acknowledged} batches were acknowledged");
    assert_eq!(refused, 0, "a restart is shorter than the writer's patience");
}
