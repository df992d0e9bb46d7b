//! The message key `M_i,j`: encrypts one message, or decrypts it, and is gone.
//!
//! `M_i,j = HMAC(C_i,j, "\x01")` (<https://spec.matrix.org/v1.19/olm-megolm/olm/#creating-a-message-key>), and
//! `AES_KEY ‖ HMAC_KEY ‖ AES_IV = HKDF(0, M_i,j, "OLM_KEYS", 80)`
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#version-1>).

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::DecryptionError;
use crate::cipher::CipherKeys;
use crate::key::Curve25519PublicKey;
use crate::olm::SessionConfig;
use crate::olm::message::NormalMessage;
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// `M_i,j`. Not `Clone`: it serves one message.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct MessageKey([u8; 32]);

impl MessageKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Encrypts the message `chain_index` of the chain of `ratchet_key`.
    pub(super) fn seal(
        self,
        config: SessionConfig,
        ratchet_key: Curve25519PublicKey,
        chain_index: u64,
        plaintext: &[u8],
    ) -> NormalMessage {
        NormalMessage::seal(config, ratchet_key, chain_index, &self.cipher_keys(), plaintext)
    }

    /// Checks the MAC, and only then decrypts.
    pub(super) fn open(&self, message: &NormalMessage) -> Result<Vec<u8>, DecryptionError> {
        let keys = self.cipher_keys();
        let (covered, tag) = message.authenticated();
        if !keys.mac(covered).matches(tag, message.config().mac_length()) {
            return Err(DecryptionError::Mac);
        }
        Ok(keys.decrypt(message.ciphertext())?)
    }

    pub(super) fn cipher_keys(&self) -> CipherKeys {
        CipherKeys::derive(&[0], &self.0, b"OLM_KEYS")
    }
}

impl Pickled for MessageKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        Ok(Self(*from.secret()?))
    }
}
