//! The vectors printed in the standards that the primitives come from. Those of RFC 7748 and 8032 are beside the keys.

use protocol::cipher::kdf::{hkdf, hmac};
use protocol::cipher::{CipherKeys, MacLength};
use protocol::key::{Curve25519PublicKey, Curve25519SecretKey};

use crate::hex;

/// RFC 7748 §5.2: two agreements, and the iteration begun at the base point after 1 and after 1,000 steps.
#[test]
fn the_agreements_of_rfc_7748_hold() {
    for (scalar, point, expected) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        let secret = Curve25519SecretKey::from_bytes(&hex::array(scalar));
        let shared = secret.diffie_hellman(&Curve25519PublicKey::from_bytes(hex::array(point))).unwrap();
        assert_eq!(shared.as_bytes(), &hex::array(expected));
    }

    let mut scalar: [u8; 32] = hex::array("0900000000000000000000000000000000000000000000000000000000000000");
    let mut point = scalar;
    for step in 1..=1000 {
        let secret = Curve25519SecretKey::from_bytes(&scalar);
        let shared = *secret.diffie_hellman(&Curve25519PublicKey::from_bytes(point)).unwrap().as_bytes();
        (point, scalar) = (scalar, shared);
        if step == 1 {
            assert_eq!(scalar, hex::array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(scalar, hex::array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// RFC 5869, appendices A.1 to A.3.
#[test]
fn the_derivations_of_rfc_5869_hold() {
    assert_eq!(
        *hkdf::<42>(&hex::bytes("000102030405060708090a0b0c"), &[0x0b; 22], &hex::bytes("f0f1f2f3f4f5f6f7f8f9")),
        hex::array("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    );
    let (secret, salt, info): (Vec<u8>, Vec<u8>, Vec<u8>) =
        ((0x00..=0x4f).collect(), (0x60..=0xaf).collect(), (0xb0..=0xff).collect());
    assert_eq!(
        *hkdf::<82>(&salt, &secret, &info),
        hex::array(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09
             da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        )
    );
    assert_eq!(
        *hkdf::<42>(&[], &[0x0b; 22], &[]),
        hex::array("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
}

/// RFC 4231 §4.2 and §4.3, whose keys are shorter than ours: HMAC pads them with zeros, so we may.
#[test]
fn the_authenticators_of_rfc_4231_hold() {
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    assert_eq!(hmac(&key, b"Hi There"), hex::array("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
    let mut key = [0; 32];
    key[..4].copy_from_slice(b"Jefe");
    assert_eq!(
        hmac(&key, b"what do ya want for nothing?"),
        hex::array("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

/// NIST SP 800-38A F.2.5 and F.2.6, followed by the block of padding that PKCS#7 adds.
#[test]
fn the_blocks_of_sp_800_38a_hold() {
    let keys = CipherKeys::from_parts(
        &hex::array("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        &[0; 32],
        &hex::array("000102030405060708090a0b0c0d0e0f"),
    );
    let plaintext = hex::bytes(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    let ciphertext = keys.encrypt(&plaintext);
    assert_eq!(
        ciphertext[..64],
        hex::bytes(
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
        )
    );
    assert_eq!(keys.decrypt(&ciphertext).unwrap(), plaintext);
}

/// What travels is the start of the whole: RFC 4231 §4.6 truncates in the same way.
#[test]
fn a_truncated_authenticator_is_the_start_of_the_whole() {
    let mac = CipherKeys::from_parts(&[0; 32], &[7; 32], &[0; 16]).mac(b"message");
    assert_eq!(mac.tag(MacLength::Truncated), &mac.tag(MacLength::Full)[..8]);
    assert_eq!(mac.tag(MacLength::Full), hmac(&[7; 32], b"message"));
}
