//! The fuzz targets, run over their corpora and over simple alterations of each file.
//!
//! The fuzzer explores; this makes sure that what it found stays found, and that each corpus takes its target past the
//! first check. [`write_corpora`] makes the files that a fuzzer begins with.

#[path = "../../fuzz/bodies/mod.rs"]
pub(crate) mod bodies;

mod corpora;

use std::fs;
use std::path::{Path, PathBuf};

use self::bodies::ratchets;
use protocol::olm::{Account, OlmMessage};

use crate::hex;
use crate::party::{Parcel, rng};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, body) in bodies::TARGETS.iter().copied().flatten() {
        let files = files(name);
        assert!(files.len() >= 2, "the corpus of {name}");
        for file in files {
            body(&file);
        }
    }
}

/// Not what a fuzzer does, but what it does first: one bit, one byte, one end.
#[test]
fn every_target_takes_its_corpus_altered() {
    for (name, body) in bodies::TARGETS.iter().copied().flatten() {
        for file in files(name) {
            let step = file.len() / 40 + 1;
            for at in (0..file.len()).step_by(step) {
                body(&file[..at]);
                for byte in [file[at] ^ 1, file[at] ^ 0x80, 0, 0xff] {
                    let mut altered = file.clone();
                    altered[at] = byte;
                    body(&altered);
                }
            }
            body(&[&file[..], &[0]].concat());
            body(&[&file[..], &file[..]].concat());
        }
    }
}

#[test]
fn every_target_has_a_program() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let programs = fs::read_to_string(manifest.join("Cargo.toml")).unwrap();
    for (name, _) in bodies::TARGETS.iter().copied().flatten() {
        assert!(programs.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
        let program = fs::read_to_string(manifest.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("::{name}(data)")), "{name}");
    }
}

pub(crate) fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(corpus(target)).unwrap();
    fs::write(corpus(target).join(name), bytes).unwrap();
}

/// Makes the files that a fuzzer begins with: `cargo test -p protocol --test it -- --ignored write_corpora`.
#[test]
#[ignore = "writes into the source tree"]
fn write_corpora() {
    for (name, _) in bodies::TARGETS.iter().copied().flatten() {
        write(name, "empty", b"");
    }
    write_texts();
    write_olm();
    write_megolm();
    write_libolm();
    corpora::write_bundles();
}

fn write_texts() {
    write("base64", "unpadded", "Zm9vYg");
    write("base64", "padded", "Zm9vYg==");
    write("base64", "stray_bits", "Zm9vYh");
    let account = Account::new(&mut rng(1));
    let keys = account.identity_keys();
    write("keys", "curve25519", keys.curve25519.to_base64());
    write("keys", "ed25519", keys.ed25519.to_base64());
    write("keys", "signature", account.sign(b"message").to_base64());
}

fn write_olm() {
    let (_, mut account, mut session, mut rng) = ratchets::olm_beginning();
    let first = session.encrypt(b"first", &mut rng).unwrap();
    write("olm_pre_key_message", "first", first.to_bytes());
    write("olm_create_inbound", "first", first.to_bytes());
    let key = ratchets::pickle_key();
    write("pickle_account", "one_time_key", ratchets::unseal(&account.pickle(&key, &mut rng)));
    account.generate_fallback_key(&mut rng);
    account.generate_fallback_key(&mut rng);
    write("pickle_account", "fallback_keys", ratchets::unseal(&account.pickle(&key, &mut rng)));

    let (mut alice, mut bob, mut rng) = ratchets::olm_pair();
    let decrypt = |name: &str, message: &OlmMessage| {
        let Parcel { message_type, bytes } = Parcel::new(message);
        write("olm_decrypt", name, [&[u8::try_from(message_type).unwrap()], &bytes[..]].concat());
    };
    decrypt("read_before", &first);
    decrypt("in_order", &alice.encrypt(b"second", &mut rng).unwrap());
    decrypt("ahead", &alice.encrypt(b"third", &mut rng).unwrap());
    let ahead = alice.encrypt(b"fourth", &mut rng).unwrap();
    write("pickle_session", "inactive", ratchets::unseal(&bob.pickle(&key, &mut rng)));
    bob.decrypt(&ahead).unwrap();
    write("pickle_session", "skipped_keys", ratchets::unseal(&bob.pickle(&key, &mut rng)));
    write("pickle_envelope", "session", bob.pickle(&key, &mut rng));
    write("pickle_session", "active", ratchets::unseal(&alice.pickle(&key, &mut rng)));
    let reply = bob.encrypt(b"reply", &mut rng).unwrap();
    write("olm_normal_message", "reply", reply.to_bytes());
    alice.decrypt(&reply).unwrap();
    decrypt("new_ratchet_key", &alice.encrypt(b"answer", &mut rng).unwrap());
}

fn write_megolm() {
    let (mut session, reader) = ratchets::megolm_pair();
    let (mut rng, key) = (rng(2), ratchets::pickle_key());
    write("megolm_session_key", "first", session.session_key().to_bytes());
    write("megolm_exported_session_key", "first", reader.export().to_bytes());
    write("megolm_exported_session_key", "later", reader.export_at(0x0102_0304).unwrap().to_bytes());
    for name in ["first", "second"] {
        let message = session.encrypt(name.as_bytes()).unwrap();
        write("megolm_message", name, message.as_bytes());
        write("megolm_decrypt", name, message.as_bytes());
    }
    write("pickle_group_session", "third", ratchets::unseal(&session.pickle(&key, &mut rng)));
    write("pickle_inbound_group_session", "first", ratchets::unseal(&reader.pickle(&key, &mut rng)));
}

/// libolm's fields, for keys whose secret half is one byte over and over.
fn write_libolm() {
    let pair = |byte: u8| {
        let secret = protocol::key::Curve25519SecretKey::from_bytes(&[byte; 32]);
        [*secret.public_key().as_bytes(), [byte; 32]].concat()
    };
    let key = |id: u8, byte: u8| [&[0, 0, 0, id, 1][..], &pair(byte)].concat();
    let expanded: [u8; 64] = sha2::Digest::finalize(<sha2::Sha512 as sha2::Digest>::new_with_prefix([5; 32])).into();
    let signing = protocol::key::Ed25519SecretKey::from_expanded(&expanded).public_key();
    let signing_pair = [&signing.as_bytes()[..], &expanded].concat();

    let start = [&signing_pair[..], &pair(6), &hex::bytes("00000001"), &key(1, 7)].concat();
    for (name, version, fallback) in [
        ("version_2", 2, vec![]),
        ("version_3", 3, [key(2, 8), key(1, 9)].concat()),
        ("version_4", 4, [vec![2], key(2, 8), key(1, 9)].concat()),
    ] {
        write("libolm_account", name, [&[0, 0, 0, version], &start[..], &fallback, &[0, 0, 0, 1]].concat());
    }
    let start = |version: &str| [&hex::bytes(version)[..], &[1], &[1; 96], &[2; 32]].concat();
    let (none, one) = ([0; 4], [0, 0, 0, 1]);
    let sender = [&one[..], &pair(3), &[4; 32], &[0, 0, 0, 5]].concat();
    let receiver = [&one[..], &[5; 32], &[6; 32], &[0, 0, 0, 7]].concat();
    let skipped = [&one[..], &[5; 32], &[8; 32], &[0, 0, 0, 3]].concat();
    write("libolm_session", "sending", [&start("00000001")[..], &sender, &receiver, &skipped].concat());
    write("libolm_session", "receiving", [&start("00000001")[..], &none, &receiver, &none].concat());
    write("libolm_session", "with_counter", [&start("80000001")[..], &sender, &none, &none, &[0; 4]].concat());
    let ratchet = [&[7; 128][..], &[0, 0, 0, 3]].concat();
    write("libolm_group_session", "version_1", [&one, &ratchet[..], &signing_pair].concat());
    let inbound = [&ratchet[..], &ratchet, signing.as_bytes()].concat();
    write("libolm_inbound_group_session", "version_1", [&one, &inbound[..]].concat());
    write("libolm_inbound_group_session", "version_2", [&[0, 0, 0, 2], &inbound[..], &[1]].concat());
}
