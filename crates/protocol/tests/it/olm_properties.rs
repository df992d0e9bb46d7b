//! What Olm promises, each promise as a test: once and only once, healing, refusal of whatever was altered, bounds.

use protocol::key::{Curve25519PublicKey, Curve25519SecretKey};
use protocol::olm::session::{MAX_MESSAGE_GAP, MAX_RECEIVER_CHAINS, MAX_SKIPPED_KEYS};
use protocol::olm::{
    Account, DecryptionError, MessageType, OlmMessage, PreKeyMessage, Session, SessionConfig, SessionCreationError,
};
use protocol::pickle::PickleKey;
use rand_chacha::ChaCha20Rng;

use crate::party::rng;

const CONFIGS: [SessionConfig; 2] = [SessionConfig::V1, SessionConfig::V2];

/// Alice's session with Bob, who has not heard of it.
fn begin(config: SessionConfig, rng: &mut ChaCha20Rng) -> (Session, Account, Curve25519PublicKey) {
    let (alice, mut bob) = (Account::new(rng), Account::new(rng));
    let one_time_key = bob.generate_one_time_keys(1, rng).created[0];
    let session = alice.create_outbound_session(config, &bob.identity_keys().curve25519, &one_time_key, rng).unwrap();
    (session, bob, alice.identity_keys().curve25519)
}

fn pre_key(message: OlmMessage) -> PreKeyMessage {
    match message {
        OlmMessage::PreKey(message) => message,
        OlmMessage::Normal(_) => panic!("a pre-key message"),
    }
}

/// Both ends, after Alice's first message.
fn pair(config: SessionConfig, rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (mut alice, mut bob, alices_identity) = begin(config, rng);
    let first = pre_key(alice.encrypt(b"first", rng).unwrap());
    let bob = bob.create_inbound_session(config, &alices_identity, &first).unwrap();
    (alice, bob.session)
}

/// What an attacker has who copies the state of a device.
fn copy(session: &Session, rng: &mut ChaCha20Rng) -> Session {
    let key = PickleKey::generate(rng);
    Session::unpickle(&session.pickle(&key, rng), &key).unwrap()
}

#[test]
fn each_message_is_read_once_and_only_once_in_any_order() {
    for config in CONFIGS {
        let mut rng = rng(10);
        let (mut alice, mut bob) = pair(config, &mut rng);
        let mut messages: Vec<_> =
            (0..=MAX_SKIPPED_KEYS).map(|n| (n, alice.encrypt(&n.to_be_bytes(), &mut rng).unwrap())).collect();
        messages.reverse();
        messages.rotate_left(7);
        for (n, message) in &messages {
            assert_eq!(bob.decrypt(message).unwrap(), n.to_be_bytes());
            assert!(matches!(bob.decrypt(message), Err(DecryptionError::UnknownMessageKey { .. })));
        }
        assert_eq!(bob.skipped_keys(), 0);
    }
}

#[test]
fn a_copied_state_reads_until_one_round_trip_and_then_no_more() {
    for config in CONFIGS {
        let mut rng = rng(11);
        let (mut alice, mut bob) = pair(config, &mut rng);
        let mut eve = copy(&alice, &mut rng);

        let reply = bob.encrypt(b"still readable", &mut rng).unwrap();
        assert_eq!(eve.decrypt(&reply).unwrap(), b"still readable", "the copy is a real one");
        alice.decrypt(&reply).unwrap();
        let healing = alice.encrypt(b"a new ratchet key", &mut rng).unwrap();
        bob.decrypt(&healing).unwrap();

        for _ in 0..3 {
            let safe = bob.encrypt(b"healed", &mut rng).unwrap();
            assert!(eve.decrypt(&safe).is_err());
            assert_eq!(alice.decrypt(&safe).unwrap(), b"healed");
            let safe = alice.encrypt(b"healed", &mut rng).unwrap();
            assert!(eve.decrypt(&safe).is_err());
            assert_eq!(bob.decrypt(&safe).unwrap(), b"healed");
        }
    }
}

#[test]
fn a_copied_state_reads_nothing_of_what_was_read_before() {
    let mut rng = rng(12);
    let (mut alice, mut bob) = pair(SessionConfig::V1, &mut rng);
    let past: Vec<_> = (0..5).map(|_| alice.encrypt(b"past", &mut rng).unwrap()).collect();
    for message in &past {
        bob.decrypt(message).unwrap();
    }
    let mut eve = copy(&bob, &mut rng);
    for message in &past {
        assert!(matches!(eve.decrypt(message), Err(DecryptionError::UnknownMessageKey { .. })));
    }
}

/// Every way to alter one byte by one bit, and every way to cut it short.
fn altered(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..8 * bytes.len()).map(move |bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        altered
    });
    let cut = (0..bytes.len()).map(move |length| bytes[..length].to_vec());
    let longer = [0x00, 0x22, 0xff].into_iter().map(move |byte| [bytes, &[byte]].concat());
    flipped.chain(cut).chain(longer)
}

#[test]
fn an_altered_message_is_refused_and_changes_nothing() {
    for config in CONFIGS {
        let mut rng = rng(13);
        let (mut alice, mut bob) = pair(config, &mut rng);
        let key = PickleKey::from_bytes(&[1; 32]);
        let state = |session: &Session| session.pickle(&key, &mut crate::party::rng(1));

        let refuse_all = |bob: &mut Session, message: &OlmMessage| {
            let before = state(bob);
            for bytes in altered(&message.to_bytes()) {
                if let Ok(altered) = OlmMessage::from_bytes(message.message_type(), &bytes) {
                    assert!(bob.decrypt(&altered).is_err(), "{bytes:02x?}");
                }
            }
            assert_eq!(state(bob), before);
            assert_eq!(bob.decrypt(message).unwrap(), b"genuine");
        };
        // A pre-key message for a session that exists, one on a known chain, and one on a new chain.
        let again = alice.encrypt(b"genuine", &mut rng).unwrap();
        assert_eq!(again.message_type(), MessageType::PreKey);
        refuse_all(&mut bob, &again);
        let reply = bob.encrypt(b"genuine", &mut rng).unwrap();
        refuse_all(&mut alice, &reply);
        let second = bob.encrypt(b"genuine", &mut rng).unwrap();
        refuse_all(&mut alice, &second);
        let skipped = bob.encrypt(b"genuine", &mut rng).unwrap();
        let ahead = bob.encrypt(b"genuine", &mut rng).unwrap();
        refuse_all(&mut alice, &ahead);
        refuse_all(&mut alice, &skipped);
    }
}

#[test]
fn an_altered_first_message_is_refused_and_the_one_time_key_kept() {
    for config in CONFIGS {
        let mut rng = rng(14);
        let (mut alice, mut bob, identity) = begin(config, &mut rng);
        let first = pre_key(alice.encrypt(b"genuine", &mut rng).unwrap());
        for bytes in altered(&first.to_bytes()) {
            if let Ok(altered) = PreKeyMessage::from_bytes(&bytes) {
                assert!(bob.create_inbound_session(config, &identity, &altered).is_err(), "{bytes:02x?}");
            }
        }
        assert_eq!(bob.stored_one_time_keys(), 1);
        assert_eq!(bob.create_inbound_session(config, &identity, &first).unwrap().plaintext, b"genuine");
        assert_eq!(bob.stored_one_time_keys(), 0);
        assert!(matches!(
            bob.create_inbound_session(config, &identity, &first),
            Err(SessionCreationError::UnknownOneTimeKey(_))
        ));
    }
}

#[test]
fn the_other_version_is_refused_on_both_ways_in() {
    let mut rng = rng(15);
    let (mut alice, mut bob, identity) = begin(SessionConfig::V2, &mut rng);
    let first = pre_key(alice.encrypt(b"first", &mut rng).unwrap());
    let (expected, got) = (SessionConfig::V1, SessionConfig::V2);
    assert_eq!(
        bob.create_inbound_session(expected, &identity, &first).unwrap_err(),
        SessionCreationError::Config { expected, got }
    );
    let (_, mut old) = pair(SessionConfig::V1, &mut rng);
    let OlmMessage::Normal(inner) = OlmMessage::from_bytes(MessageType::Normal, first.message().as_bytes()).unwrap()
    else {
        panic!("a normal message")
    };
    assert_eq!(old.decrypt(&OlmMessage::Normal(inner)), Err(DecryptionError::Config { expected, got }));
}

#[test]
fn the_sender_that_a_first_message_names_must_be_the_one_it_came_from() {
    let mut rng = rng(16);
    let (mut alice, mut bob, alices_identity) = begin(SessionConfig::V1, &mut rng);
    let eve = Account::new(&mut rng).identity_keys().curve25519;
    let first = pre_key(alice.encrypt(b"first", &mut rng).unwrap());
    assert_eq!(
        bob.create_inbound_session(SessionConfig::V1, &eve, &first).unwrap_err(),
        SessionCreationError::OtherIdentityKey { expected: eve, got: alices_identity }
    );
    assert_eq!(bob.stored_one_time_keys(), 1);
}

#[test]
fn a_pre_key_message_of_another_session_is_refused() {
    let mut rng = rng(17);
    let (_, mut bob) = pair(SessionConfig::V1, &mut rng);
    let (mut other, _, _) = begin(SessionConfig::V1, &mut rng);
    let message = other.encrypt(b"other", &mut rng).unwrap();
    assert_eq!(bob.decrypt(&message), Err(DecryptionError::OtherSession));
}

#[test]
fn keys_of_small_order_or_in_a_second_spelling_begin_no_session() {
    let mut rng = rng(18);
    let alice = Account::new(&mut rng);
    let good = Curve25519SecretKey::generate(&mut rng).public_key();
    let small = Curve25519PublicKey::from_bytes([0; 32]);
    let mut spelled = good.to_bytes();
    spelled[31] |= 0x80;
    let spelled = Curve25519PublicKey::from_bytes(spelled);
    for (bad, reason) in [
        (small, SessionCreationError::NonContributoryKey(protocol::key::NonContributoryKey)),
        (spelled, SessionCreationError::NonCanonicalKey),
    ] {
        for (identity, one_time) in [(bad, good), (good, bad)] {
            let session = alice.create_outbound_session(SessionConfig::V1, &identity, &one_time, &mut rng);
            assert_eq!(session.unwrap_err(), reason);
        }
    }
}

#[test]
fn what_a_session_keeps_is_bounded_whatever_the_other_side_does() {
    let mut rng = rng(20);
    let (mut alice, mut bob) = pair(SessionConfig::V1, &mut rng);
    let key = PickleKey::from_bytes(&[1; 32]);
    let mut largest = 0;
    for round in 0..3 * MAX_RECEIVER_CHAINS {
        let mut last = alice.encrypt(b"message", &mut rng).unwrap();
        for _ in 0..MAX_MESSAGE_GAP / 10 {
            last = alice.encrypt(b"message", &mut rng).unwrap();
        }
        bob.decrypt(&last).unwrap();
        assert!(bob.skipped_keys() <= MAX_SKIPPED_KEYS * MAX_RECEIVER_CHAINS);
        assert_eq!(bob.skipped_keys(), MAX_SKIPPED_KEYS * (round + 1).min(MAX_RECEIVER_CHAINS));
        largest = largest.max(bob.pickle(&key, &mut rng).len());
        let reply = bob.encrypt(b"reply", &mut rng).unwrap();
        alice.decrypt(&reply).unwrap();
    }
    assert!(largest < 12 * 1024, "{largest} bytes");
}

#[test]
fn a_fallback_key_serves_again_and_the_previous_one_until_it_is_forgotten() {
    let mut rng = rng(21);
    let mut bob = Account::new(&mut rng);
    let bobs_identity = bob.identity_keys().curve25519;
    let begin = |key: &Curve25519PublicKey, rng: &mut ChaCha20Rng| {
        let alice = Account::new(rng);
        let mut session = alice.create_outbound_session(SessionConfig::V1, &bobs_identity, key, rng).unwrap();
        (alice.identity_keys().curve25519, pre_key(session.encrypt(b"hello", rng).unwrap()))
    };

    assert_eq!(bob.unpublished_fallback_key(), None);
    assert_eq!(bob.generate_fallback_key(&mut rng), None);
    let (first_id, first) = bob.unpublished_fallback_key().unwrap();
    bob.mark_keys_as_published();
    assert_eq!(bob.unpublished_fallback_key(), None);
    for _ in 0..2 {
        let (identity, message) = begin(&first, &mut rng);
        bob.create_inbound_session(SessionConfig::V1, &identity, &message).unwrap();
    }

    assert_eq!(bob.generate_fallback_key(&mut rng), None);
    let (second_id, second) = bob.unpublished_fallback_key().unwrap();
    assert_ne!((first_id, first), (second_id, second));
    let (identity, message) = begin(&first, &mut rng);
    bob.create_inbound_session(SessionConfig::V1, &identity, &message).unwrap();

    let late = begin(&first, &mut rng);
    assert!(bob.forget_previous_fallback_key());
    assert!(!bob.forget_previous_fallback_key());
    assert_eq!(
        bob.create_inbound_session(SessionConfig::V1, &late.0, &late.1).unwrap_err(),
        SessionCreationError::UnknownOneTimeKey(first)
    );
    assert_eq!(bob.generate_fallback_key(&mut rng), None);
    assert_eq!(bob.generate_fallback_key(&mut rng), Some(second));
}
