//! The readers that are not homeservers: what becomes of accounts is told to rooms, and push gateways are told of events.
//!
//! **Invariant.** Everything here follows the log with a cursor of its own. Nothing calls it, and what fails here stops
//! nobody else: what is away or slow delays what is meant for it, and nothing is stored for an event that was delivered.
//!
//! Where to go: [`accounts_to_rooms`] shows new profiles in rooms and lets deactivated users leave them; [`push`] tells
//! gateways of events; [`error`] what can go wrong there.

pub mod accounts_to_rooms;
pub mod error;
pub mod push;

pub use error::Error;
pub use push::{Push, Trouble};
