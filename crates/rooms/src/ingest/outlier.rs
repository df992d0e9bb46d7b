//! Events kept outside the graph because others lean on them: judged by what they lean on themselves, which is all that is
//! known of the state around them. Many in one batch: a state has thousands.

use std::collections::{BTreeMap, BTreeSet};

use base::backoff::Backoff;
use base::limits;
use ruma::OwnedEventId;
use storage::{Batch, Store};

use crate::error::{Error, Refusal};
use crate::event::{AuthState, Judged, Known, Pdu, RoomVersion, Standing, StateKey, VerifiedPdu, authorise};
use crate::graph::{AuthChain, EventFacts, Graph, Head, Place, StoredChain, head_of, put_chain, put_event, put_head};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::add_key;

/// Keeps `events` outside the graph of `room`, those excepted that it has. Each must come after all that it leans on. What
/// is left out of the answer leans on something that is not there.
///
/// # Errors
/// As every read and commit; [`Error::Busy`] when others wrote to the room at the same time too often.
pub(super) async fn keep(
    store: &Store,
    room: RoomNumber,
    events: &[VerifiedPdu],
) -> Result<BTreeMap<OwnedEventId, Standing>, Error> {
    let backoff = Backoff { first: limits::APPEND_RETRY_FIRST, most: limits::APPEND_RETRY_MOST };
    for attempt in 1..=limits::APPEND_ATTEMPTS {
        let (head, was) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
        let graph = Graph::new(store, room, RoomVersion::of(&head.version)?);
        let mut keeping = Keeping::new(graph, head, events).await?;
        for event in events {
            keeping.keep(event)?;
        }
        let Keeping { mut batch, head, standings, .. } = keeping;
        put_head(&mut batch, room, &head, Some(was));
        match store.commit(batch).await {
            Err(error) if error.is_conflict() => store.clock().sleep(backoff.wait(attempt, store.random())).await,
            other => {
                other.map_err(Error::storage("keeping outliers"))?;
                return Ok(standings);
            }
        }
    }
    Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
}

/// The work on one batch: everything that is needed, read at once.
struct Keeping<'a> {
    graph: Graph<'a>,
    head: Head,
    batch: Batch,
    numbers: BTreeMap<OwnedEventId, EventNumber>,
    keys: BTreeMap<StateKey, KeyNumber>,
    there: BTreeMap<EventNumber, Known>,
    chains: BTreeMap<EventNumber, (AuthChain, StoredChain)>,
    standings: BTreeMap<OwnedEventId, Standing>,
}

impl<'a> Keeping<'a> {
    async fn new(graph: Graph<'a>, mut head: Head, events: &[VerifiedPdu]) -> Result<Self, Error> {
        let mut batch = Batch::new();
        let pdus: Vec<&Pdu> = events.iter().map(VerifiedPdu::pdu).collect();
        let named = |pdu: &&Pdu| {
            let named = pdu.prev_events().iter().chain(pdu.auth_events()).cloned();
            named.chain([pdu.id().to_owned()]).chain(pdu.create_event_id()).collect::<Vec<_>>()
        };
        let ids: BTreeSet<OwnedEventId> = pdus.iter().flat_map(named).collect();
        let ids: Vec<OwnedEventId> = ids.into_iter().collect();
        let mut numbering = graph.numbering_of(&head, &ids).await?;
        let numbers: BTreeMap<_, _> = ids.into_iter().map(|id| (id.clone(), numbering.number(&id))).collect();
        numbering.put(&mut batch, graph.room(), &mut head);
        let names: BTreeSet<StateKey> = pdus.iter().filter_map(|pdu| pdu.filed_under()).collect();
        let names: Vec<StateKey> = names.into_iter().collect();
        let mut keys = BTreeMap::new();
        for (name, key) in names.iter().zip(graph.key_numbers(&names).await?) {
            let key = match key {
                Some(key) => key,
                None => new_key(&graph, &mut head, &mut batch, name)?,
            };
            keys.insert(name.clone(), key);
        }
        let wanted: Vec<EventNumber> = numbers.values().copied().collect();
        let known = wanted.iter().copied().zip(graph.events(&wanted).await?);
        let there: BTreeMap<_, _> = known.filter_map(|(number, known)| Some((number, known?))).collect();
        let leaned_on: BTreeSet<EventNumber> = pdus
            .iter()
            .flat_map(|pdu| pdu.auth_events())
            .filter_map(|id| numbers.get(id).copied())
            .filter(|it| {
                there.get(it).is_some_and(|it| it.standing != Standing::Rejected && it.pdu.state_key().is_some())
            })
            .collect();
        let leaned_on: Vec<EventNumber> = leaned_on.into_iter().collect();
        let chains = graph.chains(&leaned_on).await?;
        let chains = chains.into_iter().map(|(event, chain, stored)| (event, (chain, stored))).collect();
        Ok(Self { graph, head, batch, numbers, keys, there, chains, standings: BTreeMap::new() })
    }

    fn number(&self, id: &OwnedEventId) -> Result<EventNumber, Error> {
        self.numbers.get(id).copied().ok_or_else(|| Error::damaged("an event has no number"))
    }

    fn keep(&mut self, event: &VerifiedPdu) -> Result<(), Error> {
        let pdu = event.pdu().clone();
        let (id, number) = (pdu.id().to_owned(), self.number(pdu.owned_id())?);
        if let Some(known) = self.there.get(&number) {
            self.standings.insert(id, known.standing);
            return Ok(());
        }
        let leans_on = pdu.auth_events().iter().cloned().chain(pdu.create_event_id().filter(|_| !pdu.is_create()));
        let leans_on = leans_on.filter_map(|id| self.there.get(self.numbers.get(&id)?).cloned());
        let leans_on = AuthState::new(leans_on);
        let standing = match authorise(event.clone(), &leans_on, &leans_on, &leans_on) {
            Judged::Authorised(_) => Standing::Accepted,
            Judged::Rejected(_) => Standing::Rejected,
            Judged::Need(_) => return Ok(()),
        };
        let prev = pdu.prev_events().iter().map(|id| self.number(id)).collect::<Result<_, _>>()?;
        let auth: Vec<EventNumber> = pdu.auth_events().iter().map(|id| self.number(id)).collect::<Result<_, _>>()?;
        let files = pdu.filed_under().and_then(|name| self.keys.get(&name).copied());
        if files.is_some() && standing != Standing::Rejected {
            self.put_chain(number, &auth)?;
        }
        let (depth, place) = (pdu.depth(), Place::Outlier);
        let (sent, redacted_by) = (None, None);
        let facts = EventFacts { id: id.clone(), standing, place, depth, prev, auth, files, sent, redacted_by };
        put_event(&mut self.batch, self.graph.room(), number, &facts, pdu.json());
        self.there.insert(number, Known { pdu, standing });
        self.standings.insert(id, standing);
        Ok(())
    }

    fn put_chain(&mut self, number: EventNumber, auth: &[EventNumber]) -> Result<(), Error> {
        let mut above = Vec::with_capacity(auth.len());
        for event in auth {
            let (chain, stored) = self
                .chains
                .get(event)
                .cloned()
                .ok_or_else(|| Error::damaged(format!("{event:?} is leaned on and has no auth chain")))?;
            above.push((*event, chain, stored));
        }
        let stored = StoredChain::above(&above);
        let whole = AuthChain::above(above.iter().map(|(event, chain, _)| (*event, chain)));
        put_chain(&mut self.batch, self.graph.room(), number, auth, &stored);
        self.chains.insert(number, (whole, stored));
        Ok(())
    }
}

fn new_key(graph: &Graph<'_>, head: &mut Head, batch: &mut Batch, name: &StateKey) -> Result<KeyNumber, Error> {
    let key = head.next_key;
    let next = key.0.checked_add(1).ok_or_else(|| Error::damaged("it has as many state keys as it can"))?;
    head.next_key = KeyNumber(next);
    add_key(batch, graph.room(), name, key);
    Ok(key)
}
