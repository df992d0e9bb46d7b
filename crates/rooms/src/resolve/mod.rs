//! State resolution: one state out of several, as the room's version has it
//! (<https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution>).
//!
//! Only what the states differ in, what those events lean on differently, and the few entries that decide about them are
//! ever read: the cost is that of the conflict, not of the room. The algorithm since version 2 is `ruma-state-res`, given
//! exactly that part of the states; that of version 1, which ruma has not, is `v1`.
//!
//! Where to go: this file reads what is needed, in rounds; `conflict` finds where states differ, `auth` the events that
//! are in conflict because of them; `v2` and `v1` decide, without I/O.

mod auth;
mod conflict;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ruma::OwnedEventId;

use crate::error::Error;
use crate::event::{Known, StateKey, auth_state_keys};
use crate::graph::Graph;
use crate::number::{EventNumber, KeyNumber};
use crate::resolve::conflict::Conflict;
use crate::state::{Changes, Nodes, StateRoot, load};

/// Events that are in memory, by id; `None` stands for one that the room does not have.
pub(crate) type Material = BTreeMap<OwnedEventId, Option<Known>>;

/// What state is filed under, with the event that holds it.
pub(crate) type Entries = BTreeMap<StateKey, OwnedEventId>;

/// Resolves the states after a room's forward extremities, or after the events before an event. The nodes of the outcome
/// that are new are in [`Nodes::to_store`].
///
/// # Errors
/// As every read; [`Error::Damaged`] when what is stored does not fit together.
pub async fn resolve(graph: &Graph<'_>, nodes: &mut Nodes, states: &[StateRoot]) -> Result<StateRoot, Error> {
    let states: Vec<StateRoot> = states.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let Some((first, [_, ..])) = states.split_first() else {
        return Ok(states.first().copied().unwrap_or_default());
    };
    let conflict = Conflict::between(graph, nodes, &states).await?;
    let mut resolving = Resolving { graph, nodes, conflict, material: Material::new(), ids: BTreeMap::new() };
    let changes = match graph.version().rules().state_res.v2_rules() {
        Some(_) => resolving.by_v2().await?,
        None => resolving.by_v1().await?,
    };
    load(graph.store(), nodes, |nodes| nodes.apply(*first, &changes)).await
}

struct Resolving<'a, 'b> {
    graph: &'a Graph<'b>,
    nodes: &'a mut Nodes,
    conflict: Conflict,
    material: Material,
    ids: BTreeMap<EventNumber, OwnedEventId>,
}

impl Resolving<'_, '_> {
    async fn by_v2(&mut self) -> Result<Changes, Error> {
        let conflicted = self.conflict.events();
        let difference = auth::difference(self.graph, self.nodes, &self.conflict).await?;
        let rules = self.graph.version().rules().state_res;
        let subgraph = match rules.v2_rules() {
            Some(rules) if rules.consider_conflicted_state_subgraph => auth::subgraph(self.graph, &conflicted).await?,
            _ => BTreeSet::new(),
        };
        let full: BTreeSet<EventNumber> = conflicted.iter().chain(&difference).chain(&subgraph).copied().collect();
        self.read(&full).await?;
        let deciding = self.deciding(&full).await?;
        let states = self.states(&deciding).await?;
        let (difference, subgraph) = (self.named(&difference)?, self.named(&subgraph)?);
        loop {
            let case = v2::Case { states: &states, difference: &difference, subgraph: &subgraph };
            match v2::decide(self.graph.version(), &case, &self.material)? {
                v2::Decision::State(resolved) => return self.changes(&resolved).await,
                v2::Decision::Need(ids) => self.read_ids(ids).await?,
            }
        }
    }

    async fn by_v1(&mut self) -> Result<Changes, Error> {
        // A key that only some states have is no conflict in version 1.
        let settled: Changes = self.conflict.take_unopposed();
        let conflicted = self.conflict.events();
        let all = conflicted.iter().copied().chain(settled.values().flatten().copied()).collect();
        self.read(&all).await?;
        let mut deciding = self.deciding(&conflicted).await?;
        for (key, event) in &settled {
            if let Some(event) = event {
                deciding.insert(*key, *event);
            }
        }
        self.read(&deciding.values().copied().collect()).await?;
        let mut rest = Vec::new();
        for event in deciding.values() {
            rest.extend(self.known(*event)?.cloned());
        }
        let events = conflicted.iter().map(|event| self.known(*event));
        let events: Vec<Known> = events.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().cloned().collect();
        let resolved = v1::decide(self.graph.version(), events, rest);
        let mut changes = self.changes(&resolved).await?;
        changes.extend(settled);
        Ok(changes)
    }

    /// The entries outside the conflict that the rules look at when they judge `events`, and those filed where these are.
    async fn deciding(&mut self, events: &BTreeSet<EventNumber>) -> Result<BTreeMap<KeyNumber, EventNumber>, Error> {
        let mut keys: BTreeSet<StateKey> = BTreeSet::new();
        for event in events {
            let Some(known) = self.known(*event)? else { continue };
            // No rule can allow an event with such content, whatever the state.
            keys.extend(auth_state_keys(&known.pdu).unwrap_or_default());
            keys.extend(known.pdu.filed_under());
        }
        let keys: Vec<StateKey> = keys.into_iter().collect();
        let numbers = self.graph.key_numbers(&keys).await?;
        let keys: Vec<KeyNumber> =
            numbers.into_iter().flatten().filter(|key| !self.conflict.entries.contains_key(key)).collect();
        let first = self.conflict.states.first().copied().unwrap_or_default();
        let found = load(self.graph.store(), self.nodes, |nodes| nodes.lookup(first, &keys)).await?;
        let deciding: BTreeMap<_, _> =
            keys.into_iter().zip(found).filter_map(|(key, event)| Some((key, event?))).collect();
        self.read(&deciding.values().copied().collect()).await?;
        Ok(deciding)
    }

    /// The part of each state that matters: its side of the conflict, and what all have that decides about it.
    async fn states(&mut self, deciding: &BTreeMap<KeyNumber, EventNumber>) -> Result<Vec<Entries>, Error> {
        let keys: Vec<KeyNumber> = self.conflict.entries.keys().chain(deciding.keys()).copied().collect();
        let names = self.graph.key_names(&keys).await?;
        let mut states = vec![Entries::new(); self.conflict.states.len()];
        for (key, name) in names {
            for (place, state) in states.iter_mut().enumerate() {
                let sides = self.conflict.entries.get(&key);
                let event = match sides {
                    Some(sides) => sides.get(place).copied().flatten(),
                    None => deciding.get(&key).copied(),
                };
                if let Some(event) = event {
                    state.insert(name.clone(), self.id(event)?.clone());
                }
            }
        }
        Ok(states)
    }

    /// What the outcome changes in the first state.
    async fn changes(&mut self, resolved: &Entries) -> Result<Changes, Error> {
        let mut changes: Changes = self.conflict.entries.keys().map(|key| (*key, None)).collect();
        let keys: Vec<StateKey> = resolved.keys().cloned().collect();
        let numbers = self.graph.key_numbers(&keys).await?;
        let ids: Vec<OwnedEventId> = resolved.values().cloned().collect();
        let events = self.graph.numbers(&ids).await?;
        for (key, id) in numbers.into_iter().zip(&ids) {
            let key = key.ok_or_else(|| Error::damaged("a state event is filed under a key without a number"))?;
            changes.insert(key, events.get(id).copied());
        }
        Ok(changes)
    }

    async fn read(&mut self, events: &BTreeSet<EventNumber>) -> Result<(), Error> {
        let new: Vec<EventNumber> = events.iter().filter(|event| !self.ids.contains_key(event)).copied().collect();
        for (number, known) in new.iter().zip(self.graph.events(&new).await?) {
            let known = known.ok_or_else(|| Error::damaged(format!("{number:?} is in a state and not there")))?;
            let id = known.pdu.id().to_owned();
            self.ids.insert(*number, id.clone());
            self.material.insert(id, Some(known));
        }
        Ok(())
    }

    /// Reads events by id and, of those that are power levels, what they lean on, back to the first: the order of events
    /// is told from these.
    async fn read_ids(&mut self, ids: BTreeSet<OwnedEventId>) -> Result<(), Error> {
        let mut open: Vec<OwnedEventId> = ids.into_iter().collect();
        while !open.is_empty() {
            let numbers = self.graph.numbers(&open).await?;
            let known: Vec<EventNumber> = numbers.values().copied().collect();
            let events: BTreeMap<EventNumber, Option<Known>> =
                known.iter().copied().zip(self.graph.events(&known).await?).collect();
            let mut next = BTreeSet::new();
            for id in open {
                let event = numbers.get(&id).and_then(|number| events.get(number)).cloned().flatten();
                if let Some(levels) =
                    event.as_ref().filter(|known| known.pdu.kind().to_string() == "m.room.power_levels")
                {
                    next.extend(levels.pdu.auth_events().iter().cloned());
                }
                self.material.insert(id, event);
            }
            open = next.into_iter().filter(|id| !self.material.contains_key(id)).collect();
        }
        Ok(())
    }

    fn id(&self, event: EventNumber) -> Result<&OwnedEventId, Error> {
        self.ids.get(&event).ok_or_else(|| Error::damaged(format!("{event:?} was not read")))
    }

    fn named(&self, events: &BTreeSet<EventNumber>) -> Result<Vec<OwnedEventId>, Error> {
        events.iter().map(|event| self.id(*event).cloned()).collect()
    }

    fn known(&self, event: EventNumber) -> Result<Option<&Known>, Error> {
        Ok(self.material.get(self.id(event)?).and_then(Option::as_ref))
    }
}
