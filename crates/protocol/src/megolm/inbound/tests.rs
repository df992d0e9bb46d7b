//! Inbound group sessions: indices, merging, exports, and altered messages.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{DecryptionError, InboundGroupSession};
use crate::cipher::PaddingError;
use crate::key::Ed25519SecretKey;
use crate::megolm::ratchet::Ratchet;
use crate::megolm::{EncryptionError, GroupSession, MegolmMessage, SessionConfig};
use crate::wire;

fn ratchet(index: u32) -> Ratchet {
    Ratchet::new(&[7; 128], index)
}

#[test]
fn the_last_index_is_never_used() {
    let signing_key = Ed25519SecretKey::from_bytes(&[1; 32]);
    let mut session = GroupSession::from_parts(SessionConfig::V1, ratchet(u32::MAX - 1), signing_key);
    let mut inbound = InboundGroupSession::from(&session);
    let message = session.encrypt(b"the last").unwrap();
    assert_eq!(inbound.decrypt(&message).unwrap().plaintext, b"the last");
    for _ in 0..2 {
        assert_eq!(session.encrypt(b"one too many"), Err(EncryptionError::Exhausted));
        assert_eq!(session.next_index(), u32::MAX);
    }
}

/// What makes reading a conversation cheap: each message is a step from the one before, not from the first.
#[test]
fn reading_goes_on_from_the_message_read_last() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut ChaCha20Rng::seed_from_u64(2));
    let mut inbound = InboundGroupSession::from(&session);
    let messages: Vec<_> = (0..300).map(|_| session.encrypt(b"message").unwrap()).collect();
    for index in [0, 299, 7] {
        inbound.decrypt(&messages[index]).unwrap();
        assert_eq!(inbound.latest.index(), messages[index].index());
        assert_eq!(inbound.first.index(), 0);
    }
}

/// The sender's signing key signs whatever the sender likes; the ratchet must still have made it.
#[test]
fn a_signed_message_under_another_ratchet_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let signing_key = Ed25519SecretKey::generate(&mut rng);
    let session = GroupSession::from_parts(SessionConfig::V1, ratchet(0), signing_key.clone());
    let mut inbound = InboundGroupSession::from(&session);
    let other = Ratchet::new(&[8; 128], 5).cipher_keys();
    let message = MegolmMessage::seal(SessionConfig::V1, 5, &other, &signing_key, b"forged");
    assert_eq!(inbound.decrypt(&message), Err(DecryptionError::Mac));
    assert_eq!(inbound.latest.index(), 0, "a message that is refused winds nothing");
}

#[test]
fn a_signed_message_with_wrong_padding_is_refused() {
    let signing_key = Ed25519SecretKey::from_bytes(&[1; 32]);
    let session = GroupSession::from_parts(SessionConfig::V2, ratchet(0), signing_key.clone());
    let mut inbound = InboundGroupSession::from(&session);
    let mut bytes = vec![4];
    wire::push_integer(&mut bytes, 0x08, 0);
    wire::push_string(&mut bytes, 0x12, &[0x5a; 15]);
    let mac = ratchet(0).cipher_keys().mac(&bytes);
    bytes.extend_from_slice(mac.tag(SessionConfig::V2.mac_length()));
    let signature = signing_key.sign(&bytes);
    bytes.extend_from_slice(signature.as_bytes());
    let message = MegolmMessage::from_bytes(&bytes).unwrap();
    assert_eq!(inbound.decrypt(&message), Err(DecryptionError::Padding(PaddingError)));
}
