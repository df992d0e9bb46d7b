//! Round trips, trust, the server's choice, and the format's mistake as a fact that is tested.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use super::{AuthData, BackupError, BackupSecretKey, EncryptedSession, KeyBackupData};
use crate::bundle::trust::{UnverifiedIdentity, VerifiedDevice, VerifiedIdentity};
use crate::bundle::{DeviceKeys, MasterKey, SelfSigningKey};
use crate::canonical::{Integer, Object, Value};
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, Ed25519SecretKey};
use crate::key_export::SessionFields;

const ALICE: &str = "@alice:example.org";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn session() -> SessionFields {
    SessionFields {
        forwarding_chain: Vec::new(),
        sender_key: Curve25519PublicKey::from_bytes([3; 32]),
        sender_claimed_keys: BTreeMap::from([("ed25519".to_owned(), "key".to_owned())]),
        session_key: Zeroizing::new("AgAAAADxKHa9uFxcXzwYoNueL5Xqi69IkD4sni8Llf".to_owned()),
        shared_history: false,
    }
}

#[test]
fn a_session_is_read_back_with_the_right_key_only() {
    let key = BackupSecretKey::generate(&mut rng());
    let encrypted = key.public_key().encrypt(&session(), &mut rng()).unwrap();
    let read =
        EncryptedSession::parse(&Object::parse(encrypted.to_object().to_canonical().as_bytes()).unwrap()).unwrap();
    assert_eq!(key.decrypt(&read).unwrap().0, session());
    let other =
        BackupSecretKey::from_key_string(&BackupSecretKey(Curve25519SecretKey::from_bytes(&[9; 32])).to_key_string());
    assert_eq!(other.unwrap().decrypt(&read), Err(BackupError::WrongKey));
}

#[test]
fn the_key_goes_through_secret_storage_and_through_paper() {
    let key = BackupSecretKey::generate(&mut rng());
    assert_eq!(BackupSecretKey::from_base64(&key.to_base64()).unwrap(), key);
    assert_eq!(BackupSecretKey::from_base64(&format!("{}=", *key.to_base64())).unwrap(), key);
    assert_eq!(BackupSecretKey::from_key_string(&key.to_key_string()).unwrap(), key);
    assert!(BackupSecretKey::from_base64("AAAA").is_err());
    assert!(!format!("{key:?}").contains(&*key.to_base64()));
}

/// The format's mistake, stated as a test: the MAC holds whatever the ciphertext is. What refuses an altered ciphertext is the
/// padding and the JSON, which an alteration can get past.
#[test]
fn the_mac_does_not_authenticate_the_ciphertext() {
    let key = BackupSecretKey::generate(&mut rng());
    let fields = SessionFields { session_key: Zeroizing::new("A".repeat(300)), ..session() };
    let encrypted = key.public_key().encrypt(&fields, &mut rng()).unwrap();
    let mut altered_unseen = 0;
    for at in 0..encrypted.ciphertext.len() {
        let mut altered = encrypted.clone();
        altered.ciphertext[at] ^= 1;
        match key.decrypt_bytes(&altered) {
            Ok(plaintext) => {
                assert_ne!(plaintext.as_slice(), fields.to_object().to_canonical().as_bytes());
                altered_unseen += 1;
            }
            Err(error) => assert_eq!(error, BackupError::WrongKey),
        }
    }
    assert!(altered_unseen > 0, "the format has changed: say so in the documentation");
    // Key and MAC are bound to each other, and to nothing else.
    for at in 0..8 {
        let mut altered = encrypted.clone();
        altered.mac[at] ^= 1;
        assert_eq!(key.decrypt_bytes(&altered).unwrap_err(), BackupError::WrongKey);
    }
    let mut cut = encrypted.clone();
    cut.mac.pop();
    assert!(key.decrypt_bytes(&cut).is_err());
    let mut other = encrypted;
    other.ephemeral = Curve25519SecretKey::from_bytes(&[9; 32]).public_key();
    assert!(key.decrypt_bytes(&other).is_err());
}

#[test]
fn keys_of_small_order_are_refused() {
    let key = BackupSecretKey::generate(&mut rng());
    let mut encrypted = key.public_key().encrypt(&session(), &mut rng()).unwrap();
    encrypted.ephemeral = Curve25519PublicKey::from_bytes([0; 32]);
    assert!(matches!(key.decrypt(&encrypted), Err(BackupError::NonContributory(_))));
    let zero = AuthData::parse(Object::new().with("public_key", Curve25519PublicKey::from_bytes([0; 32]).to_base64()))
        .unwrap();
    assert!(zero.matches(&key).is_err());
}

struct Alice {
    master_key: Ed25519SecretKey,
    identity: VerifiedIdentity,
    device_key: Ed25519SecretKey,
    device: VerifiedDevice,
}

fn alice(seed: u64) -> Alice {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let master_key = Ed25519SecretKey::generate(&mut rng);
    let master = MasterKey::create(ALICE, &master_key).unwrap();
    let self_signing =
        SelfSigningKey::create(&Ed25519SecretKey::generate(&mut rng).public_key(), &master, &master_key).unwrap();
    let identity = UnverifiedIdentity::new(master, self_signing, &[]).unwrap();
    let identity = identity.verify_compared(&master_key.public_key()).unwrap();
    let device_key = Ed25519SecretKey::generate(&mut rng);
    let curve = Curve25519SecretKey::generate(&mut rng).public_key();
    let keys = DeviceKeys::sign(ALICE, "PHONE", &[], &curve, &device_key).unwrap();
    let device = VerifiedDevice::compared(keys, &device_key.public_key()).unwrap();
    Alice { master_key, identity, device_key, device }
}

#[test]
fn a_backup_is_believed_for_who_signed_it_or_for_its_secret_key() {
    let Alice { master_key, identity, device_key, device } = alice(2);
    let key = BackupSecretKey::generate(&mut rng());
    let unsigned = AuthData::new(&key.public_key());
    assert!(matches!(unsigned.verify(&identity), Err(BackupError::NotTrusted(_))));
    assert!(matches!(unsigned.verify_by_device(ALICE, &device), Err(BackupError::NotTrusted(_))));
    assert_eq!(unsigned.matches(&key), Ok(key.public_key()));

    let master_id = identity.master().get().key_id();
    let signed = unsigned
        .signed_by(ALICE, &master_id, &master_key)
        .unwrap()
        .signed_by(ALICE, "ed25519:PHONE", &device_key)
        .unwrap();
    let read = AuthData::parse(signed.as_object().clone()).unwrap();
    assert_eq!(read.verify(&identity), Ok(key.public_key()));
    assert_eq!(read.verify_by_device(ALICE, &device), Ok(key.public_key()));
    assert!(read.verify_by_device("@bob:example.org", &device).is_err());
    assert!(matches!(read.verify(&alice(3).identity), Err(BackupError::NotTrusted(_))));

    // A server that puts its own key where ours was.
    let servers = BackupSecretKey(Curve25519SecretKey::from_bytes(&[9; 32]));
    let swapped = signed.as_object().clone().with("public_key", servers.public_key().as_curve25519().to_base64());
    let swapped = AuthData::parse(swapped).unwrap();
    assert!(swapped.verify(&identity).is_err() && swapped.verify_by_device(ALICE, &device).is_err());
    assert_eq!(swapped.matches(&key), Err(BackupError::OtherKey));
}

#[test]
fn the_server_keeps_the_better_of_two_sessions() {
    let data = |is_verified, first_message_index, forwarded_count| KeyBackupData {
        first_message_index,
        forwarded_count,
        is_verified,
        session_data: Object::new(),
    };
    // From best to worst.
    let ranked =
        [data(true, 0, 0), data(true, 0, 1), data(true, 5, 0), data(false, 0, 0), data(false, 0, 3), data(false, 1, 0)];
    for (rank, better) in ranked.iter().enumerate() {
        assert!(!better.replaces(better));
        for worse in &ranked[rank + 1..] {
            assert!(better.replaces(worse) && !worse.replaces(better));
        }
    }
}

#[test]
fn a_stored_session_reads_back_and_is_refused_when_malformed() {
    let data = KeyBackupData {
        first_message_index: 7,
        forwarded_count: 1,
        is_verified: true,
        session_data: Object::new().with("ciphertext", "x"),
    };
    let object = data.to_object();
    assert_eq!(KeyBackupData::parse(&object), Ok(data));
    for field in ["first_message_index", "forwarded_count", "is_verified", "session_data"] {
        let mut missing = object.clone();
        missing.remove(field);
        assert!(KeyBackupData::parse(&missing).is_err());
        assert!(KeyBackupData::parse(&object.clone().with(field, Value::Null)).is_err());
    }
    let negative = object.clone().with("forwarded_count", Integer::new(-1).unwrap());
    assert!(KeyBackupData::parse(&negative).is_err());
    let large = object.with("first_message_index", Integer::new(1 << 32).unwrap());
    assert!(KeyBackupData::parse(&large).is_err());
}
