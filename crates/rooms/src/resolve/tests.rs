//! Resolution from the part of the states that matters, against ruma's own over the whole of them; and version 1 against
//! its text.

use std::collections::{BTreeMap, BTreeSet};

use base::Random;
use proptest::prelude::*;
use ruma::OwnedEventId;
use ruma::state_res::utils::event_id_set::EventIdSet;
use ruma::state_res::{self, StateMap};
use serde_json::json;
use storage::{MemoryDisk, Store};

use crate::event::fixture::{ALICE, Room};
use crate::event::{Draft, Judged, Known, RoomVersion, StateKey};
use crate::graph::Graph;
use crate::graph::fixture::{ROOM, addition, begin, open};
use crate::number::{EventNumber, KeyNumber};
use crate::resolve::conflict::Conflict;
use crate::resolve::{Entries, auth, resolve};
use crate::state::{Nodes, StateRoot, key_names, load, put_new_nodes};

const USERS: [&str; 5] = [ALICE, "@bob:two", "@carol:two", "@dave:three", "@eve:one"];

/// A room in a store, with all its events in memory as well.
struct World {
    version: &'static RoomVersion,
    store: Store,
    events: BTreeMap<OwnedEventId, Known>,
}

/// One side of a fork: the room as it is seen there, and the state.
#[derive(Clone)]
struct Side {
    room: Room,
    state: StateRoot,
}

impl World {
    async fn new(version: &'static RoomVersion) -> (Self, Side) {
        let store = open(&MemoryDisk::ephemeral()).await;
        let mut room = Room::new(version);
        begin(&store, &room).await;
        let mut world = Self { version, store, events: BTreeMap::new() };
        let mut first: Vec<Known> = room.state.values().cloned().collect();
        first.sort_by_key(|known| known.pdu.depth());
        let mut state = StateRoot::EMPTY;
        for known in first {
            state = world.add(&known, state).await;
        }
        for user in ["@bob:two", "@carol:two"] {
            let known = room.set(user, "m.room.member", user, json!({ "membership": "join" }));
            state = world.add(&known, state).await;
        }
        (world, Side { room, state })
    }

    async fn add(&mut self, known: &Known, before: StateRoot) -> StateRoot {
        let addition = addition(&self.store, self.version, known, Some(before)).await;
        self.store.commit(addition.batch).await.unwrap();
        self.events.insert(known.pdu.id().to_owned(), known.clone());
        addition.after
    }

    /// Says it on this side if that is allowed there.
    async fn say(&mut self, side: &mut Side, draft: &Draft) -> bool {
        let event = side.room.build(draft);
        let pdu = event.pdu().clone();
        match side.room.judge(event) {
            Judged::Authorised(event) if event.soft_failed().is_none() => {}
            _ => return false,
        }
        let known = side.room.take(&pdu);
        side.state = self.add(&known, side.state).await;
        true
    }

    async fn resolve(&self, states: &[StateRoot]) -> StateRoot {
        let graph = Graph::new(&self.store, ROOM, self.version);
        let mut nodes = Nodes::new(ROOM);
        let root = resolve(&graph, &mut nodes, states).await.unwrap();
        let mut batch = storage::Batch::new();
        put_new_nodes(&mut batch, &nodes, root);
        self.store.commit(batch).await.unwrap();
        root
    }

    async fn entries(&self, root: StateRoot) -> Entries {
        let mut nodes = Nodes::new(ROOM);
        let entries = load(&self.store, &mut nodes, |nodes| nodes.entries(root, KeyNumber(0), usize::MAX)).await;
        let (keys, events): (Vec<KeyNumber>, Vec<EventNumber>) = entries.unwrap().into_iter().unzip();
        let names = key_names(&self.store, ROOM, &keys).await.unwrap();
        let events = Graph::new(&self.store, ROOM, self.version).events(&events).await.unwrap();
        names.into_iter().zip(events.into_iter().map(|known| known.unwrap().pdu.id().to_owned())).collect()
    }

    /// What is in conflict because of what the conflict leans on, as found and by definition.
    async fn check_sets(&self, sides: &[Side]) {
        let graph = Graph::new(&self.store, ROOM, self.version);
        let mut nodes = Nodes::new(ROOM);
        let states: Vec<StateRoot> = sides.iter().map(|side| side.state).collect();
        let conflict = Conflict::between(&graph, &mut nodes, &states).await.unwrap();
        let ids = async |events: BTreeSet<EventNumber>| -> BTreeSet<OwnedEventId> {
            let events: Vec<EventNumber> = events.into_iter().collect();
            graph.facts(&events).await.unwrap().into_iter().map(|facts| facts.unwrap().id).collect()
        };
        let conflicted = ids(conflict.events()).await;
        let held = |side: &Side| side.room.state.values().map(|known| known.pdu.id().to_owned()).collect();
        let held: Vec<BTreeSet<OwnedEventId>> = sides.iter().map(held).collect();
        let all: BTreeSet<OwnedEventId> = held.iter().flatten().cloned().collect();
        let by_definition = all.iter().filter(|id| !held.iter().all(|held| held.contains(*id))).cloned().collect();
        assert_eq!(conflicted, by_definition);

        let chain = |held: &BTreeSet<OwnedEventId>| held.iter().flat_map(|id| self.chain(id)).collect();
        let chains: Vec<BTreeSet<OwnedEventId>> = held.iter().map(chain).collect();
        let any: BTreeSet<OwnedEventId> = chains.iter().flatten().cloned().collect();
        let by_definition = any.into_iter().filter(|id| !chains.iter().all(|chain| chain.contains(id))).collect();
        assert_eq!(ids(auth::difference(&graph, &mut nodes, &conflict).await.unwrap()).await, by_definition);

        let subgraph = auth::subgraph(&graph, &conflict.events()).await.unwrap();
        assert_eq!(ids(subgraph).await, self.between(&conflicted));
    }

    /// The events on a way from one of `ends` to another, these included.
    fn between(&self, ends: &BTreeSet<OwnedEventId>) -> BTreeSet<OwnedEventId> {
        let below: BTreeSet<OwnedEventId> = ends.iter().flat_map(|end| self.chain(end)).collect();
        let above = |id: &&OwnedEventId| self.chain(id).iter().any(|below| ends.contains(below));
        below.iter().filter(above).chain(ends).cloned().collect()
    }

    fn chain(&self, of: &OwnedEventId) -> BTreeSet<OwnedEventId> {
        let (mut open, mut chain) = (vec![of.clone()], BTreeSet::new());
        while let Some(id) = open.pop() {
            for below in self.events[&id].pdu.auth_events() {
                if chain.insert(below.clone()) {
                    open.push(below.clone());
                }
            }
        }
        chain
    }

    /// What ruma makes of the whole states.
    fn by_ruma(&self, sides: &[Side]) -> Entries {
        let whole = |side: &Side| -> StateMap<OwnedEventId> {
            let entries = side.room.state.iter();
            entries.map(|(key, known)| ((key.kind.clone(), key.key.clone()), known.pdu.id().to_owned())).collect()
        };
        let states: Vec<_> = sides.iter().map(whole).collect();
        let chains = states.iter().map(|state| {
            state.values().flat_map(|id| self.chain(id)).collect::<BTreeSet<_>>().into_iter().collect::<EventIdSet<_>>()
        });
        let subgraph = |conflicted: &StateMap<Vec<OwnedEventId>>| {
            Some(self.between(&conflicted.values().flatten().cloned().collect()).into_iter().collect())
        };
        let rules = self.version.rules();
        let resolved = state_res::resolve(
            &rules.authorization,
            rules.state_res.v2_rules().unwrap(),
            &states,
            chains.collect(),
            |id| self.events.get(id),
            subgraph,
        );
        resolved.unwrap().into_iter().map(|((kind, key), id)| (StateKey { kind, key }, id)).collect()
    }
}

/// Something that somebody might do: most of it matters to what others may do.
fn any_draft(random: &Random, version: &RoomVersion) -> Draft {
    let pick = |count: usize| usize::try_from(random.below(count as u64)).unwrap();
    let (sender, target) = (USERS[pick(5)], USERS[pick(5)]);
    match pick(8) {
        0 | 1 => Room::draft(
            sender,
            "m.room.member",
            Some(sender),
            json!({ "membership": "join", "displayname": pick(9).to_string() }),
        ),
        2 => Room::draft(sender, "m.room.member", Some(target), json!({ "membership": "leave" })),
        3 => Room::draft(sender, "m.room.member", Some(target), json!({ "membership": "ban" })),
        4 => {
            let mut users = serde_json::Map::new();
            for user in USERS.iter().skip(1) {
                users.insert((*user).to_owned(), json!([0, 50, 100][pick(3)]));
            }
            if !version.has_hashed_room_id() {
                users.insert(ALICE.to_owned(), json!(100));
            }
            Room::draft(sender, "m.room.power_levels", Some(""), json!({ "users": users }))
        }
        5 => {
            let rule = ["public", "invite"][pick(2)];
            Room::draft(sender, "m.room.join_rules", Some(""), json!({ "join_rule": rule }))
        }
        6 => Room::draft(sender, "m.room.member", Some(target), json!({ "membership": "invite" })),
        _ => Room::draft(sender, "m.room.topic", Some(""), json!({ "topic": pick(99).to_string() })),
    }
}

async fn forks_are_resolved_as_ruma_does(version: &'static RoomVersion, seed: u64) {
    let random = Random::seeded(seed);
    let (mut world, start) = World::new(version).await;
    let mut start = start;
    for _ in 0..2 {
        let mut sides = vec![start.clone(); 2 + usize::try_from(random.below(2)).unwrap()];
        for side in &mut sides {
            for _ in 0..random.below(9) {
                let draft = any_draft(&random, version);
                world.say(side, &draft).await;
            }
        }
        world.check_sets(&sides).await;
        let mut states: Vec<StateRoot> = sides.iter().map(|side| side.state).collect();
        let resolved = world.resolve(&states).await;
        let entries = world.entries(resolved).await;
        assert_eq!(entries, world.by_ruma(&sides), "version {}, seed {seed}", version.id());
        states.reverse();
        assert_eq!(world.resolve(&states).await, resolved, "the order of the states is nothing");

        // The next fork begins where this one ends.
        let mut room = sides[0].room.clone();
        room.state = entries.into_iter().map(|(key, id)| (key, world.events[&id].clone())).collect();
        room.last = sides.iter().flat_map(|side| side.room.last.clone()).collect();
        room.last.sort_by(|a, b| a.id.cmp(&b.id));
        room.last.dedup();
        start = Side { room, state: resolved };
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_the_part_that_matters_comes_what_comes_from_the_whole(seed in any::<u64>(), version in 1usize..12) {
        block_on(forks_are_resolved_as_ruma_does(&RoomVersion::all()[version], seed));
    }
}

#[tokio::test]
async fn one_state_or_several_equal_ones_are_the_outcome() {
    let (world, start) = World::new(&RoomVersion::all()[11]).await;
    assert_eq!(world.resolve(&[]).await, StateRoot::EMPTY);
    assert_eq!(world.resolve(&[start.state]).await, start.state);
    assert_eq!(world.resolve(&[start.state, start.state]).await, start.state);
}

#[tokio::test]
async fn a_ban_on_one_side_stands_against_what_the_banned_did_on_the_other() {
    for version in RoomVersion::all().iter().skip(1) {
        let (mut world, start) = World::new(version).await;
        let levels = if version.has_hashed_room_id() { json!({}) } else { json!({ ALICE: 100 }) };
        let mut users = levels;
        users["@bob:two"] = json!(50);
        let mut start = start;
        let promote = Room::draft(ALICE, "m.room.power_levels", Some(""), json!({ "users": users }));
        assert!(world.say(&mut start, &promote).await);
        let (mut one, mut other) = (start.clone(), start);
        let ban = Room::draft(ALICE, "m.room.member", Some("@bob:two"), json!({ "membership": "ban" }));
        assert!(world.say(&mut one, &ban).await);
        let topic = Room::draft("@bob:two", "m.room.topic", Some(""), json!({ "topic": "mine" }));
        assert!(world.say(&mut other, &topic).await);
        let entries = world.entries(world.resolve(&[one.state, other.state]).await).await;
        let banned = &entries[&StateKey::new("m.room.member".to_owned(), "@bob:two")];
        assert_eq!(banned, one.room.last[0].id.as_str(), "version {}", version.id());
        assert!(!entries.contains_key(&StateKey::new("m.room.topic".to_owned(), "")), "version {}", version.id());
    }
}

#[tokio::test]
async fn version_1_takes_what_only_one_has_and_the_deeper_of_two() {
    let (mut world, start) = World::new(&RoomVersion::all()[0]).await;
    let (mut one, mut other) = (start.clone(), start);
    let topic = |topic: &str| Room::draft(ALICE, "m.room.topic", Some(""), json!({ "topic": topic }));
    let name = Room::draft(ALICE, "m.room.name", Some(""), json!({ "name": "x" }));
    let levels = |level: u64| {
        let users = json!({ ALICE: 100, "@bob:two": level });
        Room::draft(ALICE, "m.room.power_levels", Some(""), json!({ "users": users }))
    };
    assert!(world.say(&mut one, &topic("one")).await);
    let rejected = one.room.last[0].id.clone();
    assert!(world.say(&mut one, &levels(50)).await);
    assert!(world.say(&mut other, &levels(10)).await);
    assert!(world.say(&mut other, &name).await);
    let only_one = other.room.last[0].id.clone();
    assert!(world.say(&mut other, &topic("other")).await);
    let entries = world.entries(world.resolve(&[one.state, other.state]).await).await;
    assert_eq!(entries[&StateKey::new("m.room.name".to_owned(), "")], only_one);
    let topic = &entries[&StateKey::new("m.room.topic".to_owned(), "")];
    assert_ne!(*topic, rejected);
    assert_eq!(*topic, other.room.last[0].id, "the deeper");
    let levels = &entries[&StateKey::new("m.room.power_levels".to_owned(), "")];
    assert_eq!(world.events[levels].pdu.depth(), 8, "Alice may set hers after Bob's were set, so the deeper stands");
}
