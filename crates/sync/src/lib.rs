//! What changed since: `/sync`, simplified sliding sync, and waking those who wait for something to change.
//!
//! **Invariant.** Nothing here writes anything but what a client acknowledges, and nothing is stored for a device that waits.
//! A client's token says what it has seen; the answer follows from the log, the rooms and the accounts alone, so any node,
//! before or after a restart, gives the same.
//!
//! Where to go: [`handle`] is what all above this crate hold; [`token`] is what clients carry; `follow` follows the log and
//! wakes; [`classic`] is `/sync` and [`sliding`] sliding sync; [`error`] what can go wrong. `section`, `devices`, `extras` and `account` find what is
//! told, `user_rooms`, `told` and `shared` keep what is worth keeping, `json` writes.

mod account;
pub mod classic;
mod devices;
pub mod error;
mod extras;
mod filter;
#[cfg(test)]
mod fixture;
mod follow;
pub mod handle;
mod json;
mod key_changes;
mod section;
mod shared;
pub mod sliding;
pub mod token;
mod told;
mod user_rooms;

pub use classic::{Request, WhichState};
pub use error::{Error, Refusal};
pub use filter::parse_filter;
pub use handle::{Syncer, Viewer};
pub use key_changes::KeyChanges;
pub use sliding::{Body, SlidingQuery, SlidingRequest};
pub use token::Token;
