//! The algorithm of version 1 (<https://spec.matrix.org/v1.19/rooms/v1/#state-resolution>), known to reset state and kept for
//! the rooms that still have it.

use std::collections::BTreeMap;

use ruma::events::StateEventType;
use ruma::state_res::check_state_dependent_auth_rules;
use sha1::{Digest, Sha1};

use crate::event::{AuthState, Known, RoomVersion, StateKey};
use crate::resolve::Entries;

/// Decides between `conflicted` events, given what of the rest of the state the rules look at.
pub(super) fn decide(version: &RoomVersion, conflicted: Vec<Known>, rest: Vec<Known>) -> Entries {
    let mut by_key: BTreeMap<StateKey, Vec<Known>> = BTreeMap::new();
    for known in conflicted {
        if let Some(key) = known.pdu.filed_under() {
            by_key.entry(key).or_default().push(known);
        }
    }
    let mut state: BTreeMap<StateKey, Known> =
        rest.into_iter().filter_map(|known| Some((known.pdu.filed_under()?, known))).collect();
    let mut resolved = Entries::new();
    for kind in [StateEventType::RoomPowerLevels, StateEventType::RoomJoinRules, StateEventType::RoomMember] {
        let (of_kind, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            by_key.into_iter().partition(|(key, _)| key.kind == kind);
        by_key = others;
        // Those of one kind are decided by the state before any of them is in it.
        let before = state.clone();
        for (key, events) in of_kind {
            if let Some(known) = last_allowed(version, events, &key, before.clone()) {
                resolved.insert(key.clone(), known.pdu.id().to_owned());
                state.insert(key, known);
            }
        }
    }
    for (key, events) in by_key {
        if let Some(known) = deepest_allowed(version, events, &state) {
            resolved.insert(key, known.pdu.id().to_owned());
        }
    }
    resolved
}

/// The shallowest event, replaced by deeper ones for as long as each is allowed by the one before.
fn last_allowed(
    version: &RoomVersion,
    mut events: Vec<Known>,
    key: &StateKey,
    mut state: BTreeMap<StateKey, Known>,
) -> Option<Known> {
    events.sort_by_key(|known| (std::cmp::Reverse(known.pdu.depth()), digest(known)));
    let mut last = events.pop()?;
    while let Some(next) = events.pop() {
        state.insert(key.clone(), last.clone());
        if !is_allowed(version, &next, &state) {
            break;
        }
        last = next;
    }
    Some(last)
}

/// The deepest event that is allowed; of none, the shallowest, as servers do on which the specification is silent.
fn deepest_allowed(version: &RoomVersion, mut events: Vec<Known>, state: &BTreeMap<StateKey, Known>) -> Option<Known> {
    events.sort_by_key(|known| (std::cmp::Reverse(known.pdu.depth()), digest(known)));
    let allowed = events.iter().find(|known| is_allowed(version, known, state)).cloned();
    allowed.or_else(|| events.pop())
}

fn is_allowed(version: &RoomVersion, known: &Known, state: &BTreeMap<StateKey, Known>) -> bool {
    let state = AuthState::new(state.values().cloned());
    let fetch = |kind: &StateEventType, key: &str| state.get(&kind.to_string(), key);
    check_state_dependent_auth_rules(&version.rules().authorization, known, fetch).is_ok()
}

fn digest(known: &Known) -> [u8; 20] {
    Sha1::digest(known.pdu.id().as_str()).into()
}
