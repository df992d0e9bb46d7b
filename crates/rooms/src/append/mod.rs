//! The one way into a room: an event that was judged, with everything that follows from it, in one batch.
//!
//! Optimistic: the room's head is read, the event is judged (and, if it is ours, built) by what the head says, and the batch
//! commits only if the head is still that. Otherwise all of it happens again, so no event is ever appended that was judged by
//! another state than the one it came to. Rooms do not wait for each other.
//!
//! Must not judge: a [`Proposal`] holds an event that was.
//!
//! Where to go: `compose` puts the batch together, `changes` finds what it changes in the state, `member` keeps the membership
//! index that goes with it, `redaction` takes content away, `sent` remembers transaction ids. What readers look things up by
//! (relations, words, a room's card) is written by `read`, in the same batch.

mod changes;
mod compose;
mod member;
mod redaction;
mod sent;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use async_trait::async_trait;
use base::backoff::Backoff;
use base::{Position, limits};
use ruma::OwnedEventId;
use storage::{Batch, Kind, Store, Version};

use crate::cache::Cache;
use crate::error::{Error, Refusal};
use crate::event::{
    AuthState, AuthorisedPdu, Known, Pdu, Reference, RejectedPdu, RoomVersion, Standing, StateKey, auth_state_keys,
};
use crate::graph::{Completeness, Graph, Head, Place, head_of};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::{Nodes, StateRoot, load};

pub(crate) use changes::Changed;
pub use compose::{LogRecord, RoomChanged};
pub(crate) use compose::{put_resolved, put_room_state, put_shown};
pub use member::{Membership, MembershipV1, members, memberships, rooms_of_user};
pub(crate) use member::{Moved, delete_membership, forget_membership, is_remembered, put_ahead, user_digest};
pub use sent::SentAs;

/// Log entries of this kind say that an event was accepted into a room; their payload is a [`LogRecord`].
pub const EVENT_ACCEPTED: Kind = Kind(32);

/// Log entries of this kind say that a room's state or history is no longer what it was, without an event that came live:
/// a gap was filled, or a partial state completed. Their payload is a [`RoomChanged`].
pub const STATE_CHANGED: Kind = Kind(40);

/// How an event is filed.
#[derive(Clone, Copy)]
pub(crate) enum Filing<'a> {
    /// As what was just said.
    Live,
    /// As part of the graph only. It is old: `ingest` gives it a place when it knows where it belongs.
    Fetched,
    /// As that with which this server came into the room: nothing before it counts any more.
    Arrival {
        /// Whether members are missing from the state before it.
        partial: Completed,
        /// What else goes into the batch.
        finish: &'a (dyn Fn(&mut Batch) + Sync),
    },
}

/// Whether the state that a server was given when it came into a room is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    /// It is.
    Yes,
    /// Members are missing.
    NotYet,
}

type Composing<'a> = Pin<Box<dyn Future<Output = Result<compose::Composed, Error>> + Send + 'a>>;

/// An event that was judged.
#[derive(Clone, Debug)]
pub enum Kept {
    /// It becomes part of the graph.
    Authorised(AuthorisedPdu),
    /// It is kept apart.
    Rejected(RejectedPdu),
    /// It is in the room already, and nothing else is to be said: nothing is appended.
    There(Known),
}

impl Kept {
    /// The event.
    pub fn pdu(&self) -> &Pdu {
        match self {
            Self::Authorised(event) => event.pdu(),
            Self::Rejected(event) => event.pdu(),
            Self::There(known) => &known.pdu,
        }
    }

    /// What the checks made of it.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Authorised(event) => event.standing(),
            Self::Rejected(_) => Standing::Rejected,
            Self::There(known) => known.standing,
        }
    }
}

/// What is to be appended.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The event.
    pub event: Kept,
    /// The state before it, as it was judged by.
    pub before: StateRoot,
    /// The transaction id under which a client sent it.
    pub sent_as: Option<SentAs>,
}

/// A room as it stands while somebody proposes.
#[derive(Debug)]
pub struct View<'a> {
    /// Its graph.
    pub graph: Graph<'a>,
    /// Where it stands.
    pub head: Head,
    /// Nodes of its states; those of the state before the event that are new are stored with it.
    pub nodes: Nodes,
    /// `None` for a room that is being made.
    was: Option<Version>,
}

impl<'a> View<'a> {
    /// `room` as it stands.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read.
    pub(crate) async fn now(store: &'a Store, cache: Option<&'a Cache>, room: RoomNumber) -> Result<Self, Error> {
        let (head, was) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
        let graph = Graph::new(store, room, RoomVersion::of(&head.version)?).remembering(cache, &head);
        let nodes = cache.map_or_else(|| Nodes::new(room), |cache| Nodes::with_cache(room, cache));
        Ok(Self { graph, head, nodes, was: Some(was) })
    }

    /// What of `state` decides about `event`.
    ///
    /// # Errors
    /// As every read; a refusal when no state can allow it.
    pub async fn deciding(&mut self, state: StateRoot, event: &Pdu) -> Result<AuthState, Error> {
        self.entries(state, &auth_state_keys(event)?).await
    }

    /// What `state` has under `keys`.
    ///
    /// # Errors
    /// As every read.
    pub async fn entries(&mut self, state: StateRoot, keys: &[StateKey]) -> Result<AuthState, Error> {
        let numbers: Vec<KeyNumber> = self.graph.key_numbers(keys).await?.into_iter().flatten().collect();
        let found = load(self.graph.store(), &mut self.nodes, |nodes| nodes.lookup(state, &numbers)).await?;
        let events: Vec<EventNumber> = found.into_iter().flatten().collect();
        Ok(AuthState::new(self.graph.events(&events).await?.into_iter().flatten()))
    }

    /// The room's forward extremities, as our next event names them.
    ///
    /// # Errors
    /// As every read.
    pub async fn extremities(&self) -> Result<Vec<Reference>, Error> {
        let events = self.graph.events(&self.head.extremities).await?;
        Ok(events.into_iter().flatten().map(|known| known.pdu.reference()).collect::<Result<_, _>>()?)
    }
}

/// Who wants to append.
#[async_trait]
pub trait Propose: Send {
    /// Judges, and if need be builds, the event by where the room stands. Called again when somebody else was faster.
    ///
    /// # Errors
    /// End the append.
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error>;
}

/// What came of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The event is in the room now, durably.
    Now {
        /// Its id.
        id: OwnedEventId,
        /// Its number.
        number: EventNumber,
        /// Its place in the log, if it was accepted.
        position: Option<Position>,
    },
    /// It was there already, or something was sent under the same transaction id: this.
    Before {
        /// The id of the event that is there.
        id: OwnedEventId,
    },
}

/// Appends what `proposer` proposes to `room`.
///
/// # Errors
/// What the proposer says; [`Refusal::NoSuchRoom`]; [`Error::Busy`] when others were faster too often; as every commit.
pub async fn append(store: &Store, room: RoomNumber, proposer: &mut dyn Propose) -> Result<Appended, Error> {
    append_with(store, None, room, proposer).await
}

/// As [`append`], reading what it can from `cache`, which must be of this very store.
pub(crate) async fn append_with(
    store: &Store,
    cache: Option<&Cache>,
    room: RoomNumber,
    proposer: &mut dyn Propose,
) -> Result<Appended, Error> {
    append_filed(store, cache, room, proposer, Filing::Live).await
}

/// As [`append_with`], filed in this way.
pub(crate) async fn append_filed(
    store: &Store,
    cache: Option<&Cache>,
    room: RoomNumber,
    proposer: &mut dyn Propose,
    filing: Filing<'_>,
) -> Result<Appended, Error> {
    let backoff = Backoff { first: limits::APPEND_RETRY_FIRST, most: limits::APPEND_RETRY_MOST };
    for attempt in 1..=limits::APPEND_ATTEMPTS {
        let mut view = View::now(store, cache, room).await?;
        let proposal = proposer.propose(&mut view).await?;
        match once(store, cache, view, proposal, filing).await {
            Err(error) if error.is_conflict() => {
                tracing::debug!(attempt, "another append to the room was faster");
                store.clock().sleep(backoff.wait(attempt, store.random())).await;
            }
            outcome => return outcome,
        }
    }
    Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
}

/// Makes a room of its create event.
///
/// # Errors
/// [`Error::is_conflict`] when the room is known already; as every commit.
pub async fn make_room(store: &Store, create: AuthorisedPdu, sent_as: Option<SentAs>) -> Result<RoomNumber, Error> {
    let room = RoomNumber(store.random().next_u64());
    let pdu = create.pdu();
    if !pdu.is_create() {
        return Err(Refusal::malformed("a room begins with its create event").into());
    }
    let head = Head {
        room_id: pdu.room_id().to_owned(),
        version: pdu.version().id().clone(),
        next_event: EventNumber(0),
        next_key: KeyNumber(0),
        extremities: Vec::new(),
        state: StateRoot::EMPTY,
        completeness: Completeness::Complete,
        rewritten: 0,
    };
    let (graph, nodes) = (Graph::new(store, room, pdu.version()), Nodes::new(room));
    let view = View { graph, head, nodes, was: None };
    let proposal = Proposal { event: Kept::Authorised(create), before: StateRoot::EMPTY, sent_as };
    once(store, None, view, proposal, Filing::Live).await.map(|_| room)
}

async fn once(
    store: &Store,
    cache: Option<&Cache>,
    view: View<'_>,
    proposal: Proposal,
    filing: Filing<'_>,
) -> Result<Appended, Error> {
    if let Some(sent_as) = &proposal.sent_as
        && let Some(id) = sent_as.event(store).await?
    {
        return Ok(Appended::Before { id });
    }
    let id = proposal.event.pdu().id().to_owned();
    if matches!(proposal.event, Kept::There(_)) {
        return Ok(Appended::Before { id });
    }
    if let Some(number) = view.graph.numbers(std::slice::from_ref(&id)).await?.get(&id)
        && let Some(Some(facts)) = view.graph.facts(&[*number]).await?.first()
        && facts.place != Place::Outlier
    {
        return Ok(Appended::Before { id });
    }
    let room = view.graph.room();
    // Boxed, because what it holds while it reads is large.
    let composed: Composing<'_> = Box::pin(compose::compose(view, &proposal, filing));
    let composed = composed.await?;
    let (number, stamp) = (composed.number, composed.stamp);
    let committed = store.commit(composed.batch).await.map_err(Error::storage("appending an event"))?;
    if let Some(cache) = cache {
        let roots: Vec<StateRoot> = composed.roots.into_iter().collect();
        cache.keep_appended(room, composed.rewritten, composed.pending, &composed.nodes, &roots);
    }
    Ok(Appended::Now { id, number, position: stamp.and_then(|stamp| committed.position(stamp)) })
}
