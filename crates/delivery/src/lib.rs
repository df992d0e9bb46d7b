//! The readers that are not homeservers: what becomes of accounts is told to rooms, and push gateways are told of events.
//!
//! **Invariant.** Everything here follows the log with a cursor of its own. Nothing calls it, and what fails here stops
//! nobody else.
//!
//! Where to go: [`accounts_to_rooms`] shows new profiles in rooms and lets deactivated users leave them.

pub mod accounts_to_rooms;
