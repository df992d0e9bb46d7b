//! Coming into rooms through other servers, at once or with most of the state still missing.

use base::{Clock, Random, Timestamp};
use ruma::UserId;
use serde_json::json;
use storage::MemoryDisk;

use super::world::{CAROL, EVE, Keys, Peer, begin, beginning, json_of, latest, outcome, rooms_on, send, shown};
use crate::append::{members, rooms_of_user};
use crate::error::{Error, Refusal};
use crate::event::fixture::{ALICE, BOB, Room, key};
use crate::event::{Pdu, Place as DraftPlace, build};
use crate::graph::{Completeness, find_room, head_of};
use crate::ingest::{Members, Verdict, Welcome};

pub(super) const ZOE: &str = "@zoe:local";

/// Somebody joins, by the fixture's state, and the peer hears of it.
pub(super) async fn joins(room: &mut Room, peer: &Peer, user: &str) -> Pdu {
    let join = room.build(&Room::draft(user, "m.room.member", Some(user), json!({ "membership": "join" })));
    let join = join.pdu().clone();
    send(&peer.rooms, [&join], &Keys).await;
    join
}

/// What a server answers to the join, by the fixture's state.
pub(super) fn welcome(room: &Room, join: &Pdu, members: Members) -> Welcome {
    let all = || room.state.values().map(|known| &known.pdu);
    let left_out = |pdu: &&Pdu| {
        let is_member = pdu.kind().to_string() == "m.room.member";
        is_member && members != Members::All && !join.auth_events().contains(pdu.owned_id())
    };
    Welcome {
        room_id: room.room_id.clone().unwrap(),
        version: room.version.id().clone(),
        event: join.json().clone(),
        state: json_of(all().filter(|pdu| !left_out(pdu))),
        // Who set the power levels is leaned on.
        auth_chain: json_of(all().filter(|pdu| pdu.state_key() == Some(ALICE) || pdu.state_key() == Some(""))),
        members,
    }
}

async fn peer_of(room: &Room) -> Peer {
    let rooms = rooms_on(&MemoryDisk::ephemeral()).await;
    let events = beginning(room);
    let number = begin(&rooms, &events[0]).await;
    send(&rooms, &events[1..], &Keys).await;
    Peer {
        rooms,
        room: number,
        version: room.version,
        gives_missing: true,
        gives_states: true,
        loses: 0,
        random: Random::seeded(1),
    }
}

#[tokio::test]
async fn a_room_of_every_version_is_entered_and_goes_on() {
    for version in crate::event::RoomVersion::all() {
        let mut room = Room::new(version);
        room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
        let peer = peer_of(&room).await;
        let join = joins(&mut room, &peer, ZOE).await;
        let rooms = rooms_on(&MemoryDisk::new()).await;
        let from = "one".try_into().unwrap();
        let number = rooms.enter(from, welcome(&room, &join, Members::All), &Keys).await.unwrap();
        room.take(&join);
        let said = room.message(BOB, "welcome").pdu;
        let report = send(&rooms, [&said], &Keys).await;
        assert_eq!(report.of(0), Some(&Verdict::Accepted), "version {}", version.id());
        send(&peer.rooms, [&said], &Keys).await;
        let (here, there) = (outcome(&rooms, number).await, outcome(&peer.rooms, peer.room).await);
        assert_eq!((&here.state, &here.members), (&there.state, &there.members), "version {}", version.id());
        assert_eq!(here.extremities, there.extremities);
        assert_eq!(here.graph[join.id()], there.graph[join.id()]);
        let again = rooms.enter(from, welcome(&room, &join, Members::All), &Keys).await.unwrap();
        assert_eq!(again, number, "a join that is there is no second one");
    }
}

#[tokio::test]
async fn a_join_that_the_given_state_does_not_allow_makes_no_room() {
    let mut room = Room::new(latest());
    room.set(ALICE, "m.room.join_rules", "", json!({ "join_rule": "invite" }));
    let join = room.build(&Room::draft(ZOE, "m.room.member", Some(ZOE), json!({ "membership": "join" })));
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let welcome = welcome(&room, join.pdu(), Members::All);
    let room_id = welcome.room_id.clone();
    let refused = rooms.enter("one".try_into().unwrap(), welcome, &Keys).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::Forbidden { .. })), "{refused}");
    assert_eq!(find_room(rooms.store(), &room_id).await.unwrap(), None);
    assert!(rooms_of_user(rooms.store(), <&UserId>::try_from(ZOE).unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_left_and_comes_back_takes_the_room_as_it_is_now() {
    let mut room = Room::new(latest());
    let peer = peer_of(&room).await;
    let join = joins(&mut room, &peer, ZOE).await;
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let from = "one".try_into().unwrap();
    let number = rooms.enter(from, welcome(&room, &join, Members::All), &Keys).await.unwrap();
    room.take(&join);
    let left = room.set(ZOE, "m.room.member", ZOE, json!({ "membership": "leave" })).pdu;
    send(&rooms, [&left], &Keys).await;
    send(&peer.rooms, [&left], &Keys).await;
    let away = [
        room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" })).pdu,
        room.set(ALICE, "m.room.topic", "", json!({ "topic": "while she was away" })).pdu,
    ];
    send(&peer.rooms, &away, &Keys).await;
    let back = joins(&mut room, &peer, ZOE).await;
    assert_eq!(rooms.enter(from, welcome(&room, &back, Members::All), &Keys).await.unwrap(), number);
    let (here, there) = (outcome(&rooms, number).await, outcome(&peer.rooms, peer.room).await);
    assert_eq!(here.extremities, [back.id().to_owned()].into());
    assert_eq!((here.state, here.members), (there.state, there.members));
}

/// A room with many members, each of whom joined by the same rules.
fn crowded(count: usize) -> Room {
    let mut room = Room::new(latest());
    let random = Random::seeded(7);
    let leans_on = ["m.room.power_levels", "m.room.join_rules"]
        .map(|kind| room.state[&crate::event::StateKey::new(kind, "")].pdu.reference().unwrap());
    for n in 0..count {
        let user = format!("@user{n}:two");
        let draft = Room::draft(&user, "m.room.member", Some(&user), json!({ "membership": "join" }));
        let place = DraftPlace {
            version: room.version,
            room_id: room.room_id.clone(),
            prev_events: room.last.clone(),
            auth_events: leans_on.to_vec(),
            at: Timestamp(room.now.0 + n as u64),
        };
        let join = build(draft, place, &key("two".try_into().unwrap()), &random).unwrap();
        room.take(join.pdu());
    }
    room
}

/// `HOLDFAST_JOIN_MEMBERS` says how many.
#[test]
fn a_large_room_is_entered_in_parts_and_seen_when_it_is_whole_although_the_power_is_cut() {
    let count = std::env::var("HOLDFAST_JOIN_MEMBERS").map_or(1_500, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut room = crowded(count);
        let join = room.build(&Room::draft(ZOE, "m.room.member", Some(ZOE), json!({ "membership": "join" })));
        let welcome = welcome(&room, join.pdu(), Members::All);
        let (disk, random) = (MemoryDisk::new(), Random::seeded(3));
        let (from, zoe) = ("one".try_into().unwrap(), <&UserId>::try_from(ZOE).unwrap());
        let clock = Clock::system();
        for attempt in 0..6 {
            let rooms = rooms_on(&disk).await;
            let entering = rooms.enter(from, welcome.clone(), &Keys);
            let most = std::time::Duration::from_millis(40 * (attempt + 1) + random.below(40));
            if clock.timeout(most, entering).await.is_some() {
                break;
            }
            disk.crash();
            let rooms = rooms_on(&disk).await;
            assert_eq!(find_room(rooms.store(), &welcome.room_id).await.unwrap(), None, "attempt {attempt}");
            assert!(rooms_of_user(rooms.store(), zoe).await.unwrap().is_empty());
        }
        let rooms = rooms_on(&disk).await;
        let number = rooms.enter(from, welcome.clone(), &Keys).await.unwrap();
        assert_eq!(find_room(rooms.store(), &welcome.room_id).await.unwrap(), Some(number));
        let members = members(rooms.store(), number).await.unwrap();
        assert_eq!(members.iter().filter(|member| member.membership == "join").count(), count + 2);
        assert_eq!(rooms_of_user(rooms.store(), zoe).await.unwrap().len(), 1);
        room.take(join.pdu());
        let said = room.build(&Room::draft("@user7:two", "m.room.message", None, json!({}))).pdu().clone();
        assert_eq!(send(&rooms, [&said], &Keys).await.of(0), Some(&Verdict::Accepted));
    });
}

#[tokio::test]
async fn a_room_without_its_members_becomes_whole_and_is_then_as_on_other_servers() {
    for version in crate::event::RoomVersion::all() {
        let mut room = Room::new(version);
        for user in [BOB, CAROL, EVE] {
            room.set(user, "m.room.member", user, json!({ "membership": "join" }));
        }
        let peer = peer_of(&room).await;
        let eves = room.state[&crate::event::StateKey::new("m.room.member", EVE)].clone();
        let banned = room.set(ALICE, "m.room.member", EVE, json!({ "membership": "ban" })).pdu;
        send(&peer.rooms, [&banned], &Keys).await;
        let join = joins(&mut room, &peer, ZOE).await;
        let rooms = rooms_on(&MemoryDisk::new()).await;
        let (from, servers) = ("one".try_into().unwrap(), vec!["two".try_into().unwrap()]);
        let omitted = Members::Omitted { servers: servers.clone() };
        let number = rooms.enter(from, welcome(&room, &join, omitted), &Keys).await.unwrap();
        let (head, _) = head_of(rooms.store(), number).await.unwrap().unwrap();
        assert!(head.completeness.is_partial());
        assert_eq!(rooms.servers_of_partial(&head.room_id).await.unwrap(), servers);
        room.take(&join);

        // Bob may speak, which is believed; so is Eve, who may not: the ban is among what is missing.
        let said = room.message(BOB, "hello").pdu;
        let mut evading = room.clone();
        evading.state.insert(crate::event::StateKey::new("m.room.member", EVE), eves);
        let evaded = evading.build(&Room::draft(EVE, "m.room.message", None, json!({}))).pdu().clone();
        let topic = room.set(ALICE, "m.room.topic", "", json!({ "topic": "new" })).pdu;
        let report = send(&rooms, [&said, &topic, &evaded], &peer).await;
        send(&peer.rooms, [&said, &topic, &evaded], &Keys).await;
        assert!((0..3).all(|at| report.of(at) == Some(&Verdict::Accepted)), "version {}: {report:?}", version.id());
        assert!(outcome(&peer.rooms, peer.room).await.graph[evaded.id()].0);

        assert!(rooms.complete_state(from, &head.room_id, &peer).await.unwrap());
        let (head, _) = head_of(rooms.store(), number).await.unwrap().unwrap();
        assert_eq!(head.completeness, Completeness::Complete);
        assert!(rooms.servers_of_partial(&head.room_id).await.unwrap().is_empty());
        let (here, there) = (outcome(&rooms, number).await, outcome(&peer.rooms, peer.room).await);
        assert_eq!((&here.state, &here.members), (&there.state, &there.members), "version {}", version.id());
        assert_eq!(here.extremities, there.extremities, "version {}", version.id());
        for (id, states) in &here.graph {
            assert_eq!(Some(states), there.graph.get(id), "version {}: {id}", version.id());
        }
        let shown: Vec<_> = shown(&rooms, number).await.into_iter().map(|(_, id)| id).collect();
        assert_eq!(shown, [join.id(), said.id(), topic.id()], "what Eve said is gone");
        assert!(rooms.complete_state(from, &head.room_id, &Keys).await.unwrap(), "it is whole already");
        let next = room.message(CAROL, "hello").pdu;
        assert_eq!(send(&rooms, [&next], &Keys).await.of(0), Some(&Verdict::Accepted));
    }
}

#[tokio::test]
async fn a_partial_state_stays_partial_while_nobody_gives_the_rest() {
    let mut room = Room::new(latest());
    room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
    let mut peer = peer_of(&room).await;
    let join = joins(&mut room, &peer, ZOE).await;
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let from = "one".try_into().unwrap();
    let omitted = Members::Omitted { servers: Vec::new() };
    let number = rooms.enter(from, welcome(&room, &join, omitted), &Keys).await.unwrap();
    let room_id = room.room_id.clone().unwrap();
    assert!(!rooms.complete_state(from, &room_id, &Keys).await.unwrap(), "nobody has it");
    peer.loses = 100;
    assert!(!rooms.complete_state(from, &room_id, &peer).await.unwrap(), "all is lost on the way");
    assert!(head_of(rooms.store(), number).await.unwrap().unwrap().0.completeness.is_partial());
    peer.loses = 0;
    assert!(rooms.complete_state(from, &room_id, &peer).await.unwrap());
    assert!(outcome(&rooms, number).await.members.contains_key(BOB));
}
