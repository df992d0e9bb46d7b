//! Batches gathered into one: read back before it is committed, checked against each other, and written whole.

use base::{Clock, Partition, Position, Random, Timestamp};
use bytes::Bytes;

use crate::table::TEST;
use crate::{
    Batch, Direction, EngineChoice, Key, KeyRange, Kind, MemoryDisk, Store, StoreOptions, Template, split_stamp,
};

async fn open() -> Store {
    let mut options = StoreOptions::new("", EngineChoice::Memory { disk: MemoryDisk::new() });
    options.clock = Clock::simulated(Timestamp(0));
    options.random = Random::seeded(1);
    Store::open(options).await.unwrap()
}

fn key(name: &str) -> Key {
    Key::of(TEST, &(name.to_owned(),))
}

async fn names(store: &Store, direction: Direction, limit: usize) -> Vec<Bytes> {
    let (mut range, mut found) = (KeyRange::table(TEST), Vec::new());
    loop {
        let page = store.scan(&range, direction, limit).await.unwrap();
        found.extend(page.rows.into_iter().map(|row| row.value));
        match page.rest {
            Some(rest) => range = rest,
            None => return found,
        }
    }
}

#[tokio::test]
async fn what_was_gathered_is_read_back_in_order_and_the_store_below_knows_nothing_of_it() {
    let store = open().await;
    let mut below = Batch::new();
    for name in ["b", "d", "f"] {
        below.put(&key(name), name.as_bytes().to_vec());
    }
    store.commit(below).await.unwrap();
    let staging = store.stage();
    let mut first = Batch::new();
    first.put(&key("a"), "a");
    first.put(&key("d"), "D");
    staging.store().commit(first).await.unwrap();
    let mut second = Batch::new();
    second.delete(&key("f"));
    second.put(&key("e"), "e");
    staging.store().commit(second).await.unwrap();
    for limit in [1, 2, 10] {
        assert_eq!(names(staging.store(), Direction::Forward, limit).await, ["a", "b", "D", "e"]);
        assert_eq!(names(staging.store(), Direction::Backward, limit).await, ["e", "D", "b", "a"]);
    }
    let rows = staging.store().engine().get_many(&["f", "d", "b"].map(key)).await.unwrap();
    let values: Vec<Option<Bytes>> = rows.into_iter().map(|row| row.map(|row| row.value)).collect();
    assert_eq!(values, [None, Some(Bytes::from("D")), Some(Bytes::from("b"))]);
    assert_eq!(names(&store, Direction::Forward, 10).await, ["b", "d", "f"]);
    store.commit(staging.finish()).await.unwrap();
    assert_eq!(names(&store, Direction::Forward, 10).await, ["a", "b", "D", "e"]);
}

#[tokio::test]
async fn preconditions_hold_among_the_gathered_and_against_the_store_below() {
    let store = open().await;
    let staging = store.stage();
    let mut first = Batch::new();
    first.require_absent(&key("a"));
    first.put(&key("a"), "1");
    let first = staging.store().commit(first).await.unwrap();
    let mut again = Batch::new();
    again.require_absent(&key("a"));
    assert!(staging.store().commit(again).await.unwrap_err().is_conflict());
    let mut second = Batch::new();
    second.require_unchanged(&key("a"), first.version);
    second.put(&key("a"), "2");
    staging.store().commit(second).await.unwrap();
    let gathered = staging.finish();
    let mut other = Batch::new();
    other.put(&key("a"), "somebody else's");
    store.commit(other).await.unwrap();
    assert!(store.commit(gathered).await.unwrap_err().is_conflict(), "nobody may have written it meanwhile");
    assert_eq!(names(&store, Direction::Forward, 10).await, ["somebody else's"]);
}

#[tokio::test]
async fn each_of_the_gathered_appends_gets_its_position() {
    let store = open().await;
    let staging = store.stage();
    for name in ["x", "y"] {
        let mut batch = Batch::new();
        let stamp = batch.append(Partition(0), Kind(1), name.as_bytes().to_vec());
        batch.put_template(Template::plain(key(name).to_bytes()), Template::with_stamp(name, stamp));
        staging.store().commit(batch).await.unwrap();
    }
    let committed = store.commit(staging.finish()).await.unwrap();
    assert_eq!(committed.positions, [Position(1), Position(2)]);
    for (name, position) in [("x", 1), ("y", 2)] {
        let row = store.get(&key(name)).await.unwrap().unwrap();
        assert_eq!(split_stamp(&row.value), Some((name.as_bytes(), Position(position))));
    }
}
