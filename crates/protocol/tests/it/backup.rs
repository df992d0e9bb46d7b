//! Backups that vodozemac encrypts and decrypts, both ways.

use protocol::backup::{BackupSecretKey, EncryptedSession};
use protocol::canonical::Object;
use protocol::encoding;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use vodozemac::Curve25519SecretKey;
use vodozemac::pk_encryption::{Message, PkDecryption, PkEncryption};

fn keys(seed: u64) -> (BackupSecretKey, PkDecryption) {
    let ours = BackupSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(seed));
    let bytes: [u8; 32] = encoding::decode_array(ours.to_base64().as_str()).unwrap();
    let theirs = PkDecryption::from_key(Curve25519SecretKey::from_slice(&bytes));
    assert_eq!(theirs.public_key().to_base64(), ours.public_key().as_curve25519().to_base64());
    (ours, theirs)
}

#[test]
fn vodozemac_reads_what_we_back_up() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for length in 0..100 {
        let (ours, theirs) = keys(u64::try_from(length).unwrap());
        let plaintext = vec![b'x'; length];
        let object = ours.public_key().encrypt_bytes(&plaintext, &mut rng).unwrap().to_object();
        let text = |name: &str| object.string(name).unwrap();
        let message = Message::from_base64(text("ciphertext"), text("mac"), text("ephemeral")).unwrap();
        assert_eq!(theirs.decrypt(&message).unwrap(), plaintext);
    }
}

#[test]
fn we_read_what_vodozemac_backs_up() {
    for length in 0..100 {
        let (ours, theirs) = keys(u64::try_from(length).unwrap());
        let plaintext = vec![b'x'; length];
        let message = PkEncryption::from_key(theirs.public_key()).encrypt(&plaintext).unwrap();
        let object = Object::new()
            .with("ephemeral", message.ephemeral_key.to_base64())
            .with("ciphertext", encoding::encode(&message.ciphertext))
            .with("mac", encoding::encode(&message.mac));
        let read = EncryptedSession::parse(&object).unwrap();
        assert_eq!(*ours.decrypt_bytes(&read).unwrap(), plaintext);
    }
}
