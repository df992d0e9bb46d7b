//! The keys of the ratchet and how each follows from the one before.
//!
//! ```text
//! root' ‖ chain = HKDF(root, DH ‖ ML-KEM, suite " step" ‖ SHA-256(sender's keys ‖ ciphertext ‖ receiver's keys), 64)
//! message key   = HMAC(chain, 0x01)        chain' = HMAC(chain, 0x02)
//! ```

use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::handshake::Transcript;
use super::{ALGORITHM, HybridError};
use crate::cipher::{AeadKey, kdf};
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, KemCiphertext, KemPublicKey, KemSecretKey};

/// What every later secret of the session hangs from. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct RootKey(pub(super) [u8; 32]);

/// Gives one message key after the other. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ChainKey(pub(super) [u8; 32]);

/// Encrypts one message. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MessageKey(pub(super) [u8; 32]);

impl RootKey {
    pub(super) fn split(keys: &[u8; 64]) -> (Self, ChainKey) {
        let (mut root, mut chain) = (Self([0; 32]), ChainKey([0; 32]));
        let (first, second) = keys.split_at(32);
        root.0.copy_from_slice(first);
        chain.0.copy_from_slice(second);
        (root, chain)
    }

    /// The step of the side that speaks next: new keys of its own against the latest of the other's.
    pub(super) fn send_step(
        &self,
        theirs: &RatchetPublic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, ChainKey, RatchetSecret, KemCiphertext), HybridError> {
        let ours = RatchetSecret::generate(rng);
        let classical = ours.curve25519.diffie_hellman(&theirs.curve25519)?;
        let (ciphertext, post_quantum) = theirs.kem.encapsulate(rng)?;
        let (root, chain) =
            self.step(classical.as_bytes(), post_quantum.as_bytes(), &ours.public(), &ciphertext, theirs);
        Ok((root, chain, ours, ciphertext))
    }

    /// The same step at the side that hears it.
    pub(super) fn receive_step(
        &self,
        ours: &RatchetSecret,
        theirs: &RatchetPublic,
        ciphertext: &KemCiphertext,
    ) -> Result<(Self, ChainKey), HybridError> {
        let classical = ours.curve25519.diffie_hellman(&theirs.curve25519)?;
        let post_quantum = ours.kem.decapsulate(ciphertext);
        Ok(self.step(classical.as_bytes(), post_quantum.as_bytes(), theirs, ciphertext, &ours.public()))
    }

    pub(super) fn step(
        &self,
        classical: &[u8; 32],
        post_quantum: &[u8; 32],
        sender: &RatchetPublic,
        ciphertext: &KemCiphertext,
        receiver: &RatchetPublic,
    ) -> (Self, ChainKey) {
        let mut secret = Zeroizing::new([0; 64]);
        let (first, second) = secret.split_at_mut(32);
        first.copy_from_slice(classical);
        second.copy_from_slice(post_quantum);
        let seen: [u8; 32] = Sha256::new()
            .chain_update(sender.curve25519.as_bytes())
            .chain_update(sender.kem.as_bytes())
            .chain_update(ciphertext.as_bytes())
            .chain_update(receiver.curve25519.as_bytes())
            .chain_update(receiver.kem.as_bytes())
            .finalize()
            .into();
        let info = [format!("{ALGORITHM} step").as_bytes(), &seen].concat();
        Self::split(&kdf::hkdf::<64>(&self.0, secret.as_ref(), &info))
    }
}

impl ChainKey {
    /// The key of the next message, and the chain after it.
    pub(super) fn next(&self) -> (MessageKey, Self) {
        let (message, chain) = kdf::hmac_pair(&self.0, b"\x01", b"\x02");
        (MessageKey(message), Self(chain))
    }
}

impl MessageKey {
    /// What encrypts the message in this session.
    pub(super) fn cipher(&self, transcript: &Transcript) -> AeadKey {
        AeadKey::derive(transcript.as_bytes(), &self.0, format!("{ALGORITHM} message").as_bytes())
    }
}

/// A side's keys for one turn: the secret halves.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RatchetSecret {
    pub(super) curve25519: Curve25519SecretKey,
    pub(super) kem: KemSecretKey,
}

impl RatchetSecret {
    /// New keys: 32 bytes are drawn for X25519, then 64 for ML-KEM.
    pub(super) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let curve25519 = Curve25519SecretKey::generate(rng);
        Self { curve25519, kem: KemSecretKey::generate(rng) }
    }

    pub(super) fn public(&self) -> RatchetPublic {
        RatchetPublic { curve25519: self.curve25519.public_key(), kem: self.kem.public_key().clone() }
    }
}

/// A side's keys for one turn: the public halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RatchetPublic {
    pub(crate) curve25519: Curve25519PublicKey,
    pub(crate) kem: KemPublicKey,
}
