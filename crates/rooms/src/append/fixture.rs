//! People who append, to test with: who says something here, and what comes from elsewhere.

use async_trait::async_trait;
use ruma::OwnedEventId;
use serde_json::json;
use storage::Store;

use crate::append::{Kept, Proposal, Propose, SentAs, View, append, make_room};
use crate::error::{Error, Refusal};
use crate::event::fixture::{FOREVER, Room, key, ring};
use crate::event::{
    Draft, Judged, Pdu, Place as DraftPlace, ReceivedPdu, RoomVersion, Verification, VerifiedPdu, auth_state_keys,
    authorise, build,
};
use crate::graph::Place;
use crate::number::{EventNumber, RoomNumber};
use crate::resolve::resolve;
use crate::state::StateRoot;

const SERVERS: [&str; 3] = ["one", "two", "three"];

pub(crate) fn latest() -> &'static RoomVersion {
    &RoomVersion::all()[11]
}

fn received(pdu: &Pdu) -> VerifiedPdu {
    let event = ReceivedPdu::read(pdu.version(), pdu.json()).unwrap().check().unwrap();
    match event.verify(&ring(&SERVERS, FOREVER)) {
        Ok(Verification::Verified(event)) => event,
        other => panic!("{other:?}"),
    }
}

/// Somebody here who says something.
pub(crate) struct Says {
    pub(crate) draft: Draft,
    pub(crate) sent_as: Option<SentAs>,
    pub(crate) asked: u32,
}

impl Says {
    pub(crate) fn new(draft: Draft) -> Self {
        Self { draft, sent_as: None, asked: 0 }
    }
}

#[async_trait]
impl Propose for Says {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        self.asked += 1;
        let (key, random) = (key(self.draft.sender.server_name()), view.graph.store().random().clone());
        let mut place = DraftPlace {
            version: view.graph.version(),
            room_id: Some(view.head.room_id.clone()),
            prev_events: view.extremities().await?,
            auth_events: Vec::new(),
            at: view.graph.store().clock().now(),
        };
        let first = build(self.draft.clone(), place.clone(), &key, &random)?;
        let state = view.deciding(view.head.state, first.pdu()).await?;
        let hidden = first.pdu().create_event_id();
        for key in auth_state_keys(first.pdu())? {
            let known = state.get(&key.kind.to_string(), &key.key);
            if let Some(known) = known.filter(|known| Some(known.pdu.id()) != hidden.as_deref()) {
                place.auth_events.push(known.pdu.reference()?);
            }
        }
        let event = build(self.draft.clone(), place, &key, &random)?;
        match authorise(event, &state, &state, &state) {
            Judged::Authorised(event) => {
                let (before, sent_as) = (view.head.state, self.sent_as.clone());
                Ok(Proposal { event: Kept::Authorised(event), before, sent_as })
            }
            Judged::Rejected(event) => Err(Refusal::Forbidden { why: event.why().to_owned() }.into()),
            Judged::Need(ids) => panic!("{ids:?}"),
        }
    }
}

/// An event from elsewhere, whose prev events are all here.
pub(crate) struct Comes(pub(crate) Pdu);

#[async_trait]
impl Propose for Comes {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        let pdu = &self.0;
        let graph = view.graph;
        let prev: Vec<EventNumber> = graph.numbers(pdu.prev_events()).await?.into_values().collect();
        let states = graph.facts(&prev).await?.into_iter().flatten().map(|facts| match facts.place {
            Place::InGraph { after, .. } => after,
            Place::Outlier => panic!("it came as an outlier"),
        });
        let states: Vec<StateRoot> = states.collect();
        let before = resolve(&graph, &mut view.nodes, &states).await?;
        let leans_on: Vec<OwnedEventId> = pdu.auth_events().iter().cloned().chain(pdu.create_event_id()).collect();
        let leans_on: Vec<EventNumber> = graph.numbers(&leans_on).await?.into_values().collect();
        let leans_on = crate::event::AuthState::new(graph.events(&leans_on).await?.into_iter().flatten());
        let (before_it, now) = (view.deciding(before, pdu).await?, view.deciding(view.head.state, pdu).await?);
        let event = match authorise(received(pdu), &leans_on, &before_it, &now) {
            Judged::Authorised(event) => Kept::Authorised(event),
            Judged::Rejected(event) => Kept::Rejected(event),
            Judged::Need(ids) => panic!("{ids:?}"),
        };
        Ok(Proposal { event, before, sent_as: None })
    }
}

/// Makes the room of `create` and appends `rest`.
pub(crate) async fn room_of(store: &Store, create: &Pdu, rest: impl IntoIterator<Item = &Pdu>) -> RoomNumber {
    let nothing = crate::event::AuthState::default();
    let Judged::Authorised(created) = authorise(received(create), &nothing, &nothing, &nothing) else { panic!() };
    let room = make_room(store, created, None).await.unwrap();
    for pdu in rest {
        append(store, room, &mut Comes(pdu.clone())).await.unwrap();
    }
    room
}

/// What a fixture's room began with, in order.
pub(crate) fn beginning(room: &Room) -> Vec<Pdu> {
    let mut events: Vec<Pdu> = room.state.values().map(|known| known.pdu.clone()).collect();
    events.sort_by_key(Pdu::depth);
    events
}

pub(crate) async fn made(store: &Store, room: &Room) -> RoomNumber {
    let events = beginning(room);
    room_of(store, &events[0], &events[1..]).await
}

pub(crate) fn message(sender: &str, body: &str) -> Draft {
    Room::draft(sender, "m.room.message", None, json!({ "body": body }))
}

pub(crate) fn join(user: &str) -> Draft {
    Room::draft(user, "m.room.member", Some(user), json!({ "membership": "join" }))
}
