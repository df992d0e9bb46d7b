//! A reader's end of a group session: verifies, winds to the index of the message, decrypts.

use std::cmp::Ordering;
use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;

use super::ratchet::Ratchet;
use super::{ExportedSessionKey, GroupSession, MegolmMessage, SessionConfig, SessionKey};
use crate::cipher::PaddingError;
use crate::key::{Ed25519PublicKey, SignatureError};
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::libolm::{self, LibolmPickleError};
use crate::pickle::{self, FieldError, PickleError, PickleKey};

/// A message that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// What it said.
    pub plaintext: Vec<u8>,
    /// Its place in the session. Two different events with the same index in one session are a replay: remember which
    /// event had which (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-replays>).
    pub index: u32,
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Why a message was refused. The session is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptionError {
    /// The message is written in the other version.
    #[error("decrypting a Megolm message: the session speaks {expected:?}, the message {got:?}")]
    Config {
        /// What the session speaks.
        expected: SessionConfig,
        /// What the message is written in.
        got: SessionConfig,
    },
    /// The sender of this session did not sign it.
    #[error("decrypting a Megolm message: {0}")]
    Signature(#[from] SignatureError),
    /// The message is older than what we were given the key for.
    #[error("decrypting a Megolm message: it has index {index}, we know the session from {first_known} on")]
    UnknownIndex {
        /// The first index that we know.
        first_known: u32,
        /// The index of the message.
        index: u32,
    },
    /// The sender signed it, but made it under another ratchet.
    #[error("decrypting a Megolm message: it is not authentic")]
    Mac,
    /// The message is authentic, but whoever wrote it padded it wrongly.
    #[error("decrypting a Megolm message: {0}")]
    Padding(#[from] PaddingError),
}

/// How one copy of a session's key relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionOrdering {
    /// Both read the same messages.
    Equal,
    /// This one reads earlier messages too.
    Better,
    /// The other reads earlier messages too.
    Worse,
    /// They are not copies of one session.
    Unconnected,
}

/// A session in which another device writes and this one reads.
pub struct InboundGroupSession {
    config: SessionConfig,
    /// The earliest ratchet we know.
    first: Ratchet,
    /// The one that was needed last: the next message is likely to be one step ahead.
    latest: Ratchet,
    signing_key: Ed25519PublicKey,
    signing_key_verified: bool,
}

impl InboundGroupSession {
    /// The session whose sender shared this key with us.
    #[must_use]
    pub fn new(key: &SessionKey, config: SessionConfig) -> Self {
        let (ratchet, signing_key) = key.parts();
        Self::from_parts(config, ratchet.clone(), signing_key, true)
    }

    /// The session whose key somebody passed on to us. Who that was, and whether to believe them, is for the caller to say.
    #[must_use]
    pub fn import(key: &ExportedSessionKey, config: SessionConfig) -> Self {
        let (ratchet, signing_key) = key.parts();
        Self::from_parts(config, ratchet.clone(), signing_key, false)
    }

    pub(crate) fn from_parts(
        config: SessionConfig,
        first: Ratchet,
        signing_key: Ed25519PublicKey,
        signing_key_verified: bool,
    ) -> Self {
        Self { config, latest: first.clone(), first, signing_key, signing_key_verified }
    }

    /// The name of the session: its signing key.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.signing_key.to_base64()
    }

    /// The version of Megolm that the session speaks.
    #[must_use]
    pub const fn config(&self) -> SessionConfig {
        self.config
    }

    /// The index of the earliest message that can be read.
    #[must_use]
    pub fn first_known_index(&self) -> u32 {
        self.first.index()
    }

    /// Whether the sender's own signature bound the ratchet to the signing key, or a later decryption of such a copy did.
    #[must_use]
    pub const fn signing_key_verified(&self) -> bool {
        self.signing_key_verified
    }

    /// Verifies and decrypts `message`. The same message decrypts as often as it comes; see [`Decrypted::index`].
    ///
    /// # Errors
    /// [`DecryptionError`]; the session is then as it was before.
    pub fn decrypt(&mut self, message: &MegolmMessage) -> Result<Decrypted, DecryptionError> {
        if message.config() != self.config {
            return Err(DecryptionError::Config { expected: self.config, got: message.config() });
        }
        let (signed, signature) = message.signed();
        self.signing_key.verify(signed, &signature)?;

        let index = message.index();
        let unknown = DecryptionError::UnknownIndex { first_known: self.first.index(), index };
        let ratchet = self.ratchet_at(index).ok_or(unknown)?;
        let keys = ratchet.cipher_keys();
        let (covered, tag) = message.authenticated();
        if !keys.mac(covered).matches(tag, self.config.mac_length()) {
            return Err(DecryptionError::Mac);
        }
        let plaintext = keys.decrypt(message.ciphertext())?;

        self.latest = ratchet;
        Ok(Decrypted { plaintext, index })
    }

    /// `R_index`, wound from the nearest ratchet before it. `None` if it is before all we know.
    fn ratchet_at(&self, index: u32) -> Option<Ratchet> {
        let nearest = [&self.latest, &self.first].into_iter().find(|ratchet| ratchet.index() <= index)?;
        let mut ratchet = nearest.clone();
        ratchet.advance_to(index);
        Some(ratchet)
    }

    /// The key to read from `index` on, to pass on. `None` if that is before all we know.
    #[must_use]
    pub fn export_at(&self, index: u32) -> Option<ExportedSessionKey> {
        Some(ExportedSessionKey::new(self.ratchet_at(index)?, self.signing_key))
    }

    /// The key to read all we can, to pass on.
    #[must_use]
    pub fn export(&self) -> ExportedSessionKey {
        ExportedSessionKey::new(self.first.clone(), self.signing_key)
    }

    /// Gives up the messages before `index` for good
    /// (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#partial-forward-secrecy>). Whether there were any to give up.
    pub fn advance_to(&mut self, index: u32) -> bool {
        if index <= self.first.index() {
            return false;
        }
        if let Some(ratchet) = self.ratchet_at(index) {
            if self.latest.index() < index {
                self.latest = ratchet.clone();
            }
            self.first = ratchet;
        }
        true
    }

    /// How this copy relates to `other`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> SessionOrdering {
        if self.config != other.config || self.signing_key != other.signing_key {
            return SessionOrdering::Unconnected;
        }
        let later = self.first.index().max(other.first.index());
        let connected = match (self.ratchet_at(later), other.ratchet_at(later)) {
            (Some(ours), Some(theirs)) => ours.ct_eq(&theirs).into(),
            _ => false,
        };
        match self.first.index().cmp(&other.first.index()) {
            _ if !connected => SessionOrdering::Unconnected,
            Ordering::Less => SessionOrdering::Better,
            Ordering::Equal => SessionOrdering::Equal,
            Ordering::Greater => SessionOrdering::Worse,
        }
    }

    /// Whether this copy and `other` are of one session.
    #[must_use]
    pub fn connected(&self, other: &Self) -> bool {
        self.compare(other) != SessionOrdering::Unconnected
    }

    /// The better of two copies, verified if either was: equal ratchets are bound to the signing key by either's proof.
    /// `None` if they are not of one session.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        let better = match self.compare(other) {
            SessionOrdering::Equal | SessionOrdering::Better => self,
            SessionOrdering::Worse => other,
            SessionOrdering::Unconnected => return None,
        };
        let verified = self.signing_key_verified || other.signing_key_verified;
        Some(Self::from_parts(self.config, better.first.clone(), self.signing_key, verified))
    }

    /// The session as encrypted bytes, to be kept.
    #[must_use]
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(pickle::Kind::InboundGroupSession, self, key, rng)
    }

    /// The session that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`PickleError`] if the bytes are not that, or the key is another.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(pickle::Kind::InboundGroupSession, bytes, key)
    }

    /// The session that libolm wrote, under the key that libolm was given.
    ///
    /// # Errors
    /// [`LibolmPickleError`] if the text is not that, or the key is another.
    pub fn from_libolm_pickle(text: &str, key: &[u8]) -> Result<Self, LibolmPickleError> {
        libolm::open(text, key, libolm::group_session::read_inbound)
    }
}

impl From<&GroupSession> for InboundGroupSession {
    fn from(session: &GroupSession) -> Self {
        Self::new(&session.session_key(), session.config())
    }
}

impl fmt::Debug for InboundGroupSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundGroupSession")
            .field("session_id", &self.session_id())
            .field("config", &self.config)
            .field("first_known_index", &self.first_known_index())
            .field("signing_key_verified", &self.signing_key_verified)
            .finish_non_exhaustive()
    }
}

/// The cached ratchet is left out: it follows from the first.
impl Pickled for InboundGroupSession {
    fn write(&self, out: &mut Writer) {
        out.flag(self.config == SessionConfig::V2);
        self.first.write(out);
        out.bytes(self.signing_key.as_bytes());
        out.flag(self.signing_key_verified);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let config = if from.flag()? { SessionConfig::V2 } else { SessionConfig::V1 };
        Ok(Self::from_parts(config, Ratchet::read(from)?, from.ed25519_public()?, from.flag()?))
    }
}

#[cfg(test)]
mod tests;
