//! A room whose members were not all known when this server came gets the rest: the members are fetched and kept as
//! outliers, then one batch works out all states since the join again, judges the events by them, and makes the room whole.
//!
//! An event that turns out to be forbidden is rejected after all, and taken out of what is shown; who saw it has seen it, as
//! on every server that heard of a ban too late.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::backoff::Backoff;
use base::limits;
use ruma::{OwnedEventId, RoomId, ServerName};
use storage::{Batch, Direction, Record, Store};

use crate::append::{EVENT_ACCEPTED, LogRecord, RoomChanged, STATE_CHANGED, put_ahead, put_resolved};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, Judged, Known, RoomVersion, Standing, VerifiedPdu, auth_state_keys, authorise};
use crate::graph::{
    Completeness, EventFacts, Graph, Head, Place, Seen, extremities_after, find_room, head_of, put_facts, put_head,
    remove_partial,
};
use crate::ingest::drive::Driver;
use crate::ingest::fetch::{Fetch, StateIds};
use crate::ingest::join::{put_arrived, state_of};
use crate::ingest::machine::Source;
use crate::ingest::verdict::Report;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::read::card;
use crate::resolve::resolve;
use crate::rooms::Rooms;
use crate::state::{Nodes, StateRoot, load, put_new_nodes};
use crate::timeline::{self, Order};

impl Rooms {
    /// Fetches the members that were left out when this server came into the room, and makes its state whole. True when it
    /// is whole now; false when what is needed was not to be had, and the same is to be tried later with another server.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read and commit.
    pub async fn complete_state(
        self: &Arc<Self>,
        from: &ServerName,
        room_id: &RoomId,
        fetch: &dyn Fetch,
    ) -> Result<bool, Error> {
        let store = self.store();
        let room = find_room(store, room_id).await?.ok_or(Refusal::NoSuchRoom)?;
        let (head, _) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
        let Completeness::Partial { join } = head.completeness else { return Ok(true) };
        let graph = Graph::new(store, room, RoomVersion::of(&head.version)?);
        let join_id = graph.facts(&[join]).await?.into_iter().flatten().next().map(|facts| facts.id);
        let join_id = join_id.ok_or_else(|| Error::damaged("the event with which the server came is gone"))?;
        let Some(ids) = fetch.state_ids(room_id, &join_id).await else { return Ok(false) };
        let mut driver = Driver::new(self, room, room_id.to_owned(), graph.version(), from, Source::Live, fetch);
        driver.machine.gather(ids.clone());
        driver.finish(Report::default()).await?;
        let Some(state) = whole(&graph, &ids).await? else { return Ok(false) };
        let mut nodes = Nodes::new(room);
        let given = state_of(&graph, &mut nodes, &state).await?;
        put_ahead(&graph, &mut nodes, [head.state, given], self.server()).await?;
        finish(store, room, &state).await?;
        Ok(true)
    }
}

/// The ids of the state, when nearly all of it is here: a few events that nobody can verify any more keep no room waiting,
/// but a server that gives half of what it speaks of does.
async fn whole(graph: &Graph<'_>, ids: &StateIds) -> Result<Option<Vec<OwnedEventId>>, Error> {
    let numbers: BTreeMap<OwnedEventId, EventNumber> = graph.numbers(&ids.state).await?;
    let wanted: Vec<EventNumber> = numbers.values().copied().collect();
    let facts = graph.facts(&wanted).await?;
    let there = numbers.into_keys().zip(facts).filter_map(|(id, facts)| facts.map(|_| id));
    let there: Vec<OwnedEventId> = there.collect();
    let enough = there.len() * 100 >= ids.state.len() * limits::STATE_WHOLE_PERCENT;
    Ok((enough && !there.is_empty()).then_some(there))
}

async fn finish(store: &Store, room: RoomNumber, state: &[OwnedEventId]) -> Result<(), Error> {
    let backoff = Backoff { first: limits::APPEND_RETRY_FIRST, most: limits::APPEND_RETRY_MOST };
    for attempt in 1..=limits::APPEND_ATTEMPTS {
        match once(store, room, state).await {
            Err(error) if error.is_conflict() => store.clock().sleep(backoff.wait(attempt, store.random())).await,
            outcome => return outcome,
        }
    }
    Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
}

async fn once(store: &Store, room: RoomNumber, state: &[OwnedEventId]) -> Result<(), Error> {
    let (mut head, was) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
    let Completeness::Partial { join } = head.completeness else { return Ok(()) };
    let (graph, old) = (Graph::new(store, room, RoomVersion::of(&head.version)?), head.clone());
    let mut nodes = Nodes::new(room);
    let before_join = state_of(&graph, &mut nodes, state).await?;
    let mut again = Again { graph, nodes, judged: BTreeMap::new(), released: Vec::new() };
    let events = graph.partial_events().await?;
    again.judge_all(&events, join, before_join).await?;

    let mut batch = Batch::new();
    head.extremities = again.show_again(&mut batch, &old.room_id, join).await?;
    head.completeness = Completeness::Complete;
    head.rewritten = head.rewritten.wrapping_add(1);
    let Again { mut nodes, judged, .. } = again;
    for (event, facts) in &judged {
        put_facts(&mut batch, room, *event, facts);
        remove_partial(&mut batch, room, *event);
        if let Place::InGraph { before, after } = facts.place {
            put_new_nodes(&mut batch, &nodes, before);
            put_new_nodes(&mut batch, &nodes, after);
        }
    }
    put_state(&mut batch, &graph, &mut nodes, &old, &mut head, &judged).await?;
    put_arrived(&mut batch, &head.room_id);
    put_head(&mut batch, room, &head, Some(was));
    let partition = store.partition_of(head.room_id.as_str());
    batch.append(partition, STATE_CHANGED, RoomChanged { room }.encode());
    store.commit(batch).await.map(drop).map_err(Error::storage("completing a room's state"))
}

/// The room's state after its extremities, by the facts that are about to be written.
async fn put_state(
    batch: &mut Batch,
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    old: &Head,
    head: &mut Head,
    judged: &BTreeMap<EventNumber, EventFacts>,
) -> Result<(), Error> {
    let mut states = Vec::with_capacity(head.extremities.len());
    for (event, stored) in head.extremities.iter().zip(graph.facts(&head.extremities).await?) {
        if let Some(Place::InGraph { after, .. }) = judged.get(event).or(stored.as_ref()).map(|facts| facts.place) {
            states.push(after);
        }
    }
    let (changed, moved) = put_resolved(batch, graph, nodes, (old.state, head), &states).await?;
    put_new_nodes(batch, nodes, head.state);
    card::put_changes(batch, graph, None, &changed, &moved).await
}

/// Judging again what was judged by partial states.
struct Again<'a> {
    graph: Graph<'a>,
    nodes: Nodes,
    judged: BTreeMap<EventNumber, EventFacts>,
    /// Those that were rejected for want of the members, and are shown now.
    released: Vec<EventNumber>,
}

impl Again<'_> {
    /// Judges all, each after those before it.
    async fn judge_all(
        &mut self,
        events: &[EventNumber],
        join: EventNumber,
        before_join: StateRoot,
    ) -> Result<(), Error> {
        let facts = events.iter().copied().zip(self.graph.facts(events).await?);
        let mut open: BTreeMap<EventNumber, EventFacts> =
            facts.filter_map(|(event, facts)| Some((event, facts?))).collect();
        while !open.is_empty() {
            let free = open.iter().filter(|(_, facts)| !facts.prev.iter().any(|prev| open.contains_key(prev)));
            let mut free: Vec<EventNumber> = free.map(|(event, _)| *event).collect();
            if free.is_empty() {
                // Only in versions 1 and 2, where ids are given, can events name each other in a circle.
                free = open.keys().copied().collect();
            }
            for event in free {
                let Some(facts) = open.remove(&event) else { continue };
                let before = if event == join { before_join } else { self.before(&facts).await? };
                self.judge(event, facts, before).await?;
            }
        }
        Ok(())
    }

    async fn before(&mut self, facts: &EventFacts) -> Result<StateRoot, Error> {
        let mut states = Vec::with_capacity(facts.prev.len());
        for (prev, stored) in facts.prev.iter().zip(self.graph.facts(&facts.prev).await?) {
            if let Some(Place::InGraph { after, .. }) = self.judged.get(prev).or(stored.as_ref()).map(|it| it.place) {
                states.push(after);
            }
        }
        resolve(&self.graph, &mut self.nodes, &states).await
    }

    async fn judge(&mut self, event: EventNumber, facts: EventFacts, before: StateRoot) -> Result<(), Error> {
        let known = self.graph.events(&[event]).await?.into_iter().flatten().next();
        let Known { pdu, .. } = known.ok_or_else(|| Error::damaged(format!("{event:?} is not there")))?;
        let create: Vec<OwnedEventId> = pdu.create_event_id().into_iter().collect();
        let create = self.graph.numbers(&create).await?.into_values();
        let named: Vec<EventNumber> = facts.auth.iter().copied().chain(create).collect();
        let leans_on = AuthState::new(self.graph.events(&named).await?.into_iter().flatten());
        let keys = self.graph.key_numbers(&auth_state_keys(&pdu).unwrap_or_default()).await?;
        let keys: Vec<KeyNumber> = keys.into_iter().flatten().collect();
        let found = load(self.graph.store(), &mut self.nodes, |nodes| nodes.lookup(before, &keys)).await?;
        let found: Vec<EventNumber> = found.into_iter().flatten().collect();
        let by_before = AuthState::new(self.graph.events(&found).await?.into_iter().flatten());
        let standing = match authorise(VerifiedPdu::stored(pdu), &leans_on, &by_before, &by_before) {
            // Whether it was soft-failed was decided by what was known when it came.
            Judged::Authorised(_) if facts.standing == Standing::Rejected => {
                self.released.push(event);
                Standing::Accepted
            }
            Judged::Authorised(_) => facts.standing,
            Judged::Rejected(_) | Judged::Need(_) => Standing::Rejected,
        };
        let after = match facts.files.filter(|_| standing != Standing::Rejected) {
            Some(key) => {
                let change = [(key, Some(event))].into();
                load(self.graph.store(), &mut self.nodes, |nodes| nodes.apply(before, &change)).await?
            }
            None => before,
        };
        self.judged.insert(event, EventFacts { standing, place: Place::InGraph { before, after }, ..facts });
        Ok(())
    }

    /// Goes once more through what came live since the join, as it came: gives each place the state of the room after it,
    /// takes out what was rejected, and ends with the forward extremities as they are now.
    async fn show_again(
        &mut self,
        batch: &mut Batch,
        room_id: &RoomId,
        join: EventNumber,
    ) -> Result<Vec<EventNumber>, Error> {
        let (store, room) = (self.graph.store(), self.graph.room());
        let from = timeline::orders(store, room, &[join]).await?.into_iter().flatten().next();
        let from = from.unwrap_or(Order::START);
        let mut seen = Seen::default();
        let (mut extremities, mut at) = (Vec::new(), from);
        loop {
            let range = [at, Order::Live(base::Position(u64::MAX))];
            let page = timeline::entries(store, room, range, Direction::Forward, limits::STATE_ENTRIES_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            at = last.order.next();
            for entry in page.into_iter().filter(|entry| matches!(entry.order, Order::Live(_))) {
                let Some(facts) = self.facts(entry.event).await? else { continue };
                extremities = self.follow(&mut seen, &extremities, entry.event, &facts).await?;
                if facts.standing == Standing::Rejected {
                    timeline::remove(batch, room, entry.order, entry.event);
                    continue;
                }
                let state = self.state_after(&extremities).await?;
                put_new_nodes(batch, &self.nodes, state);
                timeline::put_again(batch, room, entry.order, entry.event, state);
            }
        }
        let partition = store.partition_of(room_id.as_str());
        for event in self.released.clone() {
            let Some(facts) = self.facts(event).await? else { continue };
            extremities = self.follow(&mut seen, &extremities, event, &facts).await?;
            let state = self.state_after(&extremities).await?;
            put_new_nodes(batch, &self.nodes, state);
            let stamp = batch.append(partition, EVENT_ACCEPTED, LogRecord { room, event }.encode());
            timeline::put_live(batch, room, stamp, event, state);
        }
        Ok(extremities)
    }

    async fn state_after(&mut self, extremities: &[EventNumber]) -> Result<StateRoot, Error> {
        let mut states = Vec::with_capacity(extremities.len());
        for extremity in extremities {
            if let Some(Place::InGraph { after, .. }) = self.facts(*extremity).await?.map(|facts| facts.place) {
                states.push(after);
            }
        }
        resolve(&self.graph, &mut self.nodes, &states).await
    }

    /// The extremities after `event`, as if nothing had come after it.
    async fn follow(
        &mut self,
        seen: &mut Seen,
        now: &[EventNumber],
        event: EventNumber,
        facts: &EventFacts,
    ) -> Result<Vec<EventNumber>, Error> {
        seen.events.insert(event, Some(facts.clone()));
        for prev in &facts.prev {
            seen.followers.entry(*prev).or_default().push(event);
        }
        seen.followers.entry(event).or_default();
        loop {
            let need = match extremities_after(now, event, facts, seen) {
                Ok(after) => return Ok(after),
                Err(need) => need,
            };
            for event in need.events {
                let facts = self.facts(event).await?;
                seen.events.insert(event, facts);
            }
            for event in need.followers {
                seen.followers.insert(event, Vec::new());
            }
        }
    }

    async fn facts(&self, event: EventNumber) -> Result<Option<EventFacts>, Error> {
        if let Some(facts) = self.judged.get(&event) {
            return Ok(Some(facts.clone()));
        }
        Ok(self.graph.facts(&[event]).await?.into_iter().flatten().next())
    }
}
