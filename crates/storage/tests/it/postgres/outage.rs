//! A server that goes away or takes no writes while the store is open: reads and writes say so, and come back by
//! themselves.

use std::time::Duration;

use storage::{Batch, Error, Health, Store};

use crate::fixture::{Fixture, key};
use crate::postgres::server::{self, Server, execute};

fn put(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(&key(number), "value");
    batch
}

async fn serving_again(store: &Store) {
    let mut health = store.engine().health();
    let serving = health.wait_for(|health| *health == Health::Serving);
    store.clock().timeout(Duration::from_secs(30), serving).await.expect("it recovers by itself").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_named_and_taken_up_again() {
    let Some(mut server) = Server::start() else { return };
    let mut fixture = Fixture::node(&server.new_database(), 1);
    fixture.options.tuning.patience = Duration::from_millis(200);
    let store = fixture.open().await;
    store.commit(put(1)).await.unwrap();
    tokio::task::block_in_place(|| server.stop_immediately());
    for _ in 0..2 {
        let refused = store.commit(put(2)).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
        let unread = store.get(&key(1)).await.unwrap_err();
        assert!(matches!(unread, Error::Unavailable { .. }), "{unread}");
    }
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    tokio::task::block_in_place(|| server.up());
    serving_again(&store).await;
    store.commit(put(3)).await.unwrap();
    assert_eq!(store.get(&key(2)).await.unwrap(), None, "what was refused is not there");
    assert_eq!(store.get(&key(1)).await.unwrap().unwrap().value, "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_goes_on_answering_reads() {
    let Some(server) = server::shared() else { return };
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let store = Fixture::node(&url, 1).open().await;
    store.commit(put(1)).await.unwrap();
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND \
                        pid <> pg_backend_pid()";
    execute(&url, &format!("ALTER DATABASE {database} SET default_transaction_read_only = on; {end_sessions}"))
        .unwrap();
    let refused = store.commit(put(2)).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert_eq!(store.get(&key(1)).await.unwrap().unwrap().value, "value");
    server.execute("postgres", &format!("ALTER DATABASE {database} RESET default_transaction_read_only"));
    serving_again(&store).await;
    store.commit(put(3)).await.unwrap();
    assert_eq!(store.get(&key(2)).await.unwrap(), None);
}
