//! Connections that end in the middle of a commit: its end is found out, never guessed.

use std::time::Duration;

use base::Position;
use storage::{Batch, Error, Health, Store};

use crate::fixture::{Fixture, KIND, P0, key};
use crate::postgres::proxy::{Cut, Proxy};
use crate::postgres::server;

/// A store behind a proxy; `None` where there is no server.
async fn behind_proxy(patience: Duration) -> Option<(Fixture, Store, Proxy)> {
    let server = server::shared()?;
    let direct = server.new_database();
    let proxy = Proxy::start(server.folder().to_owned()).await;
    let database = direct.rsplit('/').next().unwrap();
    let mut fixture = Fixture::node(&format!("postgres://holdfast@127.0.0.1:{}/{database}", proxy.port), 1);
    fixture.options.tuning.patience = patience;
    let store = fixture.open().await;
    Some((fixture, store, proxy))
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.append(P0, KIND, number.to_string());
    batch.require_absent(&key(number));
    batch.put(&key(number), "value");
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_or_which_itself_is_lost_happens_exactly_once() {
    let Some((_fixture, store, proxy)) = behind_proxy(Duration::from_secs(30)).await else { return };
    for number in 1..=20 {
        proxy.cut([Cut::Answer, Cut::Commit, Cut::Never][usize::try_from(number % 3).unwrap()]);
        let committed = store.commit(batch(number)).await.unwrap();
        assert_eq!(committed.positions, [Position(number)]);
        assert_eq!(store.get(&key(number)).await.unwrap().unwrap().version, committed.version);
        assert_eq!(store.watch(P0).unwrap().head(), Position(number));
    }
    let entries = store.log_entries(P0, Position::START, Position(99), 99).await.unwrap();
    assert_eq!(entries.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_cannot_be_found_out_is_said_to_be_unknown_and_the_store_goes_on() {
    for (cut, head) in [(Cut::Answer, 2), (Cut::Commit, 1)] {
        let Some((_fixture, store, proxy)) = behind_proxy(Duration::from_millis(300)).await else { return };
        store.commit(batch(1)).await.unwrap();
        proxy.cut_and_close(cut);
        let unknown = store.commit(batch(2)).await.unwrap_err();
        assert!(matches!(unknown, Error::Unknown { .. }), "{unknown}");
        assert!(matches!(store.health(), Health::ReadOnly { .. }));
        assert!(matches!(store.commit(batch(3)).await, Err(Error::Unavailable { .. })), "it does not wait again");
        proxy.set_open(true);
        let mut health = store.engine().health();
        let serving = health.wait_for(|health| *health == Health::Serving);
        store.clock().timeout(Duration::from_secs(20), serving).await.expect("it recovers by itself").unwrap();
        // The batch's own precondition makes the repetition safe.
        let repeated = store.commit(batch(2)).await;
        assert_eq!(repeated.is_err_and(|error| error.is_conflict()), head == 2);
        assert_eq!(store.commit(batch(4)).await.unwrap().positions, [Position(3)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_between_commits_are_noticed_by_nobody() {
    let Some((_fixture, store, proxy)) = behind_proxy(Duration::from_secs(30)).await else { return };
    for number in 1..=5 {
        store.commit(batch(number)).await.unwrap();
        proxy.set_open(true);
        assert_eq!(store.get(&key(number)).await.unwrap().unwrap().value, "value");
        proxy.set_open(true);
    }
}
