//! Where states differ, and what each of them has there.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::graph::Graph;
use crate::number::{EventNumber, KeyNumber};
use crate::state::{Changes, Nodes, StateRoot, load};

/// The keys under which states differ: the *conflicted state set* and its opposite
/// (<https://spec.matrix.org/v1.19/rooms/v2/#definitions>).
#[derive(Debug)]
pub(super) struct Conflict {
    /// The states.
    pub(super) states: Vec<StateRoot>,
    /// What each state has, in their order, under each key in which they differ.
    pub(super) entries: BTreeMap<KeyNumber, Vec<Option<EventNumber>>>,
}

impl Conflict {
    pub(super) async fn between(graph: &Graph<'_>, nodes: &mut Nodes, states: &[StateRoot]) -> Result<Self, Error> {
        let first = states.first().copied().unwrap_or_default();
        let mut keys = BTreeSet::new();
        for other in states.iter().skip(1) {
            let found = load(graph.store(), nodes, |nodes| nodes.differences(first, *other, KeyNumber(0), usize::MAX));
            keys.extend(found.await?.into_iter().map(|difference| difference.key));
        }
        let keys: Vec<KeyNumber> = keys.into_iter().collect();
        let mut entries: BTreeMap<KeyNumber, Vec<Option<EventNumber>>> = BTreeMap::new();
        for state in states {
            let found = load(graph.store(), nodes, |nodes| nodes.lookup(*state, &keys)).await?;
            for (key, event) in keys.iter().zip(found) {
                entries.entry(*key).or_default().push(event);
            }
        }
        Ok(Self { states: states.to_vec(), entries })
    }

    /// All events in conflict.
    pub(super) fn events(&self) -> BTreeSet<EventNumber> {
        self.entries.values().flatten().flatten().copied().collect()
    }

    /// The events in conflict of each state.
    pub(super) fn sides(&self) -> Vec<Vec<EventNumber>> {
        let side =
            |place: usize| self.entries.values().filter_map(|sides| sides.get(place).copied().flatten()).collect();
        (0..self.states.len()).map(side).collect()
    }

    /// Takes out the keys under which no two states have different events, and gives what they have there.
    pub(super) fn take_unopposed(&mut self) -> Changes {
        let only = |sides: &Vec<Option<EventNumber>>| {
            let mut events: Vec<EventNumber> = sides.iter().flatten().copied().collect();
            events.dedup();
            (events.len() == 1).then(|| events.first().copied()).flatten()
        };
        let settled: Changes =
            self.entries.iter().filter_map(|(key, sides)| Some((*key, Some(only(sides)?)))).collect();
        self.entries.retain(|key, _| !settled.contains_key(key));
        settled
    }
}
