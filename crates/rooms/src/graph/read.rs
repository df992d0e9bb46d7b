//! The graph's rows from the store, or from the cache, where the graph was given one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::limits;
use bytes::Bytes;
use ruma::{EventId, OwnedEventId, RoomId};
use storage::{Direction, Key, KeyRange, Record, Store, Version};

use crate::cache::{Cache, Remembered};
use crate::error::Error;
use crate::event::{Known, Pdu, RoomVersion, StateKey};
use crate::graph::chain::{AuthChain, StoredChain};
use crate::graph::head::{NeedEvents, Seen, extremities_after};
use crate::graph::record::{
    EventFacts, Head, NumberRecord, RoomRecord, auth_children_range, chain_key, child_of, children_range, facts_key,
    head_key, json_key, number_key, number_key_room, partial_key, partial_of, partial_range, room_key,
    rooms_of_event_range,
};
use crate::graph::write::Numbering;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{key_names, key_numbers};

/// The number of `room_id`; `None` when the store does not know the room.
///
/// # Errors
/// As every read.
pub async fn find_room(store: &Store, room_id: &RoomId) -> Result<Option<RoomNumber>, Error> {
    let record = store.get_record::<RoomRecord>(&room_key(room_id)).await;
    Ok(record.map_err(Error::storage("looking for a room"))?.map(|(RoomRecord(number), _)| number))
}

/// Where the room stands, and the version of that for the precondition.
///
/// # Errors
/// As every read.
pub async fn head_of(store: &Store, room: RoomNumber) -> Result<Option<(Head, Version)>, Error> {
    store.get_record(&head_key(room)).await.map_err(Error::storage("reading a room's head"))
}

/// Where rooms stand, in the order asked for; `None` for one that is not known.
///
/// # Errors
/// As every read.
pub async fn heads_of(store: &Store, rooms: &[RoomNumber]) -> Result<Vec<Option<Head>>, Error> {
    let keys: Vec<Key> = rooms.iter().map(|room| head_key(*room)).collect();
    let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading rooms' heads"))?;
    rows.into_iter().map(|row| row.map(|row| decode(&row.value, "a room's head")).transpose()).collect()
}

/// The rooms in which an event of this id is known, be it by name only.
///
/// # Errors
/// As every read.
pub async fn rooms_of_event(store: &Store, id: &EventId) -> Result<Vec<(RoomNumber, EventNumber)>, Error> {
    let page = store.scan(&rooms_of_event_range(id), Direction::Forward, limits::EVENT_ROOMS).await;
    let mut rooms = Vec::new();
    for row in page.map_err(Error::storage("looking for an event's room"))?.rows {
        let room = number_key_room(&row.key).ok_or_else(|| Error::damaged("the key of an event's number"))?;
        let NumberRecord(number) = decode(&row.value, "an event's number")?;
        rooms.push((room, number));
    }
    Ok(rooms)
}

/// An event that is about to be appended.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its number.
    pub number: EventNumber,
    /// What the graph will know of it.
    pub facts: EventFacts,
    /// The event.
    pub pdu: Pdu,
    /// What it is filed under, with that key's number.
    pub key: Option<(StateKey, KeyNumber)>,
    /// The stored form of its auth chain, if it will have one.
    pub chain: Option<StoredChain>,
}

/// An event as it is stored, not looked into.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its number.
    pub number: EventNumber,
    /// What the graph knows of it.
    pub facts: EventFacts,
    /// Its canonical JSON.
    pub json: Bytes,
}

/// One room's graph, and possibly an event that is about to be appended, seen as if it were there.
#[derive(Clone, Copy, Debug)]
pub struct Graph<'a> {
    store: &'a Store,
    room: RoomNumber,
    version: &'static RoomVersion,
    pending: Option<&'a Pending>,
    /// With the head's `rewritten`, by which events are kept.
    cache: Option<(&'a Cache, u32)>,
}

impl<'a> Graph<'a> {
    /// The graph of `room`, whose version its head tells.
    pub fn new(store: &'a Store, room: RoomNumber, version: &'static RoomVersion) -> Self {
        Self { store, room, version, pending: None, cache: None }
    }

    /// The graph with what `cache` has of it, as `head` allows.
    #[must_use]
    pub(crate) fn remembering(self, cache: Option<&'a Cache>, head: &Head) -> Self {
        Self { cache: cache.map(|cache| (cache, head.rewritten)), ..self }
    }

    /// The graph with `pending` as if it were there.
    #[must_use]
    pub fn with(self, pending: &'a Pending) -> Self {
        Self { pending: Some(pending), ..self }
    }

    /// The store.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The room.
    pub fn room(&self) -> RoomNumber {
        self.room
    }

    /// The room's version.
    pub fn version(&self) -> &'static RoomVersion {
        self.version
    }

    /// The numbers of those of `ids` that have one.
    ///
    /// # Errors
    /// As every read.
    pub async fn numbers(&self, ids: &[OwnedEventId]) -> Result<BTreeMap<OwnedEventId, EventNumber>, Error> {
        let mut known = BTreeMap::new();
        let mut others = Vec::new();
        for id in ids {
            match self.cache.and_then(|(cache, _)| cache.number(self.room, id)) {
                Some(number) => drop(known.insert(id.clone(), number)),
                None => others.push(id.clone()),
            }
        }
        let found: Vec<Option<NumberRecord>> =
            self.records(&others, |room, id| number_key(room, id), "an event's number").await?;
        for (id, record) in others.into_iter().zip(found) {
            if let Some(NumberRecord(number)) = record {
                if let Some((cache, _)) = self.cache {
                    cache.keep_number(self.room, &id, number);
                }
                known.insert(id, number);
            }
        }
        if let Some(pending) = self.pending.filter(|pending| ids.contains(&pending.facts.id)) {
            known.insert(pending.facts.id.clone(), pending.number);
        }
        Ok(known)
    }

    /// The numbers of `keys`, in their order; `None` for one that has none yet.
    ///
    /// # Errors
    /// As every read.
    pub async fn key_numbers(&self, keys: &[StateKey]) -> Result<Vec<Option<KeyNumber>>, Error> {
        let mut numbers: Vec<Option<KeyNumber>> =
            keys.iter().map(|key| self.cache.and_then(|(cache, _)| cache.key(self.room, key))).collect();
        let others = numbers.iter_mut().zip(keys).filter(|(number, _)| number.is_none());
        let (slots, others): (Vec<_>, Vec<StateKey>) = others.map(|(slot, key)| (slot, key.clone())).unzip();
        let found = key_numbers(self.store, self.room, &others).await?;
        for ((slot, key), number) in slots.into_iter().zip(&others).zip(found) {
            *slot = number;
            if let (Some((cache, _)), Some(number)) = (self.cache, number) {
                cache.keep_key(self.room, key, number);
            }
        }
        if let Some((key, number)) = self.pending.and_then(|pending| pending.key.as_ref()) {
            numbers.iter_mut().zip(keys).filter(|(_, asked)| *asked == key).for_each(|(slot, _)| *slot = Some(*number));
        }
        Ok(numbers)
    }

    /// What `numbers` stand for, by number.
    ///
    /// # Errors
    /// As every read; [`Error::Damaged`] when one stands for nothing.
    pub async fn key_names(&self, numbers: &[KeyNumber]) -> Result<BTreeMap<KeyNumber, StateKey>, Error> {
        let pending = self.pending.and_then(|pending| pending.key.as_ref()).filter(|(_, key)| numbers.contains(key));
        let stored: Vec<KeyNumber> =
            numbers.iter().filter(|number| pending.is_none_or(|(_, key)| key != *number)).copied().collect();
        let names = key_names(self.store, self.room, &stored).await?;
        let mut names: BTreeMap<_, _> = stored.into_iter().zip(names).collect();
        names.extend(pending.map(|(name, number)| (*number, name.clone())));
        Ok(names)
    }

    /// Gives numbers to `event`, to all that it follows or leans on, and to what it names otherwise (`also`), as far as they
    /// have none. No other id may be asked for: it might have a number.
    ///
    /// # Errors
    /// As every read.
    pub async fn numbering(&self, head: &Head, event: &Pdu, also: &[OwnedEventId]) -> Result<Numbering, Error> {
        let mut ids = also.to_vec();
        ids.push(event.id().to_owned());
        ids.extend(event.prev_events().iter().chain(event.auth_events()).cloned());
        Ok(Numbering::new(head, self.numbers(&ids).await?))
    }

    /// Gives numbers to `ids`, as far as they have none.
    ///
    /// # Errors
    /// As every read.
    pub async fn numbering_of(&self, head: &Head, ids: &[OwnedEventId]) -> Result<Numbering, Error> {
        Ok(Numbering::new(head, self.numbers(ids).await?))
    }

    /// Those of `events` the states before which were worked out from a partial one.
    ///
    /// # Errors
    /// As every read.
    pub async fn partial_among(&self, events: &[EventNumber]) -> Result<Vec<EventNumber>, Error> {
        let keys: Vec<Key> = events.iter().map(|event| partial_key(self.room, *event)).collect();
        let rows = self.store.engine().get_many(&keys).await.map_err(Error::storage("looking for partial states"))?;
        Ok(events.iter().zip(rows).filter_map(|(event, row)| row.map(|_| *event)).collect())
    }

    /// All such events.
    ///
    /// # Errors
    /// As every read.
    pub async fn partial_events(&self) -> Result<Vec<EventNumber>, Error> {
        let (mut range, mut events) = (partial_range(self.room), Vec::new());
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("listing partial states"))?;
            for row in page.rows {
                events.push(partial_of(&row.key).ok_or_else(|| Error::damaged("the key of a partial state"))?);
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(events),
            }
        }
    }

    /// What the graph knows of `events`, in their order; `None` for one known by name only.
    ///
    /// # Errors
    /// As every read.
    pub async fn facts(&self, events: &[EventNumber]) -> Result<Vec<Option<EventFacts>>, Error> {
        let mut facts: Vec<Option<EventFacts>> =
            events.iter().map(|event| self.remembered(*event).map(|event| event.facts.clone())).collect();
        let others: Vec<EventNumber> =
            events.iter().zip(&facts).filter(|(_, facts)| facts.is_none()).map(|(event, _)| *event).collect();
        let found = self.records(&others, |room, event| facts_key(room, *event), "an event's facts").await?;
        facts.iter_mut().filter(|facts| facts.is_none()).zip(found).for_each(|(slot, found)| *slot = found);
        if let Some(pending) = self.pending {
            let slots = facts.iter_mut().zip(events).filter(|(_, event)| **event == pending.number);
            slots.for_each(|(slot, _)| *slot = Some(pending.facts.clone()));
        }
        Ok(facts)
    }

    /// The events themselves, in their order; `None` for one known by name only.
    ///
    /// # Errors
    /// As every read; [`Error::Damaged`] when the JSON is not that of an event.
    pub async fn events(&self, events: &[EventNumber]) -> Result<Vec<Option<Known>>, Error> {
        let mut known: Vec<Option<Known>> = events.iter().map(|event| self.at_hand(*event)).collect();
        let others: Vec<EventNumber> =
            events.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(event, _)| *event).collect();
        let mut read = self.stored(&others).await?.into_iter();
        for slot in known.iter_mut().filter(|known| known.is_none()) {
            let Some(Stored { number, facts, json }) = read.next().flatten() else { continue };
            let pdu = Pdu::read(self.version, facts.id.clone(), json);
            let pdu = pdu.map_err(|error| Error::damaged(format!("a stored event: {error}")))?;
            let event = Known { pdu, standing: facts.standing };
            if let Some((cache, rewritten)) = self.cache {
                cache.keep_event(self.room, rewritten, number, Remembered { known: event.clone(), facts });
            }
            *slot = Some(event);
        }
        Ok(known)
    }

    /// An event that need not be read.
    fn at_hand(&self, event: EventNumber) -> Option<Known> {
        match self.pending.filter(|pending| pending.number == event) {
            Some(pending) => Some(Known { pdu: pending.pdu.clone(), standing: pending.facts.standing }),
            None => self.remembered(event).map(|event| event.known.clone()),
        }
    }

    fn remembered(&self, event: EventNumber) -> Option<Arc<Remembered>> {
        self.cache.and_then(|(cache, rewritten)| cache.event(self.room, rewritten, event))
    }

    /// The events as they are stored, in their order; `None` for one known by name only. For readers: what is about to be
    /// appended is not among them.
    ///
    /// # Errors
    /// As every read.
    pub async fn stored(&self, events: &[EventNumber]) -> Result<Vec<Option<Stored>>, Error> {
        let keys = events.iter().flat_map(|event| [facts_key(self.room, *event), json_key(self.room, *event)]);
        let keys: Vec<Key> = keys.collect();
        let mut rows = self.store.engine().get_many(&keys).await.map_err(Error::storage("reading events"))?.into_iter();
        let mut found = Vec::with_capacity(events.len());
        for number in events {
            found.push(match (rows.next().flatten(), rows.next().flatten()) {
                (Some(facts), Some(json)) => {
                    let facts = decode(&facts.value, "an event's facts")?;
                    Some(Stored { number: *number, facts, json: json.value })
                }
                (None, None) => None,
                _ => return Err(Error::damaged("an event's JSON and its facts are not both there")),
            });
        }
        Ok(found)
    }

    /// Those that name `event` as one before them, in the order they came.
    ///
    /// # Errors
    /// As every read.
    pub async fn followers(&self, event: EventNumber) -> Result<Vec<EventNumber>, Error> {
        self.children(children_range(self.room, event)).await
    }

    /// Those state events that lean on `event` and were not rejected, in the order they came.
    ///
    /// # Errors
    /// As every read.
    pub async fn auth_children(&self, event: EventNumber) -> Result<Vec<EventNumber>, Error> {
        let mut children = self.children(auth_children_range(self.room, event)).await?;
        if let Some(pending) = self.pending.filter(|it| it.chain.is_some() && it.facts.auth.contains(&event)) {
            children.push(pending.number);
        }
        Ok(children)
    }

    async fn children(&self, mut range: KeyRange) -> Result<Vec<EventNumber>, Error> {
        let mut children = Vec::new();
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading who follows an event"))?;
            for row in page.rows {
                children.push(child_of(&row.key).ok_or_else(|| Error::damaged("the key of an event's follower"))?);
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(children),
            }
        }
    }

    /// The auth chains of state events, with their stored forms.
    ///
    /// # Errors
    /// As every read; [`Error::Damaged`] when an event has no chain.
    pub async fn chains(&self, events: &[EventNumber]) -> Result<Vec<(EventNumber, AuthChain, StoredChain)>, Error> {
        let mut stored: BTreeMap<EventNumber, StoredChain> = BTreeMap::new();
        let mut open: BTreeSet<EventNumber> = events.iter().copied().collect();
        while !open.is_empty() {
            let asked: Vec<EventNumber> = std::mem::take(&mut open).into_iter().collect();
            let found = self.stored_chains(&asked).await?;
            for (event, chain) in asked.into_iter().zip(found) {
                let pending = self.pending.filter(|pending| pending.number == event);
                let chain = chain.or_else(|| pending.and_then(|pending| pending.chain.clone()));
                let chain: StoredChain = chain.ok_or_else(|| Error::damaged(format!("{event:?} has no auth chain")))?;
                open.extend(chain.base().filter(|base| !stored.contains_key(base)));
                stored.insert(event, chain);
            }
            open.retain(|event| !stored.contains_key(event));
        }
        let mut whole = BTreeMap::new();
        let mut chains = Vec::with_capacity(events.len());
        for event in events {
            let chain = self.whole(*event, &stored, &mut whole)?;
            let form = stored.get(event).cloned().ok_or_else(|| Error::damaged("an auth chain is gone"))?;
            chains.push((*event, chain, form));
        }
        Ok(chains)
    }

    async fn stored_chains(&self, events: &[EventNumber]) -> Result<Vec<Option<StoredChain>>, Error> {
        let kept = |event: &EventNumber| self.cache.and_then(|(cache, _)| cache.chain(self.room, *event));
        let mut chains: Vec<Option<StoredChain>> =
            events.iter().map(|event| kept(event).map(|chain| StoredChain::clone(&chain))).collect();
        let others: Vec<EventNumber> =
            events.iter().zip(&chains).filter(|(_, chain)| chain.is_none()).map(|(event, _)| *event).collect();
        let found = self.records(&others, |room, event| chain_key(room, *event), "an auth chain").await?;
        let slots = chains.iter_mut().filter(|chain| chain.is_none());
        for ((slot, event), found) in slots.zip(others).zip(found) {
            if let (Some((cache, _)), Some(chain)) = (self.cache, &found) {
                cache.keep_chain(self.room, event, StoredChain::clone(chain));
            }
            *slot = found;
        }
        Ok(chains)
    }

    /// The whole chain of `event` and of its bases, from the furthest base upwards.
    fn whole(
        &self,
        event: EventNumber,
        stored: &BTreeMap<EventNumber, StoredChain>,
        whole: &mut BTreeMap<EventNumber, AuthChain>,
    ) -> Result<AuthChain, Error> {
        let mut path = Vec::new();
        let mut at = Some(event);
        while let Some(event) = at.filter(|event| !whole.contains_key(event)) {
            if path.len() > stored.len() {
                return Err(Error::damaged("an auth chain leads back to itself"));
            }
            path.push(event);
            at = stored.get(&event).and_then(StoredChain::base);
        }
        for event in path.into_iter().rev() {
            let form = stored.get(&event).ok_or_else(|| Error::damaged("an auth chain's base is gone"))?;
            let base = form.base().and_then(|base| whole.get(&base).cloned()).unwrap_or_default();
            let chain = form.whole(&base).ok_or_else(|| Error::damaged(format!("the auth chain of {event:?}")))?;
            whole.insert(event, chain);
        }
        Ok(whole.get(&event).cloned().unwrap_or_default())
    }

    /// The forward extremities after `event` came, reading what [`extremities_after`] needs. A `fresh` event is one that had
    /// no number before: nobody can follow it yet.
    ///
    /// # Errors
    /// As every read.
    pub async fn extremities_after(
        &self,
        now: &[EventNumber],
        event: EventNumber,
        facts: &EventFacts,
        fresh: bool,
    ) -> Result<Vec<EventNumber>, Error> {
        let mut seen = Seen::default();
        if fresh {
            seen.followers.insert(event, Vec::new());
        }
        // Each round brings something that was not seen, of a finite graph.
        loop {
            let NeedEvents { events, followers } = match extremities_after(now, event, facts, &seen) {
                Ok(after) => return Ok(after),
                Err(need) => need,
            };
            let events: Vec<EventNumber> = events.into_iter().collect();
            seen.events.extend(events.iter().copied().zip(self.facts(&events).await?));
            for event in followers {
                seen.followers.insert(event, self.followers(event).await?);
            }
        }
    }

    async fn records<T, R: Record>(
        &self,
        of: &[T],
        key: impl Fn(RoomNumber, &T) -> Key,
        what: &'static str,
    ) -> Result<Vec<Option<R>>, Error> {
        let keys: Vec<Key> = of.iter().map(|of| key(self.room, of)).collect();
        let rows = self.store.engine().get_many(&keys).await.map_err(Error::storage("reading a room's graph"))?;
        rows.into_iter().map(|row| row.map(|row| decode(&row.value, what)).transpose()).collect()
    }
}

fn decode<R: Record>(value: &[u8], what: &'static str) -> Result<R, Error> {
    R::decode(value).map_err(|error| Error::damaged(format!("{what}: {error}")))
}
