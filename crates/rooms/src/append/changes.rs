//! What an append changed in the room's state, with the events: what the indexes that follow the state are written from.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::event::{Known, StateKey};
use crate::graph::Graph;
use crate::number::{EventNumber, KeyNumber};
use crate::state::{Difference, Nodes, StateRoot, load};

/// An entry of the room's state that is another than before.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// What it is filed under.
    pub(crate) key: StateKey,
    /// The number of that.
    pub(crate) number: KeyNumber,
    /// The event that is there now.
    pub(crate) event: Option<(EventNumber, Known)>,
}

/// All entries in which the state `now` is another than `before`.
///
/// # Errors
/// As every read.
pub(super) async fn between(
    graph: &Graph<'_>,
    nodes: &mut Nodes,
    [before, now]: [StateRoot; 2],
) -> Result<Vec<Changed>, Error> {
    let differences =
        load(graph.store(), nodes, |nodes| nodes.differences(before, now, KeyNumber(0), usize::MAX)).await?;
    of(graph, differences).await
}

/// These differences with names and events.
///
/// # Errors
/// As every read.
pub(super) async fn of(graph: &Graph<'_>, differences: Vec<Difference>) -> Result<Vec<Changed>, Error> {
    let keys: Vec<KeyNumber> = differences.iter().map(|difference| difference.key).collect();
    let names = graph.key_names(&keys).await?;
    let events: BTreeSet<EventNumber> = differences.iter().filter_map(|difference| difference.after).collect();
    let events: Vec<EventNumber> = events.into_iter().collect();
    let known: Vec<Option<Known>> = graph.events(&events).await?;
    let mut changed = Vec::with_capacity(differences.len());
    for difference in differences {
        let key = names.get(&difference.key).cloned();
        let key = key.ok_or_else(|| Error::damaged(format!("{:?} stands for nothing", difference.key)))?;
        let event = match difference.after {
            None => None,
            Some(event) => {
                let known = events.binary_search(&event).ok().and_then(|at| known.get(at)).cloned().flatten();
                let known = known.ok_or_else(|| Error::damaged(format!("{event:?} is in a state and not there")))?;
                Some((event, known))
            }
        };
        changed.push(Changed { key, number: difference.key, event });
    }
    Ok(changed)
}
