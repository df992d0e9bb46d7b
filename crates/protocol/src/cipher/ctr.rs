//! AES-256 in counter mode, as secret storage, attachments and key export files use it: no authentication of its own.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use rand_core::CryptoRng;

/// The key stream, at any point of it. Wiped when dropped.
pub(crate) type Stream = ctr::Ctr128BE<aes::Aes256>;

/// The initialization vector: the first counter block.
pub(crate) type Iv = [u8; 16];

/// The key stream from its start.
pub(crate) fn stream(key: &[u8; 32], iv: &Iv) -> Stream {
    Stream::new(key.into(), iv.into())
}

/// Encrypts or decrypts, which in this mode is one thing.
///
/// The stream would repeat after 2¹²⁸ blocks, which no slice reaches.
pub(crate) fn apply(key: &[u8; 32], iv: &Iv, data: &mut [u8]) {
    stream(key, iv).apply_keystream(data);
}

/// A random vector with bit 63 cleared, so that implementations with a 64-bit counter agree with those with a 128-bit one.
pub(crate) fn random_iv(rng: &mut (impl CryptoRng + ?Sized)) -> Iv {
    let mut iv = [0; 16];
    rng.fill_bytes(&mut iv);
    let [.., ninth, _, _, _, _, _, _, _] = &mut iv;
    *ninth &= 0x7f;
    iv
}
