//! What is to be done with events that others sent, without I/O: it says what it needs or what is ready, is told what came
//! of that, and ends with a verdict on every event.
//!
//! An event has a *role*: one of the timeline becomes part of the graph, after all that it names as before it; one of
//! support is there because another leans on it, or is part of a state, and becomes an outlier if it is not in the graph.
//!
//! The events before an event are had first, then, where these end, the state there, and last what is leaned on: an event
//! that can come into the graph by the way of its followers must not become an outlier before, because outliers are judged
//! by less.
//!
//! Every event and every state is asked for once and rounds are counted, so it ends whatever is answered.

use std::collections::{BTreeMap, BTreeSet};

use base::limits;
use ruma::{OwnedEventId, OwnedRoomId};

use crate::error::Refusal;
use crate::event::{NeededKey, Pdu, Verification, VerifiedPdu, WellFormedPdu};
use crate::ingest::fetch::StateIds;
use crate::ingest::verdict::Verdict;

/// How events came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Just now said. What lies between them and what is known is asked for, event by event.
    Live,
    /// Asked for, of a time that nothing here is known of. Where they begin, the state is asked for.
    History,
}

/// What an event is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Part of the graph.
    Timeline,
    /// At least an outlier.
    Support,
}

/// What the store has of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing, or its name.
    Nothing,
    /// It, outside the graph.
    Outlier,
    /// It, in the graph.
    InGraph,
}

/// What is lacking. Answers may be partial; whatever is left out is taken as not to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// What the store has of these: [`Machine::held`].
    pub held: BTreeSet<OwnedEventId>,
    /// Keys of servers: [`Machine::keys_came`].
    pub keys: BTreeSet<NeededKey>,
    /// The events before these, back to what is known: [`Machine::missing_came`].
    pub missing_before: BTreeSet<OwnedEventId>,
    /// The state before these: [`Machine::state_came`].
    pub states: BTreeSet<OwnedEventId>,
    /// These events: [`Machine::events_came`].
    pub events: BTreeSet<OwnedEventId>,
}

impl Need {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where an event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placing {
    /// Outside the graph.
    Outlier,
    /// After the events that it names as before it, all of which are in the graph.
    AfterPrev,
    /// After a state that was asked for, because not all of the events that it names are there.
    AfterState(Vec<OwnedEventId>),
}

/// An event with whose judging one can begin: everything that it follows and leans on is there, or ready before it.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The event.
    pub event: VerifiedPdu,
    /// Where it goes.
    pub placing: Placing,
}

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Get these.
    Need(Need),
    /// Verify these with the keys there are, and tell [`Machine::take`].
    Verify(Vec<WellFormedPdu>),
    /// Append these, in this order, and tell [`Machine::done`] of each.
    Ready(Vec<Ready>),
    /// Nothing: [`Machine::finish`].
    Done,
}

/// An event that passed some of the first checks.
#[derive(Clone, Debug)]
pub enum Taken {
    /// The first.
    WellFormed(Box<WellFormedPdu>),
    /// The first three, or keys for them are lacking.
    Verified(Verification),
}

impl Taken {
    /// What the event says.
    pub fn pdu(&self) -> &Pdu {
        match self {
            Self::WellFormed(event) | Self::Verified(Verification::Need(_, event)) => event.pdu(),
            Self::Verified(Verification::Verified(event)) => event.pdu(),
        }
    }
}

#[derive(Clone, Debug)]
struct Item {
    role: Role,
    taken: Taken,
    /// Whether it was verified with all keys that are to be had.
    keys_asked: bool,
    /// It is where a gap ends: its state is asked for, and not the events before it.
    rooted: bool,
    /// It cannot come into the graph.
    apart: bool,
    /// When it came, among the others.
    came: usize,
}

impl Item {
    fn verified(&self) -> Option<&VerifiedPdu> {
        match &self.taken {
            Taken::Verified(Verification::Verified(event)) => Some(event),
            _ => None,
        }
    }

    /// What it leans on, with the create event where that is not named.
    fn leans_on(&self) -> impl Iterator<Item = OwnedEventId> + use<> {
        let pdu = self.taken.pdu();
        let create = pdu.create_event_id().filter(|_| !pdu.is_create());
        pdu.auth_events().to_vec().into_iter().chain(create)
    }
}

/// What is to be done with some events of one room.
#[derive(Debug)]
pub struct Machine {
    room: OwnedRoomId,
    source: Source,
    items: BTreeMap<OwnedEventId, Item>,
    held: BTreeMap<OwnedEventId, Held>,
    states: BTreeMap<OwnedEventId, Option<StateIds>>,
    /// Events asked for by id.
    asked: BTreeSet<OwnedEventId>,
    rounds: u32,
    taken: usize,
    verdicts: BTreeMap<OwnedEventId, Verdict>,
    /// States that are wanted for themselves.
    gathered: Vec<StateIds>,
}

impl Machine {
    /// Nothing to do yet, in `room`.
    pub fn new(room: OwnedRoomId, source: Source) -> Self {
        Self {
            room,
            source,
            items: BTreeMap::new(),
            held: BTreeMap::new(),
            states: BTreeMap::new(),
            asked: BTreeSet::new(),
            rounds: 0,
            taken: 0,
            verdicts: BTreeMap::new(),
            gathered: Vec::new(),
        }
    }

    /// Takes an event that was sent, or comes back verified. An event of another room is dropped, and so is one whose
    /// signatures cannot be verified with all the keys there are.
    pub fn take(&mut self, role: Role, taken: Taken) {
        let id = taken.pdu().id().to_owned();
        match self.verdicts.get(&id) {
            // It was kept apart, and is to be part of the graph after all.
            Some(Verdict::Outlier) if role == Role::Timeline => drop(self.verdicts.remove(&id)),
            Some(_) => return,
            None => {}
        }
        if taken.pdu().room_id() != self.room {
            let what = "it is an event of another room".to_owned();
            self.verdicts.insert(id, Verdict::Dropped(Refusal::Malformed { what }));
            return;
        }
        let before = self.items.get_mut(&id);
        if let Some(item) = before.filter(|item| item.verified().is_some()) {
            // It is genuine. In versions 1 and 2 something else may be sent under its id.
            if role == Role::Timeline && !item.apart {
                item.role = role;
            }
            return;
        }
        let before = self.items.get(&id);
        let keys_asked = before.is_some_and(|item| item.keys_asked);
        if keys_asked && let Taken::Verified(Verification::Need(needed, _)) = &taken {
            let of: BTreeSet<&str> = needed.iter().map(|key| key.server.as_str()).collect();
            let what = format!("no key of {} is to be had", of.into_iter().collect::<Vec<_>>().join(", "));
            self.drop_event(&id, Verdict::Dropped(Refusal::BadSignature { what }));
            return;
        }
        let role = before.map_or(role, |item| if item.role == Role::Timeline { Role::Timeline } else { role });
        let (rooted, apart) = before.map_or((false, false), |item| (item.rooted, item.apart));
        let came = before.map_or(self.taken, |item| item.came);
        self.taken += usize::from(before.is_none());
        self.items.insert(id, Item { role, taken, keys_asked, rooted, apart, came });
    }

    /// Gives an event that was taken a state to come after, as if it had been asked for.
    pub fn give_state(&mut self, event: &OwnedEventId, state: StateIds) {
        self.states.insert(event.clone(), Some(state));
        if let Some(item) = self.items.get_mut(event) {
            item.rooted = true;
        }
    }

    /// Wants the events of a state, for themselves.
    pub fn gather(&mut self, state: StateIds) {
        self.gathered.push(state);
    }

    /// What the store has of events.
    pub fn held(&mut self, held: impl IntoIterator<Item = (OwnedEventId, Held)>) {
        self.held.extend(held);
    }

    /// All keys that were needed and are to be had came.
    pub fn keys_came(&mut self) {
        for item in self.items.values_mut() {
            if let Taken::Verified(Verification::Need(_, event)) = &item.taken {
                item.taken = Taken::WellFormed(event.clone());
                item.keys_asked = true;
            }
        }
    }

    /// Events came that lie before those asked for. What lies before none of them is left aside.
    pub fn missing_came(&mut self, events: Vec<Taken>) {
        self.rounds += 1;
        let mut came: BTreeMap<OwnedEventId, Taken> =
            events.into_iter().map(|taken| (taken.pdu().id().to_owned(), taken)).collect();
        let (mut wanted, taken_before) = (self.missing(), self.taken);
        while let Some(id) = wanted.pop_first() {
            let Some(taken) = came.remove(&id) else { continue };
            let before = taken.pdu().prev_events().to_vec();
            self.take(Role::Timeline, taken);
            wanted.extend(before);
        }
        if self.taken == taken_before {
            // Asking once more would bring no more.
            self.rounds = limits::INGEST_MISSING_ROUNDS;
        }
    }

    /// Some of the events `asked` for by id came.
    pub fn events_came(&mut self, asked: &BTreeSet<OwnedEventId>, events: Vec<Taken>) {
        let missing = self.missing();
        self.asked.extend(asked.iter().cloned());
        for taken in events.into_iter().filter(|taken| asked.contains(taken.pdu().id())) {
            let id = taken.pdu().id().to_owned();
            let ends_a_gap = missing.contains(&id);
            self.take(if ends_a_gap { Role::Timeline } else { Role::Support }, taken);
            if let Some(item) = self.items.get_mut(&id).filter(|_| ends_a_gap) {
                item.rooted = true;
            }
        }
    }

    /// The state before `event` came, or is not to be had.
    pub fn state_came(&mut self, event: OwnedEventId, state: Option<StateIds>) {
        self.states.insert(event, state);
    }

    /// An event that was ready was appended, or failed to be.
    pub fn done(&mut self, id: &OwnedEventId, verdict: Verdict) {
        let placed = match verdict {
            Verdict::Outlier => Some(Held::Outlier),
            Verdict::Accepted | Verdict::SoftFailed | Verdict::Rejected | Verdict::Known => Some(Held::InGraph),
            Verdict::Dropped(_) | Verdict::Lacking | Verdict::Denied | Verdict::SetAside => None,
        };
        if let Some(placed) = placed {
            self.held.insert(id.clone(), placed);
        }
        // What was to become part of the graph and could not is still to come, although it is kept.
        let apart = self.items.get(id).is_some_and(|item| item.apart);
        self.drop_event(id, if apart && verdict == Verdict::Outlier { Verdict::Lacking } else { verdict });
    }

    /// What became of all events.
    pub fn finish(self) -> BTreeMap<OwnedEventId, Verdict> {
        let lacking = self.items.into_keys().map(|id| (id, Verdict::Lacking));
        self.verdicts.into_iter().chain(lacking).collect()
    }

    fn drop_event(&mut self, id: &OwnedEventId, verdict: Verdict) {
        self.items.remove(id);
        self.verdicts.insert(id.clone(), verdict);
    }

    /// What is to be done next.
    pub fn step(&mut self) -> Step {
        let unknown = self.names_without_answer();
        if !unknown.is_empty() {
            return Step::Need(Need { held: unknown, ..Need::default() });
        }
        self.settle_known();
        let unverified = self.items.values().filter_map(|item| match &item.taken {
            Taken::WellFormed(event) => Some((**event).clone()),
            Taken::Verified(_) => None,
        });
        let unverified: Vec<WellFormedPdu> = unverified.collect();
        if !unverified.is_empty() {
            return Step::Verify(unverified);
        }
        let keys = self.items.values().filter_map(|item| match &item.taken {
            Taken::Verified(Verification::Need(keys, _)) => Some(keys.clone()),
            _ => None,
        });
        let keys: BTreeSet<NeededKey> = keys.flatten().collect();
        if !keys.is_empty() {
            return Step::Need(Need { keys, ..Need::default() });
        }
        let ready = self.ready();
        if !ready.is_empty() {
            return Step::Ready(ready);
        }
        loop {
            let need = self.need();
            if !need.is_empty() {
                return Step::Need(need);
            }
            if !self.demote() && !self.give_up_support() {
                return Step::Done;
            }
            let ready = self.ready();
            if !ready.is_empty() {
                return Step::Ready(ready);
            }
        }
    }

    /// Names that the store was not asked about yet.
    fn names_without_answer(&self) -> BTreeSet<OwnedEventId> {
        let named = self.items.iter().flat_map(|(id, item)| {
            let prev = item.taken.pdu().prev_events().iter().cloned();
            std::iter::once(id.clone()).chain(prev).chain(item.leans_on())
        });
        let states = self.states.values().flatten().chain(&self.gathered);
        let in_states = states.flat_map(|ids| ids.state.iter().chain(&ids.auth_chain)).cloned();
        named.chain(in_states).filter(|id| !self.held.contains_key(id)).take(limits::INGEST_IDS_AT_ONCE).collect()
    }

    /// Takes out what is there already.
    fn settle_known(&mut self) {
        let known: Vec<(OwnedEventId, Verdict)> = self
            .items
            .iter()
            .filter_map(|(id, item)| match (self.holds(id), item.role) {
                (Held::InGraph, _) => Some((id.clone(), Verdict::Known)),
                (Held::Outlier, Role::Support) => Some((id.clone(), Verdict::Outlier)),
                _ => None,
            })
            .collect();
        for (id, verdict) in known {
            self.drop_event(&id, verdict);
        }
    }

    fn holds(&self, id: &OwnedEventId) -> Held {
        self.held.get(id).copied().unwrap_or(Held::Nothing)
    }

    /// Whether an event is in hand that is to become part of the graph, and may.
    fn is_coming(&self, id: &OwnedEventId) -> bool {
        let stuck = matches!(self.states.get(id), Some(None));
        self.items.get(id).is_some_and(|item| item.role == Role::Timeline && !stuck)
    }

    /// Everything with which one can begin, in an order in which nothing comes before what it needs.
    fn ready(&self) -> Vec<Ready> {
        let mut order: Vec<(u64, usize, &OwnedEventId)> =
            self.items.iter().map(|(id, item)| (item.taken.pdu().depth(), item.came, id)).collect();
        order.sort_unstable();
        let (mut there, mut ready) = (BTreeMap::new(), Vec::new());
        let holds = |there: &BTreeMap<&OwnedEventId, Held>, id: &OwnedEventId| {
            there.get(id).copied().unwrap_or_else(|| self.holds(id))
        };
        loop {
            let before = ready.len();
            order.retain(|(_, _, id)| {
                if ready.len() >= limits::INGEST_READY_AT_ONCE {
                    return true;
                }
                let Some(item) = self.items.get(*id) else { return false };
                let Some(event) = item.verified() else { return true };
                let Some(placing) = self.placing(item, |id| holds(&there, id)) else { return true };
                there.insert(*id, if placing == Placing::Outlier { Held::Outlier } else { Held::InGraph });
                ready.push(Ready { event: event.clone(), placing });
                false
            });
            if ready.len() == before {
                return ready;
            }
        }
    }

    /// Where an event goes, if it can go anywhere yet.
    fn placing(&self, item: &Item, holds: impl Fn(&OwnedEventId) -> Held) -> Option<Placing> {
        if item.leans_on().any(|id| holds(&id) == Held::Nothing) {
            return None;
        }
        let pdu = item.taken.pdu();
        match item.role {
            Role::Support => Some(Placing::Outlier),
            Role::Timeline if pdu.prev_events().iter().all(|id| holds(id) == Held::InGraph) => Some(Placing::AfterPrev),
            Role::Timeline => {
                let ids = self.states.get(pdu.id())?.as_ref()?;
                let there = |id: &OwnedEventId| holds(id) != Held::Nothing;
                let final_answer = |id: &OwnedEventId| there(id) || !self.may_still_come(id);
                let state = ids.state.iter().all(final_answer);
                state.then(|| Placing::AfterState(ids.state.iter().filter(|id| there(id)).cloned().collect()))
            }
        }
    }

    /// Whether an event that is not in the store is, or may be, on its way.
    fn may_still_come(&self, id: &OwnedEventId) -> bool {
        self.items.contains_key(id) || !(self.asked.contains(id) || self.verdicts.contains_key(id) || self.is_full())
    }

    fn is_full(&self) -> bool {
        self.taken >= limits::INGEST_EVENTS
    }

    /// What events of the timeline name as before them and what neither is in the graph nor is to become part of it.
    fn missing(&self) -> BTreeSet<OwnedEventId> {
        let prev = self.lacking_prev().flat_map(|(_, item)| item.taken.pdu().prev_events().iter().cloned());
        prev.filter(|id| self.holds(id) != Held::InGraph && !self.is_coming(id)).collect()
    }

    /// Events of the timeline with something missing before them, and no state to come after in its place.
    fn lacking_prev(&self) -> impl Iterator<Item = (&OwnedEventId, &Item)> {
        let given = |id: &OwnedEventId| matches!(self.states.get(id), Some(Some(_)));
        self.items.iter().filter(move |(id, item)| {
            let gone = |id| self.holds(id) != Held::InGraph && !self.is_coming(id);
            item.role == Role::Timeline && !given(id) && item.taken.pdu().prev_events().iter().any(gone)
        })
    }

    fn need(&mut self) -> Need {
        let mut need = Need::default();
        if self.is_full() {
            return need;
        }
        self.need_before(&mut need);
        if need.is_empty() {
            let in_states = self.states.iter().filter(|(event, _)| self.items.contains_key(*event));
            let states = in_states.flat_map(|(_, ids)| ids).chain(&self.gathered);
            let of_states = states.flat_map(|ids| ids.state.iter().chain(&ids.auth_chain));
            need.events = self.to_ask(of_states.cloned(), Held::Outlier);
        }
        if need.is_empty() {
            need.events = self.to_ask(self.items.values().flat_map(Item::leans_on), Held::Outlier);
        }
        need
    }

    /// Those of `ids` that are not there as they must be, not coming, and were not asked for.
    fn to_ask(&self, ids: impl Iterator<Item = OwnedEventId>, wanted: Held) -> BTreeSet<OwnedEventId> {
        let there =
            |id: &OwnedEventId| matches!((self.holds(id), wanted), (Held::InGraph, _) | (Held::Outlier, Held::Outlier));
        let refused = |id: &OwnedEventId| self.verdicts.get(id).is_some_and(|verdict| *verdict != Verdict::Outlier);
        let open = ids.filter(|id| !there(id) && !self.items.contains_key(id));
        let open = open.filter(|id| !self.asked.contains(id) && !refused(id));
        open.take(limits::INGEST_ASKED_AT_ONCE).collect()
    }

    /// What lies before the events of the timeline: first the events themselves, then the state where these end.
    fn need_before(&mut self, need: &mut Need) {
        // What is here in support of others and is also one of the events before becomes one of the timeline.
        for id in self.missing() {
            if let Some(item) = self.items.get_mut(&id).filter(|item| !item.apart) {
                item.role = Role::Timeline;
            }
        }
        let lacking: Vec<(OwnedEventId, bool)> =
            self.lacking_prev().map(|(id, item)| (id.clone(), item.rooted)).collect();
        let in_rounds = self.source == Source::Live && self.rounds < limits::INGEST_MISSING_ROUNDS;
        if in_rounds && lacking.iter().any(|(_, rooted)| !rooted) {
            need.missing_before = lacking.into_iter().filter(|(_, rooted)| !rooted).map(|(id, _)| id).collect();
            return;
        }
        for (id, rooted) in lacking {
            if self.states.contains_key(&id) {
                continue;
            }
            let prev = self.items.get(&id).map(|item| item.taken.pdu().prev_events().to_vec()).unwrap_or_default();
            let (known, gone): (Vec<_>, Vec<_>) =
                prev.into_iter().partition(|id| self.holds(id) == Held::InGraph || self.is_coming(id));
            // Where some of the events before are known, what the others bring is resolved with these: the state before
            // the missing ones is asked for, not that before the event, which would have to be taken as it comes.
            let one_by_one = self.source == Source::Live && !rooted && !known.is_empty();
            let to_ask = if one_by_one { self.to_ask(gone.into_iter(), Held::InGraph) } else { BTreeSet::new() };
            if to_ask.is_empty() {
                need.states.insert(id);
            } else {
                need.events.extend(to_ask);
            }
        }
        if !need.events.is_empty() {
            // The states are asked for when these came.
            need.states.clear();
        }
    }

    /// Of events that cannot come into the graph, those on which others lean are kept outside it. False when there is none.
    fn demote(&mut self) -> bool {
        let leaned_on: BTreeSet<OwnedEventId> = self.items.values().flat_map(Item::leans_on).collect();
        let mut found = false;
        for id in leaned_on {
            if let Some(item) = self.items.get_mut(&id).filter(|item| item.role == Role::Timeline) {
                (item.role, item.apart) = (Role::Support, true);
                found = true;
            }
        }
        found
    }

    /// What neither came nor is to be had any more keeps nobody waiting. False when there is nothing of that kind.
    fn give_up_support(&mut self) -> bool {
        let support = self.items.iter().filter(|(_, item)| item.role == Role::Support).map(|(id, _)| id.clone());
        let support: Vec<OwnedEventId> = support.collect();
        support.iter().for_each(|id| self.drop_event(id, Verdict::Lacking));
        !support.is_empty()
    }
}
