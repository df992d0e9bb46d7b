//! The pre-key message: the public keys that a session is agreed from, around a normal message
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#pre-key-messages>).
//!
//! No MAC covers the outer fields. What protects them is that the session follows from them: other keys give another
//! shared secret, and the MAC inside fails. That argument needs each key to have one spelling, so [`canonical_key`]
//! refuses the others. The order of the fields is free, and says nothing.

use super::{DecodeError, NormalMessage};
use crate::key::Curve25519PublicKey;
use crate::olm::SessionKeys;
use crate::wire;

const VERSION: u8 = 3;
const ONE_TIME_KEY: u8 = 0x0a;
const BASE_KEY: u8 = 0x12;
const IDENTITY_KEY: u8 = 0x1a;
const MESSAGE: u8 = 0x22;

/// Room for the version, three keys with tag and length, a tag and a length.
const OVERHEAD_MAX: usize = 1 + 3 * (2 + Curve25519PublicKey::LENGTH) + 11;

/// An Olm message that brings the keys which the receiver needs to create the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeyMessage {
    session_keys: SessionKeys,
    message: NormalMessage,
}

impl PreKeyMessage {
    pub(crate) fn new(session_keys: SessionKeys, message: NormalMessage) -> Self {
        Self { session_keys, message }
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless `bytes` are a message and nothing more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (version, payload) = bytes.split_first().ok_or(DecodeError::TooShort)?;
        if *version != VERSION {
            return Err(DecodeError::Version(*version));
        }
        let [one_time_key, base_key, identity_key, message] =
            wire::read_fields(payload, [ONE_TIME_KEY, BASE_KEY, IDENTITY_KEY, MESSAGE])?;
        let session_keys = SessionKeys {
            identity_key: canonical_key(identity_key.string)?,
            base_key: canonical_key(base_key.string)?,
            one_time_key: canonical_key(one_time_key.string)?,
        };
        Ok(Self { session_keys, message: NormalMessage::from_bytes(message.string)? })
    }

    /// The bytes that travel, with the fields in the order of the specification.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let inner = self.message.as_bytes();
        let mut bytes = Vec::with_capacity(OVERHEAD_MAX + inner.len());
        bytes.push(VERSION);
        wire::push_string(&mut bytes, ONE_TIME_KEY, self.session_keys.one_time_key.as_bytes());
        wire::push_string(&mut bytes, BASE_KEY, self.session_keys.base_key.as_bytes());
        wire::push_string(&mut bytes, IDENTITY_KEY, self.session_keys.identity_key.as_bytes());
        wire::push_string(&mut bytes, MESSAGE, inner);
        bytes
    }

    /// The keys that the session is agreed from.
    #[must_use]
    pub const fn session_keys(&self) -> SessionKeys {
        self.session_keys
    }

    /// The name of the session that this message belongs to: if it is at hand, decrypt with it, else create it.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.session_keys.session_id()
    }

    /// The message inside.
    #[must_use]
    pub const fn message(&self) -> &NormalMessage {
        &self.message
    }
}

/// The public key that `bytes` write, if no other bytes write the same.
pub(super) fn canonical_key(bytes: &[u8]) -> Result<Curve25519PublicKey, DecodeError> {
    let key = Curve25519PublicKey::from_slice(bytes)?;
    if key.is_canonical() { Ok(key) } else { Err(DecodeError::NonCanonicalKey) }
}
