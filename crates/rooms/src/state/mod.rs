//! The state of rooms: a persistent tree from what state is filed under (its type and state key, as a [`KeyNumber`]) to
//! the event that holds it (as an [`EventNumber`]). Nodes are named by their content's hash and never change, so every
//! state a room ever had is kept for the few nodes in which it differs from the one before; equal states have equal
//! roots; and the difference of two states costs what they differ by. Measured in spec/decisions/0010-state-tree.md.
//!
//! Must not know what an event says, nor resolve anything.
//!
//! Where to go: `node` is the stored form of a node, `tree` reads and changes trees and `difference` compares them, both
//! without I/O: a [`Need`] names the nodes that they lack, and `load` fetches those and asks again. `keys` gives keys
//! their numbers, `collect` removes nodes that no root leads to.
//!
//! [`KeyNumber`]: crate::KeyNumber
//! [`EventNumber`]: crate::EventNumber

mod collect;
mod difference;
mod keys;
mod load;
mod node;
mod tree;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;

pub use collect::{Collected, collect};
pub use difference::Difference;
pub use keys::{add_key, key_names, key_numbers};
pub use load::{load, put_new_nodes};
pub use node::{NodeHash, StateRoot};
pub(crate) use tree::KeptNode;
pub use tree::{Changes, Need, Nodes};
