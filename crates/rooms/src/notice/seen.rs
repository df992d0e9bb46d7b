//! Events and rooms as push rules see them, read once and remembered for all members of a room: when a message comes to a
//! hundred of them, it is taken apart once.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::limits;
use moka::sync::Cache as Moka;
use ruma::events::StateEventType;
use ruma::events::room::power_levels::{RoomPowerLevels, RoomPowerLevelsEventContent, RoomPowerLevelsSource};
use ruma::push::FlattenedJson;
use ruma::serde::Raw;
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use storage::Store;

use crate::append::{Membership, memberships};
use crate::error::Error;
use crate::event::{Pdu, StateKey};
use crate::graph::{Graph, head_of};
use crate::notice::rules::RoomFacts;
use crate::number::{EventNumber, RoomNumber};
use crate::read::card::counts;
use crate::rooms::Rooms;
use crate::state::{Nodes, StateRoot, load};

/// An event as push rules see it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub id: OwnedEventId,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// When, as its server says, in milliseconds.
    pub(super) at: u64,
    pub(super) flat: FlattenedJson,
    /// Whether it says whom it mentions.
    pub(super) has_mentions: bool,
    /// Whether rules may look for a name in it.
    pub(super) has_text: bool,
    pub(super) relation: Option<Relation>,
    /// Whether its content was taken away: it concerns nobody any more.
    pub(super) is_redacted: bool,
    /// The event that it asks to redact.
    pub(super) redacts: Option<OwnedEventId>,
    /// Whose membership it is about.
    pub(super) member: Option<OwnedUserId>,
    bytes: u32,
}

/// What an event relates to (<https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events>).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relation {
    pub(super) rel_type: String,
    pub(super) event_id: OwnedEventId,
}

#[derive(Deserialize)]
struct Relates {
    #[serde(rename = "m.relates_to")]
    relates_to: Option<Relation>,
}

impl Seen {
    /// Takes an event apart.
    pub(crate) fn of(pdu: &Pdu, is_redacted: bool) -> Self {
        // Stored events were read as canonical JSON before, which bounds their depth; what is none has nothing to match.
        let raw = serde_json::from_slice::<Box<RawValue>>(pdu.json()).map(Raw::<()>::from_json);
        let flat = FlattenedJson::from_raw(&raw.unwrap_or_else(|_| Raw::from_json(RawValue::NULL.to_owned())));
        let relates = serde_json::from_str::<Relates>(pdu.content().get());
        let is_member = pdu.kind().to_string() == "m.room.member";
        let has_mentions = flat.contains_mentions();
        Self {
            id: pdu.id().to_owned(),
            sender: pdu.sender().to_owned(),
            at: pdu.origin_server_ts().get().into(),
            has_mentions,
            has_text: !has_mentions && flat.get_str("content.body").is_some(),
            relation: relates.ok().and_then(|relates| relates.relates_to),
            is_redacted,
            redacts: pdu.redacts().map(ToOwned::to_owned),
            member: pdu.state_key().filter(|_| is_member).and_then(|key| UserId::parse(key).ok()),
            flat,
            // Flattened it takes a few times what it takes as text.
            bytes: u32::try_from(pdu.json().len() * 4).unwrap_or(u32::MAX),
        }
    }

    /// Whether it is what `user` says of their own membership.
    pub(super) fn is_own_membership(&self, user: &UserId) -> bool {
        self.sender == user && self.member.as_deref() == Some(user)
    }
}

/// What is remembered of events and rooms.
#[derive(Debug)]
pub(super) struct Cache {
    events: Moka<(RoomNumber, EventNumber), Arc<Seen>>,
    rooms: Moka<RoomNumber, Arc<(StateRoot, RoomFacts)>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        let weigh = |_: &(RoomNumber, EventNumber), seen: &Arc<Seen>| seen.bytes;
        Self {
            events: Moka::builder().weigher(weigh).max_capacity(limits::SEEN_EVENTS_BYTES).build(),
            rooms: Moka::new(limits::SEEN_ROOMS),
        }
    }
}

/// `user`'s membership of `room`, by the room's state now.
pub(super) async fn membership(store: &Store, room: RoomNumber, user: &UserId) -> Result<Option<Membership>, Error> {
    Ok(memberships(store, room, &[user]).await?.into_iter().next().flatten())
}

impl Rooms {
    /// The events as push rules see them, in their order; `None` for one that is not stored.
    pub(super) async fn seen(
        &self,
        graph: &Graph<'_>,
        events: &[EventNumber],
    ) -> Result<Vec<Option<Arc<Seen>>>, Error> {
        let (cache, room) = (&self.notice().seen.events, graph.room());
        let mut found: Vec<Option<Arc<Seen>>> = events.iter().map(|event| cache.get(&(room, *event))).collect();
        let missing = found.iter().zip(events).filter(|(seen, _)| seen.is_none()).map(|(_, event)| *event);
        let missing: Vec<EventNumber> = missing.collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let mut read = graph.stored(&missing).await?.into_iter();
        for (slot, event) in found.iter_mut().zip(events).filter(|(slot, _)| slot.is_none()) {
            let Some(stored) = read.next().flatten() else { continue };
            let pdu = Pdu::read(graph.version(), stored.facts.id, stored.json);
            let pdu = pdu.map_err(|error| Error::damaged(format!("a stored event: {error}")))?;
            let seen = Arc::new(Seen::of(&pdu, stored.facts.redacted_by.is_some()));
            cache.insert((room, *event), Arc::clone(&seen));
            *slot = Some(seen);
        }
        Ok(found)
    }

    /// Forgets an event whose content was taken away.
    pub(super) fn unsee(&self, room: RoomNumber, event: EventNumber) {
        self.notice().seen.events.invalidate(&(room, event));
    }

    /// What push rules may ask of a room as it is now.
    pub(super) async fn room_facts(&self, graph: &Graph<'_>) -> Result<Arc<(StateRoot, RoomFacts)>, Error> {
        let room = graph.room();
        let (head, _) = head_of(self.store(), room).await?.ok_or_else(|| Error::damaged("a room without a head"))?;
        if let Some(facts) = self.notice().seen.rooms.get(&room).filter(|facts| facts.0 == head.state) {
            return Ok(facts);
        }
        let joined = counts(self.store(), &[room]).await?.into_iter().next().unwrap_or_default().joined;
        let keys = [StateEventType::RoomCreate, StateEventType::RoomPowerLevels].map(|kind| StateKey::new(kind, ""));
        let numbers: Vec<_> = graph.key_numbers(&keys).await?.into_iter().flatten().collect();
        let mut nodes = Nodes::new(room);
        let filed = load(self.store(), &mut nodes, |nodes| nodes.lookup(head.state, &numbers)).await?;
        let filed: Vec<EventNumber> = filed.into_iter().flatten().collect();
        let events: Vec<Pdu> = graph.events(&filed).await?.into_iter().flatten().map(|known| known.pdu).collect();
        let facts = RoomFacts { id: head.room_id, joined, power: power_levels(graph, &events).into() };
        let facts = Arc::new((head.state, facts));
        self.notice().seen.rooms.insert(room, Arc::clone(&facts));
        Ok(facts)
    }

    /// What `users` are called in a room, as far as they are called anything but their ids.
    pub(super) async fn names(
        &self,
        graph: &Graph<'_>,
        users: &[&UserId],
    ) -> Result<BTreeMap<OwnedUserId, String>, Error> {
        let memberships = memberships(self.store(), graph.room(), users).await?;
        let events: Vec<EventNumber> = memberships.iter().flatten().map(|membership| membership.event).collect();
        let events = graph.events(&events).await?;
        let named = memberships.into_iter().flatten().zip(events).filter_map(|(membership, known)| {
            let content = known?.pdu.content().get().to_owned();
            let name = serde_json::from_str::<Member>(&content).ok()?.displayname?;
            Some((membership.user, name))
        });
        Ok(named.collect())
    }
}

#[derive(Deserialize)]
struct Member {
    displayname: Option<String>,
}

#[derive(Deserialize)]
struct Creators {
    #[serde(default)]
    additional_creators: Vec<OwnedUserId>,
}

/// Who may do what, by the room's create event and its power levels.
fn power_levels(graph: &Graph<'_>, events: &[Pdu]) -> RoomPowerLevels {
    let create = events.iter().find(|pdu| pdu.is_create());
    let content = |pdu: &Pdu| serde_json::from_str::<RoomPowerLevelsEventContent>(pdu.content().get()).ok();
    let levels = events.iter().find(|pdu| !pdu.is_create()).and_then(content);
    let also = create.and_then(|pdu| serde_json::from_str::<Creators>(pdu.content().get()).ok());
    let also = also.map(|creators| creators.additional_creators).unwrap_or_default();
    let creators: Vec<OwnedUserId> = create.map(|pdu| pdu.sender().to_owned()).into_iter().chain(also).collect();
    RoomPowerLevels::new(RoomPowerLevelsSource::from(levels), &graph.version().rules().authorization, creators)
}
