//! Gaps: marked by a name without an event, filled later in their own places; and events that are known before their time.

use std::sync::Arc;

use base::Random;
use ruma::OwnedEventId;
use serde_json::json;
use storage::MemoryDisk;

use super::world::{Keys, Peer, begin, beginning, latest, outcome, rooms_on, send, send_as, shown};
use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Pdu, Standing};
use crate::graph::{Graph, Place};
use crate::ingest::{Source, Verdict};
use crate::number::{EventNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::timeline::Order;

/// A server that has all of these, and one that has the first so many.
async fn two(events: &[Pdu], known: usize) -> (Peer, Arc<Rooms>, RoomNumber) {
    let all = rooms_on(&MemoryDisk::new()).await;
    let room = begin(&all, &events[0]).await;
    send(&all, &events[1..], &Keys).await;
    let peer = Peer {
        rooms: all,
        room,
        version: events[0].version(),
        gives_missing: false,
        gives_states: true,
        loses: 0,
        random: Random::seeded(1),
    };
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let room = begin(&rooms, &events[0]).await;
    send(&rooms, &events[1..known], &Keys).await;
    (peer, rooms, room)
}

fn ids(events: &[Pdu]) -> Vec<OwnedEventId> {
    events.iter().map(|pdu| pdu.id().to_owned()).collect()
}

async fn facts(rooms: &Rooms, room: RoomNumber, pdu: &Pdu) -> (EventNumber, Option<crate::graph::EventFacts>) {
    let graph = Graph::new(rooms.store(), room, pdu.version());
    let number = graph.numbers(&[pdu.id().to_owned()]).await.unwrap()[pdu.id()];
    (number, graph.facts(&[number]).await.unwrap().remove(0))
}

#[tokio::test]
async fn a_gap_is_marked_by_a_name_without_an_event_and_filled_in_its_place() {
    let mut room = Room::new(latest());
    room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
    let mut events = beginning(&room);
    events.extend((0..12).map(|n| room.message(BOB, &n.to_string()).pdu));
    let (peer, rooms, number) = two(&events, 6).await;
    let late = &events[14..];
    let report = send(&rooms, late, &peer).await;
    assert!(report.events.values().all(|it| matches!(it, Verdict::Accepted | Verdict::Outlier)), "{report:?}");
    let (_, first) = facts(&rooms, number, &late[0]).await;
    let graph = Graph::new(rooms.store(), number, latest());
    assert_eq!(graph.facts(&first.unwrap().prev).await.unwrap(), [None], "the event before the gap is a name only");
    assert_eq!(
        outcome(&rooms, number).await.extremities.len(),
        2,
        "what came before the gap is not known to be followed"
    );

    // Fetched from its end, in two parts.
    for part in [&events[10..14], &events[6..10]] {
        send_as(&rooms, part, Source::History, &peer).await;
    }
    let shown = shown(&rooms, number).await;
    assert_eq!(shown.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), ids(&events), "in the order of the graph");
    assert!(shown[6..14].iter().all(|(order, _)| matches!(order, Order::Filled(..))), "{shown:?}");
    let expected = outcome(&peer.rooms, peer.room).await;
    assert_eq!(outcome(&rooms, number).await, expected);
}

#[tokio::test]
async fn what_lies_before_the_first_event_goes_into_the_history() {
    let mut room = Room::new(latest());
    room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
    let mut events = beginning(&room);
    events.extend((0..10).map(|n| room.message(BOB, &n.to_string()).pdu));
    let (peer, ..) = two(&events, 5).await;
    let join = super::join::joins(&mut room, &peer, "@zoe:local").await;
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let welcome = super::join::welcome(&room, &join, crate::ingest::Members::All);
    let number = rooms.enter("one".try_into().unwrap(), welcome, &Keys).await.unwrap();
    assert_eq!(shown(&rooms, number).await.len(), 1, "the join");
    for part in [&events[9..15], &events[3..9]] {
        send_as(&rooms, part, Source::History, &peer).await;
    }
    let shown = shown(&rooms, number).await;
    let (last, history) = shown.split_last().unwrap();
    assert_eq!(last.1, join.id());
    assert_eq!(history.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), ids(&events[3..]));
    assert!(history.iter().all(|(order, _)| matches!(order, Order::History(_))), "{shown:?}");
    let (_, of_first) = facts(&rooms, number, &events[3]).await;
    let Place::InGraph { before, .. } = of_first.unwrap().place else { panic!() };
    let graph = Graph::new(rooms.store(), number, latest());
    let expected = &outcome(&peer.rooms, peer.room).await.graph[events[3].id()].1;
    assert_eq!(super::world::entries(&graph, before).await, *expected, "its state is the one of its time");
}

#[tokio::test]
async fn an_outlier_keeps_its_number_when_it_comes_into_the_graph() {
    for version in crate::event::RoomVersion::all() {
        let mut room = Room::new(version);
        let mut events = beginning(&room);
        events.push(room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" })).pdu);
        events.extend((0..3).map(|n| room.message(BOB, &n.to_string()).pdu));
        let (peer, rooms, number) = two(&events, 4).await;
        let report = send(&rooms, &events[7..], &peer).await;
        assert_eq!(report.events[events[4].id()], Verdict::Outlier, "what the message leans on was fetched");
        let (outlier, of_outlier) = facts(&rooms, number, &events[4]).await;
        assert_eq!(of_outlier.unwrap().place, Place::Outlier);
        let members = outcome(&rooms, number).await.members;
        assert!(members.contains_key(BOB), "the state that was asked for has him");
        send(&rooms, &events[4..7], &peer).await;
        let (promoted, of_promoted) = facts(&rooms, number, &events[4]).await;
        assert_eq!(promoted, outlier, "version {}", version.id());
        let of_promoted = of_promoted.unwrap();
        assert!(matches!(of_promoted.place, Place::InGraph { .. }));
        assert_eq!(of_promoted.standing, Standing::Accepted);
        let (expected, found) = (outcome(&peer.rooms, peer.room).await, outcome(&rooms, number).await);
        assert_eq!((found.graph, found.state, found.shown), (expected.graph, expected.state, expected.shown));
    }
}

#[tokio::test]
async fn what_nobody_has_is_lacking_and_holds_up_nothing_else() {
    let mut room = Room::new(latest());
    let mut events = beginning(&room);
    let mut side = room.clone();
    events.extend((0..3).map(|n| room.message(ALICE, &n.to_string()).pdu));
    let (_, rooms, number) = two(&events, 4).await;
    let here = side.message(ALICE, "nothing lacks").pdu;
    let report = send(&rooms, [&events[5], &events[6], &here], &Keys).await;
    assert_eq!(report.of(0), Some(&Verdict::Lacking));
    assert_eq!(report.of(1), Some(&Verdict::Lacking));
    assert_eq!(report.of(2), Some(&Verdict::Accepted));
    assert_eq!(outcome(&rooms, number).await.extremities, [here.id().to_owned()].into());
    send(&rooms, &events[4..], &Keys).await;
    assert_eq!(outcome(&rooms, number).await.extremities.len(), 2);
}

#[tokio::test]
async fn a_server_that_lies_is_believed_no_further_than_it_proves_itself() {
    let mut room = Room::new(latest());
    let mut events = beginning(&room);
    events.extend((0..4).map(|n| room.message(ALICE, &n.to_string()).pdu));
    let (_, rooms, number) = two(&events, 5).await;
    let mut other = Room::new(&crate::event::RoomVersion::all()[10]);
    let foreign = other.message(ALICE, "of another room").pdu;
    let liar = super::world::Liar { foreign: foreign.json().clone() };
    let report = send(&rooms, &events[7..], &liar).await;
    assert_eq!(report.of(0), Some(&Verdict::Lacking), "{report:?}");
    let outcome = outcome(&rooms, number).await;
    assert_eq!(outcome.graph.len(), 5);
    assert_eq!(outcome.extremities, [events[4].id().to_owned()].into());
}
