//! What other servers send: events of a room, one by one or with a whole state, from which come verdicts and appends.
//!
//! The heart is [`Machine`], which does no I/O: it takes events, says what it *needs* (what the store has of some ids, keys
//! of servers, events before others, the state before one, events by id) or what is *ready* to be appended, and in the end
//! what became of each event. `drive` feeds it from the store, asks other servers through [`Fetch`], and appends.
//!
//! An event goes through the checks of
//! <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu> in their order: format,
//! signatures, hash (`event`), the events it leans on, the state before it, the room's state now (`arrive`), and the room's
//! policy server (`policy`). An event that is known only because another leans on it is kept as an *outlier* (`outlier`) and
//! becomes part of the graph, under its number, when it comes by itself.
//!
//! Work on what others sent is dangerous, so it is done in a [`Workshop`], which survives panics and endless work, and
//! knows at the next start what the process died of; such an event is *set aside* (`set_aside`).
//!
//! Must not talk HTTP, nor decide whom to ask: who implements [`Fetch`] does.
//!
//! Where to go: `acl` says which servers may take part in a room, `history` gives fetched events their places, `join` makes
//! a room of what a server answered to a join, `complete` ends a partial state.

mod acl;
mod arrive;
mod complete;
mod drive;
mod fetch;
mod guard;
mod history;
mod join;
mod machine;
mod outlier;
mod policy;
mod set_aside;
mod verdict;

#[cfg(test)]
mod tests;

pub use acl::ServerAcl;
pub use drive::Sent;
pub use fetch::{Fetch, NoFetch, StateIds};
pub use guard::{Poison, Workshop};
pub use join::{Members, Welcome};
pub use machine::{Held, Machine, Need, Placing, Ready, Role, Source, Step, Taken};
pub use policy::{Policy, PolicyServer};
pub use set_aside::{Cause, Digest, NoDigest, Replayed, SetAside, Stage};
pub use verdict::{Report, Verdict};
