//! Auth chains: all events that an event leans on, directly or through others, as compressed bitmaps of their numbers.
//!
//! Stored, a chain is a *base* (the auth event with the longest chain) and the few events beyond it, because an event's
//! chain is nearly that of the power levels it leans on. Whole chains would take kilobytes an event in old rooms. Every
//! so often a chain is stored whole, so that few bases have to be read for one.

use std::borrow::Borrow;
use std::fmt;

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::number::EventNumber;

/// After so many bases a chain is stored whole.
const HOPS: u8 = 16;
/// A chain longer than this when encoded is never stored whole: it might not fit into a row.
const WHOLE_BYTES: usize = 32 * 1024;

/// A set of events of one room: an auth chain, or what was made of some.
#[derive(Clone, Default, PartialEq)]
pub struct AuthChain(RoaringTreemap);

impl AuthChain {
    /// Of nothing: the chain of the event that created the room.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The chain of an event that leans on `auth_events`, given with their chains.
    pub fn above<C: Borrow<Self>>(auth_events: impl IntoIterator<Item = (EventNumber, C)>) -> Self {
        let mut all = RoaringTreemap::new();
        for (event, chain) in auth_events {
            all |= &chain.borrow().0;
            all.insert(event.0);
        }
        Self(all)
    }

    /// What is in any of `chains`.
    pub fn union<C: Borrow<Self>>(chains: impl IntoIterator<Item = C>) -> Self {
        Self(chains.into_iter().fold(RoaringTreemap::new(), |all, chain| all | &chain.borrow().0))
    }

    /// Whether `event` is in it.
    pub fn contains(&self, event: EventNumber) -> bool {
        self.0.contains(event.0)
    }

    /// Adds `event`; false when it was there.
    pub fn insert(&mut self, event: EventNumber) -> bool {
        self.0.insert(event.0)
    }

    /// How many events it has.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The events, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = EventNumber> + '_ {
        self.0.iter().map(EventNumber)
    }

    /// Those events that are in some of `chains` but not in all: the *auth difference*
    /// (<https://spec.matrix.org/v1.19/rooms/v2/#definitions>).
    pub fn difference(chains: &[Self]) -> Self {
        let Some((first, others)) = chains.split_first() else { return Self::default() };
        let (mut any, mut every) = (first.0.clone(), first.0.clone());
        for other in others {
            any |= &other.0;
            every &= &other.0;
        }
        Self(any - every)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        // Writing to a vector does not fail.
        if self.0.serialize_into(&mut bytes).is_err() {
            bytes.clear();
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        RoaringTreemap::deserialize_from(bytes).ok().map(Self)
    }
}

impl fmt::Debug for AuthChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

/// A chain as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChain {
    /// The event whose chain, and which itself, is part of this one.
    base: Option<EventNumber>,
    /// How many bases have to be read for the whole.
    hops: u8,
    /// What else is part of it, as an encoded bitmap; nothing for none.
    beyond: Vec<u8>,
}

impl StoredChain {
    /// The stored form of the chain of an event that leans on `auth_events`, given with their chains and their chains'
    /// stored forms.
    pub fn above(auth_events: &[(EventNumber, AuthChain, Self)]) -> Self {
        let whole = AuthChain::above(auth_events.iter().map(|(event, chain, _)| (*event, chain)));
        let longest = auth_events.iter().max_by_key(|(event, chain, _)| (chain.len(), *event));
        let based = longest.map(|(event, chain, stored)| {
            let with_base = AuthChain::above([(*event, chain)]);
            let beyond = AuthChain(&whole.0 - &with_base.0);
            let beyond = if beyond.is_empty() { Vec::new() } else { beyond.encode() };
            Self { base: Some(*event), hops: stored.hops.saturating_add(1), beyond }
        });
        let beyond = whole.encode();
        match based {
            Some(based) if beyond.len() > WHOLE_BYTES => based,
            Some(based) if based.hops <= HOPS && based.beyond.len() < beyond.len() => based,
            _ if whole.is_empty() => Self { base: None, hops: 0, beyond: Vec::new() },
            _ => Self { base: None, hops: 0, beyond },
        }
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        48 + self.beyond.capacity()
    }

    /// The event whose chain is needed to know this one.
    pub fn base(&self) -> Option<EventNumber> {
        self.base
    }

    /// The chain, given that of its base; `None` when the stored form is damaged.
    pub fn whole(&self, base: &AuthChain) -> Option<AuthChain> {
        let mut whole = match self.base {
            Some(event) => AuthChain::above([(event, base)]),
            None => AuthChain::empty(),
        };
        if !self.beyond.is_empty() {
            whole.0 |= AuthChain::decode(&self.beyond)?.0;
        }
        Some(whole)
    }
}
