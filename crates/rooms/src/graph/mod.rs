//! The graph of a room's events as it is stored: numbers for ids, each event's JSON and what the graph must know of it,
//! who follows whom, auth chains, and the room's head.
//!
//! What an event is worth is its [`Standing`]: accepted, soft-failed or rejected. Where it lies is its [`Place`]: in the
//! graph, with the state before and after it, or outside as an *outlier*, known only because another leans on it. The
//! *forward extremities* are the accepted events that no accepted one follows; our next event names them.
//!
//! Must not decide anything about an event; `event` does, and `state` keeps the states that places refer to.
//!
//! Where to go: `record` has the rows, `read` and `write` carry them; `head` finds the forward extremities and `chain` the
//! auth chains, both without I/O.
//!
//! [`Standing`]: crate::event::Standing

mod chain;
mod head;
mod read;
mod record;
mod write;

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod head_tests;
#[cfg(test)]
mod tests;

pub use chain::{AuthChain, StoredChain};
pub use head::{NeedEvents, Seen, extremities_after};
pub use read::{Graph, Pending, Stored, find_room, head_of, heads_of, rooms_of_event};
pub use record::{Completeness, EventFacts, EventFactsV1, Head, HeadV1, HeadV2, Place, Transaction};
pub use write::{
    Numbering, put_chain, put_event, put_facts, put_head, put_partial, put_redacted, put_room, remove_partial,
};
pub(crate) use write::{delete_event, delete_number, delete_room, require_head};
