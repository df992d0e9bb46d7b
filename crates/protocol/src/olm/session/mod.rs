//! A session: two parties, one double ratchet, any number of messages either way.
//!
//! Follow a message out: [`Session::encrypt`] → `double_ratchet.rs` (which state are we in, which key is next) →
//! `chain_key.rs` → `message_key.rs` → [`NormalMessage`]. And in: [`Session::decrypt`] →
//! `receiver_chain.rs` (known ratchet key), or `double_ratchet.rs` and `root_key.rs` (new one) → `message_key.rs`.
//!
//! **Invariant.** A message that is refused changes nothing. Sessions cannot be cloned: two copies would encrypt two
//! messages under one key.

pub(crate) mod chain_key;
pub(crate) mod double_ratchet;
pub(crate) mod message_key;
pub(crate) mod ratchet;
pub(crate) mod receiver_chain;
pub(crate) mod root_key;

use std::fmt;

use rand_core::CryptoRng;

use self::chain_key::ChainKey;
use self::double_ratchet::DoubleRatchet;
use self::ratchet::RemoteRatchetKey;
use self::receiver_chain::ReceiverChain;
pub use self::receiver_chain::{MAX_MESSAGE_GAP, MAX_SKIPPED_KEYS};
use self::root_key::RootBytes;
use super::message::{NormalMessage, OlmMessage, PreKeyMessage};
use super::{SessionConfig, SessionKeys};
use crate::cipher::PaddingError;
use crate::key::NonContributoryKey;
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::libolm::{self, LibolmPickleError};
use crate::pickle::{self, FieldError, PickleError, PickleKey};

/// How many chains of the other side's a session remembers, so that what was sent before a change of ratchet keys can
/// still arrive; beyond it the oldest goes. The number is that of libolm and vodozemac.
pub const MAX_RECEIVER_CHAINS: usize = 5;

/// Why a message could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The other side sent a ratchet key of small order.
    #[error("encrypting an Olm message: {0}")]
    NonContributoryKey(#[from] NonContributoryKey),
}

/// Why a message was refused. The session is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptionError {
    /// The keys around a pre-key message are not those of this session.
    #[error("decrypting an Olm message: it belongs to another session")]
    OtherSession,
    /// The message is written in the other version.
    #[error("decrypting an Olm message: the session speaks {expected:?}, the message {got:?}")]
    Config {
        /// What the session speaks.
        expected: SessionConfig,
        /// What the message is written in.
        got: SessionConfig,
    },
    /// A ratchet key that the other side cannot have made yet, or one so old that its chain is forgotten.
    #[error("decrypting an Olm message: no chain has its ratchet key, and no new one was due")]
    UnknownRatchetKey,
    /// The key was used already, or so many messages were missing that it is forgotten.
    #[error("decrypting an Olm message: the key of message {index} was used or is forgotten")]
    UnknownMessageKey {
        /// The place of the message in its chain.
        index: u64,
    },
    /// The message is further ahead than [`MAX_MESSAGE_GAP`].
    #[error("decrypting an Olm message: it is {gap} messages ahead, which is more than {MAX_MESSAGE_GAP}")]
    GapTooBig {
        /// How far ahead it is.
        gap: u64,
    },
    /// The ratchet key of the message is of small order.
    #[error("decrypting an Olm message: {0}")]
    NonContributoryKey(#[from] NonContributoryKey),
    /// The message was altered, or was not made for this session.
    #[error("decrypting an Olm message: it is not authentic")]
    Mac,
    /// The message is authentic, but whoever wrote it padded it wrongly.
    #[error("decrypting an Olm message: {0}")]
    Padding(#[from] PaddingError),
}

/// One end of a conversation between two devices.
pub struct Session {
    config: SessionConfig,
    session_keys: SessionKeys,
    sending: DoubleRatchet,
    /// Oldest first.
    receiving: Vec<ReceiverChain>,
}

impl Session {
    /// Alice's end.
    pub(super) fn outbound(
        config: SessionConfig,
        session_keys: SessionKeys,
        secrets: (RootBytes, ChainKey),
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let (root, chain_key) = secrets;
        let sending = DoubleRatchet::of_alice(root, chain_key, rng);
        Self { config, session_keys, sending, receiving: Vec::new() }
    }

    /// Bob's end, with what Alice's first message must decrypt with.
    pub(super) fn inbound(
        message: &PreKeyMessage,
        secrets: (RootBytes, ChainKey),
    ) -> Result<(Self, Vec<u8>), DecryptionError> {
        let (root, chain_key) = secrets;
        let theirs = RemoteRatchetKey::new(message.message().ratchet_key());
        let mut chain = ReceiverChain::new(theirs, chain_key);
        let plaintext = chain.open(message.message())?;
        let session = Self {
            config: message.message().config(),
            session_keys: message.session_keys(),
            sending: DoubleRatchet::of_bob(root, theirs),
            receiving: vec![chain],
        };
        Ok((session, plaintext))
    }

    /// A session from another program's parts.
    pub(crate) fn from_parts(
        config: SessionConfig,
        session_keys: SessionKeys,
        sending: DoubleRatchet,
        receiving: Vec<ReceiverChain>,
    ) -> Self {
        Self { config, session_keys, sending, receiving }
    }

    /// The name that both ends give the session.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.session_keys.session_id()
    }

    /// The keys that the session was agreed from.
    #[must_use]
    pub const fn session_keys(&self) -> SessionKeys {
        self.session_keys
    }

    /// The version of Olm that the session speaks.
    #[must_use]
    pub const fn config(&self) -> SessionConfig {
        self.config
    }

    /// Whether the other side was heard. Until then each message brings the keys that it needs to create the session.
    #[must_use]
    pub const fn has_received_message(&self) -> bool {
        !self.receiving.is_empty()
    }

    /// How many keys of missing messages the session keeps: never more than
    /// [`MAX_SKIPPED_KEYS`] × [`MAX_RECEIVER_CHAINS`].
    #[must_use]
    pub fn skipped_keys(&self) -> usize {
        self.receiving.iter().map(ReceiverChain::skipped_keys).sum()
    }

    /// Encrypts `plaintext`. Draws from `rng` when a new ratchet key is due: for the first message after one received.
    ///
    /// # Errors
    /// [`EncryptionError`] if the other side's ratchet key is of small order.
    pub fn encrypt(
        &mut self,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<OlmMessage, EncryptionError> {
        let outgoing = self.sending.next_message_key(rng)?;
        let message = outgoing.key.seal(self.config, outgoing.ratchet_key, outgoing.chain_index, plaintext);
        if self.has_received_message() {
            Ok(OlmMessage::Normal(message))
        } else {
            Ok(OlmMessage::PreKey(PreKeyMessage::new(self.session_keys, message)))
        }
    }

    /// Decrypts `message`, once: the same message is refused when it comes again.
    ///
    /// # Errors
    /// [`DecryptionError`]; the session is then as it was before.
    pub fn decrypt(&mut self, message: &OlmMessage) -> Result<Vec<u8>, DecryptionError> {
        match message {
            OlmMessage::Normal(message) => self.decrypt_normal(message),
            OlmMessage::PreKey(message) if message.session_keys() == self.session_keys => {
                self.decrypt_normal(message.message())
            }
            OlmMessage::PreKey(_) => Err(DecryptionError::OtherSession),
        }
    }

    fn decrypt_normal(&mut self, message: &NormalMessage) -> Result<Vec<u8>, DecryptionError> {
        if message.config() != self.config {
            return Err(DecryptionError::Config { expected: self.config, got: message.config() });
        }
        let theirs = RemoteRatchetKey::new(message.ratchet_key());
        if let Some(chain) = self.receiving.iter_mut().find(|chain| chain.ratchet_key() == theirs) {
            return chain.open(message);
        }
        let (sending, mut chain) = self.sending.advance(theirs)?;
        let plaintext = chain.open(message)?;

        self.sending = sending;
        if self.receiving.len() >= MAX_RECEIVER_CHAINS {
            self.receiving.remove(0);
        }
        self.receiving.push(chain);
        Ok(plaintext)
    }

    /// The session as encrypted bytes, to be kept.
    #[must_use]
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(pickle::Kind::Session, self, key, rng)
    }

    /// The session that [`Self::pickle`] wrote.
    ///
    /// # Errors
    /// [`PickleError`] if the bytes are not that, or the key is another.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(pickle::Kind::Session, bytes, key)
    }

    /// The session that libolm wrote, under the key that libolm was given.
    ///
    /// # Errors
    /// [`LibolmPickleError`] if the text is not that, or the key is another.
    pub fn from_libolm_pickle(text: &str, key: &[u8]) -> Result<Self, LibolmPickleError> {
        libolm::open(text, key, libolm::session::read)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("session_id", &self.session_id())
            .field("config", &self.config)
            .field("receiver_chains", &self.receiving.len())
            .field("skipped_keys", &self.skipped_keys())
            .finish_non_exhaustive()
    }
}

impl Pickled for Session {
    fn write(&self, out: &mut Writer) {
        out.flag(self.config == SessionConfig::V2);
        out.bytes(self.session_keys.identity_key.as_bytes());
        out.bytes(self.session_keys.base_key.as_bytes());
        out.bytes(self.session_keys.one_time_key.as_bytes());
        self.sending.write(out);
        out.count(self.receiving.len());
        for chain in &self.receiving {
            chain.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let config = if from.flag()? { SessionConfig::V2 } else { SessionConfig::V1 };
        let session_keys = SessionKeys {
            identity_key: from.curve25519_public()?,
            base_key: from.curve25519_public()?,
            one_time_key: from.curve25519_public()?,
        };
        let sending = DoubleRatchet::read(from)?;
        let receiving =
            (0..from.count(MAX_RECEIVER_CHAINS)?).map(|_| ReceiverChain::read(from)).collect::<Result<_, _>>()?;
        Ok(Self { config, session_keys, sending, receiving })
    }
}

#[cfg(test)]
mod tests;
