//! The graph in a store: a room is written event by event and read back, also after a crash, and what a change costs.

use std::collections::BTreeMap;

use serde_json::json;
use storage::table::AUTH_CHAIN;
use storage::{Batch, Key, MemoryDisk, Record, Store};

use crate::Error;
use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Known, RoomVersion, Standing};
use crate::graph::fixture::{Addition, ROOM, addition, begin, open};
use crate::graph::{
    AuthChain, Completeness, EventFacts, Graph, Head, HeadV1, Place, StoredChain, Transaction, find_room, head_of,
    put_chain, put_room, rooms_of_event,
};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{Nodes, StateRoot, load};

async fn add(store: &Store, version: &'static RoomVersion, event: &Known) -> EventNumber {
    let Addition { batch, number, .. } = addition(store, version, event, None).await;
    store.commit(batch).await.unwrap();
    number
}

/// What a room says, in the order it is said.
fn conversation(version: &'static RoomVersion) -> (Room, Vec<Known>) {
    let mut room = Room::new(version);
    let mut said: Vec<Known> = room.state.values().cloned().collect();
    said.sort_by_key(|known| known.pdu.depth());
    said.push(room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" })));
    said.push(room.message(BOB, "hello"));
    said.push(room.set(ALICE, "m.room.member", BOB, json!({ "membership": "leave" })));
    (room, said)
}

#[tokio::test]
async fn a_room_of_every_version_is_read_back_after_a_crash() {
    for version in RoomVersion::all() {
        let disk = MemoryDisk::new();
        let store = open(&disk).await;
        let (room, said) = conversation(version);
        begin(&store, &room).await;
        let mut numbers = Vec::new();
        for event in &said {
            numbers.push(add(&store, version, event).await);
        }
        disk.crash();
        let store = open(&disk).await;
        let room_id = room.room_id.clone().unwrap();
        assert_eq!(find_room(&store, &room_id).await.unwrap(), Some(ROOM));
        let (head, _) = head_of(&store, ROOM).await.unwrap().unwrap();
        assert_eq!((head.room_id, &head.version), (room_id, version.id()));
        assert_eq!(head.extremities, [*numbers.last().unwrap()]);
        assert_eq!(head.next_event, EventNumber(said.len() as u64), "no number is given twice or left out");

        let graph = Graph::new(&store, ROOM, version);
        for (read, said) in graph.events(&numbers).await.unwrap().into_iter().zip(&said) {
            let read = read.unwrap();
            assert_eq!((&read.pdu, read.standing), (&said.pdu, said.standing));
        }
        let mut nodes = Nodes::new(ROOM);
        let state = load(&store, &mut nodes, |nodes| nodes.entries(head.state, KeyNumber(0), 100)).await.unwrap();
        let held: Vec<EventNumber> = state.into_iter().map(|(_, event)| event).collect();
        let held = graph.events(&held).await.unwrap().into_iter().map(|known| known.unwrap().pdu.id().to_owned());
        let expected: std::collections::BTreeSet<_> =
            room.state.values().map(|known| known.pdu.id().to_owned()).collect();
        assert_eq!(held.collect::<std::collections::BTreeSet<_>>(), expected);
    }
}

#[tokio::test]
async fn chains_followers_and_rooms_are_found() {
    let store = open(&MemoryDisk::new()).await;
    let version = RoomVersion::all().last().unwrap();
    let (room, said) = conversation(version);
    begin(&store, &room).await;
    let mut expected: BTreeMap<_, AuthChain> = BTreeMap::new();
    let graph = Graph::new(&store, ROOM, version);
    for event in &said {
        let number = add(&store, version, event).await;
        let numbers = graph.numbers(event.pdu.auth_events()).await.unwrap();
        let above = AuthChain::above(numbers.values().map(|number| (*number, &expected[number])));
        expected.insert(number, above);
        if event.pdu.state_key().is_some() {
            assert_eq!(graph.chains(&[number]).await.unwrap()[0].1, expected[&number], "{:?}", event.pdu);
        }
        assert_eq!(rooms_of_event(&store, event.pdu.id()).await.unwrap(), [(ROOM, number)]);
    }
    for pair in said.windows(2) {
        let ids = [pair[0].pdu.id().to_owned(), pair[1].pdu.id().to_owned()];
        let numbers = graph.numbers(&ids).await.unwrap();
        assert_eq!(graph.followers(numbers[&ids[0]]).await.unwrap(), [numbers[&ids[1]]]);
    }
}

#[tokio::test]
async fn an_event_known_by_name_only_has_a_number_and_nothing_else() {
    let store = open(&MemoryDisk::new()).await;
    let version = RoomVersion::all().last().unwrap();
    let (room, said) = conversation(version);
    begin(&store, &room).await;
    for event in &said[..4] {
        add(&store, version, event).await;
    }
    // The sixth comes before the fifth.
    let later = add(&store, version, &said[5]).await;
    let graph = Graph::new(&store, ROOM, version);
    let missing = graph.numbers(&[said[4].pdu.id().to_owned()]).await.unwrap();
    let missing: Vec<EventNumber> = missing.into_values().collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(graph.facts(&missing).await.unwrap(), [None]);
    assert!(graph.events(&missing).await.unwrap()[0].is_none());
    let extremities = head_of(&store, ROOM).await.unwrap().unwrap().0.extremities;
    assert_eq!(extremities.len(), 2, "nobody knows yet that the sixth follows the fourth");
    assert_eq!(add(&store, version, &said[4]).await, missing[0], "it gets the number it was known by");
    assert_eq!(head_of(&store, ROOM).await.unwrap().unwrap().0.extremities, [later]);
}

#[tokio::test]
async fn of_two_who_append_at_once_one_is_refused() {
    let store = open(&MemoryDisk::new()).await;
    let version = RoomVersion::all().last().unwrap();
    let (room, said) = conversation(version);
    let head = begin(&store, &room).await;
    let first = addition(&store, version, &said[0], None).await.batch;
    let second = addition(&store, version, &said[0], None).await.batch;
    store.commit(first).await.unwrap();
    assert!(store.commit(second).await.unwrap_err().is_conflict());

    let mut again = Batch::new();
    put_room(&mut again, &head.room_id, RoomNumber(43));
    assert!(store.commit(again).await.unwrap_err().is_conflict(), "a room is made once");
}

#[tokio::test]
async fn chains_that_are_missing_or_lead_in_a_circle_are_faults() {
    let store = open(&MemoryDisk::new()).await;
    let graph = Graph::new(&store, ROOM, RoomVersion::all().last().unwrap());
    assert!(matches!(graph.chains(&[EventNumber(1)]).await, Err(Error::Damaged { .. })));
    let chain = |number: u64| (EventNumber(number), AuthChain::above([(EventNumber(9), &AuthChain::empty())]));
    let empty = StoredChain::above(&[]);
    let mut batch = Batch::new();
    for (event, base) in [(1, 2), (2, 1)] {
        let (base, long) = chain(base);
        put_chain(&mut batch, ROOM, EventNumber(event), &[], &StoredChain::above(&[(base, long, empty.clone())]));
    }
    batch.put(&Key::of(AUTH_CHAIN, &(ROOM, EventNumber(3))), vec![9]);
    store.commit(batch).await.unwrap();
    for event in [1, 2, 3] {
        assert!(matches!(graph.chains(&[EventNumber(event)]).await, Err(Error::Damaged { .. })), "{event}");
    }
}

#[test]
fn a_head_and_facts_come_back_as_they_were_stored() {
    let facts = EventFacts {
        id: "$old:one".try_into().unwrap(),
        standing: Standing::Rejected,
        place: Place::Outlier,
        depth: 7,
        prev: vec![EventNumber(1), EventNumber(u64::MAX)],
        auth: vec![],
        files: Some(KeyNumber(3)),
        sent: Some(Transaction { device: "PHONE".into(), id: "m1".into() }),
        redacted_by: Some(EventNumber(2)),
    };
    assert_eq!(EventFacts::decode(&facts.encode()).unwrap(), facts);
    let head = Head {
        room_id: "!room:one".try_into().unwrap(),
        version: "12".try_into().unwrap(),
        next_event: EventNumber(5),
        next_key: KeyNumber(6),
        extremities: vec![EventNumber(4)],
        state: StateRoot::EMPTY,
        completeness: Completeness::Partial { join: EventNumber(4) },
        rewritten: 0,
    };
    assert_eq!(Head::decode(&head.encode()).unwrap(), head);
}

#[test]
fn a_head_of_the_time_before_partial_states_is_complete() {
    let stored = HeadV1 {
        room_id: "!room:one".try_into().unwrap(),
        version: "12".try_into().unwrap(),
        next_event: EventNumber(5),
        next_key: KeyNumber(6),
        extremities: vec![EventNumber(4)],
        state: StateRoot::EMPTY,
    };
    let head = Head::decode(&stored.encode()).unwrap();
    assert_eq!((head.next_event, head.completeness), (EventNumber(5), Completeness::Complete));
}
