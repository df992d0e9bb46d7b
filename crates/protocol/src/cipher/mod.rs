//! The symmetric half of every ratchet: AES-256-CBC under HMAC-SHA-256, encrypt-then-MAC, with keys from HKDF.
//!
//! One 80-byte derivation gives the AES key, the MAC key and the initialisation vector
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#olm-authenticated-encryption>). Both forms of the MAC that are in use
//! live here: cut to eight bytes (the first version of Olm and Megolm) and whole (the second). What the MAC covers
//! is the caller's business; that it is checked before anything is decrypted is the caller's duty, so the two steps stay
//! apart and the padding error of [`CipherKeys::decrypt`] can be reached by holders of the key only.
//!
//! - [`aead`]: ChaCha20-Poly1305, for our own formats.
//! - [`kdf`]: HKDF-SHA-256 and HMAC-SHA-256 with fixed lengths, so that they cannot fail.
//! - [`mac`]: the authenticator and its two lengths.

use std::fmt;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub mod aead;
pub(crate) mod ctr;
pub mod kdf;
pub mod mac;

pub use aead::{AeadError, AeadKey};
pub use mac::{Mac, MacLength};

/// The length of an AES block, and so of the initialisation vector.
pub const BLOCK_LENGTH: usize = 16;

/// An AES-256 key, an HMAC-SHA-256 key and an initialisation vector, for one message. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CipherKeys {
    aes_key: [u8; 32],
    mac_key: [u8; 32],
    iv: [u8; BLOCK_LENGTH],
}

impl CipherKeys {
    /// `AES_KEY ‖ HMAC_KEY ‖ AES_IV = HKDF(salt, secret, info, 80)`.
    #[must_use]
    pub fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Self {
        let bytes = kdf::hkdf::<80>(salt, secret, info);
        let mut keys = Self { aes_key: [0; 32], mac_key: [0; 32], iv: [0; BLOCK_LENGTH] };
        let (aes_key, rest) = bytes.split_at(32);
        let (mac_key, iv) = rest.split_at(32);
        keys.aes_key.copy_from_slice(aes_key);
        keys.mac_key.copy_from_slice(mac_key);
        keys.iv.copy_from_slice(iv);
        keys
    }

    /// The three parts as they are, for formats that derive them differently.
    #[must_use]
    pub fn from_parts(aes_key: &[u8; 32], mac_key: &[u8; 32], iv: &[u8; BLOCK_LENGTH]) -> Self {
        Self { aes_key: *aes_key, mac_key: *mac_key, iv: *iv }
    }

    /// The length of the ciphertext of a plaintext of `length` bytes: PKCS#7 always adds one byte at least.
    #[must_use]
    pub const fn ciphertext_length(length: usize) -> usize {
        length - length % BLOCK_LENGTH + BLOCK_LENGTH
    }

    /// AES-256-CBC with PKCS#7 padding.
    #[must_use]
    pub fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        cbc::Encryptor::<Aes256>::new(&self.aes_key.into(), &self.iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext)
    }

    /// The plaintext of `ciphertext`, whose MAC must have been checked before.
    ///
    /// # Errors
    /// [`PaddingError`] if `ciphertext` is not a whole number of blocks or its padding is wrong.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Vec<u8>, PaddingError> {
        cbc::Decryptor::<Aes256>::new(&self.aes_key.into(), &self.iv.into())
            .decrypt_padded_vec::<Pkcs7>(ciphertext)
            .map_err(|_| PaddingError)
    }

    /// HMAC-SHA-256 over `bytes`.
    #[must_use]
    pub fn mac(&self, bytes: &[u8]) -> Mac {
        Mac::new(kdf::hmac(&self.mac_key, bytes))
    }
}

impl fmt::Debug for CipherKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CipherKeys(..)")
    }
}

/// What was authentic is no whole number of blocks or ends in wrong padding: its author's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decrypting: the padding is wrong")]
pub struct PaddingError;

#[cfg(test)]
mod tests;
