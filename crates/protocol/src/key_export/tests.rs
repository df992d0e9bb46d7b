//! Files of other clients, our own, and altered ones.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use super::{ExportedSession, KeyExportError, ROUNDS_MAX, SessionFields, decrypt, disarm, encrypt_with_rounds};
use crate::encoding;
use crate::key::Curve25519PublicKey;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn armoured(body: &str) -> String {
    format!("-----BEGIN MEGOLM SESSION DATA-----\n{body}\n-----END MEGOLM SESSION DATA-----")
}

/// The files that the exports of the other clients are tested with.
#[test]
fn files_of_other_clients_are_read() {
    let files = [
        (
            "plain",
            "password",
            "AXNhbHRzYWx0c2FsdHNhbHSIiIiIiIiIiIiIiIiIiIiIAAAACmIRUW2OjZ3L2l6j9h0lHlV3M2dx\ncissyYBxjsfsAndErh065A8=",
        ),
        (
            "Hello, World",
            "betterpassword",
            "AW1vcmVzYWx0bW9yZXNhbHT//////////wAAAAAAAAAAAAAD6KyBpe1Niv5M5NPm4ZATsJo5nghk\nKYu63a0YQ5DRhUWEKk7CcMkrKnAUiZny",
        ),
        (
            "alphanumericallyalphanumericallyalphanumericallyalphanumerically",
            "SWORDFISH",
            "AXllc3NhbHR5Z29vZG5lc3P//////////wAAAAAAAAAAAAAD6OIW+Je7gwvjd4kYrb+49gKCfExw\r\nMgJBMD4mrhLkmgAngwR1pHjbWXaoGybtiAYr0moQ93GrBQsCzPbvl82rZhaXO3iH5uHo/RCEpOqp\r\nPgg29363BGR+/Ripq/VCLKGNbw==",
        ),
    ];
    for (content, passphrase, body) in files {
        assert_eq!(decrypt(&armoured(body), passphrase).as_deref().map(String::as_str), Ok(content));
        assert_eq!(decrypt(&armoured(body), "another"), Err(KeyExportError::WrongPassphrase));
    }
}

#[test]
fn a_file_reads_back_and_no_byte_of_it_can_be_altered() {
    let file = encrypt_with_rounds("[]", "correct horse", 2, &mut rng());
    assert_eq!(*decrypt(&file, "correct horse").unwrap(), "[]");
    let body = disarm(&file).unwrap();
    assert_eq!(body.len(), 1 + 16 + 16 + 4 + 2 + 32);
    for at in 0..body.len() {
        // The two highest bytes of the rounds would make the derivation long, or refuse it: that is the next test.
        if !(33..35).contains(&at) {
            let mut altered = body.clone();
            altered[at] ^= 1;
            assert!(decrypt(&armoured(&encoding::encode(&altered)), "correct horse").is_err(), "byte {at}");
        }
    }
    for end in 0..body.len() {
        let cut = armoured(&encoding::encode(&body[..end]));
        assert!(decrypt(&cut, "correct horse").is_err(), "{end} bytes");
    }
}

#[test]
fn a_file_that_would_take_too_long_is_refused() {
    let body = disarm(&encrypt_with_rounds("[]", "x", 2, &mut rng())).unwrap();
    for rounds in [0, ROUNDS_MAX + 1, u32::MAX] {
        let mut altered = body.clone();
        altered[33..37].copy_from_slice(&rounds.to_be_bytes());
        let file = armoured(&encoding::encode(&altered));
        assert_eq!(decrypt(&file, "x"), Err(KeyExportError::Rounds(rounds)));
    }
}

#[test]
fn what_is_no_file_is_refused_with_the_reason() {
    assert_eq!(decrypt("", "x"), Err(KeyExportError::Armour));
    assert_eq!(decrypt("-----BEGIN MEGOLM SESSION DATA-----\nAAAA", "x"), Err(KeyExportError::Armour));
    assert_eq!(decrypt(&armoured("!"), "x"), Err(KeyExportError::Base64));
    assert_eq!(decrypt(&armoured(""), "x"), Err(KeyExportError::Length));
    assert_eq!(decrypt(&armoured("Ag"), "x"), Err(KeyExportError::Version(2)));
    let cut = "AXNhbHRzYWx0c2FsdHNhbHSIiIiIiIiIiIiIiIiIiIiIAAAACmIRUW2OjZ3L2l6j9h0lHlV3M2dx\ncissyYBxjsfs";
    assert_eq!(decrypt(&armoured(cut), "x"), Err(KeyExportError::Length));
}

fn session() -> ExportedSession {
    ExportedSession {
        room_id: "!room:example.org".to_owned(),
        session_id: "session".to_owned(),
        fields: SessionFields {
            forwarding_chain: vec!["hPQNcabIABgGnx3/ACv/jmMmiQHoeFfuLB17tzWp6Hw".to_owned()],
            sender_key: Curve25519PublicKey::from_bytes([3; 32]),
            sender_claimed_keys: BTreeMap::from([("ed25519".to_owned(), "key".to_owned())]),
            session_key: Zeroizing::new("AgAAAADxKHa9uFxcXzwYoNueL5Xqi69IkD4sni8Llf".to_owned()),
            shared_history: true,
        },
    }
}

#[test]
fn sessions_go_through_a_file() {
    let sessions = [session(), ExportedSession { session_id: "other".to_owned(), ..session() }];
    let file = encrypt_with_rounds(&ExportedSession::write_all(&sessions), "correct horse", 2, &mut rng());
    assert!(file.lines().all(|line| line.len() <= 96));
    let content = decrypt(&file, "correct horse").unwrap();
    assert_eq!(ExportedSession::parse_all(&content).unwrap(), sessions.map(Ok));
}

#[test]
fn sessions_are_refused_for_each_missing_field() {
    let content = ExportedSession::write_all(&[session()]);
    for field in [
        "algorithm",
        "forwarding_curve25519_key_chain",
        "sender_key",
        "sender_claimed_keys",
        "session_key",
        "room_id",
        "session_id",
    ] {
        let renamed = content.replace(&format!("\"{field}\":"), "\"x\":");
        assert!(ExportedSession::parse_all(&renamed).unwrap()[0].is_err(), "{field}");
    }
    let unmarked = content.replace("\"shared_history\":true", "\"shared_history\":\"yes\"");
    assert!(!ExportedSession::parse_all(&unmarked).unwrap()[0].as_ref().unwrap().fields.shared_history);
    // The others are imported all the same.
    let mixed = content.replacen('[', "[{},1,", 1);
    let read: Vec<bool> = ExportedSession::parse_all(&mixed).unwrap().iter().map(Result::is_ok).collect();
    assert_eq!(read, [false, false, true]);
    assert!(matches!(ExportedSession::parse_all("{}"), Err(KeyExportError::Field(_))));
    assert!(matches!(ExportedSession::parse_all("[1.5]"), Err(KeyExportError::Json(_))));
}

#[test]
fn debug_shows_no_session_key() {
    assert!(!format!("{:?}", session()).contains("AgAAAADx"));
}
