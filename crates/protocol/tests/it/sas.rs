//! Verification with vodozemac at the other side: both roles, emoji, numbers and MACs.

use std::collections::BTreeMap;

use protocol::canonical::Object;
use protocol::encoding;
use protocol::key::Ed25519SecretKey;
use protocol::sas::{Accepter, Established, Flow, Party, Reference, Starter};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use vodozemac::Curve25519PublicKey;
use vodozemac::sas::{EstablishedSas, Mac, Sas};

fn flow() -> Flow {
    Flow {
        us: Party { user_id: "@alice:example.org".to_owned(), device_id: "PHONE".to_owned() },
        them: Party { user_id: "@bob:example.net".to_owned(), device_id: "LAPTOP".to_owned() },
        reference: Reference::ToDevice("transaction".to_owned()),
    }
}

fn message(json: &str) -> Object {
    Object::parse(json.as_bytes()).unwrap().with("transaction_id", "transaction")
}

fn key_message(sas: &Sas) -> Object {
    message("{}").with("key", sas.public_key().to_base64())
}

fn key_of(content: &Object) -> Curve25519PublicKey {
    Curve25519PublicKey::from_base64(content.string("key").unwrap()).unwrap()
}

/// We start, vodozemac accepts.
fn we_start(seed: u64) -> (Established, EstablishedSas, String) {
    let sas = Sas::new();
    let (starter, start) = Starter::start(flow(), &mut ChaCha20Rng::seed_from_u64(seed));
    let commitment =
        Sha256::new().chain_update(sas.public_key().to_base64()).chain_update(start.to_canonical()).finalize();
    let accept = message(
        r#"{"method":"m.sas.v1","key_agreement_protocol":"curve25519-hkdf-sha256","hash":"sha256",
            "message_authentication_code":"hkdf-hmac-sha256.v2","short_authentication_string":["decimal","emoji"]}"#,
    )
    .with("commitment", encoding::encode(commitment));
    let (accepted, our_key) = starter.receive_accept(&accept).unwrap();
    let theirs = key_message(&sas);
    let ours = accepted.receive_key(&theirs).unwrap();
    let other = sas.diffie_hellman(key_of(&our_key)).unwrap();
    let info = format!(
        "MATRIX_KEY_VERIFICATION_SAS|@alice:example.org|PHONE|{}|@bob:example.net|LAPTOP|{}|transaction",
        our_key.string("key").unwrap(),
        theirs.string("key").unwrap()
    );
    (ours, other, info)
}

/// Vodozemac starts, we accept.
fn we_accept(seed: u64) -> (Established, EstablishedSas, String) {
    let sas = Sas::new();
    let start = message(
        r#"{"method":"m.sas.v1","from_device":"LAPTOP","key_agreement_protocols":["curve25519-hkdf-sha256","curve25519"],
            "hashes":["sha256"],"message_authentication_codes":["hkdf-hmac-sha256.v2","hkdf-hmac-sha256"],
            "short_authentication_string":["decimal","emoji"]}"#,
    );
    let (accepter, accept) = Accepter::accept(flow(), &start, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
    let theirs = key_message(&sas);
    let (ours, our_key) = accepter.receive_key(&theirs).unwrap();
    let commitment =
        Sha256::new().chain_update(our_key.string("key").unwrap()).chain_update(start.to_canonical()).finalize();
    assert_eq!(accept.string("commitment").unwrap(), encoding::encode(commitment));
    let other = sas.diffie_hellman(key_of(&our_key)).unwrap();
    let info = format!(
        "MATRIX_KEY_VERIFICATION_SAS|@bob:example.net|LAPTOP|{}|@alice:example.org|PHONE|{}|transaction",
        theirs.string("key").unwrap(),
        our_key.string("key").unwrap()
    );
    (ours, other, info)
}

#[test]
fn vodozemac_shows_the_same_emoji_and_numbers() {
    for seed in 0..100 {
        for (ours, theirs, info) in [we_start(seed), we_accept(seed)] {
            let (shown, expected) = (ours.short_string(), theirs.bytes(&info));
            assert_eq!(shown.decimals(), <[u16; 3]>::from(expected.decimals()));
            let indices = expected.emoji_indices().map(usize::from);
            let emoji: Vec<_> = shown.emoji().iter().map(|emoji| (emoji.symbol, emoji.name)).collect();
            let known = emoji_of_the_specification();
            let named: Vec<_> = indices.iter().map(|index| known[*index]).collect();
            assert_eq!(emoji, named);
        }
    }
}

#[test]
fn vodozemac_makes_and_takes_the_same_macs() {
    for (ours, theirs, _) in [we_start(7), we_accept(7)] {
        let ours = ours.people_agree();
        let key = Ed25519SecretKey::from_bytes(&[5; 32]).public_key();

        let vouched = ours.vouch(&BTreeMap::from([("ed25519:PHONE".to_owned(), key)]));
        let info = "MATRIX_KEY_VERIFICATION_MAC@alice:example.orgPHONE@bob:example.netLAPTOPtransaction";
        let mac = Mac::from_base64(vouched.object("mac").unwrap().string("ed25519:PHONE").unwrap()).unwrap();
        theirs.verify_mac(&key.to_base64(), &format!("{info}ed25519:PHONE"), &mac).unwrap();
        let mac = Mac::from_base64(vouched.string("keys").unwrap()).unwrap();
        theirs.verify_mac("ed25519:PHONE", &format!("{info}KEY_IDS"), &mac).unwrap();

        let info = "MATRIX_KEY_VERIFICATION_MAC@bob:example.netLAPTOP@alice:example.orgPHONEtransaction";
        let mac = theirs.calculate_mac(&key.to_base64(), &format!("{info}ed25519:LAPTOP")).to_base64();
        let list = theirs.calculate_mac("ed25519:LAPTOP", &format!("{info}KEY_IDS")).to_base64();
        let content = message("{}").with("mac", Object::new().with("ed25519:LAPTOP", mac)).with("keys", list);
        let verified = ours.verify(&content, &BTreeMap::from([("ed25519:LAPTOP".to_owned(), key)])).unwrap();
        assert_eq!(verified.len(), 1);
    }
}

/// Number, symbol and name as the specification's `sas-emoji.json` has them.
fn emoji_of_the_specification() -> Vec<(&'static str, &'static str)> {
    let table = "🐶Dog 🐱Cat 🦁Lion 🐎Horse 🦄Unicorn 🐷Pig 🐘Elephant 🐰Rabbit 🐼Panda 🐓Rooster 🐧Penguin 🐢Turtle 🐟Fish \
        🐙Octopus 🦋Butterfly 🌷Flower 🌳Tree 🌵Cactus 🍄Mushroom 🌏Globe 🌙Moon ☁️Cloud 🔥Fire 🍌Banana 🍎Apple 🍓Strawberry \
        🌽Corn 🍕Pizza 🎂Cake ❤️Heart 😀Smiley 🤖Robot 🎩Hat 👓Glasses 🔧Spanner 🎅Santa 👍Thumbs_Up ☂️Umbrella ⌛Hourglass \
        ⏰Clock 🎁Gift 💡Light_Bulb 📕Book ✏️Pencil 📎Paperclip ✂️Scissors 🔒Lock 🔑Key 🔨Hammer ☎️Telephone 🏁Flag 🚂Train \
        🚲Bicycle ✈️Aeroplane 🚀Rocket 🏆Trophy ⚽Ball 🎸Guitar 🎺Trumpet 🔔Bell ⚓Anchor 🎧Headphones 📁Folder 📌Pin";
    let entries: Vec<_> = table
        .split_whitespace()
        .map(|entry| entry.split_at(entry.find(|char: char| char.is_ascii_alphabetic()).unwrap()))
        .map(|(symbol, name)| {
            (
                symbol,
                match name {
                    "Thumbs_Up" => "Thumbs Up",
                    "Light_Bulb" => "Light Bulb",
                    name => name,
                },
            )
        })
        .collect();
    assert_eq!(entries.len(), 64);
    entries
}
