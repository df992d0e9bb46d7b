//! The hybrid session: two devices, one ratchet, and secrets that a quantum computer of the future does not recover from what is
//! recorded today.
//!
//! It stands beside Olm, for devices that both offer it. Setting up is in the manner of PQXDH: three X25519 agreements and one
//! ML-KEM-768 encapsulation to a signed prekey (`handshake.rs`). Then each turn of the conversation mixes a fresh X25519 agreement
//! *and* a fresh encapsulation into the root (`ratchet.rs`), so that a stolen state heals after a round trip even against an
//! adversary who can undo one of the two.
//!
//! Follow a message out: [`Session::encrypt`] (whose turn is it) → `ratchet.rs` (which key is next) → `message.rs`. And in:
//! `message.rs` → [`Session::decrypt`] → `skipped.rs` or `ratchet.rs`.
//!
//! **What it costs.** A message carries the sender's ratchet keys (32 + 1184 bytes) and, after the opening chain, a ciphertext of 1088,
//! because any message may be the first that arrives. A session's state is some 2.7 kB instead of some 350 bytes. Sending the
//! ciphertext in pieces (as Signal's sparse ratchet does) would cost less a message and heal later; to-device messages are few, so
//! this pays in bytes and heals at once.
//!
//! **No downgrade.** Both devices sign what they offer; [`choose`] refuses a device that once offered the hybrid and no longer does;
//! both offers are part of what every message authenticates.
//!
//! The format is written down, with vectors, in `spec/hybrid-session.md`.

pub(crate) mod handshake;
pub(crate) mod message;
mod prekeys;
pub(crate) mod ratchet;
mod session;
pub(crate) mod skipped;
mod suite;
#[cfg(test)]
mod tests;

pub use message::{Message, PreKeyMessage, RatchetMessage};
pub use prekeys::{FALLBACK_USES_MAX, ONE_TIME_KEYS_MAX, PreKeys, PublicPreKey};
pub use session::Session;
pub use skipped::{CHAINS_MAX, GAP_MAX, SKIPPED_MAX};
pub use suite::{Identity, Suite, SuiteError, choose};

use crate::key::{KemError, NonContributoryKey};

/// The suite's name, which is also the first bytes of everything that is hashed.
pub const ALGORITHM: &str = crate::bundle::algorithm::HYBRID;

/// Why a session cannot be made, or a message not be encrypted or decrypted. Whatever it is, the session is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HybridError {
    /// One of the devices does not offer the hybrid.
    #[error("beginning a hybrid session: a device does not offer it")]
    NotOffered,
    /// The identity is not the one of the device keys.
    #[error("beginning a hybrid session: the identity key is not the device's")]
    OtherIdentity,
    /// The one-time key is of another algorithm, or another device's.
    #[error("beginning a hybrid session: the one-time key is not for it")]
    WrongPreKey,
    /// The message was made for a prekey that we do not have: used, or never ours.
    #[error("beginning a hybrid session: the prekey is not ours or was used")]
    UnknownPreKey,
    /// The message that began a session with a fallback key came again.
    #[error("beginning a hybrid session: this message began one already")]
    Replayed,
    /// The fallback key began so many sessions that no more can be told from replays.
    #[error("beginning a hybrid session: the fallback key is worn out")]
    WornOut,
    /// A public key of small order.
    #[error("agreeing on a hybrid session: {0}")]
    NonContributory(#[from] NonContributoryKey),
    /// A public key that is not reduced.
    #[error("agreeing on a hybrid session: {0}")]
    Kem(#[from] KemError),
    /// The bytes are no message of this version.
    #[error("reading a hybrid message: it is malformed")]
    Malformed,
    /// The message is of another session.
    #[error("decrypting a hybrid message: it is of another session")]
    OtherSession,
    /// The message was altered, or is not of this session.
    #[error("decrypting a hybrid message: it was altered")]
    Altered,
    /// The message was decrypted before, or so many came after it that its key was dropped.
    #[error("decrypting a hybrid message: its key was used or dropped")]
    KeyGone,
    /// More messages are missing before this one than are made up for.
    #[error("decrypting a hybrid message: more than {GAP_MAX} before it are missing")]
    TooFarAhead,
    /// The message is of a turn that cannot follow ours.
    #[error("decrypting a hybrid message: it belongs to no turn that could be")]
    OutOfTurn,
    /// So many messages in one turn that their numbers ran out.
    #[error("encrypting a hybrid message: the chain is at its end")]
    ChainEnd,
    /// The plaintext is too long for the cipher.
    #[error("encrypting a hybrid message: it is too long")]
    TooLong,
}
