//! Everything about the graph of events of a room: building, checking and authorising events, for room versions 1 to 12,
//! and the room's state before and after each of them.
//!
//! **Invariant.** What hashes, signs, authorises and compares does no I/O: keys, other events and nodes are arguments, and
//! what is lacking is named in the answer. Wire types, authorisation rules, hashes and signatures are ruma's; nothing here
//! repeats them.
//!
//! Where to go: [`event`] takes an event from received bytes to one that may be appended; [`state`] keeps rooms' states;
//! [`graph`] keeps events, who follows whom, and where a room stands; [`resolve`] makes one state of several; [`append`] is
//! the one way into a room; [`ingest`] takes what other servers send there, [`act`] is what people do there, [`notice`] what they have seen and not seen, [`read`] what is
//! asked of rooms; [`timeline`] is the order in which a room is shown; [`rooms`] is the handle that all above this crate
//! hold; [`number`] has the small numbers that stand for long names; [`error`] what can go wrong;
//! [`cache`] what appends remember.

pub mod act;
pub mod append;
pub mod cache;
pub mod error;
pub mod event;
pub mod graph;
pub mod ingest;
pub mod notice;
pub mod number;
pub mod read;
pub mod resolve;
pub mod rooms;
pub mod state;
pub mod timeline;

pub use error::{Error, Refusal};
pub use number::{EventNumber, KeyNumber, RoomNumber};
pub use rooms::{EncryptionPolicy, Rooms, RoomsOptions};
