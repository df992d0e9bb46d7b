//! The algorithm of versions 2 to 12, which is ruma's, over events that are in memory.
//! <https://spec.matrix.org/v1.19/rooms/v2/#state-resolution>, <https://spec.matrix.org/v1.19/rooms/v12/#state-resolution>

use std::cell::RefCell;
use std::collections::BTreeSet;

use ruma::state_res::utils::event_id_set::EventIdSet;
use ruma::state_res::{self, StateMap};
use ruma::{EventId, OwnedEventId};

use crate::error::Error;
use crate::event::{Known, RoomVersion, StateKey};
use crate::resolve::{Entries, Material};

/// What is to be decided.
pub(super) struct Case<'a> {
    /// The part of each state that matters.
    pub(super) states: &'a [Entries],
    /// The auth difference.
    pub(super) difference: &'a [OwnedEventId],
    /// The conflicted state subgraph, where the version has it.
    pub(super) subgraph: &'a [OwnedEventId],
}

/// What came of it.
pub(super) enum Decision {
    /// The part of the resolved state that matters.
    State(Entries),
    /// These events must be in memory.
    Need(BTreeSet<OwnedEventId>),
}

pub(super) fn decide(version: &RoomVersion, case: &Case<'_>, material: &Material) -> Result<Decision, Error> {
    let rules = version.rules();
    let Some(algorithm) = rules.state_res.v2_rules() else {
        return Err(Error::damaged("version 1 has another way to resolve states"));
    };
    let missing: RefCell<BTreeSet<OwnedEventId>> = RefCell::default();
    let fetch = |id: &EventId| -> Option<&Known> {
        let found = material.get(id);
        if found.is_none() {
            missing.borrow_mut().insert(id.to_owned());
        }
        found?.as_ref()
    };
    let states: Vec<StateMap<OwnedEventId>> = case.states.iter().map(to_ruma).collect();
    // Ruma takes the union of the chains without their intersection, which this gives.
    let chains = vec![case.difference.iter().cloned().collect::<EventIdSet<_>>(), EventIdSet::new()];
    let subgraph = |_: &StateMap<Vec<OwnedEventId>>| Some(case.subgraph.iter().cloned().collect());
    let resolved = state_res::resolve(&rules.authorization, algorithm, &states, chains, fetch, subgraph);
    let missing = missing.into_inner();
    if !missing.is_empty() {
        return Ok(Decision::Need(missing));
    }
    let resolved = resolved.map_err(|error| Error::damaged(format!("resolving states failed: {error}")))?;
    Ok(Decision::State(resolved.into_iter().map(|((kind, key), id)| (StateKey { kind, key }, id)).collect()))
}

fn to_ruma(state: &Entries) -> StateMap<OwnedEventId> {
    state.iter().map(|(key, id)| ((key.kind.clone(), key.key.clone()), id.clone())).collect()
}
