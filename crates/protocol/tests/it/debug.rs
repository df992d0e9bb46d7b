//! No secret prints itself. The texts are pinned whole, so a field that is added to one is seen here.

use std::fmt::Debug;

use protocol::cipher::CipherKeys;
use protocol::key::{Curve25519SecretKey, Ed25519SecretKey};
use protocol::megolm::{GroupSession, InboundGroupSession};
use protocol::olm::{Account, OlmMessage};
use protocol::pickle::PickleKey;

use crate::party::rng;

/// The text, with the public parts that `names` stand for replaced by their names.
fn text(value: &impl Debug, names: &[(&str, String)]) -> String {
    names.iter().fold(format!("{value:?}"), |text, (name, public)| text.replace(public, name))
}

#[test]
fn keys_show_their_public_half_only() {
    let curve = Curve25519SecretKey::from_bytes(&[0x42; 32]);
    let edwards = Ed25519SecretKey::from_bytes(&[0x42; 32]);
    let names = [("PUBLIC", curve.public_key().to_base64()), ("PUBLIC", edwards.public_key().to_base64())];
    assert_eq!(text(&curve, &names), "Curve25519SecretKey { public: Curve25519PublicKey(PUBLIC), .. }");
    assert_eq!(text(&edwards, &names), "Ed25519SecretKey { public: Ed25519PublicKey(PUBLIC), .. }");
    assert_eq!(text(edwards.stored(), &[]), "Ed25519SecretBytes(..)");
    assert_eq!(text(&curve.diffie_hellman(&curve.public_key()).unwrap(), &[]), "SharedSecret(..)");
    assert_eq!(text(&PickleKey::from_bytes(&[0x42; 32]), &[]), "PickleKey(..)");
    assert_eq!(text(&CipherKeys::derive(&[], b"", b""), &[]), "CipherKeys(..)");
}

#[test]
fn olm_shows_names_and_counts_only() {
    let mut rng = rng(1);
    let (alice, mut bob) = (Account::new(&mut rng), Account::new(&mut rng));
    let key = bob.generate_one_time_keys(1, &mut rng).created[0];
    let identity = alice.identity_keys();
    let names = [("ED25519", identity.ed25519.to_base64()), ("CURVE25519", identity.curve25519.to_base64())];
    assert_eq!(
        text(&alice, &names),
        "Account { identity_keys: IdentityKeys { ed25519: Ed25519PublicKey(ED25519), \
         curve25519: Curve25519PublicKey(CURVE25519) }, one_time_keys: 0, .. }"
    );

    let config = protocol::olm::SessionConfig::V1;
    let mut session = alice.create_outbound_session(config, &bob.identity_keys().curve25519, &key, &mut rng).unwrap();
    let names = [("ID", session.session_id())];
    let shown = "Session { session_id: \"ID\", config: V1, receiver_chains: 0, skipped_keys: 0, .. }";
    assert_eq!(text(&session, &names), shown);

    let OlmMessage::PreKey(message) = session.encrypt(b"plaintext", &mut rng).unwrap() else {
        panic!("a pre-key message")
    };
    let ratchet_key = message.message().ratchet_key().to_base64();
    assert_eq!(
        text(message.message(), &[("RATCHET", ratchet_key)]),
        "NormalMessage { config: V1, ratchet_key: Curve25519PublicKey(RATCHET), chain_index: 0, .. }"
    );
    let inbound = bob.create_inbound_session(config, &identity.curve25519, &message).unwrap();
    let shown = "InboundSession { session: Session { session_id: \"ID\", config: V1, receiver_chains: 1, skipped_keys: 0, .. }, .. }";
    assert_eq!(text(&inbound, &names), shown);
}

#[test]
fn megolm_shows_names_and_indices_only() {
    let config = protocol::megolm::SessionConfig::V1;
    let mut session = GroupSession::new(config, &mut rng(2));
    let names = [("ID", session.session_id())];
    let mut inbound = InboundGroupSession::from(&session);
    assert_eq!(text(&session, &names), "GroupSession { session_id: \"ID\", config: V1, next_index: 0, .. }");
    assert_eq!(text(&session.session_key(), &names), "SessionKey { session_id: \"ID\", index: 0, .. }");
    assert_eq!(text(&inbound.export(), &names), "ExportedSessionKey { session_id: \"ID\", index: 0, .. }");
    assert_eq!(
        text(&inbound, &names),
        "InboundGroupSession { session_id: \"ID\", config: V1, first_known_index: 0, signing_key_verified: true, .. }"
    );
    let message = session.encrypt(b"plaintext").unwrap();
    assert_eq!(text(&message, &names), "MegolmMessage { config: V1, index: 0, .. }");
    assert_eq!(text(&inbound.decrypt(&message).unwrap(), &names), "Decrypted { index: 0, .. }");
}
