//! The agreement that begins a session: three times X25519 and once ML-KEM, under a hash of everything that both sides see.
//!
//! ```text
//! T      = SHA-256(suite " session" ‖ initiator ‖ responder ‖ prekey ‖ base key ‖ ML-KEM ciphertext)
//! secret = DH(I_A, P_B) ‖ DH(E_A, I_B) ‖ DH(E_A, P_B) ‖ ML-KEM
//! root ‖ chain = HKDF(T, secret, suite " root", 64)
//! ```

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::prekeys::PublicPreKey;
use super::ratchet::{ChainKey, RootKey};
use super::suite::bind;
use super::{ALGORITHM, HybridError};
use crate::bundle::DeviceKeys;
use crate::cipher::kdf;
use crate::key::{Curve25519PublicKey, KemCiphertext, KemSharedSecret, SharedSecret};

/// The hash of everything that both sides see while they agree. Names the session, and is authenticated with each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn new(
        initiator: &DeviceKeys,
        responder: &DeviceKeys,
        prekey: &PublicPreKey,
        base_key: &Curve25519PublicKey,
        ciphertext: &KemCiphertext,
    ) -> Self {
        let transcript = Sha256::new().chain_update(ALGORITHM).chain_update(b" session");
        let transcript = bind(bind(transcript, initiator), responder)
            .chain_update(prekey.curve25519.as_bytes())
            .chain_update(prekey.kem.as_bytes())
            .chain_update(base_key.as_bytes())
            .chain_update(ciphertext.as_bytes());
        Self(transcript.finalize().into())
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The root and the initiator's first chain.
    pub(super) fn derive(&self, classical: &[SharedSecret; 3], post_quantum: &KemSharedSecret) -> (RootKey, ChainKey) {
        let mut secret = Zeroizing::new(Vec::with_capacity(4 * 32));
        for agreement in classical {
            secret.extend_from_slice(agreement.as_bytes());
        }
        secret.extend_from_slice(post_quantum.as_bytes());
        let keys = kdf::hkdf::<64>(&self.0, &secret, format!("{ALGORITHM} root").as_bytes());
        RootKey::split(&keys)
    }
}

/// What the responder needs to come to the same secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The initiator's identity key.
    pub(crate) identity: Curve25519PublicKey,
    /// The initiator's ephemeral key.
    pub(crate) base_key: Curve25519PublicKey,
    /// The classical half of the responder's prekey, which names it.
    pub(crate) prekey: Curve25519PublicKey,
    /// The encapsulation to the other half.
    pub(crate) ciphertext: KemCiphertext,
}

/// Refuses a second spelling of a key, which would be a second message of the same meaning.
pub(super) fn canonical(key: &Curve25519PublicKey) -> Result<(), HybridError> {
    if key.is_canonical() { Ok(()) } else { Err(HybridError::Malformed) }
}
