//! The vectors of our own formats: made with our code, checked here against what `spec/sealed-envelope.md` and
//! `spec/hybrid-session.md` say, computed once more from the pages with nothing but the primitives.
//!
//! `WRITE_VECTORS=1 cargo test -p protocol --test it our_formats` writes the files anew, for a new version of a format.

use std::fs;
use std::path::Path;

use protocol::bundle::{DeviceKeys, OneTimeKey, algorithm};
use protocol::cipher::AeadKey;
use protocol::cipher::kdf::{hkdf, hmac};
use protocol::envelope::{EnvelopeSecretKey, ReplayWindow, SealedEnvelope, Sender, seal};
use protocol::hybrid::{Identity, Message, PreKeys, Session};
use protocol::key::{Curve25519PublicKey, Curve25519SecretKey, Ed25519SecretKey, KemCiphertext, KemSecretKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::hex;
use crate::script::Script;

const ENVELOPE: &[u8] = b"org.holdfast.envelope.v1.x25519-mlkem768";
const HYBRID: &[u8] = b"org.holdfast.hybrid.v1.x25519-mlkem768";
const NOW_MS: u64 = 1_790_000_000_000;

fn text(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// The file must be what is made now.
fn check(name: &str, vectors: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors").join(name);
    let made = serde_json::to_string_pretty(vectors).unwrap() + "\n";
    if std::env::var_os("WRITE_VECTORS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), made, "{name}");
}

/// Bytes that are told apart by eye: 0x.0, 0x.1 and so on, each beginning elsewhere.
fn run<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|at| start.wrapping_add(u8::try_from(at % 256).unwrap()))
}

#[test]
fn envelopes_are_as_their_page_says() {
    let signing = Ed25519SecretKey::from_bytes(&run(0x10));
    let sender_key = Ed25519SecretKey::from_bytes(&run(0x20));
    let (curve25519, kem) = (run::<32>(0x30), run::<64>(0x40));
    let secret = EnvelopeSecretKey::generate(&mut Script::new([&curve25519[..], &kem].concat()));
    let published = secret.publish("b.example", NOW_MS..NOW_MS + 86_400_000, "ed25519:b", &signing).unwrap();
    let sender = Sender { server_name: "a.example", key_id: "ed25519:a", key: &sender_key };
    let mut cases = Vec::new();
    for payload in [&b""[..], b"{\"pdus\":[]}", &[0x5a; 1000]] {
        let (id, ephemeral, message) = (run::<16>(0x60), run::<32>(0x70), run::<32>(0x90));
        let mut script = Script::new([&id[..], &ephemeral, &message].concat());
        let envelope = seal(payload, &sender, &published, NOW_MS, &mut script).unwrap();
        assert!(script.is_used_up());
        let (transcript, key_nonce, letter) = open_by_the_page(&envelope, &curve25519, &kem);
        cases.push(json!({
            "payload": text(payload), "sent_at_ms": NOW_MS, "message_id": text(id), "ephemeral_secret": text(ephemeral),
            "mlkem_m": text(message), "transcript": text(transcript), "key_and_nonce": text(key_nonce),
            "letter": text(letter), "envelope": text(&envelope),
        }));
        let letter = SealedEnvelope::parse(&envelope).unwrap().decrypt("b.example", &secret).unwrap();
        let letter = letter.verify(&sender_key.public_key()).unwrap();
        assert_eq!(ReplayWindow::new(0).admit(letter, NOW_MS).unwrap().payload(), payload);
    }
    check(
        "sealed-envelope.json",
        &json!({
            "recipient": {
                "server_name": "b.example", "signing_key_seed": text(run::<32>(0x10)), "x25519_secret": text(curve25519),
                "mlkem768_seed": text(kem), "key_id": text(secret.id()), "published": published.as_object().to_canonical(),
            },
            "sender": {
                "server_name": "a.example", "key_id": "ed25519:a", "signing_key_seed": text(run::<32>(0x20)),
            },
            "cases": cases,
        }),
    );
}

/// `spec/sealed-envelope.md`, «Opening».
fn open_by_the_page(envelope: &[u8], curve25519: &[u8; 32], kem: &[u8; 64]) -> ([u8; 32], [u8; 44], Vec<u8>) {
    let (curve25519, kem) = (Curve25519SecretKey::from_bytes(curve25519), KemSecretKey::from_bytes(kem));
    let (header, sealed) = envelope.split_at(1137);
    let public = (curve25519.public_key(), kem.public_key().as_bytes());
    let id = &sha256(&[ENVELOPE, b" key id", public.0.as_ref(), public.1])[..16];
    assert_eq!((header[0], &header[1..17]), (1, id));
    let transcript = sha256(&[ENVELOPE, b" transcript", &[0, 9], b"b.example", public.0.as_ref(), public.1, header]);
    let ephemeral = Curve25519PublicKey::from_slice(&header[17..49]).unwrap();
    let classical = curve25519.diffie_hellman(&ephemeral).unwrap();
    let post_quantum = kem.decapsulate(&KemCiphertext::from_slice(&header[49..]).unwrap());
    let secret = [&classical.as_bytes()[..], post_quantum.as_bytes()].concat();
    let key_nonce = *hkdf::<44>(&transcript, &secret, &[ENVELOPE, b" seal"].concat());
    let (key, nonce) = key_nonce.split_at(32);
    let key = AeadKey::from_parts(key.try_into().unwrap(), nonce.try_into().unwrap());
    let letter = key.open(header, sealed).unwrap();
    // Time, id, two names, payload, signature.
    let payload = u32::from_be_bytes(letter[44..48].try_into().unwrap());
    let signed = 48 + usize::try_from(payload).unwrap();
    let signature = protocol::key::Ed25519Signature::from_slice(&letter[signed..signed + 64]).unwrap();
    let bytes = [ENVELOPE, b" sender", &transcript, &sha256(&[&letter[..signed]])].concat();
    Ed25519SecretKey::from_bytes(&run(0x20)).public_key().verify(&bytes, &signature).unwrap();
    assert!(letter[signed + 64..].iter().all(|byte| *byte == 0));
    (transcript, key_nonce, letter)
}

struct Device {
    keys: DeviceKeys,
    identity: Curve25519SecretKey,
    json: Value,
}

fn device(user_id: &str, start: u8) -> Device {
    let (signing, identity) = (run::<32>(start), run::<32>(start + 8));
    let key = Ed25519SecretKey::from_bytes(&signing);
    let identity = Curve25519SecretKey::from_bytes(&identity);
    let algorithms = [algorithm::OLM, algorithm::HYBRID];
    let keys = DeviceKeys::sign(user_id, "DEVICE", &algorithms, &identity.public_key(), &key).unwrap();
    let json = json!({
        "signing_key_seed": text(signing), "identity_key": text(identity.as_bytes()),
        "device_keys": keys.as_object().to_canonical(),
    });
    Device { keys, identity, json }
}

#[test]
fn hybrid_sessions_are_as_their_page_says() {
    let (alice, bob) = (device("@alice:a.example", 0x10), device("@bob:b.example", 0x30));
    let (prekey, prekey_kem) = (run::<32>(0x50), run::<64>(0x60));
    let mut prekeys = PreKeys::new();
    prekeys.generate(1, &mut Script::new([&prekey[..], &prekey_kem].concat()));
    let signing = Ed25519SecretKey::from_bytes(&run(0x30));
    let published: OneTimeKey = prekeys.unpublished(&bob.keys, &signing).unwrap().remove(0);

    let begin: Vec<u8> = [&run::<32>(0x80)[..], &run::<32>(0x90), &run::<32>(0xa0), &run::<64>(0xb0)].concat();
    let (ours, theirs) = (Identity::new(&alice.keys, &alice.identity), Identity::new(&bob.keys, &bob.identity));
    let mut session =
        Session::initiate(&ours.unwrap(), &bob.keys, &published, &mut Script::new(begin.clone())).unwrap();
    let first = session.encrypt(b"first", &mut Script::new([])).unwrap();
    let second = session.encrypt(b"second", &mut Script::new([])).unwrap();
    let Message::PreKey(message) = &first else { panic!("the first message brings its keys") };
    let (mut answering, plaintext) = Session::accept(&theirs.unwrap(), &alice.keys, &mut prekeys, message).unwrap();
    assert_eq!(plaintext, b"first");
    assert_eq!(answering.decrypt(&second).unwrap(), b"second");

    let turn: Vec<u8> = [&run::<32>(0xc0)[..], &run::<64>(0xd0), &run::<32>(0xe0)].concat();
    let reply = answering.encrypt(b"reply", &mut Script::new(turn.clone())).unwrap();
    assert_eq!(session.decrypt(&reply).unwrap(), b"reply");
    let turn_back: Vec<u8> = [&run::<32>(0xf0)[..], &run::<64>(0x05), &run::<32>(0x15)].concat();
    let answer = session.encrypt(b"answer", &mut Script::new(turn_back.clone())).unwrap();
    assert_eq!(answering.decrypt(&answer).unwrap(), b"answer");

    let (transcript, root, chain) = agree_by_the_page(&alice, &bob, (&prekey, &prekey_kem), &first.to_bytes());
    assert_eq!(session.session_id(), protocol::encoding::encode(transcript));
    open_by_the_chain(&transcript, &chain, 0, &first.to_bytes()[1186..], b"first");
    open_by_the_chain(&transcript, &chain, 1, &second.to_bytes()[1186..], b"second");
    let (next_root, next_chain) = step_by_the_page(&root, &begin[64..], &reply.to_bytes());
    open_by_the_chain(&transcript, &next_chain, 0, &reply.to_bytes(), b"reply");
    check(
        "hybrid-session.json",
        &json!({
            "initiator": alice.json, "responder": bob.json,
            "prekey": {
                "x25519_secret": text(prekey), "mlkem768_seed": text(prekey_kem), "name": published.name(),
                "published": published.value().to_canonical(),
            },
            "session_id": session.session_id(), "transcript": text(transcript), "root": text(root), "chain": text(chain),
            "root_after_reply": text(next_root), "chain_of_reply": text(next_chain),
            "messages": [
                { "from": "initiator", "drawn": text(begin), "plaintext": text("first"), "message": text(first.to_bytes()) },
                { "from": "initiator", "drawn": "", "plaintext": text("second"), "message": text(second.to_bytes()) },
                { "from": "responder", "drawn": text(turn), "plaintext": text("reply"), "message": text(reply.to_bytes()) },
                { "from": "initiator", "drawn": text(turn_back), "plaintext": text("answer"), "message": text(answer.to_bytes()) },
            ],
        }),
    );
}

/// `spec/hybrid-session.md`, «Beginning».
fn agree_by_the_page(
    alice: &Device,
    bob: &Device,
    prekey: (&[u8; 32], &[u8; 64]),
    message: &[u8],
) -> ([u8; 32], [u8; 32], [u8; 32]) {
    let party = |device: &Device| {
        let user_id = device.keys.user_id().as_bytes();
        let length = [0, 0, 0, u8::try_from(user_id.len()).unwrap()];
        let (ed25519, curve25519) = (device.keys.ed25519(), device.identity.public_key());
        [&length[..], user_id, &[0, 0, 0, 6], b"DEVICE", ed25519.as_ref(), curve25519.as_ref(), &[3]].concat()
    };
    let (curve25519, kem) = (Curve25519SecretKey::from_bytes(prekey.0), KemSecretKey::from_bytes(prekey.1));
    assert_eq!(message[..2], [1, 0]);
    assert_eq!(message[2..34], alice.identity.public_key().as_bytes()[..]);
    assert_eq!(message[66..98], curve25519.public_key().as_bytes()[..]);
    let (base_key, ciphertext) = (&message[34..66], &message[98..1186]);
    let transcript = sha256(&[
        HYBRID,
        b" session",
        &party(alice),
        &party(bob),
        curve25519.public_key().as_ref(),
        kem.public_key().as_bytes(),
        base_key,
        ciphertext,
    ]);
    let base_key = Curve25519PublicKey::from_slice(base_key).unwrap();
    let secret = [
        curve25519.diffie_hellman(&alice.identity.public_key()).unwrap().as_bytes()[..].to_vec(),
        bob.identity.diffie_hellman(&base_key).unwrap().as_bytes()[..].to_vec(),
        curve25519.diffie_hellman(&base_key).unwrap().as_bytes()[..].to_vec(),
        kem.decapsulate(&KemCiphertext::from_slice(ciphertext).unwrap()).as_bytes().to_vec(),
    ]
    .concat();
    let keys = hkdf::<64>(&transcript, &secret, &[HYBRID, b" root"].concat());
    (transcript, keys[..32].try_into().unwrap(), keys[32..].try_into().unwrap())
}

/// `spec/hybrid-session.md`, «A turn»: what the hearer of `message` does, whose latest keys were drawn from `drawn`.
fn step_by_the_page(root: &[u8; 32], drawn: &[u8], message: &[u8]) -> ([u8; 32], [u8; 32]) {
    let curve25519 = Curve25519SecretKey::from_bytes(drawn[..32].try_into().unwrap());
    let kem = KemSecretKey::from_bytes(drawn[32..].try_into().unwrap());
    let (keys, ciphertext) = (&message[2..1218], &message[1218..2306]);
    let theirs = Curve25519PublicKey::from_slice(&keys[..32]).unwrap();
    let secret = [
        *curve25519.diffie_hellman(&theirs).unwrap().as_bytes(),
        *kem.decapsulate(&KemCiphertext::from_slice(ciphertext).unwrap()).as_bytes(),
    ]
    .concat();
    let seen = sha256(&[keys, ciphertext, curve25519.public_key().as_ref(), kem.public_key().as_bytes()]);
    let keys = hkdf::<64>(root, &secret, &[HYBRID, b" step", &seen].concat());
    (keys[..32].try_into().unwrap(), keys[32..].try_into().unwrap())
}

/// `spec/hybrid-session.md`, «A message».
fn open_by_the_chain(transcript: &[u8; 32], chain: &[u8; 32], index: u32, message: &[u8], plaintext: &[u8]) {
    let chain = (0..index).fold(*chain, |chain, _| hmac(&chain, b"\x02"));
    let keys = hkdf::<44>(transcript, &hmac(&chain, b"\x01"), &[HYBRID, b" message"].concat());
    let (key, nonce) = keys.split_at(32);
    let header = if message[1] == 1 { 1226 } else { 2314 };
    assert_eq!(message[header - 4..header], index.to_be_bytes());
    let key = AeadKey::from_parts(key.try_into().unwrap(), nonce.try_into().unwrap());
    assert_eq!(key.open(&message[..header], &message[header..]).unwrap(), plaintext);
}

/// Whoever only has the files can open what is in them.
#[test]
fn the_files_open_by_themselves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/sealed-envelope.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let field = |value: &Value| hex::bytes(value.as_str().unwrap());
    let recipient = &file["recipient"];
    let secret = [field(&recipient["x25519_secret"]), field(&recipient["mlkem768_seed"])].concat();
    let secret = EnvelopeSecretKey::from_bytes(&secret.try_into().unwrap());
    assert_eq!(secret.id()[..], field(&recipient["key_id"])[..]);
    for case in file["cases"].as_array().unwrap() {
        let letter = SealedEnvelope::parse(&field(&case["envelope"])).unwrap().decrypt("b.example", &secret).unwrap();
        let key = Ed25519SecretKey::from_bytes(&field(&file["sender"]["signing_key_seed"]).try_into().unwrap());
        let letter = letter.verify(&key.public_key()).unwrap();
        assert_eq!(ReplayWindow::new(0).admit(letter, NOW_MS).unwrap().payload(), field(&case["payload"]));
    }
}
