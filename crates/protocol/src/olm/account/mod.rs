//! A device's long-lived keys, and the beginning of sessions.
//!
//! An account is the device's identity: a signing key that others verify its other keys by, and a Curve25519 key that each
//! session is bound to. Around them are the one-time keys (`one_time_keys.rs`) and fallback keys (`fallback_keys.rs`) that let others begin a session while
//! the device is away.

pub(crate) mod fallback_keys;
pub(crate) mod one_time_keys;

use std::fmt;

use rand_core::CryptoRng;

use self::fallback_keys::FallbackKeys;
use self::one_time_keys::OneTimeKeys;
pub use self::one_time_keys::{GeneratedKeys, MAX_ONE_TIME_KEYS, ONE_TIME_KEYS_TO_PUBLISH};
use super::session::DecryptionError;
use super::{PreKeyMessage, Session, SessionConfig, SessionKeys, shared_secret};
use crate::encoding;
use crate::key::{
    Curve25519PublicKey, Curve25519SecretKey, Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature, NonContributoryKey,
};
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::libolm::{self, LibolmPickleError};
use crate::pickle::{self, FieldError, PickleError, PickleKey};

/// The name that an account gives a one-time or fallback key; unique within its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl KeyId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The part behind the colon in `signed_curve25519:AAAAAAAAAAA`.
    #[must_use]
    pub fn to_base64(self) -> String {
        encoding::encode(self.0.to_be_bytes())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

/// The public keys that a device is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentityKeys {
    /// Signs the device's other keys: its fingerprint.
    pub ed25519: Ed25519PublicKey,
    /// `I`: takes part in the agreement of every session.
    pub curve25519: Curve25519PublicKey,
}

/// A session that another device began, and the message that it began with.
pub struct InboundSession {
    /// Our end of the session.
    pub session: Session,
    /// What the message said.
    pub plaintext: Vec<u8>,
}

impl fmt::Debug for InboundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundSession").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Why a session could not be created. The account is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionCreationError {
    /// One of the other side's keys is of small order.
    #[error("creating an Olm session: {0}")]
    NonContributoryKey(#[from] NonContributoryKey),
    /// One of the other side's keys is in a spelling that no honest software writes: its session would have two names.
    #[error("creating an Olm session: a public key is not in its canonical form")]
    NonCanonicalKey,
    /// The message names another sender than the one it came from.
    #[error("creating an Olm session: the message is from {got}, not from {expected}")]
    OtherIdentityKey {
        /// The key of the device that the message came from.
        expected: Curve25519PublicKey,
        /// The key that the message names.
        got: Curve25519PublicKey,
    },
    /// The message is written in another version than the one expected.
    #[error("creating an Olm session: {expected:?} was expected, the message is written in {got:?}")]
    Config {
        /// What the caller expects.
        expected: SessionConfig,
        /// What the message is written in.
        got: SessionConfig,
    },
    /// The key that the message was made for was used already, was forgotten, or never was ours.
    #[error("creating an Olm session: we do not have the one-time key {0}")]
    UnknownOneTimeKey(Curve25519PublicKey),
    /// The message does not decrypt with the session that follows from its keys.
    #[error("creating an Olm session: {0}")]
    Decryption(#[from] DecryptionError),
}

/// A device's secret keys.
pub struct Account {
    signing_key: Ed25519SecretKey,
    identity_key: Curve25519SecretKey,
    one_time_keys: OneTimeKeys,
    fallback_keys: FallbackKeys,
}

impl Account {
    /// A new device.
    pub fn new(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_parts(
            Ed25519SecretKey::generate(rng),
            Curve25519SecretKey::generate(rng),
            OneTimeKeys::default(),
            FallbackKeys::default(),
        )
    }

    pub(crate) fn from_parts(
        signing_key: Ed25519SecretKey,
        identity_key: Curve25519SecretKey,
        one_time_keys: OneTimeKeys,
        fallback_keys: FallbackKeys,
    ) -> Self {
        Self { signing_key, identity_key, one_time_keys, fallback_keys }
    }

    /// The public keys that the device is known by.
    #[must_use]
    pub fn identity_keys(&self) -> IdentityKeys {
        IdentityKeys { ed25519: self.signing_key.public_key(), curve25519: self.identity_key.public_key() }
    }

    /// The secret of the identity key, for the other protocol that agrees with it.
    pub(crate) fn identity_secret(&self) -> &Curve25519SecretKey {
        &self.identity_key
    }

    /// Signs `message` with the device's signing key.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Ed25519Signature {
        self.signing_key.sign(message)
    }

    /// Makes `count` one-time keys, though never more than [`MAX_ONE_TIME_KEYS`]. Publish them, then
    /// [`Self::mark_keys_as_published`].
    pub fn generate_one_time_keys(&mut self, count: usize, rng: &mut (impl CryptoRng + ?Sized)) -> GeneratedKeys {
        self.one_time_keys.generate(count, rng)
    }

    /// The one-time keys that are not published yet.
    pub fn unpublished_one_time_keys(&self) -> impl Iterator<Item = (KeyId, Curve25519PublicKey)> {
        self.one_time_keys.unpublished()
    }

    /// How many one-time keys the account keeps, published or not.
    #[must_use]
    pub fn stored_one_time_keys(&self) -> usize {
        self.one_time_keys.len()
    }

    /// Makes a new fallback key. The current one becomes the previous; the one before that is forgotten, and given back.
    pub fn generate_fallback_key(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Option<Curve25519PublicKey> {
        self.fallback_keys.generate(rng)
    }

    /// The fallback key, if it is not published yet.
    #[must_use]
    pub fn unpublished_fallback_key(&self) -> Option<(KeyId, Curve25519PublicKey)> {
        self.fallback_keys.unpublished()
    }

    /// Forgets the previous fallback key, once no message made with it can be on its way any more. Whether there was one.
    pub fn forget_previous_fallback_key(&mut self) -> bool {
        self.fallback_keys.forget_previous()
    }

    /// The server has the keys that were not published.
    pub fn mark_keys_as_published(&mut self) {
        self.one_time_keys.mark_as_published();
        self.fallback_keys.mark_as_published();
    }

    /// Begins a session with the device of `identity_key`, of which `one_time_key` was claimed. Both must have been verified
    /// to be that device's (<https://spec.matrix.org/v1.19/olm-megolm/olm/#creating-an-outbound-session>).
    ///
    /// # Errors
    /// [`SessionCreationError`] if one of the keys is of small order or not canonical.
    pub fn create_outbound_session(
        &self,
        config: SessionConfig,
        identity_key: &Curve25519PublicKey,
        one_time_key: &Curve25519PublicKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Session, SessionCreationError> {
        if !one_time_key.is_canonical() || !identity_key.is_canonical() {
            return Err(SessionCreationError::NonCanonicalKey);
        }
        let base_key = Curve25519SecretKey::generate(rng);
        let secrets = shared_secret::of_alice(&self.identity_key, &base_key, identity_key, one_time_key)?;
        let session_keys = SessionKeys {
            identity_key: self.identity_key.public_key(),
            base_key: base_key.public_key(),
            one_time_key: *one_time_key,
        };
        Ok(Session::outbound(config, session_keys, secrets, rng))
    }

    /// Creates our end of the session that the device of `their_identity_key` began with `message`, and reads the message
    /// (<https://spec.matrix.org/v1.19/olm-megolm/olm/#creating-an-inbound-session-from-a-pre-key-message>).
    ///
    /// The one-time key is forgotten, but only when the message proved authentic; a fallback key is kept.
    ///
    /// # Errors
    /// [`SessionCreationError`]; the account is then as it was before.
    pub fn create_inbound_session(
        &mut self,
        config: SessionConfig,
        their_identity_key: &Curve25519PublicKey,
        message: &PreKeyMessage,
    ) -> Result<InboundSession, SessionCreationError> {
        let keys = message.session_keys();
        if keys.identity_key != *their_identity_key {
            let (expected, got) = (*their_identity_key, keys.identity_key);
            return Err(SessionCreationError::OtherIdentityKey { expected, got });
        }
        if message.message().config() != config {
            return Err(SessionCreationError::Config { expected: config, got: message.message().config() });
        }
        let one_time_key = self
            .one_time_keys
            .find(&keys.one_time_key)
            .or_else(|| self.fallback_keys.find(&keys.one_time_key))
            .ok_or(SessionCreationError::UnknownOneTimeKey(keys.one_time_key))?;
        let secrets = shared_secret::of_bob(&self.identity_key, one_time_key, &keys.identity_key, &keys.base_key)?;
        let (session, plaintext) = Session::inbound(message, secrets)?;

        self.one_time_keys.remove(&keys.one_time_key);
        Ok(InboundSession { session, plaintext })
    }

    /// The account as encrypted bytes, to be kept.
    #[must_use]
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(pickle::Kind::Account, self, key, rng)
    }

    /// The account that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`PickleError`] if the bytes are not that, or the key is another.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(pickle::Kind::Account, bytes, key)
    }

    /// The account that libolm wrote, under the key that libolm was given.
    ///
    /// # Errors
    /// [`LibolmPickleError`] if the text is not that, or the key is another.
    pub fn from_libolm_pickle(text: &str, key: &[u8]) -> Result<Self, LibolmPickleError> {
        libolm::open(text, key, libolm::account::read)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("identity_keys", &self.identity_keys())
            .field("one_time_keys", &self.one_time_keys.len())
            .finish_non_exhaustive()
    }
}

impl Pickled for Account {
    fn write(&self, out: &mut Writer) {
        out.ed25519_secret(&self.signing_key);
        out.bytes(self.identity_key.as_bytes());
        self.one_time_keys.write(out);
        self.fallback_keys.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            signing_key: from.ed25519_secret()?,
            identity_key: from.curve25519_secret()?,
            one_time_keys: OneTimeKeys::read(from)?,
            fallback_keys: FallbackKeys::read(from)?,
        })
    }
}

#[cfg(test)]
mod tests;
