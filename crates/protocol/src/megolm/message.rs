//! The message: version, index `i`, ciphertext `X_i`, MAC, signature
//! (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-format>).
//!
//! The bytes are kept as they travelled, because MAC and signature cover them and not what we make of them.

use std::fmt;
use std::ops::Range;

use super::SessionConfig;
use crate::cipher::CipherKeys;
use crate::encoding::{self, Base64Error};
use crate::key::{Ed25519SecretKey, Ed25519Signature};
use crate::wire::{self, WireError};

const INDEX: u8 = 0x08;
const CIPHERTEXT: u8 = 0x12;

/// Room for the version, two tags, an index and a length.
const OVERHEAD_MAX: usize = 1 + 2 * 11;

/// Why some bytes are no Megolm message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not base64.
    #[error("decoding a Megolm message: {0}")]
    Base64(#[from] Base64Error),
    /// Too short to hold a version byte, a MAC and a signature.
    #[error("decoding a Megolm message: it is too short")]
    TooShort,
    /// A version that nobody speaks.
    #[error("decoding a Megolm message: nobody speaks version {0}")]
    Version(u8),
    /// The fields are not those of such a message.
    #[error("decoding a Megolm message: {0}")]
    Wire(#[from] WireError),
    /// An index beyond the 32 bits that the ratchet counts.
    #[error("decoding a Megolm message: the index does not fit the ratchet")]
    Index,
}

/// A message to a group.
#[derive(Clone, PartialEq, Eq)]
pub struct MegolmMessage {
    bytes: Vec<u8>,
    config: SessionConfig,
    index: u32,
    ciphertext: Range<usize>,
    /// Where the MAC begins.
    payload_end: usize,
}

impl MegolmMessage {
    /// Encrypts `plaintext` under `keys`, authenticates and signs the whole.
    pub(crate) fn seal(
        config: SessionConfig,
        index: u32,
        keys: &CipherKeys,
        signing_key: &Ed25519SecretKey,
        plaintext: &[u8],
    ) -> Self {
        let ciphertext = keys.encrypt(plaintext);
        let suffix = config.mac_length().bytes() + Ed25519Signature::LENGTH;
        let mut bytes = Vec::with_capacity(OVERHEAD_MAX + ciphertext.len() + suffix);
        bytes.push(config.message_version());
        wire::push_integer(&mut bytes, INDEX, index.into());
        wire::push_string(&mut bytes, CIPHERTEXT, &ciphertext);
        let ciphertext = bytes.len() - ciphertext.len()..bytes.len();
        let payload_end = bytes.len();
        let mac = keys.mac(&bytes);
        bytes.extend_from_slice(mac.tag(config.mac_length()));
        let signature = signing_key.sign(&bytes);
        bytes.extend_from_slice(signature.as_bytes());
        Self { bytes, config, index, ciphertext, payload_end }
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless `bytes` are a message and nothing more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_vec(bytes.to_vec())
    }

    fn from_vec(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        let version = *bytes.first().ok_or(DecodeError::TooShort)?;
        let config = SessionConfig::from_message_version(version).ok_or(DecodeError::Version(version))?;
        let suffix = config.mac_length().bytes() + Ed25519Signature::LENGTH;
        let payload_end = bytes.len().checked_sub(suffix).ok_or(DecodeError::TooShort)?;
        let payload = bytes.get(1..payload_end).ok_or(DecodeError::TooShort)?;

        let [index, ciphertext] = wire::read_fields(payload, [INDEX, CIPHERTEXT])?;
        let index = u32::try_from(index.integer).map_err(|_| DecodeError::Index)?;
        let start = 1 + ciphertext.start;
        let ciphertext = start..start + ciphertext.string.len();
        Ok(Self { bytes, config, index, ciphertext, payload_end })
    }

    /// Takes the `ciphertext` of an event apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless it is base64 of a message and nothing more.
    pub fn from_base64(text: &str) -> Result<Self, DecodeError> {
        Self::from_vec(encoding::decode_lenient(text)?)
    }

    /// The bytes that travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The `ciphertext` of an event.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(&self.bytes)
    }

    /// The version that the message is written in.
    #[must_use]
    pub const fn config(&self) -> SessionConfig {
        self.config
    }

    /// `i`: how many messages the sender wrote in this session before.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// `X_i`.
    pub(super) fn ciphertext(&self) -> &[u8] {
        self.bytes.get(self.ciphertext.clone()).unwrap_or_default()
    }

    /// What the MAC covers, and the MAC.
    pub(super) fn authenticated(&self) -> (&[u8], &[u8]) {
        let (signed, _) = self.split_signature();
        signed.split_at_checked(self.payload_end).unwrap_or_default()
    }

    /// What the signature covers, and the signature.
    pub(super) fn signed(&self) -> (&[u8], Ed25519Signature) {
        let (signed, signature) = self.split_signature();
        (signed, Ed25519Signature::from_bytes(*signature))
    }

    fn split_signature(&self) -> (&[u8], &[u8; Ed25519Signature::LENGTH]) {
        self.bytes.split_last_chunk().unwrap_or((&[], &[0; Ed25519Signature::LENGTH]))
    }
}

impl fmt::Debug for MegolmMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MegolmMessage")
            .field("config", &self.config)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
