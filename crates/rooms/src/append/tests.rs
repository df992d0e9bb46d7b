//! Appending in a store: at once, twice, by forks in any order, and with the power cut in between.

use std::collections::{BTreeMap, BTreeSet};

use base::{Partition, Position, Random};
use proptest::prelude::*;
use ruma::{OwnedEventId, UserId};
use serde_json::json;
use storage::{MemoryDisk, Record, Store};

use crate::append::compose::compose;
use crate::append::fixture::{Comes, Says, beginning, join, latest, made, message, room_of};
use crate::append::{
    Appended, EVENT_ACCEPTED, Filing, LogRecord, Propose, SentAs, View, append, members, rooms_of_user,
};
use crate::error::{Error, Refusal};
use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Judged, Known, Pdu, RoomVersion, Standing, StateKey};
use crate::graph::fixture::open;
use crate::graph::{Graph, Place, head_of, put_head};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{Nodes, StateRoot, key_names, load, put_new_nodes};

type Entries = BTreeMap<StateKey, OwnedEventId>;

async fn entries(graph: &Graph<'_>, state: StateRoot) -> Entries {
    let (store, room) = (graph.store(), graph.room());
    let mut nodes = Nodes::new(room);
    let entries = load(store, &mut nodes, |nodes| nodes.entries(state, KeyNumber(0), usize::MAX)).await.unwrap();
    let (keys, events): (Vec<KeyNumber>, Vec<EventNumber>) = entries.into_iter().unzip();
    let names = key_names(store, room, &keys).await.unwrap();
    let events = graph.events(&events).await.unwrap();
    names.into_iter().zip(events.into_iter().map(|known| known.unwrap().pdu.id().to_owned())).collect()
}

async fn state_of(store: &Store, room: RoomNumber) -> Entries {
    let (head, _) = head_of(store, room).await.unwrap().unwrap();
    entries(&Graph::new(store, room, RoomVersion::of(&head.version).unwrap()), head.state).await
}

/// What must be the same on all servers: of each event whether it was rejected, and the state before and after it. Whether
/// it was soft-failed depends on what came before it, and with that the room's state now, until later events bring the
/// sides together; so the standing is given beside.
async fn history(
    store: &Store,
    room: RoomNumber,
    events: &[Pdu],
) -> (Vec<Standing>, BTreeMap<OwnedEventId, (bool, Entries, Entries)>) {
    let graph = Graph::new(store, room, events[0].version());
    let ids: Vec<OwnedEventId> = events.iter().map(|pdu| pdu.id().to_owned()).collect();
    let numbers: Vec<EventNumber> = graph.numbers(&ids).await.unwrap().into_values().collect();
    let (mut standings, mut history) = (Vec::new(), BTreeMap::new());
    for facts in graph.facts(&numbers).await.unwrap().into_iter().flatten() {
        let Place::InGraph { before, after } = facts.place else { panic!("{facts:?}") };
        standings.push(facts.standing);
        let states = (entries(&graph, before).await, entries(&graph, after).await);
        history.insert(facts.id, (facts.standing == Standing::Rejected, states.0, states.1));
    }
    (standings, history)
}

async fn membership_of(store: &Store, room: RoomNumber) -> BTreeMap<String, String> {
    let members = members(store, room).await.unwrap();
    members.into_iter().map(|member| (member.user.to_string(), member.membership)).collect()
}

/// The events that the log says were accepted.
async fn logged(store: &Store, room: RoomNumber) -> Vec<EventNumber> {
    let entries = store.log_entries(Partition(0), Position::START, Position(10_000), 10_000).await.unwrap();
    let of_room = entries.iter().filter(|entry| entry.kind == EVENT_ACCEPTED);
    let records = of_room.map(|entry| LogRecord::decode(&entry.payload).unwrap());
    records.filter(|record| record.room == room).map(|record| record.event).collect()
}

#[tokio::test]
async fn a_room_of_every_version_takes_joins_and_messages_and_knows_who_is_in_it() {
    for version in RoomVersion::all() {
        let store = open(&MemoryDisk::new()).await;
        let room = made(&store, &Room::new(version)).await;
        append(&store, room, &mut Says::new(join(BOB))).await.unwrap();
        let Appended::Now { number, position, .. } =
            append(&store, room, &mut Says::new(message(BOB, "hello"))).await.unwrap()
        else {
            panic!("it was not there before");
        };
        assert_eq!(position, Some(Position(6)));
        assert_eq!(logged(&store, room).await.last(), Some(&number));
        let expected = [(ALICE, "join"), (BOB, "join")].map(|(user, is)| (user.to_owned(), is.to_owned()));
        assert_eq!(membership_of(&store, room).await, expected.into());
        let rooms = rooms_of_user(&store, <&UserId>::try_from(BOB).unwrap()).await.unwrap();
        assert_eq!(rooms.iter().map(|member| member.room).collect::<Vec<_>>(), [room], "version {}", version.id());
        let refused = append(&store, room, &mut Says::new(message("@eve:three", "hello"))).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Forbidden { .. })), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_who_append_at_once_all_get_in_one_after_another() {
    let store = open(&MemoryDisk::new()).await;
    let room = made(&store, &Room::new(latest())).await;
    let mut all: Vec<Says> = (0..8).map(|n| Says::new(message(ALICE, &n.to_string()))).collect();
    let appends = all.iter_mut().map(|says| append(&store, room, says));
    let appended = futures_util::future::join_all(appends).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    assert!(all.iter().map(|says| says.asked).sum::<u32>() > 8, "some had to ask again");
    let (head, _) = head_of(&store, room).await.unwrap().unwrap();
    assert_eq!(head.extremities.len(), 1, "each follows the one before");
    assert_eq!(logged(&store, room).await.len(), 4 + 8);
}

#[tokio::test]
async fn what_is_sent_twice_under_one_transaction_id_is_said_once() {
    let store = open(&MemoryDisk::new()).await;
    let room = made(&store, &Room::new(latest())).await;
    let room_id = head_of(&store, room).await.unwrap().unwrap().0.room_id;
    let sent_as = |id: &str| Some(SentAs::new(ALICE.try_into().unwrap(), "D".into(), "send", &room_id, id.into()));
    let mut says = Says::new(message(ALICE, "hello"));
    says.sent_as = sent_as("1");
    let Appended::Now { id, .. } = append(&store, room, &mut says).await.unwrap() else { panic!() };
    says.draft = message(ALICE, "again");
    assert_eq!(append(&store, room, &mut says).await.unwrap(), Appended::Before { id });
    says.sent_as = sent_as("2");
    assert!(matches!(append(&store, room, &mut says).await.unwrap(), Appended::Now { .. }));
}

#[tokio::test]
async fn an_event_that_comes_twice_is_there_once_and_an_unknown_room_is_refused() {
    let store = open(&MemoryDisk::new()).await;
    let mut fixture = Room::new(latest());
    let room = made(&store, &fixture).await;
    let said = fixture.message(ALICE, "hello").pdu;
    assert!(matches!(append(&store, room, &mut Comes(said.clone())).await.unwrap(), Appended::Now { .. }));
    let before = logged(&store, room).await;
    let again = append(&store, room, &mut Comes(said.clone())).await.unwrap();
    assert_eq!(again, Appended::Before { id: said.id().to_owned() });
    assert_eq!(logged(&store, room).await, before);
    let unknown = append(&store, RoomNumber(1), &mut Comes(said)).await.unwrap_err();
    assert!(matches!(unknown, Error::Refused(Refusal::NoSuchRoom)), "{unknown}");
}

#[tokio::test]
async fn soft_failed_and_rejected_events_are_kept_and_neither_followed_nor_logged() {
    for version in RoomVersion::all() {
        let store = open(&MemoryDisk::new()).await;
        let mut fixture = Room::new(version);
        let room = made(&store, &fixture).await;
        let joined = fixture.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
        let mut past = fixture.clone();
        let banned = fixture.set(ALICE, "m.room.member", BOB, json!({ "membership": "ban" }));
        for known in [&joined, &banned] {
            append(&store, room, &mut Comes(known.pdu.clone())).await.unwrap();
        }
        let late = past.message(BOB, "before I was banned").pdu;
        let mut never = fixture.clone();
        never.state = past.state.clone();
        let never = never.build(&message(BOB, "after I was banned")).pdu().clone();
        let graph = Graph::new(&store, room, version);
        for (pdu, standing) in [(late, Standing::SoftFailed), (never, Standing::Rejected)] {
            let appended = append(&store, room, &mut Comes(pdu)).await.unwrap();
            let Appended::Now { number, position: None, .. } = appended else { panic!("{appended:?}") };
            let known: Vec<Known> = graph.events(&[number]).await.unwrap().into_iter().flatten().collect();
            assert_eq!(known[0].standing, standing, "version {}", version.id());
        }
        let (head, _) = head_of(&store, room).await.unwrap().unwrap();
        let last = graph.numbers(&[banned.pdu.id().to_owned()]).await.unwrap();
        assert_eq!(head.extremities, last.into_values().collect::<Vec<_>>());
        assert_eq!(membership_of(&store, room).await[BOB], "ban");
    }
}

/// Bytes handed to the engine for a member who changes their name, with everything that is written for it.
#[tokio::test]
async fn a_membership_change_in_a_large_room_takes_less_than_4_kib() {
    for (members, most) in [(10u32, 1_900), (1_000, 2_200), (50_000, 2_500)] {
        let store = open(&MemoryDisk::ephemeral()).await;
        let room = made(&store, &Room::new(latest())).await;
        append(&store, room, &mut Says::new(join(BOB))).await.unwrap();
        // The other members are in the state only; their events would cost the change nothing.
        let (mut head, was) = head_of(&store, room).await.unwrap().unwrap();
        let others = (0..members).map(|n| (KeyNumber(100 + n), Some(EventNumber(u64::from(n) * 7_919 % 10_000_000))));
        let (mut nodes, changes) = (Nodes::new(room), others.collect());
        head.state = load(&store, &mut nodes, |nodes| nodes.apply(head.state, &changes)).await.unwrap();
        head.next_key = KeyNumber(100 + members);
        let graph = Graph::new(&store, room, latest());
        let mut batch = storage::Batch::new();
        put_new_nodes(&mut batch, &nodes, head.state);
        put_head(&mut batch, room, &head, Some(was));
        store.commit(batch).await.unwrap();

        let (head, was) = head_of(&store, room).await.unwrap().unwrap();
        let mut view = View { graph, head, nodes: Nodes::new(room), was: Some(was) };
        let content = json!({ "membership": "join", "displayname": "Bob" });
        let mut says = Says::new(Room::draft(BOB, "m.room.member", Some(BOB), content));
        let proposal = says.propose(&mut view).await.unwrap();
        let json = proposal.event.pdu().json().len();
        let bytes = compose(view, &proposal, Filing::Live).await.unwrap().batch.bytes();
        println!("{members} members: {bytes} bytes for a change, {json} of them JSON");
        assert!(bytes < most, "{members} members: {bytes} bytes");
    }
}

/// A graph with forks, in an order in which every event comes after those it names.
fn forked(version: &'static RoomVersion, random: &Random) -> Vec<Pdu> {
    let mut room = Room::new(version);
    let mut events = beginning(&room);
    for user in [BOB, "@carol:two", "@dave:three"] {
        events.push(room.set(user, "m.room.member", user, json!({ "membership": "join" })).pdu);
    }
    let mut sides = [room.clone(), room.clone(), room];
    for _ in 0..12 {
        let pick = |count: u64| usize::try_from(random.below(count)).unwrap();
        let side = &mut sides[pick(3)];
        let (sender, target) = ([ALICE, BOB, "@carol:two"][pick(3)], [BOB, "@carol:two", "@dave:three"][pick(3)]);
        let draft = match pick(5) {
            0 => Room::draft(ALICE, "m.room.member", Some(target), json!({ "membership": "ban" })),
            1 => Room::draft(target, "m.room.member", Some(target), json!({ "membership": "leave" })),
            2 => Room::draft(ALICE, "m.room.topic", Some(""), json!({ "topic": pick(99).to_string() })),
            3 => Room::draft(
                ALICE,
                "m.room.join_rules",
                Some(""),
                json!({ "join_rule": if pick(2) == 0 { "invite" } else { "public" } }),
            ),
            _ => message(sender, "hello"),
        };
        let event = side.build(&draft);
        let pdu = event.pdu().clone();
        if matches!(side.judge(event), Judged::Authorised(event) if event.soft_failed().is_none()) {
            events.push(side.take(&pdu).pdu);
        }
    }
    // Two sides may do the same at the same time, which is one event.
    let mut seen = BTreeSet::new();
    events.retain(|pdu| seen.insert(pdu.id().to_owned()));
    events
}

/// Another order of the same kind.
fn shuffled(events: &[Pdu], random: &Random) -> Vec<Pdu> {
    let (mut open, mut done, mut order) = (events.to_vec(), BTreeSet::new(), Vec::new());
    while !open.is_empty() {
        let ready: Vec<usize> =
            (0..open.len()).filter(|at| open[*at].prev_events().iter().all(|id| done.contains(id))).collect();
        let pdu = open.remove(ready[usize::try_from(random.below(ready.len() as u64)).unwrap()]);
        done.insert(pdu.id().to_owned());
        order.push(pdu);
    }
    order
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn forks_that_come_in_any_order_and_twice_end_in_one_state(seed in any::<u64>(), version in 0usize..12) {
        block_on(async {
            let random = Random::seeded(seed);
            let events = forked(&RoomVersion::all()[version], &random);
            let (mut histories, mut outcomes) = (Vec::new(), Vec::new());
            for _ in 0..2 {
                let store = open(&MemoryDisk::ephemeral()).await;
                let order = shuffled(&events, &random);
                let room = room_of(&store, &order[0], &order[1..]).await;
                let again = &order[1 + usize::try_from(random.below(order.len() as u64 - 1)).unwrap()];
                append(&store, room, &mut Comes(again.clone())).await.unwrap();
                let state = state_of(&store, room).await;
                let members = membership_of(&store, room).await;
                for (key, id) in state.iter().filter(|(key, _)| key.kind.to_string() == "m.room.member") {
                    let pdu = events.iter().find(|pdu| pdu.id() == id).unwrap();
                    let content: serde_json::Value = serde_json::from_str(pdu.content().get()).unwrap();
                    assert_eq!(content["membership"], members[&key.key].as_str(), "the index follows the state");
                }
                let (standings, history) = history(&store, room, &events).await;
                assert_eq!(history.len(), events.len());
                histories.push(history);
                outcomes.push((standings.contains(&Standing::SoftFailed), state, members));
            }
            assert_eq!(histories[0], histories[1], "seed {seed}, version {version}");
            if outcomes.iter().all(|(soft_failed, _, _)| !soft_failed) {
                assert_eq!(outcomes[0], outcomes[1], "seed {seed}, version {version}");
            }
        });
    }

    #[test]
    fn whenever_the_power_is_cut_the_room_opens_whole_with_all_that_was_acknowledged(seed in any::<u64>()) {
        block_on(async {
            let random = Random::seeded(seed);
            let disk = MemoryDisk::faulty(random.clone(), storage::Faults::default());
            let room = made(&open(&disk).await, &Room::new(latest())).await;
            let mut acknowledged = 4;
            for _ in 0..4 {
                let store = open(&disk).await;
                for n in 0..random.below(4) {
                    append(&store, room, &mut Says::new(message(ALICE, &n.to_string()))).await.unwrap();
                    acknowledged += 1;
                }
                // One more is under way, as far as it comes.
                let mut says = Says::new(join(BOB));
                let mut under_way = Box::pin(append(&store, room, &mut says));
                for _ in 0..random.below(60) {
                    if futures_util::poll!(&mut under_way).is_ready() {
                        acknowledged += 1;
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                drop(under_way);
                disk.crash();
                let store = open(&disk).await;
                let logged = logged(&store, room).await;
                assert!((acknowledged..=acknowledged + 1).contains(&logged.len()), "{} of {acknowledged}", logged.len());
                acknowledged = logged.len();
                let (head, _) = head_of(&store, room).await.unwrap().unwrap();
                assert_eq!(head.extremities, logged.last().copied().into_iter().collect::<Vec<_>>());
                let graph = Graph::new(&store, room, latest());
                assert!(graph.events(&logged).await.unwrap().iter().all(Option::is_some));
                let is_in = state_of(&store, room).await.contains_key(&StateKey::new("m.room.member".to_owned(), BOB));
                assert_eq!(membership_of(&store, room).await.contains_key(BOB), is_in, "state and index agree");
            }
        });
    }
}
