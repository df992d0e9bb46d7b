//! Megolm against vodozemac, and what it promises.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::encoding;
use protocol::megolm::{
    DecodeError, DecryptionError, ExportedSessionKey, GroupSession, InboundGroupSession, MegolmMessage, SessionConfig,
    SessionKey, SessionKeyError, SessionOrdering,
};
use protocol::pickle::PickleKey;
use vodozemac::megolm as theirs;

use crate::party::rng;

const CONFIGS: [SessionConfig; 2] = [SessionConfig::V1, SessionConfig::V2];

fn their_config(config: SessionConfig) -> theirs::SessionConfig {
    match config {
        SessionConfig::V1 => theirs::SessionConfig::version_1(),
        SessionConfig::V2 => theirs::SessionConfig::version_2(),
    }
}

fn config() -> impl Strategy<Value = SessionConfig> {
    prop_oneof![Just(SessionConfig::V1), Just(SessionConfig::V2)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `skip` messages are written before the session is shared: those must be refused, the rest read, however often.
    #[test]
    fn vodozemac_reads_what_ours_writes(config in config(), seed: u64, skip in 0usize..300, order in vec(0usize..400, 1..30)) {
        let mut session = GroupSession::new(config, &mut rng(seed));
        let mut messages: Vec<_> = (0..skip).map(|n| session.encrypt(&n.to_be_bytes()).unwrap()).collect();
        let key = theirs::SessionKey::from_base64(&session.session_key().to_base64()).unwrap();
        let mut reader = theirs::InboundGroupSession::new(&key, their_config(config));
        prop_assert_eq!(reader.session_id(), session.session_id());
        messages.extend((skip..400).map(|n| session.encrypt(&n.to_be_bytes()).unwrap()));

        for n in order {
            let message = theirs::MegolmMessage::from_bytes(messages[n].as_bytes()).unwrap();
            match reader.decrypt(&message) {
                Ok(read) => {
                    prop_assert!(n >= skip);
                    prop_assert_eq!(read.plaintext, n.to_be_bytes());
                    prop_assert_eq!(read.message_index as usize, n);
                }
                Err(error) => prop_assert!(n < skip, "{}", error),
            }
        }
    }

    #[test]
    fn ours_reads_what_vodozemac_writes(config in config(), skip in 0usize..300, order in vec(0usize..400, 1..30)) {
        let mut session = theirs::GroupSession::new(their_config(config));
        let mut messages: Vec<_> = (0..skip).map(|n| session.encrypt(n.to_be_bytes())).collect();
        let key = SessionKey::from_base64(&session.session_key().to_base64()).unwrap();
        let mut reader = InboundGroupSession::new(&key, config);
        prop_assert_eq!(reader.session_id(), session.session_id());
        prop_assert!(reader.signing_key_verified());
        messages.extend((skip..400).map(|n| session.encrypt(n.to_be_bytes())));

        for n in order {
            let message = MegolmMessage::from_bytes(&messages[n].to_bytes()).unwrap();
            match reader.decrypt(&message) {
                Ok(read) => {
                    prop_assert!(n >= skip);
                    prop_assert_eq!(read.plaintext, n.to_be_bytes());
                    prop_assert_eq!(read.index as usize, n);
                }
                Err(error) => {
                    prop_assert!(n < skip);
                    let expected =
                        DecryptionError::UnknownIndex { first_known: reader.first_known_index(), index: message.index() };
                    prop_assert_eq!(error, expected);
                }
            }
        }
    }

    /// From any ratchet at any index to any later one, across every wheel.
    #[test]
    fn both_export_the_same_at_every_index(parts in vec(any::<u8>(), 128), start: u32, targets: [u32; 4]) {
        let signing_key = protocol::key::Ed25519SecretKey::from_bytes(&[3; 32]).public_key();
        let bytes = [&[1][..], &start.to_be_bytes(), &parts, signing_key.as_bytes()].concat();
        let ours = InboundGroupSession::import(&ExportedSessionKey::from_bytes(&bytes).unwrap(), SessionConfig::V1);
        let key = theirs::ExportedSessionKey::from_bytes(&bytes).unwrap();
        let mut theirs = theirs::InboundGroupSession::import(&key, theirs::SessionConfig::version_1());
        for target in targets {
            let (ours, theirs) = (ours.export_at(target), theirs.export_at(target));
            prop_assert_eq!(ours.map(|key| key.to_bytes().to_vec()), theirs.map(|key| key.to_bytes()));
        }
    }
}

#[test]
fn a_session_that_is_exported_and_imported_reads_on_both_ways() {
    for config in CONFIGS {
        let mut session = GroupSession::new(config, &mut rng(1));
        let ours = InboundGroupSession::from(&session);
        let messages: Vec<_> = (0..10u8).map(|n| session.encrypt(&[n]).unwrap()).collect();

        let key = theirs::ExportedSessionKey::from_base64(&ours.export_at(4).unwrap().to_base64()).unwrap();
        let mut reader = theirs::InboundGroupSession::import(&key, their_config(config));
        let key = ExportedSessionKey::from_base64(&reader.export_at(6).unwrap().to_base64()).unwrap();
        assert_eq!((key.index(), key.session_id()), (6, session.session_id()));
        let mut back = InboundGroupSession::import(&key, config);
        assert!(!back.signing_key_verified());

        for (n, message) in messages.iter().enumerate() {
            let theirs = theirs::MegolmMessage::from_base64(&message.to_base64()).unwrap();
            assert_eq!(reader.decrypt(&theirs).is_ok(), n >= 4);
            let message = MegolmMessage::from_base64(&message.to_base64()).unwrap();
            assert_eq!(back.decrypt(&message).is_ok(), n >= 6);
        }
        assert!(back.export_at(5).is_none());
        assert_eq!(back.export().index(), 6);
    }
}

#[test]
fn an_altered_message_is_refused_and_changes_nothing() {
    for config in CONFIGS {
        let mut session = GroupSession::new(config, &mut rng(2));
        let mut reader = InboundGroupSession::from(&session);
        let message = session.encrypt(b"genuine").unwrap();
        let bytes = message.as_bytes();
        let flipped = (0..8 * bytes.len()).map(|bit| {
            let mut altered = bytes.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            altered
        });
        let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
        for altered in flipped.chain(cut).chain([[bytes, &[0]].concat()]) {
            if let Ok(altered) = MegolmMessage::from_bytes(&altered) {
                assert!(reader.decrypt(&altered).is_err(), "{altered:?}");
            }
        }
        let read = reader.decrypt(&message).unwrap();
        assert_eq!((&read.plaintext[..], read.index), (&b"genuine"[..], 0));
    }
}

#[test]
fn the_other_version_is_refused() {
    let mut session = GroupSession::new(SessionConfig::V2, &mut rng(3));
    let mut reader = InboundGroupSession::new(&session.session_key(), SessionConfig::V1);
    assert_eq!(
        reader.decrypt(&session.encrypt(b"full").unwrap()),
        Err(DecryptionError::Config { expected: SessionConfig::V1, got: SessionConfig::V2 })
    );
}

#[test]
fn an_altered_shared_key_is_refused() {
    let key = GroupSession::new(SessionConfig::V1, &mut rng(4)).session_key().to_bytes();
    for bit in 0..8 * key.len() {
        let mut altered = key.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(SessionKey::from_bytes(&altered).is_err(), "bit {bit}");
    }
    assert_eq!(SessionKey::from_bytes(&key[..228]).unwrap_err(), SessionKeyError::Length { expected: 229, got: 228 });
    let exported = [&[1], &key[1..165]].concat();
    assert!(ExportedSessionKey::from_bytes(&exported).is_ok());
    assert_eq!(
        ExportedSessionKey::from_bytes(&key[..165]).unwrap_err(),
        SessionKeyError::Version { expected: 1, got: 2 }
    );
    assert_eq!(ExportedSessionKey::from_bytes(&key).unwrap_err(), SessionKeyError::Length { expected: 165, got: 229 });
}

#[test]
fn an_index_beyond_the_ratchet_is_no_message() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut rng(5));
    let bytes = session.encrypt(b"first").unwrap().as_bytes().to_vec();
    let beyond = [&bytes[..2], &[0x80, 0x80, 0x80, 0x80, 0x10], &bytes[3..]].concat();
    assert_eq!(MegolmMessage::from_bytes(&beyond), Err(DecodeError::Index));
    let padded = [&bytes[..2], &[0x80, 0x00], &bytes[3..]].concat();
    assert_eq!(MegolmMessage::from_bytes(&padded), Err(DecodeError::Wire(protocol::WireError::Number)));
}

#[test]
fn copies_of_a_session_know_which_is_better() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut rng(6));
    let whole = InboundGroupSession::from(&session);
    let messages: Vec<_> = (0..400).map(|_| session.encrypt(b"message").unwrap()).collect();
    let late = InboundGroupSession::import(&whole.export_at(300).unwrap(), SessionConfig::V1);
    assert_eq!(whole.compare(&late), SessionOrdering::Better);
    assert_eq!(late.compare(&whole), SessionOrdering::Worse);
    assert_eq!(whole.compare(&whole), SessionOrdering::Equal);

    let mut merged = late.merge(&whole).unwrap();
    assert_eq!((merged.first_known_index(), merged.signing_key_verified()), (0, true));
    assert!(merged.decrypt(&messages[0]).is_ok());
    assert!(!late.merge(&late).unwrap().signing_key_verified());
    assert_eq!(whole.merge(&late).unwrap().first_known_index(), 0);

    let stranger = InboundGroupSession::from(&GroupSession::new(SessionConfig::V1, &mut rng(7)));
    let other_config = InboundGroupSession::import(&whole.export(), SessionConfig::V2);
    // The right signing key with a made-up ratchet.
    let mut forged = whole.export().to_bytes().to_vec();
    forged[10] ^= 1;
    let forged = InboundGroupSession::import(&ExportedSessionKey::from_bytes(&forged).unwrap(), SessionConfig::V1);
    for unconnected in [stranger, other_config, forged] {
        assert_eq!(whole.compare(&unconnected), SessionOrdering::Unconnected);
        assert!(!whole.connected(&unconnected) && whole.merge(&unconnected).is_none());
    }
}

#[test]
fn what_was_given_up_cannot_be_read_again() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut rng(8));
    let mut reader = InboundGroupSession::from(&session);
    let messages: Vec<_> = (0..300).map(|_| session.encrypt(b"message").unwrap()).collect();
    reader.decrypt(&messages[299]).unwrap();
    reader.decrypt(&messages[5]).unwrap();
    assert!(reader.advance_to(260));
    assert!(!reader.advance_to(260));
    assert!(!reader.advance_to(0));
    assert_eq!(reader.first_known_index(), 260);
    assert_eq!(reader.decrypt(&messages[259]), Err(DecryptionError::UnknownIndex { first_known: 260, index: 259 }));
    assert!(reader.export_at(259).is_none());
    for message in &messages[260..] {
        reader.decrypt(message).unwrap();
    }
}

#[test]
fn a_message_reads_as_often_as_it_comes_and_says_its_index() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut rng(9));
    let mut reader = InboundGroupSession::from(&session);
    session.encrypt(b"first").unwrap();
    let message = session.encrypt(b"second").unwrap();
    for _ in 0..3 {
        assert_eq!(reader.decrypt(&message).unwrap().index, 1);
    }
}

#[test]
fn a_session_goes_on_after_it_was_written_down() {
    let mut rng = rng(10);
    let key = PickleKey::generate(&mut rng);
    for config in CONFIGS {
        let session = GroupSession::new(config, &mut rng);
        let reader = InboundGroupSession::from(&session);
        let mut session = GroupSession::unpickle(&session.pickle(&key, &mut rng), &key).unwrap();
        let mut reader = InboundGroupSession::unpickle(&reader.pickle(&key, &mut rng), &key).unwrap();
        for n in 0..3 {
            assert_eq!(reader.decrypt(&session.encrypt(b"message").unwrap()).unwrap().index, n);
        }
        let mut session = GroupSession::unpickle(&session.pickle(&key, &mut rng), &key).unwrap();
        assert_eq!(session.next_index(), 3);
        assert!(reader.signing_key_verified());
        assert_eq!(reader.decrypt(&session.encrypt(b"message").unwrap()).unwrap().index, 3);
    }
}

/// The formats, from the tables of the specification.
#[test]
fn keys_and_messages_are_laid_out_as_the_specification_says() {
    let mut session = GroupSession::new(SessionConfig::V1, &mut rng(11));
    let shared = session.session_key().to_bytes();
    assert_eq!((shared.len(), shared[0], &shared[1..5]), (229, 2, &[0; 4][..]));
    assert_eq!(encoding::encode(&shared[133..165]), session.session_id());
    let reader = InboundGroupSession::from(&session);
    let exported = reader.export().to_bytes();
    assert_eq!((exported.len(), exported[0]), (165, 1));
    assert_eq!(exported[1..], shared[1..165]);
    let message = session.encrypt(b"message").unwrap();
    assert_eq!(message.as_bytes()[..5], [3, 0x08, 0, 0x12, 16]);
    assert_eq!(message.as_bytes().len(), 5 + 16 + 8 + 64);
}

/// From libolm's own tests: session keys that it shared, and a message in each.
#[test]
fn what_libolm_shared_and_wrote_is_read() {
    for (key, message) in [
        (
            "AgAAAAAwMTIzNDU2Nzg5QUJERUYwMTIzNDU2Nzg5QUJDREVGMDEyMzQ1Njc4OUFCREVGMDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkRFR\
             jAxMjM0NTY3ODlBQkNERUYwMTIzNDU2Nzg5QUJERUYwMTIzNDU2Nzg5QUJDREVGMDEyMw0bdg1BDq4Px/slBow06q8n/B9WBfwWYyNOB8DlUmX\
             GGwrFmaSb9bR/eY8xgERrxmP07hFmD9uqA2p8PMHdnV5ysmgufE6oLZ5+8/mWQOW3VVTnDIlnwd8oHUYRuk8TCQ",
            "AwgAEhAcbh6UpbByoyZxufQ+h2B+8XHMjhR69G8F4+qjMaFlnIXusJZX3r8LnRORG9T3DXFdbVuvIWrLyRfm4i8QRbe8VPwGRFG57B1Ctmxan\
             uP8bHtnnYqlwPsD",
        ),
        (
            "AgAAAAAwMTIzNDU2Nzg5QUJERUYwMTIzNDU2Nzg5QUJDREVGMDEyMzQ1Njc4OUFCREVGMDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkRFR\
             jAxMjM0NTY3ODlBQkNERUYwMTIzNDU2Nzg5QUJERUYwMTIzNDU2Nzg5QUJDREVGMDEyMztqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdo\
             p4lx1cSN3Xv1TgfLPW8rhGiW+hHiMxd36nRuxscNv9k4oJA/KP+o0mi1wv44StrEJ1wwx9WZHBUIWkQbaBSuBDw",
            "AwgAEhAcbh6UpbByoyZxufQ+h2B+8XHMjhR69G8nP4pNZGl/3QMgrzCZPmP+F2aPLyKPzxRPBMUkeXRJ6Iqm5NeOdx2eERgTW7P20CM+lL3Xp\
             k+ZUOOPvsSQNaAL",
        ),
    ] {
        let mut reader = InboundGroupSession::new(&SessionKey::from_base64(key).unwrap(), SessionConfig::V1);
        let read = reader.decrypt(&MegolmMessage::from_base64(message).unwrap()).unwrap();
        assert_eq!((&read.plaintext[..], read.index), (&b"Message"[..], 0));
    }
}
