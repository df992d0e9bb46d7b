//! Which events are in conflict because of what the events in conflict lean on.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::graph::{AuthChain, Graph};
use crate::number::{EventNumber, KeyNumber};
use crate::resolve::conflict::Conflict;
use crate::state::{Nodes, StateRoot, load};

/// How many events are looked at in one read.
const AT_ONCE: usize = 256;

/// The *auth difference*: what some states' events lean on and others' do not
/// (<https://spec.matrix.org/v1.19/rooms/v2/#definitions>).
///
/// What all states have in common leans on the same, so only the chains of the events in conflict are read; of their
/// difference, those events are taken out that something in common leans on.
pub(super) async fn difference(
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    conflict: &Conflict,
) -> Result<BTreeSet<EventNumber>, Error> {
    let mut chains = Vec::new();
    for side in conflict.sides() {
        let of_side = graph.chains(&side).await?;
        chains.push(AuthChain::union(of_side.iter().map(|(_, chain, _)| chain)));
    }
    let mut common = Common {
        graph,
        nodes,
        conflict,
        first: conflict.states.first().copied().unwrap_or_default(),
        not: BTreeSet::new(),
    };
    let mut found = BTreeSet::new();
    for event in AuthChain::difference(&chains).iter() {
        if !common.leans_on(event).await? {
            found.insert(event);
        }
    }
    Ok(found)
}

/// What all states have.
struct Common<'a, 'b> {
    graph: &'a Graph<'b>,
    nodes: &'a mut Nodes,
    conflict: &'a Conflict,
    first: StateRoot,
    /// Events on which nothing that all states have leans.
    not: BTreeSet<EventNumber>,
}

impl Common<'_, '_> {
    /// Whether something that all states have leans on `event`, directly or through others. Looks upwards from the event
    /// and stops at the first that is found; what there is to look at without finding any is what came after a fork.
    async fn leans_on(&mut self, event: EventNumber) -> Result<bool, Error> {
        let (mut open, mut seen) = (vec![event], BTreeSet::from([event]));
        while let Some(at) = open.pop() {
            let above = self.graph.auth_children(at).await?;
            let above: Vec<EventNumber> =
                above.into_iter().filter(|child| !self.not.contains(child) && seen.insert(*child)).collect();
            // The newest first: they are more likely to be in the state.
            for some in above.rchunks(AT_ONCE) {
                if self.has_one_of(some).await? {
                    return Ok(true);
                }
            }
            open.extend(above);
        }
        self.not.extend(seen);
        Ok(false)
    }

    async fn has_one_of(&mut self, events: &[EventNumber]) -> Result<bool, Error> {
        let facts = self.graph.facts(events).await?;
        let filed: Vec<(KeyNumber, EventNumber)> = events
            .iter()
            .zip(facts)
            .filter_map(|(event, facts)| Some((facts?.files?, *event)))
            .filter(|(key, _)| !self.conflict.entries.contains_key(key))
            .collect();
        let keys: Vec<KeyNumber> = filed.iter().map(|(key, _)| *key).collect();
        let first = self.first;
        let held = load(self.graph.store(), self.nodes, |nodes| nodes.lookup(first, &keys)).await?;
        Ok(filed.iter().zip(held).any(|((_, event), held)| held == Some(*event)))
    }
}

/// The *conflicted state subgraph*: every event on a way along auth events from one event in conflict to another
/// (<https://spec.matrix.org/v1.19/rooms/v12/#definitions>).
pub(super) async fn subgraph(
    graph: &Graph<'_>,
    conflicted: &BTreeSet<EventNumber>,
) -> Result<BTreeSet<EventNumber>, Error> {
    let mut found = conflicted.clone();
    let mut seen = conflicted.clone();
    let mut open: Vec<EventNumber> = conflicted.iter().copied().collect();
    while !open.is_empty() {
        let some = open.split_off(open.len().saturating_sub(AT_ONCE));
        let facts = graph.facts(&some).await?;
        let below: BTreeSet<EventNumber> = facts.into_iter().flatten().flat_map(|facts| facts.auth).collect();
        let below: Vec<EventNumber> = below.into_iter().filter(|event| seen.insert(*event)).collect();
        for (event, chain, _) in graph.chains(&below).await? {
            if conflicted.iter().any(|conflicted| chain.contains(*conflicted)) {
                found.insert(event);
                open.push(event);
            }
        }
    }
    Ok(found)
}
