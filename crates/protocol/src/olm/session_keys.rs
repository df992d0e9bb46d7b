//! The three public keys that a session is agreed from, and the session's name, which follows from them.

use sha2::{Digest as _, Sha256};

use crate::encoding;
use crate::key::Curve25519PublicKey;

/// The public keys that Alice, who began the session, and Bob agreed from
/// (<https://spec.matrix.org/v1.19/olm-megolm/olm/#initial-setup>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKeys {
    /// `I_A`: Alice's identity key.
    pub identity_key: Curve25519PublicKey,
    /// `E_A`: the key that Alice made for this session alone.
    pub base_key: Curve25519PublicKey,
    /// `E_B`: the one-time or fallback key of Bob's that Alice claimed.
    pub one_time_key: Curve25519PublicKey,
}

impl SessionKeys {
    /// `SHA-256(I_A ‖ E_A ‖ E_B)` in base64: the name that every implementation gives the session.
    #[must_use]
    pub fn session_id(&self) -> String {
        let hash = Sha256::new()
            .chain_update(self.identity_key.as_bytes())
            .chain_update(self.base_key.as_bytes())
            .chain_update(self.one_time_key.as_bytes())
            .finalize();
        encoding::encode(hash)
    }
}
