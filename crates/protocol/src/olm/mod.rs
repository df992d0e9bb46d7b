//! Olm: the double ratchet between two devices.
//!
//! Read it with the specification open (<https://spec.matrix.org/v1.19/olm-megolm/olm/>); the files are its nouns.
//!
//! - [`Account`](account): a device's identity keys, and the one-time and fallback keys it publishes so that others can
//!   begin a session while it is away.
//! - `shared_secret.rs`: from the keys of two accounts to the first secret of a session.
//! - [`session`]: the ratchet. `R_i` is in `root_key.rs`, `T_i` in `ratchet.rs`, `C_i,j` in `chain_key.rs`, `M_i,j` in
//!   `message_key.rs`.
//! - [`message`]: what travels.
//!
//! Olm proves that a message comes from the holder of an identity key. Whose key that is, it does not know: the caller must
//! put names into the plaintext and compare them
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#message-authentication-concerns>).

pub mod account;
mod config;
pub mod message;
pub mod session;
mod session_keys;
mod shared_secret;

pub use account::{Account, IdentityKeys, InboundSession, KeyId, SessionCreationError};
pub use config::SessionConfig;
pub use message::{DecodeError, MessageType, NormalMessage, OlmMessage, PreKeyMessage};
pub use session::{DecryptionError, EncryptionError, Session};
pub use session_keys::SessionKeys;
