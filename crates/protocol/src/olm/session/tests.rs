//! Sessions: order, loss, bounds, and failed messages that leave no trace.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::chain_key::ChainKey;
use super::message_key::MessageKey;
use super::{DecryptionError, EncryptionError, Session};
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, NonContributoryKey};
use crate::olm::message::{NormalMessage, PreKeyMessage};
use crate::olm::{OlmMessage, SessionConfig, SessionKeys};

const SMALL: Curve25519PublicKey = Curve25519PublicKey::from_bytes([0; 32]);
const CONFIG: SessionConfig = SessionConfig::V1;

fn secrets() -> (super::RootBytes, ChainKey) {
    (zeroize::Zeroizing::new([1; 32]), ChainKey::new(&[2; 32]))
}

fn session_keys() -> SessionKeys {
    let key = Curve25519PublicKey::from_bytes([9; 32]);
    SessionKeys { identity_key: key, base_key: key, one_time_key: key }
}

/// What a malicious sender can do, who knows the chain: name any ratchet key at all.
fn forge(ratchet_key: Curve25519PublicKey, key: MessageKey) -> NormalMessage {
    key.seal(CONFIG, ratchet_key, 0, b"forged")
}

#[test]
fn keys_of_the_ratchet_are_wiped_when_dropped() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<super::RootBytes>();
    wiped::<ChainKey>();
    wiped::<MessageKey>();
    wiped::<crate::cipher::CipherKeys>();
    wiped::<crate::megolm::ratchet::Ratchet>();
    wiped::<crate::pickle::PickleKey>();
}

#[test]
fn a_first_ratchet_key_of_small_order_is_never_answered() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let forged = PreKeyMessage::new(session_keys(), forge(SMALL, secrets().1.next_message_key()));
    let (mut session, plaintext) = Session::inbound(&forged, secrets()).unwrap();
    assert_eq!(plaintext, b"forged");
    for _ in 0..2 {
        assert_eq!(
            session.encrypt(b"answer", &mut rng).unwrap_err(),
            EncryptionError::NonContributoryKey(NonContributoryKey)
        );
    }
}

#[test]
fn a_later_ratchet_key_of_small_order_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut session = Session::outbound(CONFIG, session_keys(), secrets(), &mut rng);
    let message = OlmMessage::Normal(forge(SMALL, MessageKey::new([3; 32])));
    assert_eq!(session.decrypt(&message), Err(DecryptionError::NonContributoryKey(NonContributoryKey)));
    assert!(!session.has_received_message());
}

#[test]
fn a_new_ratchet_key_is_refused_when_none_was_due() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let theirs = Curve25519SecretKey::generate(&mut rng).public_key();
    let first = PreKeyMessage::new(session_keys(), forge(theirs, secrets().1.next_message_key()));
    let (mut session, _) = Session::inbound(&first, secrets()).unwrap();
    let other = Curve25519SecretKey::generate(&mut rng).public_key();
    let message = OlmMessage::Normal(forge(other, MessageKey::new([3; 32])));
    assert_eq!(session.decrypt(&message), Err(DecryptionError::UnknownRatchetKey));
}

#[test]
fn an_authentic_message_with_wrong_padding_is_refused_and_can_come_again_rightly() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let theirs = Curve25519SecretKey::generate(&mut rng).public_key();
    let mut chain = secrets().1;
    let first = PreKeyMessage::new(session_keys(), forge(theirs, chain.next_message_key()));
    let (mut session, _) = Session::inbound(&first, secrets()).unwrap();

    let key = chain.next_message_key();
    let keys = key.cipher_keys();
    let mut bytes = vec![CONFIG.message_version()];
    crate::wire::push_string(&mut bytes, 0x0a, theirs.as_bytes());
    crate::wire::push_integer(&mut bytes, 0x10, 1);
    crate::wire::push_string(&mut bytes, 0x22, &[0x5a; 15]);
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(CONFIG.mac_length()));
    let unpadded = OlmMessage::Normal(NormalMessage::from_bytes(&bytes).unwrap());
    assert_eq!(session.decrypt(&unpadded), Err(DecryptionError::Padding(crate::cipher::PaddingError)));

    let right = OlmMessage::Normal(key.seal(CONFIG, theirs, 1, b"right"));
    assert_eq!(session.decrypt(&right).unwrap(), b"right");
}
