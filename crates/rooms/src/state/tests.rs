//! States in a store: loading, keys' numbers and the collector.

use base::{Clock, Random, Timestamp};
use storage::table::STATE_NODE;
use storage::{Batch, Direction, EngineChoice, Key, KeyRange, MemoryDisk, Precondition, Store, StoreOptions};

use crate::Error;
use crate::event::StateKey;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{
    Changes, Collected, Nodes, StateRoot, add_key, collect, key_names, key_numbers, load, put_new_nodes,
};

const ROOM: RoomNumber = RoomNumber(42);

async fn store() -> Store {
    let mut options = StoreOptions::new("", EngineChoice::Memory { disk: MemoryDisk::new() });
    options.clock = Clock::simulated(Timestamp(0));
    options.random = Random::seeded(1);
    Store::open(options).await.unwrap()
}

fn members(range: std::ops::Range<u32>, event: u64) -> Changes {
    range.map(|member| (KeyNumber(member), Some(EventNumber(event)))).collect()
}

/// Applies and commits, and touches the row that stands for the room's head.
async fn apply(store: &Store, root: StateRoot, changes: &Changes) -> StateRoot {
    let mut nodes = Nodes::new(ROOM);
    let root = load(store, &mut nodes, |nodes| nodes.apply(root, changes)).await.unwrap();
    let mut batch = Batch::new();
    put_new_nodes(&mut batch, &nodes, root);
    batch.put(&head(), vec![1]);
    store.commit(batch).await.unwrap();
    root
}

fn head() -> Key {
    Key::of(storage::table::TEST, &1u64)
}

async fn unchanged(store: &Store) -> Precondition {
    Precondition::Unchanged(head(), store.get(&head()).await.unwrap().unwrap().version)
}

async fn count(store: &Store) -> usize {
    let range = KeyRange::table(STATE_NODE);
    store.scan(&range, Direction::Forward, 100_000).await.unwrap().rows.len()
}

async fn size(store: &Store, root: StateRoot) -> Result<usize, Error> {
    let mut nodes = Nodes::new(ROOM);
    load(store, &mut nodes, |nodes| nodes.entries(root, KeyNumber(0), usize::MAX)).await.map(|entries| entries.len())
}

#[tokio::test]
async fn a_state_is_read_back_after_it_was_committed() {
    let store = store().await;
    let one = apply(&store, StateRoot::EMPTY, &members(0..3_000, 1)).await;
    let two = apply(&store, one, &members(7..8, 2)).await;
    assert_eq!(size(&store, one).await.unwrap(), 3_000);
    let mut nodes = Nodes::new(ROOM);
    let found = load(&store, &mut nodes, |nodes| nodes.differences(one, two, KeyNumber(0), 10)).await.unwrap();
    assert_eq!(found.iter().map(|found| found.key).collect::<Vec<_>>(), [KeyNumber(7)]);
}

#[tokio::test]
async fn a_missing_or_foreign_node_is_a_fault_and_no_endless_loop() {
    let store = store().await;
    let root = apply(&store, StateRoot::EMPTY, &members(0..3_000, 1)).await;
    let rows = store.scan(&KeyRange::table(STATE_NODE), Direction::Forward, 100).await.unwrap().rows;
    for value in [None, Some(&rows[0].value), Some(&rows[1].value)] {
        let mut batch = Batch::new();
        for row in &rows {
            match value {
                None => batch.delete(&row.key),
                Some(value) => batch.put(&row.key, value.clone()),
            }
        }
        store.commit(batch).await.unwrap();
        let error = size(&store, root).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(!error.is_unavailable() && !error.is_conflict());
    }
}

#[tokio::test]
async fn nodes_that_no_root_leads_to_are_removed_and_all_others_stay() {
    let store = store().await;
    let mut roots = vec![apply(&store, StateRoot::EMPTY, &members(0..3_000, 1)).await];
    for member in 0..20 {
        let last = *roots.last().unwrap();
        roots.push(apply(&store, last, &members(member * 100..member * 100 + 1, 2)).await);
    }
    let other_room = Key::of(STATE_NODE, &(RoomNumber(43), [9u8; 16]));
    let mut batch = Batch::new();
    batch.put(&other_room, vec![0]);
    store.commit(batch).await.unwrap();

    let before = count(&store).await;
    let all = collect(&store, ROOM, &roots, &unchanged(&store).await).await.unwrap();
    assert_eq!(all, Collected { kept: before - 1, removed: 0 });

    let kept = [roots[3], roots[20], StateRoot::EMPTY];
    let some = collect(&store, ROOM, &kept, &unchanged(&store).await).await.unwrap();
    assert_eq!(some.kept + some.removed, before - 1);
    assert!(some.removed > 0 && count(&store).await == some.kept + 1);
    assert_eq!(size(&store, roots[3]).await.unwrap(), 3_000);
    assert_eq!(size(&store, roots[20]).await.unwrap(), 3_000);
    assert!(size(&store, roots[4]).await.is_err());

    let none = collect(&store, ROOM, &[], &unchanged(&store).await).await.unwrap();
    assert_eq!(none, Collected { kept: 0, removed: some.kept });
    assert!(store.get(&other_room).await.unwrap().is_some(), "another room's nodes are not ours to remove");
}

#[tokio::test]
async fn an_append_while_collecting_ends_the_collection_and_loses_nothing() {
    let store = store().await;
    let old = apply(&store, StateRoot::EMPTY, &members(0..3_000, 1)).await;
    let now = apply(&store, old, &members(0..3_000, 2)).await;
    let before = unchanged(&store).await;
    // Somebody appends, and comes back to the old state, whose nodes would be removed.
    let again = apply(&store, now, &members(0..3_000, 1)).await;
    assert_eq!(again, old);
    let error = collect(&store, ROOM, &[now], &before).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(size(&store, again).await.unwrap(), 3_000);
}

#[tokio::test]
async fn keys_have_the_number_they_were_given_and_numbers_their_key() {
    let store = store().await;
    let long = "ß".repeat(127);
    let keys = [
        StateKey::new("m.room.create".to_owned(), ""),
        StateKey::new("m.room.member".to_owned(), "@alice:one"),
        StateKey::new("m.room.membe".to_owned(), "r@alice:one"),
        StateKey::new(long.clone(), long),
        StateKey::new("".to_owned(), "\0"),
    ];
    let mut batch = Batch::new();
    for (number, key) in (0..).zip(&keys) {
        add_key(&mut batch, ROOM, key, KeyNumber(number));
    }
    store.commit(batch).await.unwrap();
    let mut asked = keys.to_vec();
    asked.push(StateKey::new("m.room.member".to_owned(), "@bob:one"));
    let numbers = key_numbers(&store, ROOM, &asked).await.unwrap();
    assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4), None].map(|number| number.map(KeyNumber)));
    let known: Vec<KeyNumber> = numbers.into_iter().flatten().collect();
    assert_eq!(key_names(&store, ROOM, &known).await.unwrap(), keys);
    assert_eq!(key_numbers(&store, RoomNumber(43), &asked).await.unwrap(), [None; 6]);
    assert!(matches!(key_names(&store, ROOM, &[KeyNumber(9)]).await, Err(Error::Damaged { .. })));
}
