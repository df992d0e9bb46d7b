//! Everything that one event changes, as one batch: its JSON, its numbers, its place in the graph, the state after it, the
//! room's head and state, who is in the room, the log, and the transaction id.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use storage::{Batch, Record, Stamp};

use crate::append::redaction::Redaction;
use crate::append::{Changed, Completed, EVENT_ACCEPTED, Filing, Moved, Proposal, View, changes, member, redaction};
use crate::error::Error;
use crate::event::{Known, Standing};
use crate::graph::{
    Completeness, EventFacts, Graph, Head, Pending, Place, StoredChain, put_chain, put_event, put_head, put_partial,
    put_room,
};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::read::relation::{At, Named, Names, Relations};
use crate::read::{card, jump, words};
use crate::resolve::resolve;
use crate::state::{Nodes, StateRoot, add_key, load, put_new_nodes};
use crate::timeline;

/// What the log says of an accepted event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The room.
    pub room: RoomNumber,
    /// The event.
    pub event: EventNumber,
}

storage::first_version!(LogRecord);

/// A batch and what it will have done.
pub(super) struct Composed {
    pub(super) batch: Batch,
    pub(super) number: EventNumber,
    pub(super) stamp: Option<Stamp>,
    pub(super) pending: Pending,
    pub(super) nodes: Nodes,
    /// The states whose new nodes the batch stores.
    pub(super) roots: BTreeSet<StateRoot>,
    pub(super) rewritten: u32,
}

/// What the log says of a room whose state or history changed without an event that came live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomChanged {
    /// The room.
    pub room: RoomNumber,
}

storage::first_version!(RoomChanged);

pub(super) async fn compose(view: View<'_>, proposal: &Proposal, filing: Filing<'_>) -> Result<Composed, Error> {
    let View { graph, mut head, mut nodes, was } = view;
    let (room, old, mut batch) = (graph.room(), head.clone(), Batch::new());
    let (pending, named) = place(&graph, &mut head, &mut nodes, &mut batch, proposal).await?;
    let Pending { number, facts, chain, .. } = &pending;

    let graph = graph.with(&pending);
    let fresh = *number >= old.next_event;
    if !fresh {
        // It may have been read as an outlier, and be worth something else now.
        head.rewritten = head.rewritten.wrapping_add(1);
    }
    head.extremities = match filing {
        Filing::Live => graph.extremities_after(&old.extremities, *number, facts, fresh).await?,
        Filing::Fetched => old.extremities.clone(),
        Filing::Arrival { .. } => vec![*number],
    };
    let (mut changed, moved) = put_room_state(&mut batch, &graph, &mut nodes, &old, &mut head).await?;
    if let Filing::Arrival { partial, finish } = filing {
        head.completeness = match partial {
            Completed::Yes => Completeness::Complete,
            Completed::NotYet => Completeness::Partial { join: *number },
        };
        finish(&mut batch);
    }
    if is_partial(&graph, &old, &head, facts).await? {
        put_partial(&mut batch, room, *number);
    }
    let mut relations = Relations::default();
    if let Some(target) = named.target {
        let redaction = Redaction { target, before: proposal.before, state: head.state };
        let taken = redaction::put(&mut batch, &graph, &mut nodes, &mut relations, &pending, &redaction).await?;
        if taken.state {
            head.rewritten = head.rewritten.wrapping_add(1);
        }
        changed.extend(taken.changed);
    }
    card::put_changes(&mut batch, &graph, Some(&pending), &changed, &moved).await?;

    let Place::InGraph { before, after } = facts.place else {
        return Err(Error::damaged("an event was to be appended outside the graph"));
    };
    let roots = BTreeSet::from([before, after, head.state]);
    roots.iter().for_each(|root| put_new_nodes(&mut batch, &nodes, *root));
    put_event(&mut batch, room, *number, facts, pending.pdu.json());
    if let Some(chain) = chain {
        put_chain(&mut batch, room, *number, &facts.auth, chain);
    }
    if was.is_none() {
        put_room(&mut batch, &head.room_id, room);
    }
    put_head(&mut batch, room, &head, was);
    if let Some(sent_as) = &proposal.sent_as {
        sent_as.put(&mut batch, &facts.id, graph.store().clock().now());
    }
    let partition = graph.store().partition_of(head.room_id.as_str());
    let shown = facts.standing == Standing::Accepted && !matches!(filing, Filing::Fetched);
    let stamp = shown.then(|| batch.append(partition, EVENT_ACCEPTED, LogRecord { room, event: *number }.encode()));
    if let Some(stamp) = stamp {
        timeline::put_live(&mut batch, room, stamp, *number, head.state);
        relations.add(&mut batch, &graph, *number, &pending.pdu, &named, At::Stamp(stamp)).await?;
        words::put(&mut batch, room, &pending.pdu, *number);
        jump::put(&mut batch, room, pending.pdu.origin_server_ts().get().into(), stamp);
    }
    relations.put(&mut batch, room, stamp);
    let (number, rewritten) = (*number, head.rewritten);
    Ok(Composed { number, batch, stamp, pending, nodes, roots, rewritten })
}

/// Brings the room's state and memberships to where its extremities are now, and says what that changed. The nodes of the
/// state are for the caller to store.
///
/// # Errors
/// As every read.
pub(crate) async fn put_room_state(
    batch: &mut Batch,
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    old: &Head,
    head: &mut Head,
) -> Result<(Vec<Changed>, Vec<Moved>), Error> {
    if head.extremities == old.extremities {
        return Ok((Vec::new(), Vec::new()));
    }
    let states = states_after(graph, &head.extremities).await?;
    put_resolved(batch, graph, nodes, (old.state, head), &states).await
}

/// Brings the room's state and memberships from what they were to what `states` come to, and says what that changed.
///
/// # Errors
/// As every read.
pub(crate) async fn put_resolved(
    batch: &mut Batch,
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    (was, head): (StateRoot, &mut Head),
    states: &[StateRoot],
) -> Result<(Vec<Changed>, Vec<Moved>), Error> {
    head.state = resolve(graph, nodes, states).await?;
    let changed = changes::between(graph, nodes, [was, head.state]).await?;
    let moved = member::put_changes(batch, graph, &changed).await?;
    Ok((changed, moved))
}

/// Files an event that is in the graph, and is shown only now, under what readers look it up by.
///
/// # Errors
/// As every read.
pub(crate) async fn put_shown(
    batch: &mut Batch,
    graph: &Graph<'_>,
    (head, relations): (&Head, &mut Relations),
    event: EventNumber,
    at: At,
) -> Result<(), Error> {
    let Some(Known { pdu, standing }) = graph.events(&[event]).await?.into_iter().flatten().next() else {
        return Err(Error::damaged(format!("{event:?} is to be shown and not there")));
    };
    let (room, names) = (graph.room(), Names::of(&pdu, standing));
    // They have their numbers since the event came into the graph.
    let mut numbering = graph.numbering_of(head, &names.ids()).await?;
    let named = names.numbered(&mut numbering);
    relations.add(batch, graph, event, &pdu, &named, at).await?;
    words::put(batch, room, &pdu, event);
    let sent = pdu.origin_server_ts().get().into();
    match at {
        At::Stamp(stamp) => jump::put(batch, room, sent, stamp),
        At::Place(order) => jump::put_fetched(batch, room, sent, order),
    }
    Ok(())
}

/// Whether the state before the event was worked out from a partial one.
async fn is_partial(graph: &Graph<'_>, old: &Head, head: &Head, facts: &EventFacts) -> Result<bool, Error> {
    match (old.completeness, head.completeness) {
        (Completeness::Complete, Completeness::Complete) => Ok(false),
        (Completeness::Complete, Completeness::Partial { .. }) => Ok(true),
        (Completeness::Partial { .. }, _) => Ok(!graph.partial_among(&facts.prev).await?.is_empty()),
    }
}

/// Gives the event its numbers and its place in the graph.
async fn place(
    graph: &Graph<'_>,
    head: &mut Head,
    nodes: &mut Nodes,
    batch: &mut Batch,
    proposal: &Proposal,
) -> Result<(Pending, Named), Error> {
    let (pdu, standing) = (proposal.event.pdu(), proposal.event.standing());
    let names = Names::of(pdu, standing);
    let mut numbering = graph.numbering(head, pdu, &names.ids()).await?;
    let number = numbering.number(&pdu.id().to_owned());
    let prev = pdu.prev_events().iter().map(|id| numbering.number(id)).collect();
    let auth: Vec<EventNumber> = pdu.auth_events().iter().map(|id| numbering.number(id)).collect();
    let was_named = !numbering.is_new(&pdu.id().to_owned());
    let mut named = names.numbered(&mut numbering);
    numbering.put(batch, graph.room(), head);

    let (mut key, mut chain, mut after) = (None, None, proposal.before);
    if let Some(name) = pdu.filed_under() {
        let known = graph.key_numbers(std::slice::from_ref(&name)).await?.first().copied().flatten();
        let filed = match known {
            Some(filed) => filed,
            None => {
                let next = head.next_key;
                let after =
                    next.0.checked_add(1).ok_or_else(|| Error::damaged("it has as many state keys as it can"))?;
                head.next_key = KeyNumber(after);
                add_key(batch, graph.room(), &name, next);
                next
            }
        };
        key = Some((name, filed));
        if standing != Standing::Rejected {
            let change = [(filed, Some(number))].into();
            after = load(graph.store(), nodes, |nodes| nodes.apply(proposal.before, &change)).await?;
            chain = Some(StoredChain::above(&graph.chains(&auth).await?));
        }
    }
    let files = key.as_ref().map(|(_, filed)| *filed);
    let place = Place::InGraph { before: proposal.before, after };
    let id = pdu.id().to_owned();
    let sent = proposal.sent_as.as_ref().map(|sent_as| sent_as.transaction().clone());
    let redacted = if was_named { redaction::waiting(graph, nodes, number, pdu).await? } else { None };
    if redacted.is_some() {
        named.relates_to = None;
    }
    let (redacted_by, pdu) = redacted.map_or((None, pdu.clone()), |(by, pdu)| (Some(by), pdu));
    let facts = EventFacts { id, standing, place, depth: pdu.depth(), prev, auth, files, sent, redacted_by };
    Ok((Pending { number, facts, pdu, key, chain }, named))
}

/// The states after a room's forward extremities.
async fn states_after(graph: &Graph<'_>, extremities: &[EventNumber]) -> Result<Vec<StateRoot>, Error> {
    let mut states = Vec::with_capacity(extremities.len());
    for (event, facts) in extremities.iter().zip(graph.facts(extremities).await?) {
        match facts.map(|facts| facts.place) {
            Some(Place::InGraph { after, .. }) => states.push(after),
            _ => return Err(Error::damaged(format!("{event:?} is a forward extremity and not in the graph"))),
        }
    }
    Ok(states)
}
