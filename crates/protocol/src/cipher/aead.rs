//! ChaCha20-Poly1305 (RFC 8439) under a key that is used for one message: what envelopes and hybrid sessions encrypt with.
//!
//! Key and nonce come out of one derivation and are never used twice, so no nonce travels and none can be repeated.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// By how many bytes a ciphertext is longer than its plaintext.
pub const TAG_LENGTH: usize = 16;

/// A key and a nonce for exactly one message. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AeadKey {
    key: [u8; 32],
    nonce: [u8; 12],
}

impl AeadKey {
    /// `KEY ‖ NONCE = HKDF(salt, secret, info, 44)`.
    #[must_use]
    pub fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Self {
        let bytes = super::kdf::hkdf::<44>(salt, secret, info);
        let mut derived = Self { key: [0; 32], nonce: [0; 12] };
        let (key, nonce) = bytes.split_at(32);
        derived.key.copy_from_slice(key);
        derived.nonce.copy_from_slice(nonce);
        derived
    }

    /// The two parts as they are.
    #[must_use]
    pub fn from_parts(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        Self { key: *key, nonce: *nonce }
    }

    /// Encrypts `plaintext` and authenticates it together with `associated`, which stays readable.
    ///
    /// # Errors
    /// [`AeadError`] if `plaintext` is longer than the 256 GiB that the counter reaches.
    pub fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, AeadError> {
        ChaCha20Poly1305::new(&self.key.into())
            .encrypt(&self.nonce.into(), Payload { msg: plaintext, aad: associated })
            .map_err(|_| AeadError)
    }

    /// The plaintext, if neither it nor `associated` was altered.
    ///
    /// # Errors
    /// [`AeadError`] if something was, or the key is another; which, cannot be told.
    pub fn open(&self, associated: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, AeadError> {
        ChaCha20Poly1305::new(&self.key.into())
            .decrypt(&self.nonce.into(), Payload { msg: ciphertext, aad: associated })
            .map_err(|_| AeadError)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

/// The ciphertext is not one that this key made with this associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decrypting: the ciphertext or what belongs to it was altered, or the key is another")]
pub struct AeadError;
