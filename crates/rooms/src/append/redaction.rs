//! Takes content away: in the batch of the redaction, so that from its commit on no copy of what was redacted is stored. If
//! the redaction came first, the content is taken away before the event is stored at all.
//! <https://spec.matrix.org/v1.19/client-server-api/#redactions>

use ruma::events::StateEventType;
use storage::table::RELATION;
use storage::{Batch, Direction, Key, KeyRange};

use base::limits;

use crate::append::Changed;
use crate::error::Error;
use crate::event::{AuthState, Known, Pdu, Standing, StateKey, may_redact, redact};
use crate::graph::{Graph, Pending, Place, Stored, put_redacted};
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::read::relation::{REDACTS, Relations};
use crate::read::words;
use crate::state::{Nodes, StateRoot, load};

/// What an accepted event takes away.
pub(super) struct Redaction {
    /// The event that it names.
    pub(super) target: EventNumber,
    /// The state before the redaction, which decides whether it may.
    pub(super) before: StateRoot,
    /// The room's state with it.
    pub(super) state: StateRoot,
}

fn waiting_key(room: RoomNumber, target: EventNumber, redaction: EventNumber) -> Key {
    Key::of(RELATION, &(room, REDACTS, target, redaction))
}

/// What a redaction took away.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Whether it was a state event.
    pub(super) state: bool,
    /// What changed of the room's state now, for those who follow that.
    pub(super) changed: Option<Changed>,
}

/// Applies the redaction that `pending` is, or notes it for when its target comes.
pub(super) async fn put(
    batch: &mut Batch,
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    relations: &mut Relations,
    pending: &Pending,
    redaction: &Redaction,
) -> Result<Taken, Error> {
    let (room, target) = (graph.room(), redaction.target);
    let stored = graph.stored(&[target]).await?.into_iter().next().flatten();
    if stored.as_ref().is_none_or(|stored| stored.facts.place == Place::Outlier) {
        batch.put(&waiting_key(room, target, pending.number), Vec::new());
    }
    let Some(stored) = stored.filter(|stored| stored.facts.redacted_by.is_none()) else { return Ok(Taken::default()) };
    let Stored { facts, json, .. } = &stored;
    let pdu = Pdu::read(graph.version(), facts.id.clone(), json.clone());
    let pdu = pdu.map_err(|error| Error::damaged(format!("a stored event: {error}")))?;
    if may_redact(&pending.pdu, &pdu, &deciding(graph, nodes, redaction.before).await?).is_err() {
        return Ok(Taken::default());
    }
    let pruned = redact(&pdu)?;
    let mut facts = facts.clone();
    facts.redacted_by = Some(pending.number);
    put_redacted(batch, room, target, &facts, pruned.json());
    if facts.standing == Standing::Accepted {
        relations.remove(batch, graph, &stored, &pdu).await?;
        words::remove(batch, room, &pdu, target);
    }
    let (Some(key), Some(number)) = (pdu.filed_under(), facts.files) else { return Ok(Taken::default()) };
    let filed = load(graph.store(), nodes, |nodes| nodes.lookup(redaction.state, &[number])).await?;
    let event = Some((target, Known { pdu: pruned, standing: facts.standing }));
    let changed = filed.contains(&Some(target)).then_some(Changed { key, number, event });
    Ok(Taken { state: true, changed })
}

/// What of an event is left that came after a redaction of it, and by which; `None` when none of those that came may.
pub(super) async fn waiting(
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    target: EventNumber,
    pdu: &Pdu,
) -> Result<Option<(EventNumber, Pdu)>, Error> {
    let range = KeyRange::prefix(RELATION, &(graph.room(), REDACTS, target));
    let page = graph.store().scan(&range, Direction::Forward, limits::REDACTIONS_WAITING).await;
    for row in page.map_err(Error::storage("looking for an event's redactions"))?.rows {
        let parts = row.key.parts::<(RoomNumber, u8, EventNumber, EventNumber)>();
        let (.., redaction) = parts.map_err(|error| Error::damaged(format!("the key of a redaction: {error}")))?;
        let known = graph.events(&[redaction]).await?.into_iter().next().flatten();
        let facts = graph.facts(&[redaction]).await?.into_iter().next().flatten();
        let (Some(known), Some(Place::InGraph { before, .. })) = (known, facts.map(|facts| facts.place)) else {
            continue;
        };
        if may_redact(&known.pdu, pdu, &deciding(graph, nodes, before).await?).is_ok() {
            return Ok(Some((redaction, redact(pdu)?)));
        }
    }
    Ok(None)
}

/// What of `state` says who may redact.
async fn deciding(graph: &Graph<'_>, nodes: &mut Nodes, state: StateRoot) -> Result<AuthState, Error> {
    let keys = [StateEventType::RoomCreate, StateEventType::RoomPowerLevels].map(|kind| StateKey::new(kind, ""));
    let numbers: Vec<KeyNumber> = graph.key_numbers(&keys).await?.into_iter().flatten().collect();
    let found = load(graph.store(), nodes, |nodes| nodes.lookup(state, &numbers)).await?;
    let events: Vec<EventNumber> = found.into_iter().flatten().collect();
    Ok(AuthState::new(graph.events(&events).await?.into_iter().flatten()))
}
