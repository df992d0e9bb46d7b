//! Everything that Olm, Megolm and their pickles decode.
//!
//! Pickles are sealed around the input here, so that the fuzzer need not guess a MAC: what is tested is what comes after.

use protocol::cipher::{CipherKeys, MacLength};
use protocol::encoding;
use protocol::key::{Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature};
use protocol::megolm::{ExportedSessionKey, GroupSession, InboundGroupSession, MegolmMessage, SessionKey};
use protocol::olm::{Account, MessageType, NormalMessage, OlmMessage, PreKeyMessage, Session};
use protocol::pickle::PickleKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::Target;

pub(crate) const TARGETS: &[Target] = &[
    ("base64", base64),
    ("keys", keys),
    ("olm_normal_message", olm_normal_message),
    ("olm_pre_key_message", olm_pre_key_message),
    ("olm_decrypt", olm_decrypt),
    ("olm_create_inbound", olm_create_inbound),
    ("megolm_message", megolm_message),
    ("megolm_decrypt", megolm_decrypt),
    ("megolm_session_key", megolm_session_key),
    ("megolm_exported_session_key", megolm_exported_session_key),
    ("pickle_account", pickle_account),
    ("pickle_session", pickle_session),
    ("pickle_group_session", pickle_group_session),
    ("pickle_inbound_group_session", pickle_inbound_group_session),
    ("pickle_envelope", pickle_envelope),
    ("libolm_account", libolm_account),
    ("libolm_session", libolm_session),
    ("libolm_group_session", libolm_group_session),
    ("libolm_inbound_group_session", libolm_inbound_group_session),
];

const OLM: protocol::olm::SessionConfig = protocol::olm::SessionConfig::V1;
const MEGOLM: protocol::megolm::SessionConfig = protocol::megolm::SessionConfig::V1;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(0x5eed)
}

/// The key of every pickle here.
pub(crate) fn pickle_key() -> PickleKey {
    PickleKey::from_bytes(&[7; 32])
}

/// Text that decodes is the text that its bytes encode to.
pub(crate) fn base64(data: &[u8]) {
    if let Ok(bytes) = encoding::decode(data) {
        assert_eq!(encoding::encode(&bytes).as_bytes(), data);
        assert_eq!(encoding::decode_lenient(data), Ok(bytes));
    } else if let Ok(bytes) = encoding::decode_lenient(data) {
        assert!(data.ends_with(b"="));
        assert!(data.starts_with(encoding::encode(bytes).as_bytes()));
    }
}

/// A key or signature that is read writes the same text.
pub(crate) fn keys(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(key) = text.parse::<Curve25519PublicKey>() {
        assert_eq!(key.to_base64(), text);
    }
    if let Ok(key) = text.parse::<Ed25519PublicKey>() {
        assert_eq!(key.to_base64(), text);
        assert!(key.verify(b"message", &Ed25519Signature::from_bytes([1; 64])).is_err());
    }
    if let Ok(signature) = text.parse::<Ed25519Signature>() {
        assert_eq!(signature.to_base64(), text);
    }
}

/// A message is kept as it travelled.
pub(crate) fn olm_normal_message(data: &[u8]) {
    if let Ok(message) = NormalMessage::from_bytes(data) {
        assert_eq!(message.as_bytes(), data);
        assert!(message.ratchet_key().is_canonical());
    }
}

/// A message is written as it was read, but for the order of its fields.
pub(crate) fn olm_pre_key_message(data: &[u8]) {
    if let Ok(message) = PreKeyMessage::from_bytes(data) {
        let bytes = message.to_bytes();
        assert_eq!(bytes.len(), data.len());
        assert_eq!(PreKeyMessage::from_bytes(&bytes).as_ref(), Ok(&message));
        assert_eq!(message.session_id(), message.session_keys().session_id());
    }
}

/// Alice, Bob, and Alice's session with Bob, who has not heard of it.
pub(crate) fn olm_beginning() -> (Account, Account, Session, ChaCha20Rng) {
    let mut rng = rng();
    let (alice, mut bob) = (Account::new(&mut rng), Account::new(&mut rng));
    let key = bob.generate_one_time_keys(1, &mut rng).created[0];
    let session = alice.create_outbound_session(OLM, &bob.identity_keys().curve25519, &key, &mut rng).unwrap();
    (alice, bob, session, rng)
}

/// Both ends of a session, after one message from Alice.
pub(crate) fn olm_pair() -> (Session, Session, ChaCha20Rng) {
    let (alice, mut bob, mut session, mut rng) = olm_beginning();
    let OlmMessage::PreKey(first) = session.encrypt(b"first", &mut rng).unwrap() else { return olm_pair() };
    let inbound = bob.create_inbound_session(OLM, &alice.identity_keys().curve25519, &first).unwrap();
    (session, inbound.session, rng)
}

fn state(session: &Session) -> Vec<u8> {
    session.pickle(&pickle_key(), &mut rng())
}

/// Bob gets a message of either type, told by the first byte. What is refused changes nothing.
pub(crate) fn olm_decrypt(data: &[u8]) {
    let Some((message_type, bytes)) = data.split_first() else { return };
    let message_type = if *message_type == 0 { MessageType::PreKey } else { MessageType::Normal };
    let Ok(message) = OlmMessage::from_bytes(message_type, bytes) else { return };
    let (_, mut bob, _) = olm_pair();
    let before = state(&bob);
    if bob.decrypt(&message).is_err() {
        assert_eq!(state(&bob), before);
    } else {
        assert!(bob.decrypt(&message).is_err(), "no message is read twice");
    }
}

/// Bob gets a first message. What is refused costs no key.
pub(crate) fn olm_create_inbound(data: &[u8]) {
    let Ok(message) = PreKeyMessage::from_bytes(data) else { return };
    let (_, mut bob, _, _) = olm_beginning();
    let created = bob.create_inbound_session(OLM, &message.session_keys().identity_key, &message);
    assert_eq!(bob.stored_one_time_keys(), usize::from(created.is_err()));
}

/// A message is kept as it travelled.
pub(crate) fn megolm_message(data: &[u8]) {
    if let Ok(message) = MegolmMessage::from_bytes(data) {
        assert_eq!(message.as_bytes(), data);
    }
}

/// Both ends of a group session.
pub(crate) fn megolm_pair() -> (GroupSession, InboundGroupSession) {
    let session = GroupSession::new(MEGOLM, &mut rng());
    let reader = InboundGroupSession::from(&session);
    (session, reader)
}

/// A reader gets a message.
pub(crate) fn megolm_decrypt(data: &[u8]) {
    let Ok(message) = MegolmMessage::from_bytes(data) else { return };
    let (_, mut reader) = megolm_pair();
    if let Ok(read) = reader.decrypt(&message) {
        assert_eq!(read.index, message.index());
    }
}

/// A key has one spelling, and the session that follows from it exports it.
pub(crate) fn megolm_session_key(data: &[u8]) {
    if let Ok(key) = SessionKey::from_bytes(data) {
        assert_eq!(*key.to_bytes(), data);
        let session = InboundGroupSession::new(&key, MEGOLM);
        assert_eq!(session.export().to_bytes()[1..], data[1..165]);
    }
}

/// A key has one spelling, and the session that follows from it exports it.
pub(crate) fn megolm_exported_session_key(data: &[u8]) {
    if let Ok(key) = ExportedSessionKey::from_bytes(data) {
        assert_eq!(*key.to_bytes(), data);
        assert_eq!(*InboundGroupSession::import(&key, MEGOLM).export().to_bytes(), data);
    }
}

/// Our envelope around `body`, as `spec/pickles.md` has it.
pub(crate) fn seal(kind: u8, body: &[u8]) -> Vec<u8> {
    let salt = [9; 32];
    let keys = CipherKeys::derive(&salt, pickle_key().as_bytes(), b"HOLDFAST_PICKLE");
    let mut bytes = [&[1, kind][..], &salt, &keys.encrypt(body)].concat();
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(MacLength::Full));
    bytes
}

/// The body inside our envelope.
pub(crate) fn unseal(bytes: &[u8]) -> Vec<u8> {
    let keys = CipherKeys::derive(&bytes[2..34], pickle_key().as_bytes(), b"HOLDFAST_PICKLE");
    keys.decrypt(&bytes[34..bytes.len() - 32]).unwrap()
}

/// libolm's envelope around `body`.
fn seal_libolm(body: &[u8]) -> String {
    let keys = CipherKeys::derive(&[0], b"key", b"Pickle");
    let mut bytes = keys.encrypt(body);
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(MacLength::Truncated));
    encoding::encode(bytes)
}

/// An account that was read can be used, and is written as it is read again.
fn use_account(mut account: Account) {
    let once = account.pickle(&pickle_key(), &mut rng());
    let twice = Account::unpickle(&once, &pickle_key()).unwrap().pickle(&pickle_key(), &mut rng());
    assert_eq!(once, twice);
    account.generate_one_time_keys(1, &mut rng());
    account.generate_fallback_key(&mut rng());
    account.identity_keys().ed25519.verify(b"message", &account.sign(b"message")).unwrap();
}

fn use_session(mut session: Session) {
    let once = state(&session);
    assert_eq!(state(&Session::unpickle(&once, &pickle_key()).unwrap()), once);
    // The other side's ratchet key may be of small order, in which case nothing can be sent.
    let _ = session.encrypt(b"message", &mut rng());
}

fn use_group_session(mut session: GroupSession) {
    let mut reader = InboundGroupSession::from(&session);
    if let Ok(message) = session.encrypt(b"message") {
        let read = reader.decrypt(&message).map(|read| read.plaintext);
        // A signing key that libolm wrote may be one that strict verification refuses.
        assert!(read.is_err() || read.is_ok_and(|plaintext| plaintext == b"message"));
    }
}

fn use_inbound_group_session(mut session: InboundGroupSession) {
    let later = session.first_known_index().saturating_add(1000);
    assert!(session.export_at(later).is_some());
    session.advance_to(later);
    assert_eq!(session.first_known_index(), later);
}

pub(crate) fn pickle_account(data: &[u8]) {
    if let Ok(account) = Account::unpickle(&seal(1, data), &pickle_key()) {
        use_account(account);
    }
}

/// A session has one spelling.
pub(crate) fn pickle_session(data: &[u8]) {
    if let Ok(session) = Session::unpickle(&seal(2, data), &pickle_key()) {
        assert_eq!(unseal(&state(&session)), data);
        use_session(session);
    }
}

/// A group session has one spelling.
pub(crate) fn pickle_group_session(data: &[u8]) {
    if let Ok(session) = GroupSession::unpickle(&seal(3, data), &pickle_key()) {
        assert_eq!(unseal(&session.pickle(&pickle_key(), &mut rng())), data);
        use_group_session(session);
    }
}

/// An inbound group session has one spelling.
pub(crate) fn pickle_inbound_group_session(data: &[u8]) {
    if let Ok(session) = InboundGroupSession::unpickle(&seal(4, data), &pickle_key()) {
        assert_eq!(unseal(&session.pickle(&pickle_key(), &mut rng())), data);
        use_inbound_group_session(session);
    }
}

/// Anything at all as a pickle: nothing that was not sealed under the key opens, but what the corpus was given.
pub(crate) fn pickle_envelope(data: &[u8]) {
    if let Ok(session) = Session::unpickle(data, &pickle_key()) {
        use_session(session);
    }
    if let Ok(text) = str::from_utf8(data) {
        assert!(Session::from_libolm_pickle(text, b"key").is_err());
    }
}

pub(crate) fn libolm_account(data: &[u8]) {
    if let Ok(account) = Account::from_libolm_pickle(&seal_libolm(data), b"key") {
        use_account(account);
    }
}

pub(crate) fn libolm_session(data: &[u8]) {
    if let Ok(session) = Session::from_libolm_pickle(&seal_libolm(data), b"key") {
        use_session(session);
    }
}

pub(crate) fn libolm_group_session(data: &[u8]) {
    if let Ok(session) = GroupSession::from_libolm_pickle(&seal_libolm(data), b"key") {
        use_group_session(session);
    }
}

pub(crate) fn libolm_inbound_group_session(data: &[u8]) {
    if let Ok(session) = InboundGroupSession::from_libolm_pickle(&seal_libolm(data), b"key") {
        use_inbound_group_session(session);
    }
}
