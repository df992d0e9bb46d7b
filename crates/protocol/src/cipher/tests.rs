//! The ciphers under the ratchets: published vectors, and every altered byte refused.

use super::kdf::{hkdf, hmac, hmac_pair};
use super::{CipherKeys, MacLength, PaddingError};

#[test]
fn two_authenticators_under_one_key_are_those_made_apart() {
    let key = [7; 32];
    assert_eq!(hmac_pair(&key, b"\x01", b"\x02"), (hmac(&key, b"\x01"), hmac(&key, b"\x02")));
}

#[test]
fn keys_are_the_three_parts_of_one_derivation() {
    let bytes = hkdf::<80>(&[0], b"secret", b"OLM_KEYS");
    let parts = CipherKeys::from_parts(
        bytes[..32].try_into().unwrap(),
        bytes[32..64].try_into().unwrap(),
        bytes[64..].try_into().unwrap(),
    );
    let derived = CipherKeys::derive(&[0], b"secret", b"OLM_KEYS");
    assert_eq!(derived.encrypt(b"hello"), parts.encrypt(b"hello"));
    assert!(derived.mac(b"hello").matches(parts.mac(b"hello").tag(MacLength::Full), MacLength::Full));
}

#[test]
fn every_length_round_trips_and_is_foretold() {
    let keys = CipherKeys::derive(&[], b"secret", b"");
    for length in 0..70 {
        let plaintext = vec![0xa5; length];
        let ciphertext = keys.encrypt(&plaintext);
        assert_eq!(ciphertext.len(), CipherKeys::ciphertext_length(length));
        assert_eq!(keys.decrypt(&ciphertext).unwrap(), plaintext);
    }
}

#[test]
fn what_is_no_whole_number_of_blocks_or_ends_wrongly_is_refused() {
    let keys = CipherKeys::derive(&[], b"secret", b"");
    let ciphertext = keys.encrypt(b"sixteen bytes ..");
    for bad in [&ciphertext[..0], &ciphertext[..15], &ciphertext[..16], &ciphertext[..31]] {
        assert_eq!(keys.decrypt(bad), Err(PaddingError));
    }
}

#[test]
fn a_mac_matches_its_own_tag_of_its_own_length_only() {
    let keys = CipherKeys::derive(&[], b"secret", b"");
    let mac = keys.mac(b"message");
    for length in [MacLength::Truncated, MacLength::Full] {
        let tag = mac.tag(length).to_vec();
        assert_eq!(tag.len(), length.bytes());
        assert!(mac.matches(&tag, length));
        for at in 0..tag.len() {
            let mut altered = tag.clone();
            altered[at] ^= 1;
            assert!(!mac.matches(&altered, length));
        }
        assert!(!mac.matches(&tag[1..], length));
        assert!(!mac.matches(&[], length));
    }
    assert!(!mac.matches(mac.tag(MacLength::Full), MacLength::Truncated));
    assert!(!mac.matches(mac.tag(MacLength::Truncated), MacLength::Full));
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", CipherKeys::from_parts(&[1; 32], &[2; 32], &[3; 16])), "CipherKeys(..)");
}
