//! Nodes from and into the store.

use base::limits;
use storage::table::STATE_NODE;
use storage::{Batch, Key, Store};

use crate::error::Error;
use crate::number::RoomNumber;
use crate::state::node::{NodeHash, StateRoot};
use crate::state::tree::{Need, Nodes};

pub(super) fn node_key(room: RoomNumber, hash: NodeHash) -> Key {
    Key::of(STATE_NODE, &(room, hash.0))
}

/// Asks `question` of `nodes`, loading what it needs until it has an answer.
///
/// # Errors
/// As every read; [`Error::Damaged`] when a node is missing from the store or is not what its name says.
pub async fn load<T>(
    store: &Store,
    nodes: &mut Nodes,
    mut question: impl FnMut(&mut Nodes) -> Result<T, Need>,
) -> Result<T, Error> {
    // Every round brings at least one node that was not there, of a finite tree: it ends.
    loop {
        let Need(hashes) = match question(nodes) {
            Ok(answer) => return Ok(answer),
            Err(need) => need,
        };
        read(store, nodes, &hashes).await?;
    }
}

/// Reads nodes into memory.
pub(super) async fn read(store: &Store, nodes: &mut Nodes, hashes: &[NodeHash]) -> Result<(), Error> {
    for hashes in hashes.chunks(limits::STATE_NODES_AT_ONCE) {
        let keys: Vec<Key> = hashes.iter().map(|hash| node_key(nodes.room(), *hash)).collect();
        let rows = store.engine().get_many(&keys).await.map_err(Error::storage("reading a room's state"))?;
        for (hash, row) in hashes.iter().zip(rows) {
            let row = row.ok_or_else(|| Error::damaged(format!("the state node {hash:?} is missing")))?;
            if !nodes.add_stored(*hash, &row.value) {
                return Err(Error::damaged(format!("the state node {hash:?} is not what its name says")));
            }
        }
    }
    Ok(())
}

/// Writes the nodes of `root` that were made and not yet stored. The batch must also make the room lead to `root`, under
/// the precondition that the room's head is unchanged, which keeps the collector away.
pub fn put_new_nodes(batch: &mut Batch, nodes: &Nodes, root: StateRoot) {
    for (hash, node) in nodes.to_store(root) {
        batch.put(&node_key(nodes.room(), hash), node);
    }
}
