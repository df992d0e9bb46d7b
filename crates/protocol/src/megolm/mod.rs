//! Megolm: one sender, many readers, one ratchet that winds forwards only.
//!
//! Read it with the specification open (<https://spec.matrix.org/v1.19/olm-megolm/megolm/>).
//!
//! - `ratchet.rs`: `R_i` in its four parts, and how it winds.
//! - [`group_session`]: the sender's end.
//! - [`inbound`]: a reader's end.
//! - [`message`]: what travels. [`session_key`]: what is shared, over Olm, so that others can read.
//!
//! Megolm does not heal: who learns `R_i` reads everything from `i` on, until the sender begins a new session. It does not
//! stop replays either: the index of each message is given back, and the caller must remember
//! (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-replays>).

mod config;
pub mod group_session;
pub mod inbound;
pub mod message;
pub(crate) mod ratchet;
pub mod session_key;

pub use config::SessionConfig;
pub use group_session::{EncryptionError, GroupSession};
pub use inbound::{Decrypted, DecryptionError, InboundGroupSession, SessionOrdering};
pub use message::{DecodeError, MegolmMessage};
pub use session_key::{ExportedSessionKey, SessionKey, SessionKeyError};
