//! From the two agreements to the one key: everything that both sides see goes into it.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ALGORITHM;
use crate::cipher::AeadKey;
use crate::key::{Curve25519PublicKey, KemPublicKey, KemSharedSecret, SharedSecret};

/// The first 16 bytes of a hash of the two public keys: names a key without being trusted.
pub(super) fn key_id(curve25519: &Curve25519PublicKey, kem: &KemPublicKey) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(ALGORITHM)
        .chain_update(b" key id")
        .chain_update(curve25519.as_bytes())
        .chain_update(kem.as_bytes())
        .finalize()
        .into();
    let mut id = [0; 16];
    id.copy_from_slice(hash.split_at(16).0);
    id
}

/// The hash of everything that both sides see: suite, recipient's name and keys, and the header with the ephemeral key and the ML-KEM
/// ciphertext. Whoever signs or encrypts under it says all of that.
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn new(recipient: &str, curve25519: &Curve25519PublicKey, kem: &KemPublicKey, header: &[u8]) -> Self {
        // Names are at most 255 bytes long; a longer one would have been refused, and hashes as what it is not.
        let length = u16::try_from(recipient.len()).unwrap_or(u16::MAX);
        let hash = Sha256::new()
            .chain_update(ALGORITHM)
            .chain_update(b" transcript")
            .chain_update(length.to_be_bytes())
            .chain_update(recipient)
            .chain_update(curve25519.as_bytes())
            .chain_update(kem.as_bytes())
            .chain_update(header)
            .finalize();
        Self(hash.into())
    }

    /// The key that encrypts the letter.
    pub(super) fn seal_key(&self, classical: &SharedSecret, post_quantum: &KemSharedSecret) -> AeadKey {
        let mut secret = Zeroizing::new([0; 64]);
        let (first, second) = secret.split_at_mut(32);
        first.copy_from_slice(classical.as_bytes());
        second.copy_from_slice(post_quantum.as_bytes());
        AeadKey::derive(&self.0, secret.as_ref(), format!("{ALGORITHM} seal").as_bytes())
    }

    /// What the sender signs: it cannot be a signed JSON object, which begins with a brace. The letter is hashed first, as Ed25519 would
    /// otherwise hash all of it twice.
    pub(super) fn signed_bytes(&self, letter: &[u8]) -> Vec<u8> {
        let letter: [u8; 32] = Sha256::digest(letter).into();
        [format!("{ALGORITHM} sender").as_bytes(), &self.0, &letter].concat()
    }
}
