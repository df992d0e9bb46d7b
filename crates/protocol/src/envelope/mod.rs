//! Sealed envelopes: what one homeserver sends another through a third that must learn neither content nor sender.
//!
//! A server publishes an [`EnvelopeKey`], signed by its Ed25519 server key. A sender seals to it: X25519 and ML-KEM-768 agree on a secret, HKDF
//! over the whole transcript makes a key of it, ChaCha20-Poly1305 encrypts. Inside stand the sender's name and its signature, so that
//! the relay sees the recipient's key id, a size class, and nothing else.
//!
//! ```text
//! bytes ─▶ SealedEnvelope ─decrypt▶ UnverifiedLetter ─verify▶ VerifiedLetter ─ReplayWindow::admit▶ Letter
//! ```
//!
//! The payload can be had from a [`Letter`] only: decrypted, authenticated, and seen for the first time.
//!
//! The format is written down, with vectors, in `spec/sealed-envelope.md`. What it does not give: forward secrecy finer than the
//! lifetime of the recipient's key, deniability, and a post-quantum signature (see `spec/threat-model.md`).

mod key;
mod open;
mod padding;
mod schedule;
mod seal;
#[cfg(test)]
mod tests;
mod window;

pub use key::{EnvelopeKey, EnvelopeSecretKey, LIFETIME_MAX_MS};
pub use open::{Letter, SealedEnvelope, UnverifiedLetter, VerifiedLetter};
pub use padding::padded_length;
pub use seal::{Sender, seal, sealed_length};
pub use window::{AGE_MAX_MS, ReplayError, ReplayWindow, SEEN_MAX, SENDERS_MAX, SKEW_MAX_MS, SNAPSHOT_BYTES_MAX};

use crate::bundle::BundleError;
use crate::canonical::FieldError;
use crate::key::{KemError, KeyError, NonContributoryKey};

/// The suite's name: in published keys, and the first bytes of everything that is hashed or signed.
pub const ALGORITHM: &str = "org.holdfast.envelope.v1.x25519-mlkem768";

/// The first byte of an envelope.
pub const VERSION: u8 = 1;

/// What stands before the ciphertext: version, key id, ephemeral key, ML-KEM ciphertext.
pub const HEADER_LENGTH: usize = 1 + 16 + 32 + 1088;

/// The longest payload: a transaction of 50 events and 100 others at their largest fits twice.
pub const PAYLOAD_MAX: usize = 16 * 1024 * 1024;

/// The longest server name and the longest name of a signing key, in bytes.
pub const NAME_MAX: usize = 255;

/// Why an envelope cannot be sealed or opened, or a key not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A published key lacks a field.
    #[error("reading an envelope key: {0}")]
    Field(#[from] FieldError),
    /// A published key is not signed by its server.
    #[error("reading an envelope key: {0}")]
    Signature(BundleError),
    /// A published key is of another suite.
    #[error("reading an envelope key: unknown algorithm {0:?}")]
    Algorithm(String),
    /// A published key is another server's.
    #[error("reading an envelope key: it belongs to {0:?}")]
    OtherServer(String),
    /// The classical half is no key.
    #[error("reading an envelope key: {0}")]
    Curve(#[from] KeyError),
    /// The post-quantum half is no key.
    #[error("reading an envelope key: {0}")]
    Kem(#[from] KemError),
    /// The key id is not that of the keys.
    #[error("reading an envelope key: its id is not that of its keys")]
    KeyId,
    /// The lifetime is empty or longer than [`LIFETIME_MAX_MS`].
    #[error("reading an envelope key: its lifetime is empty or too long")]
    Lifetime,
    /// The key is not valid at this time.
    #[error("sealing an envelope: the recipient's key is not valid now")]
    NotValidNow,
    /// A name is empty or longer than [`NAME_MAX`].
    #[error("sealing an envelope: a name is empty or too long")]
    Name,
    /// The payload is longer than [`PAYLOAD_MAX`], or an envelope longer than such a payload makes it.
    #[error("sealing or opening an envelope: it is too long")]
    TooLong,
    /// A key of small order.
    #[error("sealing or opening an envelope: {0}")]
    NonContributory(#[from] NonContributoryKey),
    /// The envelope is shorter than any, or of another version.
    #[error("opening an envelope: this is none of version {VERSION}")]
    NotAnEnvelope,
    /// The envelope is for another key.
    #[error("opening an envelope: it is sealed to another key")]
    OtherKey,
    /// The envelope was altered, or sealed to another server's name.
    #[error("opening an envelope: it was altered")]
    Altered,
    /// What was sealed is not a letter.
    #[error("opening an envelope: what was sealed is malformed")]
    Malformed,
    /// The sender that the letter names has not signed it.
    #[error("opening an envelope: {0:?} did not sign it")]
    WrongSender(String),
}
