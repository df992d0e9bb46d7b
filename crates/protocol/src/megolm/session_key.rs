//! What lets others read a session: shared with a signature when it begins, exported without one later.
//!
//! - [`SessionKey`]: `0x02 ‖ i ‖ R_i ‖ Kpub ‖ signature`
//!   (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#session-sharing-format>). The signature proves that whoever made
//!   the session wrote this, and can only be made at the sender's end.
//! - [`ExportedSessionKey`]: `0x01 ‖ i ‖ R_i ‖ Kpub`
//!   (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#session-export-format>). Any reader can make one, for any index it
//!   knows, so it proves nothing about who did.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

use super::ratchet::Ratchet;
use crate::encoding::{self, Base64Error};
use crate::key::{Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature, KeyError, SignatureError};

const SHARED_VERSION: u8 = 2;
const EXPORTED_VERSION: u8 = 1;
const FIELDS_LENGTH: usize = 1 + 4 + Ratchet::LENGTH + Ed25519PublicKey::LENGTH;
const SHARED_LENGTH: usize = FIELDS_LENGTH + Ed25519Signature::LENGTH;

/// Why a session key could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionKeyError {
    /// The text is not base64.
    #[error("reading a session key: {0}")]
    Base64(#[from] Base64Error),
    /// Not as long as such a key is.
    #[error("reading a session key: {got} bytes where {expected} belong")]
    Length {
        /// The length of such a key.
        expected: usize,
        /// The length that was found.
        got: usize,
    },
    /// Of another version: shared keys are of version 2, exported ones of version 1.
    #[error("reading a session key: version {got} where {expected} belongs")]
    Version {
        /// The version of such a key.
        expected: u8,
        /// The version that was found.
        got: u8,
    },
    /// The signing key is none.
    #[error("reading a session key: {0}")]
    Key(#[from] KeyError),
    /// The signing key did not make the signature.
    #[error("reading a session key: {0}")]
    Signature(#[from] SignatureError),
}

/// The fields that both formats have.
#[derive(Clone)]
struct Fields {
    ratchet: Ratchet,
    signing_key: Ed25519PublicKey,
}

impl Fields {
    fn to_bytes(&self, version: u8) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SHARED_LENGTH));
        bytes.push(version);
        bytes.extend_from_slice(&self.ratchet.index().to_be_bytes());
        bytes.extend_from_slice(self.ratchet.as_bytes());
        bytes.extend_from_slice(self.signing_key.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; FIELDS_LENGTH], version: u8) -> Result<Self, SessionKeyError> {
        let wrong = SessionKeyError::Length { expected: FIELDS_LENGTH, got: bytes.len() };
        let ([got], rest) = bytes.split_first_chunk().ok_or(wrong)?;
        if *got != version {
            return Err(SessionKeyError::Version { expected: version, got: *got });
        }
        let (index, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let (ratchet, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let ratchet = Ratchet::new(ratchet, u32::from_be_bytes(*index));
        Ok(Self { ratchet, signing_key: Ed25519PublicKey::from_slice(rest)? })
    }
}

/// The key of a session as its sender shares it: signed.
#[derive(Clone)]
pub struct SessionKey {
    fields: Fields,
    signature: Ed25519Signature,
}

impl SessionKey {
    pub(super) fn new(ratchet: &Ratchet, signing_key: &Ed25519SecretKey) -> Self {
        let fields = Fields { ratchet: ratchet.clone(), signing_key: signing_key.public_key() };
        let signature = signing_key.sign(&fields.to_bytes(SHARED_VERSION));
        Self { fields, signature }
    }

    /// Reads a key and verifies its signature.
    ///
    /// # Errors
    /// [`SessionKeyError`] if it is malformed, or not signed by the key inside it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionKeyError> {
        let wrong = SessionKeyError::Length { expected: SHARED_LENGTH, got: bytes.len() };
        let (signed, signature) = bytes.split_first_chunk::<FIELDS_LENGTH>().ok_or(wrong)?;
        let signature = Ed25519Signature::from_slice(signature).map_err(|_| wrong)?;
        let fields = Fields::from_bytes(signed, SHARED_VERSION)?;
        fields.signing_key.verify(signed, &signature)?;
        Ok(Self { fields, signature })
    }

    /// Reads the `session_key` of an `m.room_key` event.
    ///
    /// # Errors
    /// [`SessionKeyError`] if it is malformed, or not signed by the key inside it.
    pub fn from_base64(text: &str) -> Result<Self, SessionKeyError> {
        Self::from_bytes(&Zeroizing::new(encoding::decode_lenient(text)?))
    }

    /// The bytes to share, over Olm only.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.fields.to_bytes(SHARED_VERSION);
        bytes.extend_from_slice(self.signature.as_bytes());
        bytes
    }

    /// The `session_key` of an `m.room_key` event.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(encoding::encode(self.to_bytes()))
    }

    /// The name of the session: its signing key.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.fields.signing_key.to_base64()
    }

    /// `i`: the first message that the key lets one read.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.fields.ratchet.index()
    }

    pub(super) fn parts(&self) -> (&Ratchet, Ed25519PublicKey) {
        (&self.fields.ratchet, self.fields.signing_key)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey")
            .field("session_id", &self.session_id())
            .field("index", &self.index())
            .finish_non_exhaustive()
    }
}

/// The key of a session as a reader passes it on: to a backup, a file, or another device.
#[derive(Clone)]
pub struct ExportedSessionKey(Fields);

impl ExportedSessionKey {
    pub(super) fn new(ratchet: Ratchet, signing_key: Ed25519PublicKey) -> Self {
        Self(Fields { ratchet, signing_key })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`SessionKeyError`] if it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionKeyError> {
        let wrong = SessionKeyError::Length { expected: FIELDS_LENGTH, got: bytes.len() };
        Fields::from_bytes(bytes.try_into().map_err(|_| wrong)?, EXPORTED_VERSION).map(Self)
    }

    /// Reads the `session_key` of a backup, an export file or an `m.forwarded_room_key` event.
    ///
    /// # Errors
    /// [`SessionKeyError`] if it is malformed.
    pub fn from_base64(text: &str) -> Result<Self, SessionKeyError> {
        let mut bytes = encoding::decode_lenient(text)?;
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        key
    }

    /// The bytes to pass on, encrypted.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_bytes(EXPORTED_VERSION)
    }

    /// The `session_key` of a backup, an export file or an `m.forwarded_room_key` event.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(encoding::encode(self.to_bytes()))
    }

    /// The name of the session: its signing key.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.0.signing_key.to_base64()
    }

    /// `i`: the first message that the key lets one read.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.0.ratchet.index()
    }

    pub(super) fn parts(&self) -> (&Ratchet, Ed25519PublicKey) {
        (&self.0.ratchet, self.0.signing_key)
    }
}

impl fmt::Debug for ExportedSessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportedSessionKey")
            .field("session_id", &self.session_id())
            .field("index", &self.index())
            .finish_non_exhaustive()
    }
}
