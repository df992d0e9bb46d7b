//! The two messages as bytes: read in the one way they are written, or not at all.

use super::HybridError;
use super::handshake::{Opening, canonical};
use super::ratchet::RatchetPublic;
use crate::cipher::aead::TAG_LENGTH;
use crate::key::{Curve25519PublicKey, KemCiphertext, KemPublicKey};

/// The first byte of every message.
pub(super) const VERSION: u8 = 1;

const KIND_PRE_KEY: u8 = 0;
const KIND_OPENING: u8 = 1;
const KIND_TURN: u8 = 2;

/// A message of a session: one that begins it, or any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Sent by the initiator until it hears the responder.
    PreKey(PreKeyMessage),
    /// Everything else.
    Ratchet(RatchetMessage),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`HybridError::Malformed`] for anything that no session writes, [`HybridError::Kem`] for a key that is not reduced.
    pub fn parse(bytes: &[u8]) -> Result<Self, HybridError> {
        let ([version, kind], rest) = bytes.split_first_chunk::<2>().ok_or(HybridError::Malformed)?;
        if *version != VERSION {
            return Err(HybridError::Malformed);
        }
        if *kind == KIND_PRE_KEY {
            PreKeyMessage::parse(rest).map(Self::PreKey)
        } else {
            RatchetMessage::parse(bytes).map(Self::Ratchet)
        }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::PreKey(message) => message.to_bytes(),
            Self::Ratchet(message) => message.to_bytes(),
        }
    }
}

/// A message with what the responder needs to begin the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreKeyMessage {
    pub(super) opening: Opening,
    pub(super) message: RatchetMessage,
}

impl PreKeyMessage {
    /// By how many bytes it is longer than the message inside.
    pub const OVERHEAD: usize = 2 + 3 * 32 + KemCiphertext::LENGTH;

    fn parse(rest: &[u8]) -> Result<Self, HybridError> {
        let (identity, rest) = key(rest)?;
        let (base_key, rest) = key(rest)?;
        let (prekey, rest) = key(rest)?;
        let (ciphertext, rest) = rest.split_at_checked(KemCiphertext::LENGTH).ok_or(HybridError::Malformed)?;
        let opening = Opening { identity, base_key, prekey, ciphertext: KemCiphertext::from_slice(ciphertext)? };
        let message = RatchetMessage::parse(rest)?;
        // Only the opening chain is sent before the responder was heard.
        if message.ciphertext.is_some() {
            return Err(HybridError::Malformed);
        }
        Ok(Self { opening, message })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let message = self.message.to_bytes();
        let mut bytes = Vec::with_capacity(Self::OVERHEAD + message.len());
        bytes.extend_from_slice(&[VERSION, KIND_PRE_KEY]);
        for key in [&self.opening.identity, &self.opening.base_key, &self.opening.prekey] {
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes.extend_from_slice(self.opening.ciphertext.as_bytes());
        bytes.extend_from_slice(&message);
        bytes
    }

    /// The identity key of the device that sent it, as it says: for finding its device keys.
    #[must_use]
    pub fn identity_key(&self) -> Curve25519PublicKey {
        self.opening.identity
    }
}

/// A message in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatchetMessage {
    pub(super) keys: RatchetPublic,
    /// What the turn was begun with; absent in the opening chain.
    pub(super) ciphertext: Option<KemCiphertext>,
    /// How many messages the sender's chain before this one had.
    pub(super) previous_length: u32,
    pub(super) index: u32,
    pub(super) sealed: Vec<u8>,
}

impl RatchetMessage {
    /// By how many bytes a message of the opening chain is longer than its plaintext.
    pub const OPENING_OVERHEAD: usize = 2 + 32 + KemPublicKey::LENGTH + 4 + 4 + TAG_LENGTH;
    /// By how many bytes any later message is.
    pub const TURN_OVERHEAD: usize = Self::OPENING_OVERHEAD + KemCiphertext::LENGTH;

    fn parse(bytes: &[u8]) -> Result<Self, HybridError> {
        let ([version, kind], rest) = bytes.split_first_chunk::<2>().ok_or(HybridError::Malformed)?;
        if *version != VERSION || !matches!(*kind, KIND_OPENING | KIND_TURN) {
            return Err(HybridError::Malformed);
        }
        let (curve25519, rest) = key(rest)?;
        let (kem, rest) = rest.split_at_checked(KemPublicKey::LENGTH).ok_or(HybridError::Malformed)?;
        let keys = RatchetPublic { curve25519, kem: KemPublicKey::from_slice(kem)? };
        let (ciphertext, rest) = if *kind == KIND_TURN {
            let (ciphertext, rest) = rest.split_at_checked(KemCiphertext::LENGTH).ok_or(HybridError::Malformed)?;
            (Some(KemCiphertext::from_slice(ciphertext)?), rest)
        } else {
            (None, rest)
        };
        let (previous_length, rest) = rest.split_first_chunk::<4>().ok_or(HybridError::Malformed)?;
        let (index, sealed) = rest.split_first_chunk::<4>().ok_or(HybridError::Malformed)?;
        if sealed.len() < TAG_LENGTH {
            return Err(HybridError::Malformed);
        }
        Ok(Self {
            keys,
            ciphertext,
            previous_length: u32::from_be_bytes(*previous_length),
            index: u32::from_be_bytes(*index),
            sealed: sealed.to_vec(),
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Everything before the ciphertext of the plaintext: authenticated with it.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::TURN_OVERHEAD + self.sealed.len());
        bytes.push(VERSION);
        bytes.push(if self.ciphertext.is_some() { KIND_TURN } else { KIND_OPENING });
        bytes.extend_from_slice(self.keys.curve25519.as_bytes());
        bytes.extend_from_slice(self.keys.kem.as_bytes());
        if let Some(ciphertext) = &self.ciphertext {
            bytes.extend_from_slice(ciphertext.as_bytes());
        }
        bytes.extend_from_slice(&self.previous_length.to_be_bytes());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes
    }
}

fn key(bytes: &[u8]) -> Result<(Curve25519PublicKey, &[u8]), HybridError> {
    let (key, rest) = bytes.split_first_chunk::<32>().ok_or(HybridError::Malformed)?;
    let key = Curve25519PublicKey::from_bytes(*key);
    canonical(&key)?;
    Ok((key, rest))
}
