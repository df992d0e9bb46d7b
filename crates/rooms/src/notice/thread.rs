//! Which thread an event is in (<https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>): that which it, or
//! what it relates to, says it is in. Thread roots, and what relates to them otherwise, are in none.

use ruma::{EventId, OwnedEventId};

use crate::error::{Error, Refusal};
use crate::graph::Graph;
use crate::notice::Thread;
use crate::notice::seen::{Relation, Seen};
use crate::rooms::Rooms;

/// How often a relation is followed, as the specification recommends.
const HOPS: u32 = 3;

const THREAD: &str = "m.thread";

/// The root of the thread that `seen` is in.
pub(super) async fn root_of(rooms: &Rooms, graph: &Graph<'_>, seen: &Seen) -> Result<Option<OwnedEventId>, Error> {
    let mut at = seen.relation.clone();
    for _ in 0..=HOPS {
        match at {
            None => return Ok(None),
            Some(Relation { rel_type, event_id }) if rel_type == THREAD => return Ok(Some(event_id)),
            Some(Relation { event_id, .. }) => at = relation_of(rooms, graph, &event_id).await?,
        }
    }
    Ok(None)
}

/// Whether a receipt on `event` may speak of `thread`: the event is the root, or in the thread, or relates to something that
/// is. For the main timeline it must not be in a thread.
///
/// # Errors
/// [`Refusal::NoSuchEvent`]; as every read.
pub(super) async fn may_mark(
    rooms: &Rooms,
    graph: &Graph<'_>,
    event: &EventId,
    thread: &Thread,
) -> Result<bool, Error> {
    let number = graph.numbers(&[event.to_owned()]).await?.into_values().next().ok_or(Refusal::NoSuchEvent)?;
    let seen = rooms.seen(graph, &[number]).await?.into_iter().next().flatten().ok_or(Refusal::NoSuchEvent)?;
    let root = match thread {
        Thread::Unthreaded => return Ok(true),
        Thread::Main => return Ok(root_of(rooms, graph, &seen).await?.is_none()),
        Thread::Root(root) => root,
    };
    let mut relation = seen.relation.clone();
    let mut at = event.to_owned();
    for _ in 0..=HOPS {
        if at == *root {
            return Ok(true);
        }
        let Some(next) = relation else { return Ok(false) };
        relation = relation_of(rooms, graph, &next.event_id).await?;
        at = next.event_id;
    }
    Ok(at == *root)
}

async fn relation_of(rooms: &Rooms, graph: &Graph<'_>, event: &EventId) -> Result<Option<Relation>, Error> {
    let Some(number) = graph.numbers(&[event.to_owned()]).await?.into_values().next() else { return Ok(None) };
    let seen = rooms.seen(graph, &[number]).await?.into_iter().next().flatten();
    Ok(seen.and_then(|seen| seen.relation.clone()))
}
