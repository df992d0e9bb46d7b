//! The sender's end of a group session: encrypts, signs, and winds the ratchet.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::ratchet::Ratchet;
use super::{MegolmMessage, SessionConfig, SessionKey};
use crate::key::Ed25519SecretKey;
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::libolm::{self, LibolmPickleError};
use crate::pickle::{self, FieldError, PickleError, PickleKey};

/// Why a message could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The ratchet has come to its end after 2^32 − 1 messages; to wind it further would repeat indices.
    #[error("encrypting a Megolm message: the session is used up")]
    Exhausted,
}

/// A session in which this device writes. Begin a new one often, and whenever a reader leaves
/// (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#lack-of-backward-secrecy>).
pub struct GroupSession {
    config: SessionConfig,
    ratchet: Ratchet,
    signing_key: Ed25519SecretKey,
}

impl GroupSession {
    /// A new session (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#session-setup>).
    pub fn new(config: SessionConfig, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut parts = Zeroizing::new([0; Ratchet::LENGTH]);
        rng.fill_bytes(parts.as_mut());
        Self::from_parts(config, Ratchet::new(&parts, 0), Ed25519SecretKey::generate(rng))
    }

    pub(crate) fn from_parts(config: SessionConfig, ratchet: Ratchet, signing_key: Ed25519SecretKey) -> Self {
        Self { config, ratchet, signing_key }
    }

    /// The name of the session: its signing key.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.signing_key.public_key().to_base64()
    }

    /// The version of Megolm that the session speaks.
    #[must_use]
    pub const fn config(&self) -> SessionConfig {
        self.config
    }

    /// `i`: the index of the next message.
    #[must_use]
    pub fn next_index(&self) -> u32 {
        self.ratchet.index()
    }

    /// What lets others read the messages from the next one on. Send it over Olm only.
    #[must_use]
    pub fn session_key(&self) -> SessionKey {
        SessionKey::new(&self.ratchet, &self.signing_key)
    }

    /// Encrypts and signs `plaintext` (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-encryption>).
    ///
    /// # Errors
    /// [`EncryptionError::Exhausted`] at the end of the ratchet.
    pub fn encrypt(&mut self, plaintext: &[u8]) -> Result<MegolmMessage, EncryptionError> {
        let index = self.ratchet.index();
        let next = index.checked_add(1).ok_or(EncryptionError::Exhausted)?;
        let keys = self.ratchet.cipher_keys();
        let message = MegolmMessage::seal(self.config, index, &keys, &self.signing_key, plaintext);
        self.ratchet.advance_to(next);
        Ok(message)
    }

    /// The session as encrypted bytes, to be kept.
    #[must_use]
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(pickle::Kind::GroupSession, self, key, rng)
    }

    /// The session that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`PickleError`] if the bytes are not that, or the key is another.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(pickle::Kind::GroupSession, bytes, key)
    }

    /// The session that libolm wrote, under the key that libolm was given.
    ///
    /// # Errors
    /// [`LibolmPickleError`] if the text is not that, or the key is another.
    pub fn from_libolm_pickle(text: &str, key: &[u8]) -> Result<Self, LibolmPickleError> {
        libolm::open(text, key, libolm::group_session::read_outbound)
    }
}

impl fmt::Debug for GroupSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSession")
            .field("session_id", &self.session_id())
            .field("config", &self.config)
            .field("next_index", &self.next_index())
            .finish_non_exhaustive()
    }
}

impl Pickled for GroupSession {
    fn write(&self, out: &mut Writer) {
        out.flag(self.config == SessionConfig::V2);
        self.ratchet.write(out);
        out.ed25519_secret(&self.signing_key);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let config = if from.flag()? { SessionConfig::V2 } else { SessionConfig::V1 };
        Ok(Self { config, ratchet: Ratchet::read(from)?, signing_key: from.ed25519_secret()? })
    }
}
