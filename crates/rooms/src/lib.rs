//! Everything about the graph of events of a room: building, checking and authorising events, for room versions 1 to 12.
//!
//! **Invariant.** What hashes, signs and authorises does no I/O: keys and other events are arguments, and what is lacking
//! is named in the answer. Wire types, authorisation rules, hashes and signatures are ruma's; nothing here repeats them.
//!
//! Where to go: [`event`] takes an event from received bytes to one that may be appended; [`error`] has what can go wrong.

pub mod error;
pub mod event;

pub use error::Refusal;
