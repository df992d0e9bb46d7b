//! The files that a fuzzer of bundles, envelopes and hybrid sessions begins with.

use std::collections::BTreeMap;

use protocol::attachment::Encryptor;
use protocol::backup::KeyBackupData;
use protocol::bundle::upload::KeysUpload;
use protocol::bundle::{ClaimResponse, Fallback, MasterKey, OneTimeKey, SelfSigningKey, algorithm};
use protocol::canonical::Object;
use protocol::envelope::{ReplayWindow, SealedEnvelope, Sender, seal};
use protocol::hybrid::Message;
use protocol::key::KemSecretKey;
use protocol::key_export::{ExportedSession, SessionFields};
use protocol::sas::{Accepter, Starter};
use protocol::secret_storage::{KeyDescription, Passphrase, StorageKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::bodies::bundles::{self, NOW_MS, USER, device, identity_key, signing_key};
use super::bodies::ratchets::{pickle_key, unseal};
use super::write;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn write_object(target: &str, name: &str, object: &Object) {
    write(target, name, object.to_canonical());
}

pub(super) fn write_bundles() {
    write_keys();
    write_stored();
    write_sas();
    write_envelopes();
    write_hybrid();
}

fn write_keys() {
    write(
        "canonical_json",
        "all_kinds",
        r#" {"b": [null, true, -9007199254740991, "\u00e9\ud83d\ude00\n"], "a": {}} "#,
    );
    write("canonical_json", "refused", r#"{"a":1,"a":1.5}"#);
    let device = device();
    write_object("device_keys", "signed", device.as_object());
    let key = |id| {
        let public = identity_key().public_key();
        OneTimeKey::sign_curve25519(id, &public, Fallback::No, &device, &signing_key()).unwrap()
    };
    write("one_time_key", "curve25519", key("AAAA").value().to_canonical());
    let kem = KemSecretKey::from_bytes(&[8; 64]);
    let public = (&identity_key().public_key(), kem.public_key());
    let hybrid = OneTimeKey::sign_hybrid("AAAA", public, Fallback::Yes, &device, &signing_key()).unwrap();
    write("one_time_key", "hybrid", hybrid.value().to_canonical());
    write("kem_public_key", "valid", kem.public_key().as_bytes());
    let upload = KeysUpload {
        device_keys: Some(device.clone()),
        unsigned_device_keys: None,
        one_time_keys: vec![key("AAAA"), key("AAAB")],
        fallback_keys: vec![hybrid],
    };
    write_object("keys_upload", "keys", &upload.to_body());
    let master = MasterKey::create(USER, &signing_key()).unwrap();
    let self_signing = SelfSigningKey::create(&signing_key().public_key(), &master, &signing_key()).unwrap();
    let master = master.get().as_object().clone();
    let self_signing = self_signing.get().as_object().clone();
    let body = Object::new().with("master_key", master.clone()).with("self_signing_key", self_signing.clone());
    write_object("keys_upload", "cross_signing", &body);
    write_object("keys_upload", "signatures", device.as_object());
    let by_user = |object: Object| Object::new().with(USER, object);
    let query = Object::new()
        .with("device_keys", by_user(Object::new().with("DEVICE", device.as_object().clone())))
        .with("master_keys", by_user(master))
        .with("self_signing_keys", by_user(self_signing));
    write_object("keys_query", "user", &query);
    let mut claim = ClaimResponse::default();
    claim.add(USER, "DEVICE", key("AAAA").name(), key("AAAA").value().clone());
    write_object("keys_query", "claim", &claim.to_body());
    write_object(
        "keys_upload",
        "claim",
        &Object::new().with("one_time_keys", by_user(Object::new().with("DEVICE", algorithm::SIGNED_HYBRID))),
    );
}

fn write_stored() {
    let fields = SessionFields {
        forwarding_chain: vec![identity_key().public_key().to_base64()],
        sender_key: identity_key().public_key(),
        sender_claimed_keys: BTreeMap::from([("ed25519".to_owned(), signing_key().public_key().to_base64())]),
        session_key: "AgAAAADxKHa9uFxcXzwYoNueL5Xqi69IkD4sni8Llf".to_owned().into(),
        shared_history: true,
    };
    write_object("backup", "fields", &fields.to_object());
    let public = bundles::backup_key().public_key();
    let session_data = public.encrypt(&fields, &mut rng()).unwrap().to_object();
    write_object("backup", "session", &session_data);
    let stored = KeyBackupData { first_message_index: 1, forwarded_count: 0, is_verified: true, session_data };
    write_object("backup", "stored", &stored.to_object());
    let session = ExportedSession { room_id: "!room".to_owned(), session_id: "session".to_owned(), fields };
    write("exported_sessions", "one", ExportedSession::write_all(&[session]).as_str());
    write("exported_sessions", "none", "[]");
    write("key_export", "version_1", [&[1][..], &[3; 36], b"[]", &[4; 32]].concat());

    let key = StorageKey::from_bytes(&[7; 32]);
    let mut description = KeyDescription::new(&key, &mut rng());
    description.passphrase = Some(Passphrase::new(1000, &mut rng()));
    write_object("secret_storage", "description", &description.to_object());
    write_object("secret_storage", "secret", &key.encrypt("name", "secret", &mut rng()).to_object());
    write("recovery_key", "grouped", key.to_key_string().as_str());
    write_object("attachment", "version_2", &Encryptor::new(&mut rng()).finish().to_object());
}

fn write_sas() {
    let (alice, bob) = bundles::flows();
    let (alice, start) = Starter::start(alice, &mut rng());
    let (bob, accept) = Accepter::accept(bob, &start, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
    let (_, key) = alice.receive_accept(&accept).unwrap();
    bob.receive_key(&key).unwrap();
    let mac = bundles::confirmed().1.vouch(&BTreeMap::from([("ed25519:B".to_owned(), signing_key().public_key())]));
    for (name, content) in [("start", start), ("accept", accept), ("key", key), ("mac", mac)] {
        write_object("sas", name, &content);
    }
}

fn write_envelopes() {
    write_object("envelope_key", "published", bundles::published().as_object());
    let sender = Sender { server_name: "a.example", key_id: "ed25519:1", key: &signing_key() };
    let bytes = seal(b"payload", &sender, &bundles::published(), NOW_MS, &mut rng()).unwrap();
    write("envelope", "sealed", &bytes);
    let letter = SealedEnvelope::parse(&bytes).unwrap().decrypt("b.example", &bundles::envelope_secret()).unwrap();
    let mut window = ReplayWindow::new(5);
    write("replay_window", "new", window.to_bytes());
    window.admit(letter.verify(&signing_key().public_key()).unwrap(), NOW_MS).unwrap();
    write("replay_window", "one_letter", window.to_bytes());
}

fn write_hybrid() {
    let (mut ours, mut theirs, mut prekeys, first) = bundles::hybrid_pair();
    write("hybrid_message", "first", first.to_bytes());
    write("hybrid_accept", "again", first.to_bytes());
    write("hybrid_accept", "second", ours.encrypt(b"second", &mut rng()).unwrap().to_bytes());
    let state = |session: &protocol::hybrid::Session| unseal(&session.pickle(&pickle_key(), &mut rng()));
    write("pickle_hybrid_session", "opening", state(&ours));
    theirs.decrypt(&ours.encrypt(b"third", &mut rng()).unwrap()).unwrap();
    write("pickle_hybrid_session", "answering", state(&theirs));
    let reply = theirs.encrypt(b"reply", &mut rng()).unwrap();
    let Message::Ratchet(_) = reply else { panic!("a reply needs no prekey") };
    write("hybrid_message", "turn", reply.to_bytes());
    write("pickle_hybrid_session", "turn", state(&theirs));
    prekeys.mark_published();
    write("pickle_hybrid_prekeys", "fallback", unseal(&prekeys.pickle(&pickle_key(), &mut rng())));
}
