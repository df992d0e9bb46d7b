//! Encrypted attachments: a file encrypted chunk by chunk, and the small object in the event that decrypts it again.
//!
//! AES-CTR hides the content and nothing more; what stops a homeserver from altering it is the SHA-256 of the ciphertext, which
//! travels inside the encrypted event. So a [`Decryptor`] gives plaintext as it arrives, and only [`Decryptor::finish`] says whether
//! it may be used.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#sending-encrypted-attachments>

mod info;
#[cfg(test)]
mod tests;

use std::fmt;

use aes::cipher::StreamCipher as _;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use info::{AttachmentError, AttachmentInfo};

use crate::cipher::ctr;

/// The longest file: half of the blocks that the 64-bit counter counts, far beyond any upload limit.
pub const BYTES_MAX: u64 = 1 << 62;

/// Encrypts a file as it is read.
pub struct Encryptor {
    stream: ctr::Stream,
    hash: Sha256,
    length: u64,
    key: Zeroizing<[u8; 32]>,
    iv: ctr::Iv,
}

impl Encryptor {
    /// A new file, with a key of its own.
    pub fn new(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        let mut iv = [0; 16];
        let (random, _counter) = iv.split_at_mut(8);
        rng.fill_bytes(random);
        Self { stream: ctr::stream(&key, &iv), hash: Sha256::new(), length: 0, key, iv }
    }

    /// Encrypts the next chunk where it lies.
    ///
    /// # Errors
    /// [`AttachmentError::TooLong`] past [`BYTES_MAX`].
    pub fn apply(&mut self, chunk: &mut [u8]) -> Result<(), AttachmentError> {
        self.length = longer(self.length, chunk)?;
        self.stream.apply_keystream(chunk);
        self.hash.update(chunk);
        Ok(())
    }

    /// What decrypts the file: to be sent in an encrypted event.
    #[must_use]
    pub fn finish(self) -> AttachmentInfo {
        AttachmentInfo { key: self.key, iv: self.iv, sha256: self.hash.finalize().into() }
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Decrypts a file as it arrives. What it gives must not be used before [`Self::finish`] has agreed.
pub struct Decryptor {
    stream: ctr::Stream,
    hash: Sha256,
    length: u64,
    expected: [u8; 32],
}

impl Decryptor {
    /// The file that `info` describes.
    #[must_use]
    pub fn new(info: &AttachmentInfo) -> Self {
        Self { stream: ctr::stream(&info.key, &info.iv), hash: Sha256::new(), length: 0, expected: info.sha256 }
    }

    /// Decrypts the next chunk where it lies.
    ///
    /// # Errors
    /// [`AttachmentError::TooLong`] past [`BYTES_MAX`].
    pub fn apply(&mut self, chunk: &mut [u8]) -> Result<(), AttachmentError> {
        self.length = longer(self.length, chunk)?;
        self.hash.update(&*chunk);
        self.stream.apply_keystream(chunk);
        Ok(())
    }

    /// Whether the whole file was what its sender encrypted.
    ///
    /// # Errors
    /// [`AttachmentError::Altered`] if not one byte of it may be used.
    pub fn finish(self) -> Result<(), AttachmentError> {
        let hash: [u8; 32] = self.hash.finalize().into();
        if hash.ct_eq(&self.expected).into() { Ok(()) } else { Err(AttachmentError::Altered) }
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor").field("length", &self.length).finish_non_exhaustive()
    }
}

fn longer(length: u64, chunk: &[u8]) -> Result<u64, AttachmentError> {
    let chunk = u64::try_from(chunk.len()).map_err(|_| AttachmentError::TooLong)?;
    length.checked_add(chunk).filter(|length| *length <= BYTES_MAX).ok_or(AttachmentError::TooLong)
}
