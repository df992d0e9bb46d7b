//! Large rooms, made quickly: many joins gathered into one commit; and forks of them.

use async_trait::async_trait;
use rooms::act::NewRoom;
use rooms::append::{Appended, Kept, Proposal, Propose, View, append};
use rooms::event::{Draft, Place, authorise_own, build, draft_state_keys};
use rooms::graph::{Graph, Place as Lies, head_of};
use rooms::state::{Nodes, StateRoot};
use rooms::{Error, EventNumber, RoomNumber, Rooms};
use ruma::api::client::room::create_room::v3::{Request, RoomPreset};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId};
use storage::Store;

use crate::{cpu, user};

/// As many joins as one commit takes at once.
const JOINS: u32 = 1_000;

/// What is said on top of one event, or of all that is there.
struct Says<'a> {
    rooms: &'a Rooms,
    draft: Draft,
    after: Option<EventNumber>,
}

#[async_trait]
impl Propose for Says<'_> {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        let version = view.graph.version();
        let (before, prev_events) = match self.after {
            None => (view.head.state, view.extremities().await?),
            Some(event) => {
                let facts = view.graph.facts(&[event]).await?.remove(0).unwrap();
                let Lies::InGraph { after, .. } = facts.place else { panic!("it lies outside") };
                let known = view.graph.events(&[event]).await?.remove(0).unwrap();
                (after, vec![known.pdu.reference()?])
            }
        };
        let state = view.entries(before, &draft_state_keys(version, &self.draft)?).await?;
        let named = state.iter().filter(|known| !known.pdu.is_create());
        let auth_events = named.map(|known| known.pdu.reference()).collect::<Result<_, _>>()?;
        let at = view.graph.store().clock().now();
        let place = Place { version, room_id: Some(view.head.room_id.clone()), prev_events, auth_events, at };
        let event = build(self.draft.clone(), place, self.rooms.signing_key(), view.graph.store().random())?;
        Ok(Proposal { event: Kept::Authorised(authorise_own(event, &state)?), before, sent_as: None })
    }
}

fn draft(sender: u32, kind: &str, key: &str, field: &str, value: &str) -> Draft {
    let value = CanonicalJsonValue::String(value.to_owned());
    let content = CanonicalJsonObject::from([(field.to_owned(), value)]);
    Draft { sender: user(sender), kind: kind.into(), state_key: Some(key.to_owned()), content, redacts: None }
}

async fn say(rooms: &Rooms, store: &Store, room: RoomNumber, draft: Draft, after: Option<EventNumber>) -> EventNumber {
    match append(store, room, &mut Says { rooms, draft, after }).await.unwrap() {
        Appended::Now { number, .. } => number,
        Appended::Before { .. } => panic!("it was said before"),
    }
}

/// A public room with so many members.
pub(crate) async fn make(rooms: &Rooms, members: u32) -> OwnedRoomId {
    let mut request = Request::new();
    request.preset = Some(RoomPreset::PublicChat);
    let room = rooms.create(&NewRoom::new(user(0), request)).await.unwrap();
    let number = rooms.number_of(&room).await.unwrap();
    let mut next = 1;
    while next < members {
        let staging = rooms.store().stage();
        for n in next..members.min(next + JOINS) {
            let join = draft(n, "m.room.member", user(n).as_str(), "membership", "join");
            say(rooms, staging.store(), number, join, None).await;
        }
        rooms.store().commit(staging.finish()).await.unwrap();
        next += JOINS;
    }
    room
}

/// Two forks of so many state events each, and what it costs to make one state of theirs.
pub(crate) async fn forks(rooms: &Rooms, room: &OwnedRoomId, events: u32) {
    let (store, number) = (rooms.store(), rooms.number_of(room).await.unwrap());
    let (head, _) = head_of(store, number).await.unwrap().unwrap();
    let mut tips = [head.extremities[0]; 2];
    let before = cpu();
    for n in 0..events {
        for (side, tip) in tips.iter_mut().enumerate() {
            let draft = match n % 3 {
                0 => draft(0, "m.room.topic", "", "topic", &format!("{side} {n}")),
                1 => draft(0, "m.room.member", user(n).as_str(), "membership", if side == 0 { "ban" } else { "leave" }),
                _ => draft(
                    0,
                    "m.room.member",
                    "@new:bench.example",
                    "membership",
                    if side == 0 { "ban" } else { "leave" },
                ),
            };
            *tip = say(rooms, store, number, draft, Some(*tip)).await;
        }
    }
    println!(
        "        forks: {:>9.1} µs CPU for each of the events of a fork",
        (cpu() - before) / f64::from(2 * events)
    );
    let version = rooms::event::RoomVersion::of(&head.version).unwrap();
    let graph = Graph::new(store, number, version);
    let mut roots: Vec<StateRoot> = Vec::new();
    for facts in graph.facts(&tips).await.unwrap() {
        let Lies::InGraph { after, .. } = facts.unwrap().place else { panic!("it lies outside") };
        roots.push(after);
    }
    let before = cpu();
    for _ in 0..10 {
        rooms::resolve::resolve(&graph, &mut Nodes::new(number), &roots).await.unwrap();
    }
    println!("        forks: {:>9.1} µs CPU to resolve two of {events} events", (cpu() - before) / 10.0);
}
