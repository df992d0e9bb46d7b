//! The chain key `C_i,j`: gives one message key, and then its successor.
//!
//! `M_i,j = HMAC(C_i,j, "\x01")` and `C_i,j+1 = HMAC(C_i,j, "\x02")`
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-chain-key>). The predecessor is overwritten, so that who
//! learns a chain key learns nothing of the messages before it.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::message_key::MessageKey;
use crate::cipher::kdf::{hmac, hmac_pair};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// The seed of a message key.
const MESSAGE_KEY_SEED: &[u8] = b"\x01";
/// The seed of the next chain key.
const CHAIN_KEY_SEED: &[u8] = b"\x02";

/// `C_i,j`. Which `i` and `j` is for the chain to know that holds it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ChainKey([u8; 32]);

impl ChainKey {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Steps past a message whose key nobody will ask for.
    pub(super) fn skip(&mut self) {
        self.0 = hmac(&self.0, CHAIN_KEY_SEED);
    }

    /// Steps past a message and gives its key.
    pub(super) fn next_message_key(&mut self) -> MessageKey {
        let (message_key, next) = hmac_pair(&self.0, MESSAGE_KEY_SEED, CHAIN_KEY_SEED);
        self.0 = next;
        MessageKey::new(message_key)
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Pickled for ChainKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        Ok(Self::new(&*from.secret()?))
    }
}

#[cfg(test)]
mod tests {
    use super::ChainKey;

    #[test]
    fn skipping_and_taking_step_alike() {
        let (mut skips, mut takes) = (ChainKey::new(&[7; 32]), ChainKey::new(&[7; 32]));
        for _ in 0..5 {
            skips.skip();
            takes.next_message_key();
            assert_eq!(skips.as_bytes(), takes.as_bytes());
        }
        assert_ne!(skips.as_bytes(), &[7; 32]);
    }
}
