//! Everything that bundles, backups, files, verification, envelopes and hybrid sessions decode.
//!
//! Where a MAC or an encryption stands before a decoder, the input is put behind it, so that the fuzzer need not guess a key.

use std::collections::BTreeMap;

use protocol::attachment::{AttachmentInfo, Decryptor};
use protocol::backup::{AuthData, BackupSecretKey, EncryptedSession, KeyBackupData};
use protocol::bundle::upload::{CrossSigningUpload, KeysUpload, Owner, SignatureUpload, Uploader};
use protocol::bundle::{ClaimRequest, ClaimResponse, DeviceKeys, KeysQueryResponse, OneTimeKey, algorithm, signature};
use protocol::canonical::{Object, Value};
use protocol::encoding;
use protocol::envelope::{EnvelopeKey, EnvelopeSecretKey, ReplayWindow, SealedEnvelope, Sender, seal};
use protocol::hybrid::{Identity, Message, PreKeys, Session};
use protocol::key::{Curve25519SecretKey, Ed25519SecretKey, KemPublicKey};
use protocol::key_export::{self, ExportedSession};
use protocol::sas::{Accepter, Confirmed, Established, Flow, Party, Reference, Starter};
use protocol::secret_storage::{EncryptedSecret, KeyDescription, StorageKey, key_string};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::Target;
use super::ratchets::{pickle_key, seal as seal_pickle};

pub(crate) const TARGETS: &[Target] = &[
    ("canonical_json", canonical_json),
    ("device_keys", device_keys),
    ("one_time_key", one_time_key),
    ("keys_upload", keys_upload),
    ("keys_query", keys_query),
    ("backup", backup),
    ("secret_storage", secret_storage),
    ("recovery_key", recovery_key),
    ("attachment", attachment),
    ("key_export", key_export),
    ("exported_sessions", exported_sessions),
    ("sas", sas),
    ("envelope_key", envelope_key),
    ("envelope", envelope),
    ("replay_window", replay_window),
    ("kem_public_key", kem_public_key),
    ("hybrid_message", hybrid_message),
    ("hybrid_accept", hybrid_accept),
    ("pickle_hybrid_session", pickle_hybrid_session),
    ("pickle_hybrid_prekeys", pickle_hybrid_prekeys),
];

pub(crate) const USER: &str = "@alice:example.org";
pub(crate) const NOW_MS: u64 = 1_790_000_000_000;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(0x5eed)
}

pub(crate) fn signing_key() -> Ed25519SecretKey {
    Ed25519SecretKey::from_bytes(&[5; 32])
}

pub(crate) fn identity_key() -> Curve25519SecretKey {
    Curve25519SecretKey::from_bytes(&[6; 32])
}

pub(crate) fn device() -> DeviceKeys {
    let algorithms = [algorithm::OLM, algorithm::HYBRID];
    DeviceKeys::sign(USER, "DEVICE", &algorithms, &identity_key().public_key(), &signing_key()).unwrap()
}

/// What the input says, signed by the device: what is tested comes after the signature.
fn signed(data: &[u8]) -> Option<Object> {
    let mut object = Object::parse(data).ok()?;
    object.remove("signatures");
    signature::sign(&mut object, USER, "ed25519:DEVICE", &signing_key()).ok()?;
    Some(object)
}

/// A value has one canonical text, which reads back as the value.
pub(crate) fn canonical_json(data: &[u8]) {
    if let Ok(value) = Value::parse(data) {
        let text = value.to_canonical();
        assert_eq!(Value::parse(text.as_bytes()).unwrap().to_canonical(), text);
    }
}

pub(crate) fn device_keys(data: &[u8]) {
    let Some(object) = signed(data) else { return };
    if let Ok(device) = DeviceKeys::verify(object.clone(), USER, "DEVICE") {
        assert_eq!(device.as_object(), &object);
        assert_eq!(device.ed25519(), &signing_key().public_key());
    }
}

pub(crate) fn one_time_key(data: &[u8]) {
    let Some(object) = signed(data) else { return };
    for name in ["signed_curve25519:AAAA", "org.holdfast.signed_x25519_mlkem768:AAAA", "org.example.other:AAAA"] {
        if let Ok(key) = OneTimeKey::verify(name, Value::Object(object.clone()), &device()) {
            assert_eq!(key.value().as_object(), Some(&object));
        }
    }
}

/// Uploads of all three kinds. Those that are taken are as they are written.
pub(crate) fn keys_upload(data: &[u8]) {
    let Ok(body) = Object::parse(data) else { return };
    let device = device();
    let uploader = Uploader { user_id: USER, device_id: "DEVICE", device: Some(&device), cross_signing_keys: &[] };
    if let Ok(upload) = KeysUpload::check(&body, &uploader) {
        let again = KeysUpload::check(&upload.to_body(), &uploader).unwrap();
        assert_eq!(again, upload);
    }
    let devices = [device.clone()];
    let owner = Owner { user_id: USER, master: None, devices: &devices, keyless_devices: &[] };
    if let Ok(upload) = CrossSigningUpload::check(&body, &owner) {
        assert!(upload.public_keys().count() <= 3);
    }
    let key = |_: &str| Some(signing_key().public_key());
    let _ = SignatureUpload::check(&body, device.as_object(), USER, key);
    if let Ok(claims) = ClaimRequest::parse(&body) {
        let again = ClaimRequest::parse(&claims.to_body()).unwrap();
        assert_eq!(again, claims);
    }
}

pub(crate) fn keys_query(data: &[u8]) {
    let Ok(body) = Object::parse(data) else { return };
    if let Ok(response) = ClaimResponse::parse(&body) {
        let _ = response.take(&device(), algorithm::SIGNED_CURVE25519);
    }
    let keys = KeysQueryResponse::parse(body).user(USER);
    assert!(keys.devices.iter().all(|device| device.user_id() == USER));
}

pub(crate) fn backup_key() -> BackupSecretKey {
    BackupSecretKey::generate(&mut rng())
}

/// A stored session, its description, and the input as what was encrypted.
pub(crate) fn backup(data: &[u8]) {
    let key = backup_key();
    let encrypted = key.public_key().encrypt_bytes(data, &mut rng()).unwrap();
    assert_eq!(key.decrypt_bytes(&encrypted).unwrap().as_slice(), data);
    let _ = key.decrypt(&encrypted);
    let Ok(object) = Object::parse(data) else { return };
    if let Ok(session) = EncryptedSession::parse(&object) {
        let _ = key.decrypt(&session);
    }
    if let Ok(stored) = KeyBackupData::parse(&object) {
        assert!(!stored.replaces(&stored));
        assert_eq!(KeyBackupData::parse(&stored.to_object()).unwrap(), stored);
    }
    if let Ok(described) = AuthData::parse(object) {
        assert!(described.matches(&key).is_err() || described.matches(&key) == Ok(key.public_key()));
    }
}

/// Descriptions and secrets. No passphrase is derived: a description may ask for many rounds.
pub(crate) fn secret_storage(data: &[u8]) {
    let Ok(object) = Object::parse(data) else { return };
    let key = StorageKey::from_bytes(&[7; 32]);
    if let Ok(description) = KeyDescription::parse(&object) {
        let _ = description.check(&key);
        assert_eq!(KeyDescription::parse(&description.to_object()).unwrap(), description);
    }
    if let Ok(secret) = EncryptedSecret::parse(&object) {
        let _ = key.decrypt("name", &secret);
        assert_eq!(EncryptedSecret::parse(&secret.to_object()).unwrap(), secret);
    }
}

/// A text that is read is, but for white space, the text that is written.
pub(crate) fn recovery_key(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(key) = key_string::decode(text) {
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&key_string::encode(&key)), plain(text));
    }
}

pub(crate) fn attachment(data: &[u8]) {
    let Ok(object) = Object::parse(data) else { return };
    if let Ok(info) = AttachmentInfo::parse(&object) {
        let mut decryptor = Decryptor::new(&info);
        decryptor.apply(&mut data.to_vec()).unwrap();
        let _ = decryptor.finish();
        assert!(AttachmentInfo::parse(&info.to_object()).is_ok());
    }
}

/// A file, as it is if it asks for few rounds; and the input inside the armour, with one round.
pub(crate) fn key_export(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && !text.contains("BEGIN")
    {
        assert!(key_export::decrypt(text, "passphrase").is_err());
    }
    let mut body = data.to_vec();
    if let Some(rounds) = body.get_mut(33..37) {
        rounds.copy_from_slice(&[0, 0, 0, 1]);
    }
    let file =
        format!("-----BEGIN MEGOLM SESSION DATA-----\n{}\n-----END MEGOLM SESSION DATA-----", encoding::encode(body));
    let _ = key_export::decrypt(&file, "passphrase");
}

pub(crate) fn exported_sessions(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(sessions) = ExportedSession::parse_all(text) {
        let sessions: Vec<_> = sessions.into_iter().flatten().collect();
        let again = ExportedSession::parse_all(&ExportedSession::write_all(&sessions)).unwrap();
        assert_eq!(again, sessions.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

pub(crate) fn flows() -> (Flow, Flow) {
    let party = |device_id: &str| Party { user_id: USER.to_owned(), device_id: device_id.to_owned() };
    let reference = Reference::ToDevice("transaction".to_owned());
    (
        Flow { us: party("A"), them: party("B"), reference: reference.clone() },
        Flow { us: party("B"), them: party("A"), reference },
    )
}

fn agree() -> (Established, Established) {
    let (alice, bob) = flows();
    let (alice, start) = Starter::start(alice, &mut rng());
    let (bob, accept) = Accepter::accept(bob, &start, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let (alice, key) = alice.receive_accept(&accept).unwrap();
    let (bob, key) = bob.receive_key(&key).unwrap();
    (alice.receive_key(&key).unwrap(), bob)
}

/// The two sides after people have agreed.
pub(crate) fn confirmed() -> (Confirmed, Confirmed) {
    let (alice, bob) = agree();
    (alice.people_agree(), bob.people_agree())
}

/// The input as each message of a verification.
pub(crate) fn sas(data: &[u8]) {
    let Ok(content) = Object::parse(data) else { return };
    let (alice, bob) = flows();
    let (starter, start) = Starter::start(alice, &mut rng());
    let _ = Accepter::accept(bob.clone(), &content, &mut rng());
    if let Ok((accepted, _)) = starter.receive_accept(&content) {
        let _ = accepted.receive_key(&content);
    }
    let (accepter, _) = Accepter::accept(bob, &start, &mut rng()).unwrap();
    if let Ok((established, _)) = accepter.receive_key(&content) {
        assert!(established.short_string().decimals().iter().all(|number| (1000..=9191).contains(number)));
    }
    let known = BTreeMap::from([("ed25519:B".to_owned(), signing_key().public_key())]);
    if let Ok(verified) = confirmed().0.verify(&content, &known) {
        assert_eq!(verified.len(), 1);
    }
}

pub(crate) fn envelope_secret() -> EnvelopeSecretKey {
    EnvelopeSecretKey::generate(&mut rng())
}

pub(crate) fn published() -> EnvelopeKey {
    let valid_ms = NOW_MS - 1000..NOW_MS + 1000;
    envelope_secret().publish("b.example", valid_ms, "ed25519:1", &signing_key()).unwrap()
}

/// A published key, signed here.
pub(crate) fn envelope_key(data: &[u8]) {
    let Ok(mut object) = Object::parse(data) else { return };
    object.remove("signatures");
    if signature::sign(&mut object, "b.example", "ed25519:1", &signing_key()).is_err() {
        return;
    }
    if let Ok(key) = EnvelopeKey::verify(object, "b.example", "ed25519:1", &signing_key().public_key()) {
        let sender = Sender { server_name: "a.example", key_id: "ed25519:1", key: &signing_key() };
        let _ = seal(data, &sender, &key, NOW_MS, &mut rng());
    }
}

/// An envelope, opened as far as it goes, and the input as a payload.
pub(crate) fn envelope(data: &[u8]) {
    let open = |bytes: &[u8]| {
        let letter = SealedEnvelope::parse(bytes).ok()?.decrypt("b.example", &envelope_secret()).ok()?;
        let letter = letter.verify(&signing_key().public_key()).ok()?;
        ReplayWindow::new(0).admit(letter, NOW_MS).ok()
    };
    if let Some(letter) = open(data) {
        assert_eq!(letter.sender(), "a.example");
    }
    let sender = Sender { server_name: "a.example", key_id: "ed25519:1", key: &signing_key() };
    let sealed = seal(data, &sender, &published(), NOW_MS, &mut rng()).unwrap();
    assert_eq!(open(&sealed).unwrap().payload(), data);
}

pub(crate) fn replay_window(data: &[u8]) {
    if let Ok(window) = ReplayWindow::from_bytes(data) {
        assert_eq!(window.to_bytes(), data);
    }
}

pub(crate) fn kem_public_key(data: &[u8]) {
    if let Ok(key) = KemPublicKey::from_slice(data) {
        assert_eq!(key.as_bytes(), data);
        assert!(key.encapsulate(&mut rng()).is_ok());
    }
}

/// A message has one spelling.
pub(crate) fn hybrid_message(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        assert_eq!(message.to_bytes(), data);
    }
}

/// Both ends of a hybrid session of a device with itself, and the first message.
pub(crate) fn hybrid_pair() -> (Session, Session, PreKeys, Message) {
    let mut prekeys = PreKeys::new();
    prekeys.generate(2, &mut rng());
    prekeys.generate_fallback(&mut rng());
    let (device, secret) = (device(), identity_key());
    let published = prekeys.unpublished(&device, &signing_key()).unwrap();
    let identity = Identity::new(&device, &secret).unwrap();
    let mut ours = Session::initiate(&identity, &device, &published[0], &mut rng()).unwrap();
    let message = ours.encrypt(b"first", &mut rng()).unwrap();
    let Message::PreKey(first) = &message else { return hybrid_pair() };
    let (theirs, _) = Session::accept(&identity, &device, &mut prekeys, first).unwrap();
    (ours, theirs, prekeys, message)
}

/// A message to a device that has used one prekey. What is refused changes nothing.
pub(crate) fn hybrid_accept(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let (_, mut session, mut prekeys, _) = hybrid_pair();
    let before = session.pickle(&pickle_key(), &mut rng());
    if session.decrypt(&message).is_err() {
        assert_eq!(session.pickle(&pickle_key(), &mut rng()), before);
    }
    if let Message::PreKey(message) = &message {
        let (device, secret) = (device(), identity_key());
        let identity = Identity::new(&device, &secret).unwrap();
        let left = prekeys.len();
        if Session::accept(&identity, &device, &mut prekeys, message).is_err() {
            assert_eq!(prekeys.len(), left);
        }
    }
}

pub(crate) fn pickle_hybrid_session(data: &[u8]) {
    if let Ok(mut session) = Session::unpickle(&seal_pickle(5, data), &pickle_key()) {
        let once = session.pickle(&pickle_key(), &mut rng());
        assert_eq!(Session::unpickle(&once, &pickle_key()).unwrap().pickle(&pickle_key(), &mut rng()), once);
        let _ = session.encrypt(b"message", &mut rng());
    }
}

pub(crate) fn pickle_hybrid_prekeys(data: &[u8]) {
    if let Ok(mut prekeys) = PreKeys::unpickle(&seal_pickle(6, data), &pickle_key()) {
        let once = prekeys.pickle(&pickle_key(), &mut rng());
        assert_eq!(PreKeys::unpickle(&once, &pickle_key()).unwrap().pickle(&pickle_key(), &mut rng()), once);
        prekeys.generate(1, &mut rng());
    }
}
