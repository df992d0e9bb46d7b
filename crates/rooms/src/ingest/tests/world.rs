//! Servers to test with: rooms in a store of their own, a peer that answers from what it has, and a generator of rooms with
//! forks in which people get in each other's way.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Random, Timestamp};
use bytes::Bytes;
use ruma::{EventId, OwnedEventId, RoomId, UserId};
use serde_json::{Value, json};
use storage::{Direction, EngineChoice, MemoryDisk, Store, StoreOptions};

use crate::append::{make_room, members};
use crate::event::fixture::{ALICE, BOB, FOREVER, Room, key, ring};
use crate::event::{
    AuthState, Draft, Judged, KeyRing, Known, NeededKey, Pdu, Place as DraftPlace, ReceivedPdu, RoomVersion, Standing,
    StateKey, Verification, VerifiedPdu, auth_state_keys, authorise, build,
};
use crate::graph::{Graph, Place, head_of};
use crate::ingest::{Fetch, Report, Sent, Source, StateIds};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::resolve::resolve;
use crate::rooms::{EncryptionPolicy, Rooms, RoomsOptions};
use crate::state::{Nodes, StateRoot, load};
use crate::timeline::{self, Order};

pub(super) const SERVERS: [&str; 4] = ["one", "two", "three", "local"];
pub(super) const CAROL: &str = "@carol:two";
pub(super) const DAVE: &str = "@dave:three";
pub(super) const EVE: &str = "@eve:three";
const USERS: [&str; 5] = [ALICE, BOB, CAROL, DAVE, EVE];

pub(super) fn latest() -> &'static RoomVersion {
    &RoomVersion::all()[11]
}

pub(super) fn options(engine: EngineChoice, folder: &std::path::Path) -> StoreOptions {
    let mut options = StoreOptions::new(folder, engine);
    options.random = Random::seeded(1);
    options.tuning.disk_reserve_bytes = 0;
    options
}

pub(super) async fn rooms_in(store: Store) -> Arc<Rooms> {
    let options = RoomsOptions {
        server: "local".try_into().unwrap(),
        default_version: latest().id().clone(),
        encryption: EncryptionPolicy::Default,
    };
    Rooms::open(Arc::new(store), options).await.unwrap()
}

/// The rooms on a disk.
pub(super) async fn rooms_on(disk: &MemoryDisk) -> Arc<Rooms> {
    let mut options = options(EngineChoice::Memory { disk: disk.clone() }, std::path::Path::new(""));
    options.clock = Clock::simulated(Timestamp(1_700_000_000_000));
    rooms_in(Store::open(options).await.unwrap()).await
}

pub(super) fn verified(pdu: &Pdu) -> VerifiedPdu {
    let event = ReceivedPdu::read(pdu.version(), pdu.json()).unwrap().check().unwrap();
    match event.verify(&ring(&SERVERS, FOREVER)) {
        Ok(Verification::Verified(event)) => event,
        other => panic!("{other:?}"),
    }
}

/// Makes the room of its create event.
pub(super) async fn begin(rooms: &Rooms, create: &Pdu) -> RoomNumber {
    let nothing = AuthState::default();
    let Judged::Authorised(created) = authorise(verified(create), &nothing, &nothing, &nothing) else { panic!() };
    make_room(rooms.store(), created, None).await.unwrap()
}

/// What a fixture's room began with, in order.
pub(super) fn beginning(room: &Room) -> Vec<Pdu> {
    let mut events: Vec<Pdu> = room.state.values().map(|known| known.pdu.clone()).collect();
    events.sort_by_key(Pdu::depth);
    events
}

pub(super) fn json_of(events: impl IntoIterator<Item = impl Borrow<Pdu>>) -> Vec<Bytes> {
    events.into_iter().map(|pdu| pdu.borrow().json().clone()).collect()
}

/// Sends events that were just said.
pub(super) async fn send(rooms: &Arc<Rooms>, events: impl IntoIterator<Item = &Pdu>, fetch: &dyn Fetch) -> Report {
    send_as(rooms, events, Source::Live, fetch).await
}

pub(super) async fn send_as(
    rooms: &Arc<Rooms>,
    events: impl IntoIterator<Item = &Pdu>,
    source: Source,
    fetch: &dyn Fetch,
) -> Report {
    let events: Vec<&Pdu> = events.into_iter().collect();
    let room_id = events[0].room_id();
    let sent = Sent { from: "one".try_into().unwrap(), room_id, events: json_of(events.iter().copied()), source };
    rooms.ingest(sent, fetch, None).await.unwrap()
}

/// Has keys and nothing else.
#[derive(Debug)]
pub(super) struct Keys;

#[async_trait]
impl Fetch for Keys {
    async fn keys(&self, _: &[NeededKey]) -> KeyRing {
        ring(&SERVERS, FOREVER)
    }

    async fn missing_events(&self, _: &RoomId, _: &[OwnedEventId], _: &[OwnedEventId], _: usize) -> Vec<Bytes> {
        Vec::new()
    }

    async fn events(&self, _: &RoomId, _: &[OwnedEventId]) -> Vec<Bytes> {
        Vec::new()
    }

    async fn state_ids(&self, _: &RoomId, _: &EventId) -> Option<StateIds> {
        None
    }
}

/// A server that gives events of another room, and states of which nothing is to be had.
pub(super) struct Liar {
    pub(super) foreign: Bytes,
}

#[async_trait]
impl Fetch for Liar {
    async fn keys(&self, _: &[NeededKey]) -> KeyRing {
        ring(&SERVERS, FOREVER)
    }

    async fn missing_events(&self, _: &RoomId, _: &[OwnedEventId], _: &[OwnedEventId], limit: usize) -> Vec<Bytes> {
        vec![self.foreign.clone(); limit * 2]
    }

    async fn events(&self, _: &RoomId, ids: &[OwnedEventId]) -> Vec<Bytes> {
        vec![self.foreign.clone(); ids.len() + 10]
    }

    async fn state_ids(&self, _: &RoomId, _: &EventId) -> Option<StateIds> {
        let made_up = |n: u32| EventId::parse(format!("${n:043}")).unwrap();
        Some(StateIds { state: (0..50).map(made_up).collect(), auth_chain: (50..90).map(made_up).collect() })
    }
}

/// A server that answers from what it has.
pub(super) struct Peer {
    pub(super) rooms: Arc<Rooms>,
    pub(super) room: RoomNumber,
    pub(super) version: &'static RoomVersion,
    pub(super) gives_missing: bool,
    pub(super) gives_states: bool,
    /// How many of a hundred answers, or parts of them, are lost.
    pub(super) loses: u64,
    pub(super) random: Random,
}

impl Peer {
    fn graph(&self) -> Graph<'_> {
        Graph::new(self.rooms.store(), self.room, self.version)
    }

    fn is_lost(&self) -> bool {
        self.random.chance(self.loses, 100)
    }

    async fn known(&self, ids: &[OwnedEventId]) -> Vec<Known> {
        let numbers: Vec<EventNumber> = self.graph().numbers(ids).await.unwrap().into_values().collect();
        self.graph().events(&numbers).await.unwrap().into_iter().flatten().collect()
    }
}

#[async_trait]
impl Fetch for Peer {
    async fn keys(&self, _: &[NeededKey]) -> KeyRing {
        ring(&SERVERS, FOREVER)
    }

    async fn missing_events(
        &self,
        _: &RoomId,
        latest: &[OwnedEventId],
        earliest: &[OwnedEventId],
        limit: usize,
    ) -> Vec<Bytes> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        if !self.gives_missing {
            return found;
        }
        let mut open: Vec<OwnedEventId> = latest.to_vec();
        while !open.is_empty() && found.len() < limit {
            let before: BTreeSet<OwnedEventId> =
                self.known(&open).await.iter().flat_map(|known| known.pdu.prev_events().to_vec()).collect();
            open = before.into_iter().filter(|id| !earliest.contains(id) && seen.insert(id.clone())).collect();
            for known in self.known(&open).await {
                if !self.is_lost() {
                    found.push(known.pdu.json().clone());
                }
            }
        }
        found.truncate(limit);
        found
    }

    async fn events(&self, _: &RoomId, ids: &[OwnedEventId]) -> Vec<Bytes> {
        let known = self.known(ids).await;
        known.into_iter().filter(|_| !self.is_lost()).map(|known| known.pdu.json().clone()).collect()
    }

    async fn state_ids(&self, _: &RoomId, event: &EventId) -> Option<StateIds> {
        if !self.gives_states || self.is_lost() {
            return None;
        }
        let number = *self.graph().numbers(&[event.to_owned()]).await.unwrap().values().next()?;
        let facts = self.graph().facts(&[number]).await.unwrap().remove(0)?;
        let Place::InGraph { before, .. } = facts.place else { return None };
        let state: Vec<OwnedEventId> = entries(&self.graph(), before).await.into_values().collect();
        let (mut auth_chain, mut open) = (BTreeSet::new(), state.clone());
        while !open.is_empty() {
            let below: BTreeSet<OwnedEventId> =
                self.known(&open).await.iter().flat_map(|known| known.pdu.auth_events().to_vec()).collect();
            open = below.into_iter().filter(|id| auth_chain.insert(id.clone())).collect();
        }
        Some(StateIds { state, auth_chain: auth_chain.into_iter().collect() })
    }
}

pub(super) type Entries = BTreeMap<StateKey, OwnedEventId>;

/// What a state holds.
pub(super) async fn entries(graph: &Graph<'_>, state: StateRoot) -> Entries {
    let (store, room) = (graph.store(), graph.room());
    let mut nodes = Nodes::new(room);
    let entries = load(store, &mut nodes, |nodes| nodes.entries(state, KeyNumber(0), usize::MAX)).await.unwrap();
    let (keys, events): (Vec<KeyNumber>, Vec<EventNumber>) = entries.into_iter().unzip();
    let names = graph.key_names(&keys).await.unwrap();
    let events = graph.events(&events).await.unwrap();
    keys.iter()
        .map(|key| names[key].clone())
        .zip(events.into_iter().map(|known| known.unwrap().pdu.id().to_owned()))
        .collect()
}

/// All that is to be the same on servers that have the same events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Of each event in the graph, whether it was rejected, and the states around it.
    pub(super) graph: BTreeMap<OwnedEventId, (bool, Entries, Entries)>,
    pub(super) extremities: BTreeSet<OwnedEventId>,
    pub(super) state: Entries,
    pub(super) members: BTreeMap<String, (String, OwnedEventId)>,
    /// What is shown, and what is not because the room's state did not allow it when it came: which of the two depends on
    /// what came before it (<https://spec.matrix.org/v1.19/server-server-api/#soft-failure>).
    pub(super) shown: BTreeSet<OwnedEventId>,
    pub(super) soft_failed: BTreeSet<OwnedEventId>,
}

pub(super) async fn outcome(rooms: &Rooms, room: RoomNumber) -> Outcome {
    let store = rooms.store();
    let (head, _) = head_of(store, room).await.unwrap().unwrap();
    let graph = Graph::new(store, room, RoomVersion::of(&head.version).unwrap());
    let all: Vec<EventNumber> = (0..head.next_event.0).map(EventNumber).collect();
    let (mut in_graph, mut soft_failed) = (BTreeMap::new(), BTreeSet::new());
    let mut ids = BTreeMap::new();
    for (number, facts) in all.iter().zip(graph.facts(&all).await.unwrap()) {
        let Some(facts) = facts else { continue };
        ids.insert(*number, facts.id.clone());
        let Place::InGraph { before, after } = facts.place else { continue };
        if facts.standing == Standing::SoftFailed {
            soft_failed.insert(facts.id.clone());
        }
        let states = (entries(&graph, before).await, entries(&graph, after).await);
        in_graph.insert(facts.id, (facts.standing == Standing::Rejected, states.0, states.1));
    }
    let shown = shown(rooms, room).await.into_iter().map(|(_, id)| id).collect();
    let members = members(store, room).await.unwrap();
    let members = members.into_iter().map(|it| (it.user.to_string(), (it.membership, ids[&it.event].clone())));
    Outcome {
        graph: in_graph,
        extremities: head.extremities.iter().map(|event| ids[event].clone()).collect(),
        state: entries(&graph, head.state).await,
        members: members.collect(),
        shown,
        soft_failed,
    }
}

/// What is shown, in order.
pub(super) async fn shown(rooms: &Rooms, room: RoomNumber) -> Vec<(Order, OwnedEventId)> {
    let store = rooms.store();
    let (head, _) = head_of(store, room).await.unwrap().unwrap();
    let graph = Graph::new(store, room, RoomVersion::of(&head.version).unwrap());
    let range = [Order::START, Order::Live(base::Position(u64::MAX))];
    let entries = timeline::entries(store, room, range, Direction::Forward, 10_000).await.unwrap();
    let events: Vec<EventNumber> = entries.iter().map(|entry| entry.event).collect();
    let facts = graph.facts(&events).await.unwrap();
    entries.iter().zip(facts).map(|(entry, facts)| (entry.order, facts.unwrap().id)).collect()
}

/// A room whose events are made one after another, wherever in the graph, judged by whoever looks.
pub(super) struct Story {
    pub(super) peer: Peer,
    pub(super) events: Vec<Pdu>,
    now: Timestamp,
    random: Random,
}

impl Story {
    /// The beginning: a public room in which the first four are.
    pub(super) async fn new(version: &'static RoomVersion, random: Random) -> Self {
        let mut room = Room::new(version);
        let mut events = beginning(&room);
        for user in [BOB, CAROL, DAVE] {
            events.push(room.set(user, "m.room.member", user, json!({ "membership": "join" })).pdu);
        }
        let rooms = rooms_on(&MemoryDisk::ephemeral()).await;
        let number = begin(&rooms, &events[0]).await;
        let peer = Peer {
            rooms,
            room: number,
            version,
            gives_missing: true,
            gives_states: true,
            loses: 0,
            random: random.clone(),
        };
        send(&peer.rooms, &events[1..], &Keys).await;
        Self { peer, events, now: Timestamp(room.now.0 + 60_000), random }
    }

    fn pick(&self, count: usize) -> usize {
        usize::try_from(self.random.below(count as u64)).unwrap()
    }

    /// Somebody does something somewhere.
    pub(super) async fn go_on(&mut self) {
        let recent = self.events.len().saturating_sub(7).max(3);
        let mut prev = BTreeSet::new();
        for _ in 0..=self.pick(3) {
            prev.insert(recent + self.pick(self.events.len() - recent));
        }
        let prev: Vec<Pdu> = prev.into_iter().map(|at| self.events[at].clone()).collect();
        let draft = self.any_draft();
        self.say(draft, &prev).await;
    }

    /// All ends come together.
    pub(super) async fn end(&mut self) -> Pdu {
        loop {
            let followed: BTreeSet<&OwnedEventId> = self.events.iter().flat_map(Pdu::prev_events).collect();
            let loose: Vec<Pdu> =
                self.events.iter().filter(|pdu| !followed.contains(pdu.owned_id())).take(10).cloned().collect();
            let merged = Room::draft(ALICE, "m.room.message", None, json!({ "body": "together" }));
            let last = self.say(merged, &loose).await;
            let followed: BTreeSet<&OwnedEventId> = self.events.iter().flat_map(Pdu::prev_events).collect();
            if self.events.iter().filter(|pdu| !followed.contains(pdu.owned_id())).count() == 1 {
                return last;
            }
        }
    }

    /// Builds an event after `prev`, and gives it to the peer.
    pub(super) async fn say(&mut self, draft: Draft, prev: &[Pdu]) -> Pdu {
        self.now = Timestamp(self.now.0 + 1_000);
        let graph = self.peer.graph();
        let ids: Vec<OwnedEventId> = prev.iter().map(|pdu| pdu.id().to_owned()).collect();
        let numbers: Vec<EventNumber> = graph.numbers(&ids).await.unwrap().into_values().collect();
        let states = graph.facts(&numbers).await.unwrap().into_iter().flatten().map(|facts| match facts.place {
            Place::InGraph { after, .. } => after,
            Place::Outlier => panic!("{facts:?}"),
        });
        let states: Vec<StateRoot> = states.collect();
        let mut nodes = Nodes::new(self.peer.room);
        let before = resolve(&graph, &mut nodes, &states).await.unwrap();
        let mut place = DraftPlace {
            version: self.peer.version,
            room_id: Some(self.events[0].room_id().to_owned()),
            prev_events: prev.iter().map(|pdu| pdu.reference().unwrap()).collect(),
            auth_events: Vec::new(),
            at: self.now,
        };
        let by = key(draft.sender.server_name());
        let first = build(draft.clone(), place.clone(), &by, &self.random).unwrap();
        let keys = auth_state_keys(first.pdu()).unwrap_or_default();
        let keys: Vec<KeyNumber> = graph.key_numbers(&keys).await.unwrap().into_iter().flatten().collect();
        let found = load(graph.store(), &mut nodes, |nodes| nodes.lookup(before, &keys)).await.unwrap();
        let found: Vec<EventNumber> = found.into_iter().flatten().collect();
        let hidden = self.peer.version.has_hashed_room_id();
        for known in graph.events(&found).await.unwrap().into_iter().flatten() {
            if !(hidden && known.pdu.is_create()) {
                place.auth_events.push(known.pdu.reference().unwrap());
            }
        }
        let event = build(draft, place, &by, &self.random).unwrap();
        let pdu = self.countersigned(event.pdu());
        self.events.push(pdu.clone());
        send(&self.peer.rooms, [&pdu], &Keys).await;
        pdu
    }

    /// A restricted join is signed by the server of who authorised it, too.
    fn countersigned(&self, pdu: &Pdu) -> Pdu {
        let content: Value = serde_json::from_str(pdu.content().get()).unwrap();
        let Some(authoriser) = content["join_authorised_via_users_server"].as_str() else { return pdu.clone() };
        let mut object = pdu.object().unwrap();
        let server = UserId::parse(authoriser).unwrap();
        key(server.server_name()).sign(&mut object, self.peer.version).unwrap();
        ReceivedPdu::from_object(self.peer.version, object).check().unwrap().pdu().clone()
    }

    /// Something that somebody might do: most of it matters to what others may do, and much of it is not allowed.
    fn any_draft(&self) -> Draft {
        let version = self.peer.version;
        let (sender, target) = (USERS[self.pick(5)], USERS[1 + self.pick(4)]);
        let member = |sender: &str, of: &str, content: Value| Room::draft(sender, "m.room.member", Some(of), content);
        match self.pick(12) {
            0 | 1 => {
                let name = self.pick(9).to_string();
                let mut content = json!({ "membership": "join", "displayname": name });
                if self.pick(4) == 0 && version.rules().authorization.restricted_join_rule {
                    content["join_authorised_via_users_server"] = json!(USERS[self.pick(2)]);
                }
                member(sender, sender, content)
            }
            2 => member(target, target, json!({ "membership": "leave" })),
            3 => member(sender, target, json!({ "membership": "leave" })),
            4 => member(sender, target, json!({ "membership": "ban" })),
            5 => member(sender, target, json!({ "membership": "invite" })),
            6 if version.rules().authorization.knocking => member(target, target, json!({ "membership": "knock" })),
            6 | 7 => {
                let mut users = serde_json::Map::new();
                for user in USERS.iter().skip(1) {
                    users.insert((*user).to_owned(), json!([0, 50, 100][self.pick(3)]));
                }
                if !version.has_hashed_room_id() {
                    users.insert(ALICE.to_owned(), json!(100));
                }
                Room::draft(sender, "m.room.power_levels", Some(""), json!({ "users": users }))
            }
            8 => {
                let rules = &version.rules().authorization;
                let allow = json!([{ "type": "m.room_membership", "room_id": "!other:one" }]);
                let content = match self.pick(4) {
                    0 => json!({ "join_rule": "invite" }),
                    1 if rules.knocking => json!({ "join_rule": "knock" }),
                    2 if rules.restricted_join_rule => json!({ "join_rule": "restricted", "allow": allow }),
                    _ => json!({ "join_rule": "public" }),
                };
                Room::draft(sender, "m.room.join_rules", Some(""), content)
            }
            9 => Room::draft(sender, "m.room.topic", Some(""), json!({ "topic": self.pick(99).to_string() })),
            _ => Room::draft(sender, "m.room.message", None, json!({ "body": self.pick(99).to_string() })),
        }
    }
}
