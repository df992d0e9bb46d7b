//! Feeds the machine: asks the store and other servers for what it needs, has events verified and appended in the workshop,
//! and tells it what came of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{Timestamp, limits};
use bytes::Bytes;
use ruma::serde::Base64;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, ServerName};
use tokio::runtime::Handle;

use crate::append::{Appended, Filing, append_filed};
use crate::error::{Error, Refusal};
use crate::event::{KeyRing, ReceivedPdu, RoomVersion, Standing, Verification, VerifiedPdu, VerifyKey, WellFormedPdu};
use crate::graph::{Graph, Place, find_room, head_of};
use crate::ingest::arrive::Arriving;
use crate::ingest::fetch::Fetch;
use crate::ingest::guard::Load;
use crate::ingest::history;
use crate::ingest::machine::{Held, Machine, Need, Placing, Ready, Role, Source, Step, Taken};
use crate::ingest::outlier;
use crate::ingest::policy::{self, Checked, Policy, PolicyServer};
use crate::ingest::set_aside::{self, Digest, Noted, NotedEvent, Stage};
use crate::ingest::verdict::{Report, Verdict};
use crate::number::{EventNumber, RoomNumber};
use crate::rooms::Rooms;

#[cfg(test)]
use crate::ingest::tests::bombs;

/// What a server sent of one room.
#[derive(Clone, Debug)]
pub struct Sent<'a> {
    /// The server: who answers for it, not who made the events.
    pub from: &'a ServerName,
    /// The room.
    pub room_id: &'a RoomId,
    /// The events, as JSON.
    pub events: Vec<Bytes>,
    /// How they came.
    pub source: Source,
}

impl Rooms {
    /// Takes in what another server sent. Every event gets its verdict; one that fails fails alone.
    ///
    /// With [`Source::History`] the events get places before what they are followed by; [`Fetch`] is then asked for the state
    /// where they begin.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; [`Error::is_unavailable`] when the same may be sent again later; faults.
    pub async fn ingest(
        self: &Arc<Self>,
        sent: Sent<'_>,
        fetch: &dyn Fetch,
        policy_server: Option<&dyn PolicyServer>,
    ) -> Result<Report, Error> {
        self.take_in(sent, fetch, policy_server, None).await
    }

    /// The same, also for an event that is set aside.
    pub(super) async fn ingest_anyway(
        self: &Arc<Self>,
        sent: Sent<'_>,
        fetch: &dyn Fetch,
        anyway: Digest,
    ) -> Result<Report, Error> {
        self.take_in(sent, fetch, None, Some(anyway)).await
    }

    async fn take_in(
        self: &Arc<Self>,
        sent: Sent<'_>,
        fetch: &dyn Fetch,
        policy_server: Option<&dyn PolicyServer>,
        anyway: Option<Digest>,
    ) -> Result<Report, Error> {
        let Sent { from, room_id, events, source } = sent;
        let room = find_room(self.store(), room_id).await?.ok_or(Refusal::NoSuchRoom)?;
        if !self.may_take_part(room, from).await? {
            let unnamed = (0..events.len()).map(|place| (place, Verdict::Denied)).collect();
            return Ok(Report { unnamed, ..Report::default() });
        }
        let (head, _) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
        let version = RoomVersion::of(&head.version)?;
        let mut driver = Driver::new(self, room, room_id.to_owned(), version, from, source, fetch);
        (driver.policy_server, driver.anyway) = (policy_server, anyway);
        let report = driver.take(events, Role::Timeline).await?;
        let mut report = driver.finish(report).await?;
        if source == Source::History {
            let of_graph = |verdict: &Verdict| matches!(verdict, Verdict::Accepted | Verdict::Known);
            let placed = report.events.iter().filter(|(_, verdict)| of_graph(verdict));
            let placed: Vec<OwnedEventId> = placed.map(|(id, _)| id.clone()).collect();
            history::link(self.store(), room, &placed).await?;
        }
        for (id, _) in report.events.iter().filter(|(_, verdict)| **verdict == Verdict::Known) {
            // It is in the room, so nothing more will be done with it.
            self.release(Digest::of_id(room_id, id)).await?;
        }
        report.ids.retain(|place, _| !report.unnamed.contains_key(place));
        Ok(report)
    }
}

impl Rooms {
    /// What was under suspicion is so no longer.
    async fn release(&self, digest: Digest) -> Result<(), Error> {
        if self.workshop().acquit(digest) {
            set_aside::remove(self.store(), digest).await?;
        }
        Ok(())
    }
}

/// One piece of work.
pub(super) struct Driver<'a> {
    rooms: &'a Arc<Rooms>,
    pub(super) room: RoomNumber,
    room_id: OwnedRoomId,
    version: &'static RoomVersion,
    from: &'a ServerName,
    source: Source,
    fetch: &'a dyn Fetch,
    policy_server: Option<&'a dyn PolicyServer>,
    /// This event is worked on although it is set aside.
    anyway: Option<Digest>,
    /// This event is not appended but given back: who drives does it.
    pub(super) hold_back: Option<OwnedEventId>,
    pub(super) held_back: Option<Ready>,
    pub(super) machine: Machine,
    ring: Arc<KeyRing>,
}

/// What is appended in one go: one event of the graph, or some outliers.
#[derive(Debug)]
enum Work {
    InGraph { ready: Ready, unwanted: Option<String> },
    Outliers(Vec<VerifiedPdu>),
}

impl Work {
    fn events(&self) -> impl Iterator<Item = &VerifiedPdu> {
        let (one, many) = match self {
            Self::InGraph { ready, .. } => (Some(&ready.event), [].as_slice()),
            Self::Outliers(events) => (None, events.as_slice()),
        };
        one.into_iter().chain(many)
    }
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        rooms: &'a Arc<Rooms>,
        room: RoomNumber,
        room_id: OwnedRoomId,
        version: &'static RoomVersion,
        from: &'a ServerName,
        source: Source,
        fetch: &'a dyn Fetch,
    ) -> Self {
        let mut ring = KeyRing::new();
        // What others send of ours was signed by us.
        let (key, ours) = (Base64::new(rooms.signing_key().public().to_vec()), rooms.signing_key());
        ring.add(ours.server().clone(), ours.id(), VerifyKey { key, valid_until: Timestamp(u64::MAX) });
        Self {
            rooms,
            room,
            machine: Machine::new(room_id.clone(), source),
            room_id,
            version,
            from,
            source,
            fetch,
            policy_server: None,
            anyway: None,
            hold_back: None,
            held_back: None,
            ring: Arc::new(ring),
        }
    }

    /// Does the first checks of events that came and gives them to the machine.
    pub(super) async fn take(&mut self, events: Vec<Bytes>, role: Role) -> Result<Report, Error> {
        let mut report = Report::default();
        for (place, checked) in self.check(events).await?.into_iter().enumerate() {
            match checked {
                Ok(taken) => {
                    let id = taken.pdu().id().to_owned();
                    report.ids.insert(place, id);
                    self.machine.take(role, taken);
                }
                Err(verdict) => {
                    report.unnamed.insert(place, verdict);
                }
            }
        }
        Ok(report)
    }

    /// Goes on until nothing is left to be done.
    pub(super) async fn finish(mut self, mut report: Report) -> Result<Report, Error> {
        self.run().await?;
        report.events = self.machine.finish();
        Ok(report)
    }

    pub(super) async fn run(&mut self) -> Result<(), Error> {
        for _ in 0..limits::INGEST_STEPS {
            match self.machine.step() {
                Step::Need(need) => self.satisfy(need).await?,
                Step::Verify(events) => self.verify(events).await?,
                Step::Ready(ready) => {
                    if !self.perform(ready).await? {
                        return Ok(());
                    }
                }
                Step::Done => return Ok(()),
            }
        }
        tracing::error!(room = %self.room_id, from = %self.from, "taking in events took too many steps");
        Ok(())
    }

    /// Format, id, and, with the keys there are, signatures and hash.
    async fn check(&self, events: Vec<Bytes>) -> Result<Vec<Result<Taken, Verdict>>, Error> {
        let noted = |json: &Bytes| NotedEvent::unread(&self.room_id, self.from, json);
        let loads: Vec<Load<Bytes>> =
            events.into_iter().map(|json| Load { noted: Noted(vec![noted(&json)]), input: json }).collect();
        let (version, ring) = (self.version, Arc::clone(&self.ring));
        let checked = self
            .guarded(loads, move |json: &Bytes| {
                #[cfg(test)]
                bombs::explode("check", json);
                let event = ReceivedPdu::read(version, json)?.check()?;
                #[cfg(test)]
                bombs::explode("verify", json);
                Ok::<_, Refusal>(Taken::Verified(event.verify(&ring)?))
            })
            .await?;
        let verdict = |checked: Result<Result<Taken, Refusal>, Verdict>| match checked {
            Ok(checked) => checked.map_err(Verdict::Dropped),
            Err(verdict) => Err(verdict),
        };
        let mut checked: Vec<Result<Taken, Verdict>> = checked.into_iter().map(verdict).collect();
        // What is set aside under its id, which is known only now.
        let digest = |taken: &Taken| Digest::of_id(&self.room_id, taken.pdu().id());
        let digests: Vec<Digest> = checked.iter().flatten().map(digest).collect();
        let aside = set_aside::are_set_aside(self.rooms.store(), &digests).await?;
        let aside: BTreeSet<Digest> =
            digests.into_iter().zip(aside).filter(|(_, aside)| *aside).map(|(it, _)| it).collect();
        for slot in &mut checked {
            let is_aside = slot.as_ref().is_ok_and(|taken| aside.contains(&digest(taken)));
            if is_aside && slot.as_ref().is_ok_and(|taken| self.anyway != Some(digest(taken))) {
                *slot = Err(Verdict::SetAside);
            }
        }
        Ok(checked)
    }

    /// Does work in the workshop, except on what is set aside, and sets aside what turns out to be poison.
    async fn guarded<I, O>(
        &self,
        loads: Vec<Load<I>>,
        work: impl Fn(&I) -> O + Send + Sync + 'static,
    ) -> Result<Vec<Result<O, Verdict>>, Error>
    where
        I: Send + Sync + 'static,
        O: Send + 'static,
    {
        let store = self.rooms.store();
        // Only single events are looked at: those of a group were when they were checked.
        let digests: Vec<Digest> = loads.iter().filter_map(|load| load.noted.digests().next()).collect();
        let aside = set_aside::are_set_aside(store, &digests).await?;
        let aside: Vec<bool> =
            aside.into_iter().zip(&digests).map(|(aside, digest)| aside && self.anyway != Some(*digest)).collect();
        let (mut kept, mut noted) = (Vec::new(), Vec::new());
        for (load, aside) in loads.into_iter().zip(&aside) {
            if !aside {
                noted.push(load.noted.clone());
                kept.push(load);
            }
        }
        let mut done = self.rooms.workshop().run(store, kept, work).await?.into_iter().zip(noted);
        let mut outcomes = Vec::with_capacity(aside.len());
        for aside in aside {
            let outcome = if aside { None } else { done.next() };
            outcomes.push(match outcome {
                None => Err(Verdict::SetAside),
                Some((Ok(outcome), noted)) => {
                    self.acquit(&noted).await?;
                    Ok(outcome)
                }
                Some((Err(poison), Noted(events))) => {
                    // Of a group it is not known which; who drives tries them one by one.
                    if let [event] = events.as_slice() {
                        self.rooms.workshop().acquit(event.digest);
                        set_aside::poisoned(store, event.clone(), &poison).await?;
                    }
                    Err(Verdict::SetAside)
                }
            });
        }
        Ok(outcomes)
    }

    /// What was under suspicion and went well is so no longer.
    async fn acquit(&self, noted: &Noted) -> Result<(), Error> {
        for digest in noted.digests().filter(|_| noted.is_last()) {
            self.rooms.release(digest).await?;
        }
        Ok(())
    }

    async fn verify(&mut self, events: Vec<WellFormedPdu>) -> Result<(), Error> {
        let ids: Vec<OwnedEventId> = events.iter().map(|event| event.pdu().id().to_owned()).collect();
        let noted = |event: &WellFormedPdu| Noted(vec![NotedEvent::read(self.from, event.pdu(), Stage::Check)]);
        let loads = events.into_iter().map(|event| Load { noted: noted(&event), input: event }).collect();
        let ring = Arc::clone(&self.ring);
        let verified = self.guarded(loads, move |event: &WellFormedPdu| event.clone().verify(&ring)).await?;
        for (id, verified) in ids.iter().zip(verified) {
            match verified {
                Ok(Ok(verification)) => self.machine.take(Role::Support, Taken::Verified(verification)),
                Ok(Err(refusal)) => self.machine.done(id, Verdict::Dropped(refusal)),
                Err(verdict) => self.machine.done(id, verdict),
            }
        }
        Ok(())
    }

    async fn satisfy(&mut self, need: Need) -> Result<(), Error> {
        if !need.held.is_empty() {
            let held = self.held(&need.held).await?;
            self.machine.held(held);
        }
        if !need.keys.is_empty() {
            let needed: Vec<_> = need.keys.into_iter().collect();
            let came = self.fetch.keys(&needed).await;
            Arc::make_mut(&mut self.ring).extend(came);
            self.machine.keys_came();
        }
        if !need.missing_before.is_empty() {
            let latest: Vec<OwnedEventId> = need.missing_before.into_iter().collect();
            let earliest = self.extremities().await?;
            let limit = limits::INGEST_MISSING_EVENTS;
            let mut came = self.fetch.missing_events(&self.room_id, &latest, &earliest, limit).await;
            came.truncate(limit);
            let came = self.check(came).await?.into_iter().flatten().collect();
            self.machine.missing_came(came);
        }
        for event in need.states {
            let state = self.fetch.state_ids(&self.room_id, &event).await;
            self.machine.state_came(event, state);
        }
        if !need.events.is_empty() {
            let mut taken = self.outliers(&need.events).await?;
            let there: BTreeSet<&OwnedEventId> = taken.iter().map(|taken| taken.pdu().owned_id()).collect();
            let asked: Vec<OwnedEventId> = need.events.iter().filter(|id| !there.contains(id)).cloned().collect();
            if !asked.is_empty() {
                let mut came = self.fetch.events(&self.room_id, &asked).await;
                came.truncate(asked.len());
                taken.extend(self.check(came).await?.into_iter().flatten());
            }
            self.machine.events_came(&need.events, taken);
        }
        Ok(())
    }

    fn graph(&self) -> Graph<'_> {
        Graph::new(self.rooms.store(), self.room, self.version)
    }

    async fn held(&self, ids: &BTreeSet<OwnedEventId>) -> Result<BTreeMap<OwnedEventId, Held>, Error> {
        let graph = self.graph();
        let ids: Vec<OwnedEventId> = ids.iter().cloned().collect();
        let numbers = graph.numbers(&ids).await?;
        let wanted: Vec<EventNumber> = numbers.values().copied().collect();
        let facts: BTreeMap<EventNumber, _> = wanted.iter().copied().zip(graph.facts(&wanted).await?).collect();
        let held = |id: OwnedEventId| {
            let facts = numbers.get(&id).and_then(|number| facts.get(number)).and_then(Option::as_ref);
            let held = match facts.map(|facts| facts.place) {
                None => Held::Nothing,
                Some(Place::Outlier) => Held::Outlier,
                Some(Place::InGraph { .. }) => Held::InGraph,
            };
            (id, held)
        };
        Ok(ids.into_iter().map(held).collect())
    }

    /// Those of `ids` that are kept outside the graph: they were verified when they came.
    async fn outliers(&self, ids: &BTreeSet<OwnedEventId>) -> Result<Vec<Taken>, Error> {
        let graph = self.graph();
        let ids: Vec<OwnedEventId> = ids.iter().cloned().collect();
        let numbers: Vec<EventNumber> = graph.numbers(&ids).await?.into_values().collect();
        let known = graph.events(&numbers).await?.into_iter().flatten();
        Ok(known.map(|known| Taken::Verified(Verification::Verified(VerifiedPdu::stored(known.pdu)))).collect())
    }

    async fn extremities(&self) -> Result<Vec<OwnedEventId>, Error> {
        let Some((head, _)) = head_of(self.rooms.store(), self.room).await? else { return Ok(Vec::new()) };
        let facts = self.graph().facts(&head.extremities).await?;
        Ok(facts.into_iter().flatten().map(|facts| facts.id).collect())
    }

    /// Appends what is ready. False when what is held back is.
    async fn perform(&mut self, ready: Vec<Ready>) -> Result<bool, Error> {
        let mut work = Vec::new();
        for ready in ready {
            if self.hold_back.as_deref() == Some(ready.event.pdu().id()) {
                self.held_back = Some(ready);
                continue;
            }
            if ready.placing != Placing::Outlier {
                work.push(Work::InGraph { ready, unwanted: None });
                continue;
            }
            let size = |events: &[VerifiedPdu]| events.iter().map(|event| event.pdu().json().len()).sum::<usize>();
            match work.last_mut() {
                Some(Work::Outliers(events))
                    if events.len() < limits::INGEST_OUTLIERS_AT_ONCE
                        && size(events) < limits::INGEST_OUTLIER_BYTES =>
                {
                    events.push(ready.event);
                }
                _ => work.push(Work::Outliers(vec![ready.event])),
            }
        }
        if work.is_empty() {
            return Ok(self.held_back.is_none());
        }
        self.ask_policy(&mut work).await?;
        let groups = self.append(work).await?;
        // What was in a group with poison comes again, each by itself.
        let singly = groups.into_iter().map(|event| Work::Outliers(vec![event])).collect();
        self.append(singly).await?;
        Ok(true)
    }

    /// The last check, where the room has a policy and somebody here can ask.
    async fn ask_policy(&self, work: &mut [Work]) -> Result<(), Error> {
        let Some(server) = self.policy_server.filter(|_| self.source == Source::Live) else { return Ok(()) };
        let Some(policy): Option<Policy> = self.rooms.policy(self.room).await? else { return Ok(()) };
        for work in work {
            let Work::InGraph { ready, unwanted } = work else { continue };
            match policy::check(self.rooms, self.room, &policy, ready.event.clone(), server).await? {
                Checked::Recommended(event) => ready.event = event,
                Checked::Not => *unwanted = Some("the room's policy server has not signed it".to_owned()),
            }
        }
        Ok(())
    }

    /// Appends, and tells the machine. Gives back the events of groups in which one is poison.
    async fn append(&mut self, work: Vec<Work>) -> Result<Vec<VerifiedPdu>, Error> {
        if work.is_empty() {
            return Ok(Vec::new());
        }
        let pdus: Vec<Vec<VerifiedPdu>> = work.iter().map(|work| work.events().cloned().collect()).collect();
        let noted: Vec<Noted> = pdus.iter().map(|events| self.noted(events)).collect();
        let loads = noted.iter().cloned().zip(work).map(|(noted, input)| Load { noted, input }).collect();
        let (rooms, room, source, handle) = (Arc::clone(self.rooms), self.room, self.source, Handle::current());
        let outcomes =
            self.guarded(loads, move |work: &Work| handle.block_on(append_one(&rooms, room, source, work))).await?;
        let mut groups = Vec::new();
        for ((outcome, events), noted) in outcomes.into_iter().zip(pdus).zip(noted) {
            match outcome {
                Ok(Ok(verdicts)) => verdicts.into_iter().for_each(|(id, verdict)| self.machine.done(&id, verdict)),
                Ok(Err(error @ Error::Damaged { .. })) => match (events.as_slice(), noted.0.as_slice()) {
                    ([event], [noted]) => {
                        set_aside::faulted(self.rooms.store(), noted.clone(), &error).await?;
                        self.machine.done(event.pdu().owned_id(), Verdict::SetAside);
                    }
                    _ => groups.extend(events),
                },
                Ok(Err(error)) => return Err(error),
                Err(verdict) => match events.as_slice() {
                    [event] => self.machine.done(event.pdu().owned_id(), verdict),
                    _ => groups.extend(events),
                },
            }
        }
        Ok(groups)
    }

    fn noted(&self, events: &[VerifiedPdu]) -> Noted {
        Noted(events.iter().map(|event| NotedEvent::read(self.from, event.pdu(), Stage::Judge)).collect())
    }
}

/// Appends one event, or some outliers. What is left out of the answer is to be tried again when more is there.
async fn append_one(
    rooms: &Rooms,
    room: RoomNumber,
    source: Source,
    work: &Work,
) -> Result<Vec<(OwnedEventId, Verdict)>, Error> {
    #[cfg(test)]
    work.events().for_each(|event| bombs::explode("judge", event.pdu().json()));
    match work {
        Work::Outliers(events) => {
            let kept = outlier::keep(rooms.store(), room, events).await?;
            let lost = events.iter().map(|event| event.pdu().id()).filter(|id| !kept.contains_key(*id));
            let lost: Vec<_> = lost.map(|id| (id.to_owned(), Verdict::Lacking)).collect();
            Ok(kept.into_keys().map(|id| (id, Verdict::Outlier)).chain(lost).collect())
        }
        Work::InGraph { ready, unwanted } => {
            let (event, placing) = (ready.event.clone(), ready.placing.clone());
            let id = event.pdu().id().to_owned();
            let mut arriving = Arriving::new(event, placing, source, unwanted.clone());
            let filing = if source == Source::Live { Filing::Live } else { Filing::Fetched };
            let appended = append_filed(rooms.store(), Some(rooms.cache()), room, &mut arriving, filing).await;
            #[cfg(test)]
            bombs::explode("append", ready.event.pdu().json());
            let verdict = match appended {
                Err(_) if arriving.lacks => Verdict::Lacking,
                Err(error) => return Err(error),
                Ok(Appended::Before { .. }) => Verdict::Known,
                Ok(Appended::Now { .. }) => match arriving.standing {
                    Some(Standing::Accepted) | None => Verdict::Accepted,
                    Some(Standing::SoftFailed) => Verdict::SoftFailed,
                    Some(Standing::Rejected) => Verdict::Rejected,
                },
            };
            Ok(vec![(id, verdict)])
        }
    }
}
