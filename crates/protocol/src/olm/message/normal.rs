//! The normal message: version, ratchet key `T_i`, chain index `j`, ciphertext `X_i,j`, MAC
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#normal-messages>).
//!
//! The bytes are kept as they travelled, because the MAC covers them and not what we make of them.

use std::fmt;
use std::ops::Range;

use super::DecodeError;
use super::pre_key::canonical_key;
use crate::cipher::CipherKeys;
use crate::key::Curve25519PublicKey;
use crate::olm::SessionConfig;
use crate::wire;

const RATCHET_KEY: u8 = 0x0a;
const CHAIN_INDEX: u8 = 0x10;
const CIPHERTEXT: u8 = 0x22;

/// Room for the version, two tags, a chain index, a tag and a length.
const OVERHEAD_MAX: usize = 1 + 2 + Curve25519PublicKey::LENGTH + 11 + 11;

/// An Olm message for a session that both sides have.
#[derive(Clone, PartialEq, Eq)]
pub struct NormalMessage {
    bytes: Vec<u8>,
    config: SessionConfig,
    ratchet_key: Curve25519PublicKey,
    chain_index: u64,
    ciphertext: Range<usize>,
    /// Where the MAC begins.
    payload_end: usize,
}

impl NormalMessage {
    /// Encrypts `plaintext` under `keys` and authenticates the whole.
    pub(crate) fn seal(
        config: SessionConfig,
        ratchet_key: Curve25519PublicKey,
        chain_index: u64,
        keys: &CipherKeys,
        plaintext: &[u8],
    ) -> Self {
        let ciphertext = keys.encrypt(plaintext);
        let mut bytes = Vec::with_capacity(OVERHEAD_MAX + ciphertext.len() + config.mac_length().bytes());
        bytes.push(config.message_version());
        wire::push_string(&mut bytes, RATCHET_KEY, ratchet_key.as_bytes());
        wire::push_integer(&mut bytes, CHAIN_INDEX, chain_index);
        wire::push_string(&mut bytes, CIPHERTEXT, &ciphertext);
        let ciphertext = bytes.len() - ciphertext.len()..bytes.len();
        let payload_end = bytes.len();
        let mac = keys.mac(&bytes);
        bytes.extend_from_slice(mac.tag(config.mac_length()));
        Self { bytes, config, ratchet_key, chain_index, ciphertext, payload_end }
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless `bytes` are a message and nothing more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let version = *bytes.first().ok_or(DecodeError::TooShort)?;
        let config = SessionConfig::from_message_version(version).ok_or(DecodeError::Version(version))?;
        let payload_end = bytes.len().checked_sub(config.mac_length().bytes()).ok_or(DecodeError::TooShort)?;
        let payload = bytes.get(1..payload_end).ok_or(DecodeError::TooShort)?;

        let [ratchet_key, chain_index, ciphertext] =
            wire::read_fields(payload, [RATCHET_KEY, CHAIN_INDEX, CIPHERTEXT])?;
        let ratchet_key = canonical_key(ratchet_key.string)?;
        let start = 1 + ciphertext.start;
        let ciphertext = start..start + ciphertext.string.len();
        Ok(Self {
            bytes: bytes.to_vec(),
            config,
            ratchet_key,
            chain_index: chain_index.integer,
            ciphertext,
            payload_end,
        })
    }

    /// The bytes that travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The version that the message is written in.
    #[must_use]
    pub const fn config(&self) -> SessionConfig {
        self.config
    }

    /// `T_i`: the sender's ratchet key.
    #[must_use]
    pub const fn ratchet_key(&self) -> Curve25519PublicKey {
        self.ratchet_key
    }

    /// `j`: how many messages the sender wrote under this ratchet key before.
    #[must_use]
    pub const fn chain_index(&self) -> u64 {
        self.chain_index
    }

    /// `X_i,j`.
    pub(crate) fn ciphertext(&self) -> &[u8] {
        self.bytes.get(self.ciphertext.clone()).unwrap_or_default()
    }

    /// What the MAC covers, and the MAC.
    pub(crate) fn authenticated(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(self.payload_end).unwrap_or_default()
    }
}

impl fmt::Debug for NormalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NormalMessage")
            .field("config", &self.config)
            .field("ratchet_key", &self.ratchet_key)
            .field("chain_index", &self.chain_index)
            .finish_non_exhaustive()
    }
}
