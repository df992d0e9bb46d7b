//! A room made of what a server answered to a join: the join event, the state before it and what that leans on
//! (<https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>).
//!
//! A large room has more of these than a batch has room for. So they are written ahead, under a number that nobody finds, as
//! outliers; the last batch appends the join event and makes the room known. If the process dies in between, the next
//! attempt goes on with what is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::limits;
use bytes::Bytes;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, RoomVersionId, ServerName};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use storage::table::ROOM_ARRIVING;
use storage::{Batch, Key, Store};

use crate::append::{Completed, Filing, append_filed, put_ahead};
use crate::error::{Error, Refusal};
use crate::event::{RoomVersion, Standing};
use crate::graph::{Completeness, Graph, Head, find_room, head_of, put_head, put_room};
use crate::ingest::arrive::Arriving;
use crate::ingest::drive::Driver;
use crate::ingest::fetch::{Fetch, StateIds};
use crate::ingest::machine::{Placing, Ready, Role, Source};
use crate::ingest::verdict::{Report, Verdict};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::state::{Changes, Nodes, StateRoot, load};

/// How a server welcomes one that joins.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersionId,
    /// The join event, as the server has signed it if it had to.
    pub event: Bytes,
    /// The state before it.
    pub state: Vec<Bytes>,
    /// What that leans on.
    pub auth_chain: Vec<Bytes>,
    /// Whether members were left out of the state, and if so which servers are in the room.
    pub members: Members,
}

/// Which members a welcome has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// All.
    All,
    /// Few; these servers have some.
    Omitted {
        /// The servers.
        servers: Vec<OwnedServerName>,
    },
}

/// A room that is not known yet, or whose members are not.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ArrivingRecord {
    room: RoomNumber,
    servers: Vec<OwnedServerName>,
}

storage::first_version!(ArrivingRecord);

fn arriving_key(room_id: &RoomId) -> Key {
    let digest: [u8; 32] = Sha256::digest(room_id.as_str()).into();
    Key::of(ROOM_ARRIVING, &digest)
}

/// Forgets that a room's members are not known.
pub(super) fn put_arrived(batch: &mut Batch, room_id: &RoomId) {
    batch.delete(&arriving_key(room_id));
}

impl Rooms {
    /// Comes into a room through another server, be it for the first time or again. When it returns, the join event is in
    /// the room and the log says so.
    ///
    /// # Errors
    /// [`Refusal`] when the version is not known, or the welcome does not allow the join; [`Error::is_unavailable`] when the
    /// same may work later.
    pub async fn enter(
        self: &Arc<Self>,
        from: &ServerName,
        welcome: Welcome,
        fetch: &dyn Fetch,
    ) -> Result<RoomNumber, Error> {
        let Welcome { room_id, version, event, state, auth_chain, members } = welcome;
        let version = RoomVersion::of(&version)?;
        let known = find_room(self.store(), &room_id).await?;
        let room = match known {
            Some(room) => room,
            None => arriving_room(self.store(), &room_id, version).await?,
        };
        let mut driver = Driver::new(self, room, room_id.clone(), version, from, Source::Live, fetch);
        let (mut ids, mut given) = (StateIds::default(), state);
        ids.auth_chain = take_all(&mut driver, auth_chain).await?;
        ids.state = take_all(&mut driver, std::mem::take(&mut given)).await?;
        let report: Report = driver.take(vec![event], Role::Timeline).await?;
        let join = match (report.ids.get(&0), report.unnamed.get(&0)) {
            (Some(join), _) => join.clone(),
            (None, Some(Verdict::Dropped(refusal))) => return Err(refusal.clone().into()),
            (None, _) => return Err(refused("the join event could not be checked")),
        };
        driver.machine.give_state(&join, ids);
        driver.hold_back = Some(join.clone());
        driver.run().await?;
        let Some(ready) = driver.held_back.take() else {
            let verdict = driver.machine.finish().remove(&join);
            return match verdict {
                Some(Verdict::Known) => Ok(room),
                Some(Verdict::Dropped(refusal)) => Err(refusal.into()),
                _ => Err(refused("what the join event leans on was not given")),
            };
        };
        self.arrive(room, known, ready, &members).await?;
        Ok(room)
    }

    /// The last batch, and the memberships before it.
    async fn arrive(
        self: &Arc<Self>,
        room: RoomNumber,
        known: Option<RoomNumber>,
        ready: Ready,
        members: &Members,
    ) -> Result<(), Error> {
        let store = self.store();
        let (head, _) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
        let graph = Graph::new(store, room, RoomVersion::of(&head.version)?);
        let Placing::AfterState(ids) = &ready.placing else { return Err(refused("the join event came already")) };
        let mut nodes = Nodes::new(room);
        let given = state_of(&graph, &mut nodes, ids).await?;
        put_ahead(&graph, &mut nodes, [head.state, given], self.server()).await?;
        let servers = match members {
            Members::All => None,
            Members::Omitted { servers } => Some(servers.iter().take(limits::PARTIAL_SERVERS).cloned().collect()),
        };
        let partial = if servers.is_some() { Completed::NotYet } else { Completed::Yes };
        let room_id = head.room_id.clone();
        let finish = |batch: &mut Batch| {
            if known.is_none() {
                put_room(batch, &room_id, room);
            }
            match &servers {
                Some(servers) => {
                    let record = ArrivingRecord { room, servers: Vec::clone(servers) };
                    batch.put_record(&arriving_key(&room_id), &record);
                }
                None => put_arrived(batch, &room_id),
            }
        };
        // The state is what was given, so what was known before does not go into it.
        let mut arriving = Arriving::new(ready.event, ready.placing, Source::History, None);
        arriving.must_be_allowed = true;
        if servers.is_some() {
            arriving.partial = Completeness::Partial { join: head.next_event };
        }
        append_filed(store, None, room, &mut arriving, Filing::Arrival { partial, finish: &finish }).await?;
        Ok(())
    }

    /// The servers said to be in a room whose members are not all known; empty when they are.
    ///
    /// # Errors
    /// As every read.
    pub async fn servers_of_partial(&self, room_id: &RoomId) -> Result<Vec<OwnedServerName>, Error> {
        let record = self.store().get_record::<ArrivingRecord>(&arriving_key(room_id)).await;
        let record = record.map_err(Error::storage("reading which servers are in a room"))?;
        Ok(record.map(|(record, _)| record.servers).unwrap_or_default())
    }
}

fn refused(why: &str) -> Error {
    Refusal::Forbidden { why: why.to_owned() }.into()
}

/// Checks events that stand around the join; gives the ids of those that hold.
async fn take_all(driver: &mut Driver<'_>, events: Vec<Bytes>) -> Result<Vec<OwnedEventId>, Error> {
    let mut ids = BTreeSet::new();
    let mut events = events.into_iter().peekable();
    // In parts, so that few of them are in memory in the large form in which they are verified.
    while events.peek().is_some() {
        let some: Vec<Bytes> = events.by_ref().take(limits::INGEST_OUTLIERS_AT_ONCE).collect();
        ids.extend(driver.take(some, Role::Support).await?.ids.into_values());
    }
    Ok(ids.into_iter().collect())
}

/// The state that accepted events are.
pub(super) async fn state_of(graph: &Graph<'_>, nodes: &mut Nodes, ids: &[OwnedEventId]) -> Result<StateRoot, Error> {
    let numbers: Vec<EventNumber> = graph.numbers(ids).await?.into_values().collect();
    let facts = numbers.iter().zip(graph.facts(&numbers).await?);
    let filed = facts.filter_map(|(number, facts)| Some((*number, facts?)));
    let filed = filed.filter(|(_, facts)| facts.standing != Standing::Rejected);
    let changes: Changes = filed.filter_map(|(number, facts)| Some((facts.files?, Some(number)))).collect();
    load(graph.store(), nodes, |nodes| nodes.apply(StateRoot::EMPTY, &changes)).await
}

/// The number under which a room is written that nobody may find yet.
async fn arriving_room(store: &Store, room_id: &RoomId, version: &RoomVersion) -> Result<RoomNumber, Error> {
    let key = arriving_key(room_id);
    loop {
        let stored = store.get_record::<ArrivingRecord>(&key).await.map_err(Error::storage("looking for a join"))?;
        if let Some((record, row_version)) = stored {
            let of_version = head_of(store, record.room).await?.is_some_and(|(head, _)| head.version == *version.id());
            if of_version {
                return Ok(record.room);
            }
            // A server lied about the version. What was written is left, and collected with what nobody leads to.
            let mut batch = Batch::new();
            batch.require_unchanged(&key, row_version);
            batch.delete(&key);
            match store.commit(batch).await {
                Err(error) if !error.is_conflict() => return Err(Error::storage("ending a join")(error)),
                _ => continue,
            }
        }
        let room = RoomNumber(store.random().next_u64());
        let head = Head {
            room_id: room_id.to_owned(),
            version: version.id().clone(),
            next_event: EventNumber(0),
            next_key: KeyNumber(0),
            extremities: Vec::new(),
            state: StateRoot::EMPTY,
            completeness: Completeness::Complete,
            rewritten: 0,
        };
        let mut batch = Batch::new();
        batch.require_absent(&key);
        batch.put_record(&key, &ArrivingRecord { room, servers: Vec::new() });
        put_head(&mut batch, room, &head, None);
        match store.commit(batch).await {
            Err(error) if error.is_conflict() => {}
            other => return other.map(|_| room).map_err(Error::storage("beginning a join")),
        }
    }
}
