//! The last step: do the authorisation rules allow the event? Three times over: by the events it leans on and by the
//! state before it (else it is *rejected*: kept apart, and nothing may lean on it), then by the room's state now (else it
//! is *soft-failed*: part of the graph, but not shown and not followed).
//! <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>, checks 4 to 6.
//!
//! The rules themselves are `ruma-state-res`.

use ruma::events::{StateEventType, TimelineEventType};
use ruma::state_res::{
    self, auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
};
use ruma::{EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Refusal;
use crate::event::{Draft, Pdu, RoomVersion, StateKey, VerifiedPdu};

/// What the checks made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// All checks passed.
    Accepted,
    /// The room's state, when the event arrived, no longer allowed it.
    SoftFailed,
    /// What it leans on, or the state before it, does not allow it.
    Rejected,
}

/// An event that has been judged before.
#[derive(Clone, Debug)]
pub struct Known {
    /// The event.
    pub pdu: Pdu,
    /// What the checks made of it.
    pub standing: Standing,
}

/// A few entries of a room's state, or the events that an event leans on.
#[derive(Clone, Debug, Default)]
pub struct AuthState(Vec<Known>);

impl AuthState {
    /// The entries; events without a state key are looked up by id only.
    pub fn new(events: impl IntoIterator<Item = Known>) -> Self {
        Self(events.into_iter().collect())
    }

    /// The event filed under `kind` and `key`.
    pub fn get(&self, kind: &str, key: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.pdu.state_key() == Some(key) && known.pdu.kind().to_string() == kind)
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.0.iter()
    }

    /// The event with this id.
    pub fn by_id(&self, id: &EventId) -> Option<&Known> {
        self.0.iter().find(|known| known.pdu.id() == id)
    }

    /// The event that created the room.
    pub fn create(&self) -> Option<&Known> {
        self.get("m.room.create", "")
    }

    /// These entries and, of memberships under whose keys there is none, those of `others`.
    #[must_use]
    pub(crate) fn or_members_of(mut self, others: &Self) -> Self {
        let members = others.0.iter().filter(|known| *known.pdu.kind() == TimelineEventType::RoomMember);
        let missing =
            members.filter(|known| known.pdu.state_key().is_some_and(|key| self.get("m.room.member", key).is_none()));
        let missing: Vec<Known> = missing.cloned().collect();
        self.0.extend(missing);
        self
    }

    fn fetch(&self, kind: &StateEventType, key: &str) -> Option<&Known> {
        self.get(&kind.to_string(), key)
    }
}

/// An event that may be appended to its room.
#[derive(Clone, Debug)]
pub struct AuthorisedPdu {
    pdu: Pdu,
    soft_failed: Option<String>,
}

impl AuthorisedPdu {
    /// What it says.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    /// Why the room's state now does not allow it, if so.
    pub fn soft_failed(&self) -> Option<&str> {
        self.soft_failed.as_deref()
    }

    /// The event, soft-failed for a reason beyond the rules.
    #[must_use]
    pub(crate) fn soft_fail(self, why: String) -> Self {
        Self { soft_failed: Some(why), ..self }
    }

    /// Accepted or soft-failed.
    pub fn standing(&self) -> Standing {
        if self.soft_failed.is_some() { Standing::SoftFailed } else { Standing::Accepted }
    }
}

/// An event that nothing may lean on. It is kept, so that it need not be fetched and judged again.
#[derive(Clone, Debug)]
pub struct RejectedPdu {
    pdu: Pdu,
    why: String,
}

impl RejectedPdu {
    /// What it says.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    /// The rule that it breaks.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// What came of judging an event.
#[derive(Clone, Debug)]
pub enum Judged {
    /// It may be appended.
    Authorised(AuthorisedPdu),
    /// It is to be kept apart.
    Rejected(RejectedPdu),
    /// These events that it leans on were not among those given.
    Need(Vec<OwnedEventId>),
}

/// The keys of the state that decides about an event: what the two states given to [`authorise`] must hold, as far as the
/// room has it.
///
/// # Errors
/// [`Refusal::Forbidden`] when the content is such that no rule can allow the event.
pub fn auth_state_keys(pdu: &Pdu) -> Result<Vec<StateKey>, Refusal> {
    let rules = &pdu.version().rules().authorization;
    let types = auth_types_for_event(pdu.kind(), pdu.sender(), pdu.state_key(), pdu.content(), rules);
    let mut keys: Vec<StateKey> = types
        .map_err(|why| Refusal::Forbidden { why })?
        .into_iter()
        .map(|(kind, key)| StateKey { kind, key })
        .collect();
    // Since version 12 no event names it, but every rule asks for it.
    let create = StateKey::new(StateEventType::RoomCreate, "");
    if !pdu.is_create() && !keys.contains(&create) {
        keys.push(create);
    }
    Ok(keys)
}

/// As [`auth_state_keys`], of an event that is still to be built.
///
/// # Errors
/// [`Refusal::Forbidden`] when the content is such that no rule can allow the event.
pub fn draft_state_keys(version: &RoomVersion, draft: &Draft) -> Result<Vec<StateKey>, Refusal> {
    let rules = &version.rules().authorization;
    // Only of memberships does the content say what decides.
    let content = match draft.kind {
        TimelineEventType::RoomMember => to_raw_value(&draft.content),
        _ => RawValue::from_string("{}".to_owned()),
    };
    let content = content.map_err(|error| Refusal::malformed(error.to_string()))?;
    let state_key = draft.state_key.as_deref();
    let types = auth_types_for_event(&draft.kind, &draft.sender, state_key, &content, rules);
    let mut keys: Vec<StateKey> = types
        .map_err(|why| Refusal::Forbidden { why })?
        .into_iter()
        .map(|(kind, key)| StateKey { kind, key })
        .collect();
    let create = StateKey::new(StateEventType::RoomCreate, "");
    if draft.kind != TimelineEventType::RoomCreate && !keys.contains(&create) {
        keys.push(create);
    }
    Ok(keys)
}

/// Judges an event of our own, built just now on the room's state, of which `state` is what decides about it: what it leans
/// on, the state before it and the state now are one and the same.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub fn authorise_own(event: VerifiedPdu, state: &AuthState) -> Result<AuthorisedPdu, Refusal> {
    let pdu = event.into_pdu();
    let rules = &pdu.version().rules().authorization;
    let incoming = Known { pdu: pdu.clone(), standing: Standing::Accepted };
    check_state_independent_auth_rules(rules, &incoming, |id| state.by_id(id))
        .and_then(|()| check_state_dependent_auth_rules(rules, &incoming, |kind, key| state.fetch(kind, key)))
        .map_err(|why| Refusal::Forbidden { why })?;
    Ok(AuthorisedPdu { pdu, soft_failed: None })
}

/// Judges `event` by the events it leans on (with the create event, also where it is not named), by the state before it,
/// and by the room's state now.
pub fn authorise(event: VerifiedPdu, leans_on: &AuthState, before: &AuthState, now: &AuthState) -> Judged {
    let pdu = event.into_pdu();
    let rules = &pdu.version().rules().authorization;
    let named = pdu.auth_events().iter().cloned().chain(pdu.create_event_id().filter(|_| !pdu.is_create()));
    let missing: Vec<OwnedEventId> = named.filter(|id| leans_on.by_id(id).is_none()).collect();
    if !missing.is_empty() {
        return Judged::Need(missing);
    }
    // The rules never ask whether the event being judged was rejected.
    let incoming = Known { pdu: pdu.clone(), standing: Standing::Accepted };
    let by = |state: &AuthState| check_state_dependent_auth_rules(rules, &incoming, |kind, key| state.fetch(kind, key));
    let checked = check_state_independent_auth_rules(rules, &incoming, |id| leans_on.by_id(id))
        .and_then(|()| by(leans_on))
        .and_then(|()| by(before));
    match checked {
        Err(why) => Judged::Rejected(RejectedPdu { pdu, why }),
        Ok(()) => {
            let soft_failed = by(now).err();
            Judged::Authorised(AuthorisedPdu { pdu, soft_failed })
        }
    }
}

impl state_res::Event for Known {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        self.pdu.owned_id()
    }

    fn room_id(&self) -> Option<&RoomId> {
        // Since version 12 the rules refuse a create event that says its room.
        let silent = self.pdu.version().has_hashed_room_id() && self.pdu.is_create();
        (!silent).then(|| self.pdu.room_id())
    }

    fn sender(&self) -> &UserId {
        self.pdu.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.pdu.origin_server_ts()
    }

    fn event_type(&self) -> &TimelineEventType {
        self.pdu.kind()
    }

    fn content(&self) -> &RawValue {
        self.pdu.content()
    }

    fn state_key(&self) -> Option<&str> {
        self.pdu.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.prev_events().iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.auth_events().iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.pdu.owned_redacts()
    }

    fn rejected(&self) -> bool {
        self.standing == Standing::Rejected
    }
}
