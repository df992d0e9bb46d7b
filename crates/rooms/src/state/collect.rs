//! Removes the nodes of a room's states that no root leads to any more. Appending never leaves any behind; forgetting
//! events does (purge, retention).
//!
//! A state that is being appended may share a node that is about to be removed. So every batch of removals has the
//! precondition that the room's head is what it was before the roots were read: an append in between ends the collection
//! with a conflict, and the caller begins anew when the room is quieter. What was removed until then was garbage all the
//! same.

use base::collections::HashSet;
use base::limits;
use storage::table::STATE_NODE;
use storage::{Batch, Direction, Key, KeyRange, Precondition, Store};

use crate::error::Error;
use crate::number::RoomNumber;
use crate::state::load::read;
use crate::state::node::{Node, NodeHash, StateRoot};
use crate::state::tree::Nodes;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Nodes that a root leads to.
    pub kept: usize,
    /// Nodes removed.
    pub removed: usize,
}

/// Removes the nodes of `room` that none of `roots` leads to. `unchanged` must hold from before the roots were read and
/// fail after any append to the room. Memory: 32 bytes for each node that stays.
///
/// # Errors
/// As every read and commit; a conflict ([`Error::is_conflict`]) when the room was appended to meanwhile.
pub async fn collect(
    store: &Store,
    room: RoomNumber,
    roots: &[StateRoot],
    unchanged: &Precondition,
) -> Result<Collected, Error> {
    let kept = reachable(store, room, roots).await?;
    let mut collected = Collected { kept: kept.len(), removed: 0 };
    let mut range = KeyRange::prefix(STATE_NODE, &room);
    loop {
        let page = store.scan(&range, Direction::Forward, limits::STATE_NODES_REMOVED).await;
        let page = page.map_err(Error::storage("looking for state nodes to remove"))?;
        let mut batch = Batch::new();
        for row in &page.rows {
            let (_, hash) = hash_of(&row.key)?;
            if !kept.contains(&hash) {
                batch.delete(&row.key);
                collected.removed += 1;
            }
        }
        if !batch.is_empty() {
            batch.require(unchanged.clone());
            store.commit(batch).await.map_err(Error::storage("removing state nodes"))?;
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(collected),
        }
    }
}

fn hash_of(key: &Key) -> Result<(RoomNumber, NodeHash), Error> {
    let (room, hash) = key.parts().map_err(|error| Error::damaged(format!("the key of a state node: {error}")))?;
    Ok((room, NodeHash(hash)))
}

/// All nodes that `roots` lead to. Nodes that many states share are read once.
async fn reachable(store: &Store, room: RoomNumber, roots: &[StateRoot]) -> Result<HashSet<NodeHash>, Error> {
    let mut seen: HashSet<NodeHash> = HashSet::default();
    let mut open: Vec<NodeHash> = roots.iter().filter_map(|root| root.0).filter(|hash| seen.insert(*hash)).collect();
    while !open.is_empty() {
        let some = open.split_off(open.len().saturating_sub(limits::STATE_NODES_AT_ONCE));
        let mut nodes = Nodes::new(room);
        read(store, &mut nodes, &some).await?;
        for node in some.into_iter().filter_map(|hash| nodes.get(hash)) {
            if let Node::Inner { children, .. } = &*node {
                open.extend(children.iter().map(|(_, child)| *child).filter(|child| seen.insert(*child)));
            }
        }
    }
    Ok(seen)
}
