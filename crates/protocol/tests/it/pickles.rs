//! Pickles: ours written and read back in every state, libolm's read as vodozemac reads them.
//!
//! vodozemac writes accounts in libolm's format, so those come from it. Sessions and group sessions it only reads; for these
//! the test writes the format itself, and both sides must make the same of it.

use protocol::cipher::{CipherKeys, MacLength};
use protocol::encoding;
use protocol::key::{Curve25519PublicKey, Curve25519SecretKey, Ed25519SecretKey};
use protocol::megolm::{GroupSession, InboundGroupSession, MegolmMessage};
use protocol::olm::{Account, OlmMessage, Session, SessionConfig};
use protocol::pickle::libolm::LibolmPickleError;
use protocol::pickle::{FieldError, PickleKey};
use sha2::{Digest as _, Sha512};

use crate::party::{Parcel, Party, rng};

const KEY: &[u8] = b"a key of any length";

#[test]
fn an_account_reads_as_it_was_written() {
    let mut rng = rng(1);
    let mut account = Account::new(&mut rng);
    account.generate_one_time_keys(5, &mut rng);
    account.mark_keys_as_published();
    account.generate_one_time_keys(3, &mut rng);
    account.generate_fallback_key(&mut rng);
    account.mark_keys_as_published();
    account.generate_fallback_key(&mut rng);

    let key = PickleKey::generate(&mut rng);
    let read = Account::unpickle(&account.pickle(&key, &mut rng), &key).unwrap();
    assert_eq!(read.identity_keys(), account.identity_keys());
    assert_eq!(read.sign(b"message"), account.sign(b"message"));
    assert_eq!(read.stored_one_time_keys(), 8);
    assert!(read.unpublished_one_time_keys().eq(account.unpublished_one_time_keys()));
    assert_eq!(read.unpublished_fallback_key(), account.unpublished_fallback_key());
    // Written twice with the same randomness, both give the same bytes: nothing was lost.
    let again = |account: &Account| account.pickle(&key, &mut crate::party::rng(2));
    assert_eq!(again(&read), again(&account));
}

#[test]
fn an_account_of_libolms_is_read_with_all_its_keys() {
    let mut rng = rng(3);
    let mut theirs = vodozemac::olm::Account::new();
    let published = theirs.generate_one_time_keys(3).created;
    theirs.generate_fallback_key();
    theirs.mark_keys_as_published();
    let unpublished = theirs.generate_one_time_keys(2).created;
    let previous = theirs.generate_fallback_key();
    assert!(previous.is_none());

    let mut ours = Account::from_libolm_pickle(&theirs.to_libolm_pickle(KEY).unwrap(), KEY).unwrap();
    assert_eq!(ours.identity_keys().curve25519.as_bytes(), theirs.curve25519_key().as_bytes());
    assert_eq!(ours.identity_keys().ed25519.as_bytes(), theirs.ed25519_key().as_bytes());
    assert_eq!(ours.sign(b"message").to_base64(), theirs.sign("message").to_base64());
    assert_eq!(ours.stored_one_time_keys(), 5);
    assert_eq!(ours.unpublished_one_time_keys().count(), 2);
    let fallback = theirs.fallback_key();
    let (_, fallback) = fallback.iter().next().unwrap();
    assert_eq!(ours.unpublished_fallback_key().unwrap().1.as_bytes(), fallback.as_bytes());

    // An expanded signing key goes on through our own format.
    let key = PickleKey::generate(&mut rng);
    ours = Account::unpickle(&ours.pickle(&key, &mut rng), &key).unwrap();
    assert_eq!(ours.sign(b"message").to_base64(), theirs.sign("message").to_base64());

    // Each key begins a session still.
    let alice = vodozemac::olm::Account::new();
    for one_time_key in published.iter().chain(&unpublished).chain([fallback]) {
        let config = vodozemac::olm::SessionConfig::version_1();
        let mut session = alice.create_outbound_session(config, theirs.curve25519_key(), *one_time_key).unwrap();
        let (message_type, bytes) = session.encrypt("hello").unwrap().to_parts();
        let parcel = Parcel { message_type: message_type as u64, bytes };
        let OlmMessage::PreKey(message) = parcel.open() else { panic!("a pre-key message") };
        let identity = Curve25519PublicKey::from_bytes(alice.curve25519_key().to_bytes());
        let inbound = ours.create_inbound_session(SessionConfig::V1, &identity, &message).unwrap();
        assert_eq!(inbound.plaintext, b"hello");
    }
    assert_eq!(ours.stored_one_time_keys(), 0);
    // New keys get numbers of their own.
    let fresh = ours.generate_one_time_keys(1, &mut rng).created;
    assert_eq!((fresh.len(), ours.stored_one_time_keys()), (1, 1));
}

/// From libolm's own tests: an account of the version whose signing keys were made wrongly.
#[test]
fn an_account_with_a_compromised_key_is_refused() {
    let text = "x3h9er86ygvq56pM1yesdAxZou4ResPQC9Rszk/fhEL9JY/umtZ2N/foL/SUgVXSv0IxHHZTafYjDdzJU9xr8dQeBoOTGfV9E/lCqD\
                GBnIlu7SZndqjEKXtzGyQr4sP4K/A/8TOu9iK2hDFszy6xETiousHnHgh2ZGbRUh4pQx+YMm8ZdNZeRnwFGLnrWyf9O5TmXua1FcU";
    assert_eq!(Account::from_libolm_pickle(text, b"").unwrap_err(), LibolmPickleError::CompromisedKey);
}

/// A session that libolm itself wrote, as it stands in the test suites of other implementations. It is blank, so it opens
/// and has nothing that could be gone on with.
#[test]
fn a_blank_session_that_libolm_wrote_opens_and_is_refused_by_both() {
    let text = "icDKYm0b4aO23WgUuOxdpPoxC0UlEOYPVeuduNH3IkpFsmnWx5KuEOpxGiZw5IuB/sSn2RZUCTiJ90IvgC7AClkYGHep9O8lpiqQX73XVK\
                D9okZDCAkBc83eEq0DKYC7HBkGRAU/4T6QPIBBY3UK4QZwULLE/fLsi3j4YZBehMtnlsqgHK0q1bvX4cRznZItVKR4ro0O9EAk6LLxJtSn\
                Ru5elSUk7YXT";
    assert_eq!(
        Session::from_libolm_pickle(text, b"secret_key").unwrap_err(),
        LibolmPickleError::Fields(FieldError::Value)
    );
    assert!(vodozemac::olm::Session::from_libolm_pickle(text, b"secret_key").is_err());
    assert_eq!(Session::from_libolm_pickle(text, b"other_key").unwrap_err(), LibolmPickleError::Mac);
}

/// libolm's envelope around `body`.
fn libolm(body: &[u8]) -> String {
    let keys = CipherKeys::derive(&[0], KEY, b"Pickle");
    let mut bytes = keys.encrypt(body);
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(MacLength::Truncated));
    encoding::encode(bytes)
}

const NOTHING: [u8; 4] = [0; 4];
const ONE: [u8; 4] = [0, 0, 0, 1];

/// Alice, who sends on a chain that begins at 5, and Bob, who received that chain up to 8 but not 6; and neither has heard
/// of an older chain of Alice's that Bob's libolm listed after it.
fn libolm_sessions() -> [String; 2] {
    let ratchet = Curve25519SecretKey::from_bytes(&[0x31; 32]);
    let public = *ratchet.public_key().as_bytes();
    let mut chain_key = [0x32; 32];
    let mut message_keys = vec![];
    let start = [&ONE[..], &[1], &[0x33; 96], &[0x34; 32]].concat();
    let alice = [&start[..], &ONE, &public, ratchet.as_bytes(), &chain_key, &[0, 0, 0, 5], &NOTHING, &NOTHING].concat();
    for _ in 5..8 {
        message_keys.push(protocol::cipher::kdf::hmac(&chain_key, b"\x01"));
        chain_key = protocol::cipher::kdf::hmac(&chain_key, b"\x02");
    }
    let (older, two) = ([0x35; 32], [0, 0, 0, 2]);
    let newest_first = [&public[..], &chain_key, &[0, 0, 0, 8], &older, &[0x36; 32], &[0, 0, 0, 1]].concat();
    // One key of the chain, and one whose chain is forgotten.
    let skipped = [&public[..], &message_keys[1], &[0, 0, 0, 6], &[0x37; 32], &[0x38; 32], &[0, 0, 0, 2]].concat();
    let bob = [&start[..], &NOTHING, &two, &newest_first, &two, &skipped].concat();
    [libolm(&alice), libolm(&bob)]
}

fn read(text: &str, ours: bool) -> Party {
    if ours {
        Party::Ours { session: Box::new(Session::from_libolm_pickle(text, KEY).unwrap()), rng: Box::new(rng(5)) }
    } else {
        Party::Vodozemac { session: Box::new(vodozemac::olm::Session::from_libolm_pickle(text, KEY).unwrap()) }
    }
}

#[test]
fn a_session_of_libolms_goes_on_with_either_side_ours() {
    let [alice, bob] = libolm_sessions();
    for (alice_is_ours, bob_is_ours) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut alice, mut bob) = (read(&alice, alice_is_ours), read(&bob, bob_is_ours));
        let messages: Vec<_> = (5..10u8).map(|n| alice.encrypt(&[n])).collect();
        for (n, readable) in [(8, true), (6, true), (5, false), (7, false), (6, false), (9, true)] {
            let result = bob.decrypt(&messages[n - 5]);
            assert_eq!(result.is_ok(), readable, "message {n}: {result:?}");
        }
        let mut bob = bob.restart();
        for round in 0..7u8 {
            let reply = bob.encrypt(&[round]);
            assert_eq!(alice.decrypt(&reply).unwrap(), [round]);
            let answer = alice.encrypt(&[round]);
            assert_eq!(bob.decrypt(&answer).unwrap(), [round]);
            alice = alice.restart();
        }
    }
}

/// libolm lists the newest key first; the oldest must be the one that goes when a session is full.
#[test]
fn a_full_session_of_libolms_forgets_its_oldest_key_first() {
    let ratchet = Curve25519SecretKey::from_bytes(&[0x31; 32]);
    let public = *ratchet.public_key().as_bytes();
    let first = [0x32; 32];
    let (mut chain_key, mut newest_first) = (first, vec![]);
    for index in 0..40 {
        let message_key = protocol::cipher::kdf::hmac(&chain_key, b"\x01");
        newest_first.insert(0, [&public[..], &message_key, &[0, 0, 0, index]].concat());
        chain_key = protocol::cipher::kdf::hmac(&chain_key, b"\x02");
    }
    let start = [&ONE[..], &[1], &[0x33; 96], &[0x34; 32]].concat();
    let alice = [&start[..], &ONE, &public, ratchet.as_bytes(), &first, &NOTHING, &NOTHING, &NOTHING].concat();
    let forty = [0, 0, 0, 40];
    let chain = [&ONE[..], &public, &chain_key, &forty].concat();
    let bob = [&start[..], &NOTHING, &chain, &forty, &newest_first.concat()].concat();

    let (mut alice, mut bob) = (read(&libolm(&alice), true), read(&libolm(&bob), true));
    let messages: Vec<_> = (0..42u8).map(|n| alice.encrypt(&[n])).collect();
    bob.decrypt(&messages[41]).unwrap();
    assert!(bob.decrypt(&messages[0]).is_err(), "it made room for the key of message 40");
    for (n, message) in messages.iter().enumerate().take(41).skip(1) {
        assert_eq!(usize::from(bob.decrypt(message).unwrap()[0]), n);
    }
}

#[test]
fn group_sessions_of_libolms_go_on_with_either_side_ours() {
    let signing_key = Ed25519SecretKey::from_bytes(&[5; 32]).public_key();
    let ratchet = [&[0x41; 128][..], &[0, 0, 1, 0xfe]].concat();
    let outbound = [&ONE[..], &ratchet, signing_key.as_bytes(), &Sha512::digest([5; 32])].concat();
    let inbound = [&[0, 0, 0, 2][..], &ratchet, &ratchet, signing_key.as_bytes(), &[1]].concat();
    let (outbound, inbound) = (libolm(&outbound), libolm(&inbound));

    let mut our_sender = GroupSession::from_libolm_pickle(&outbound, KEY).unwrap();
    let mut our_reader = InboundGroupSession::from_libolm_pickle(&inbound, KEY).unwrap();
    let mut their_sender = vodozemac::megolm::GroupSession::from_libolm_pickle(&outbound, KEY).unwrap();
    let mut their_reader = vodozemac::megolm::InboundGroupSession::from_libolm_pickle(&inbound, KEY).unwrap();
    assert_eq!(our_sender.session_id(), their_sender.session_id());
    assert_eq!(our_reader.session_id(), their_reader.session_id());
    assert!(our_reader.signing_key_verified());
    for n in 0..5u8 {
        let message = our_sender.encrypt(&[n]).unwrap();
        assert_eq!(message.as_bytes(), their_sender.encrypt([n]).to_bytes(), "signatures are deterministic too");
        let theirs = vodozemac::megolm::MegolmMessage::from_bytes(message.as_bytes()).unwrap();
        assert_eq!(their_reader.decrypt(&theirs).unwrap().plaintext, [n]);
        let message = MegolmMessage::from_bytes(message.as_bytes()).unwrap();
        assert_eq!(our_reader.decrypt(&message).unwrap().plaintext, [n]);
    }
}
