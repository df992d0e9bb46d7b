//! Keys: vectors, strict decoding, weak keys refused, nothing printed.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::ed25519::Ed25519SecretBytes;
use super::{
    Curve25519PublicKey, Curve25519SecretKey, Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature, KeyError,
    NonContributoryKey, SignatureError,
};
use crate::encoding::Base64Error;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// RFC 7748 §6.1.
#[test]
fn alice_and_bob_of_rfc_7748_agree() {
    let alice =
        Curve25519SecretKey::from_bytes(&hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    let bob = Curve25519SecretKey::from_bytes(&hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    assert_eq!(
        alice.public_key().as_bytes(),
        &hex::<32>("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    );
    assert_eq!(
        bob.public_key().as_bytes(),
        &hex::<32>("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    );
    let shared = hex::<32>("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(alice.diffie_hellman(&bob.public_key()).unwrap().as_bytes(), &shared);
    assert_eq!(bob.diffie_hellman(&alice.public_key()).unwrap().as_bytes(), &shared);
}

/// RFC 8032 §7.1, tests 1 to 3.
#[test]
fn the_vectors_of_rfc_8032_hold() {
    let vectors: [(&str, &str, &[u8], &str); 3] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            b"",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            b"\x72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            b"\xaf\x82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in vectors {
        let secret = Ed25519SecretKey::from_bytes(&hex(seed));
        assert_eq!(secret.public_key().as_bytes(), &hex::<32>(public));
        assert_eq!(secret.sign(message).as_bytes(), &hex::<64>(signature));
        secret.public_key().verify(message, &Ed25519Signature::from_bytes(hex(signature))).unwrap();
    }
}

#[test]
fn keys_of_small_order_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let secret = Curve25519SecretKey::from_bytes(&[7; 32]);
    for bytes in [[0; 32], one, minus_one] {
        assert_eq!(secret.diffie_hellman(&Curve25519PublicKey::from_bytes(bytes)).unwrap_err(), NonContributoryKey);
    }
}

#[test]
fn a_public_key_is_canonical_below_the_prime_only() {
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut below = prime;
    below[0] = 0xec;
    let mut above = prime;
    above[0] = 0xff;
    let mut high_bit = [0; 32];
    high_bit[31] = 0x80;
    let mut inner = prime;
    inner[17] = 0xfe;
    for (bytes, canonical) in
        [([0; 32], true), (below, true), (inner, true), (prime, false), (above, false), (high_bit, false)]
    {
        assert_eq!(Curve25519PublicKey::from_bytes(bytes).is_canonical(), canonical, "{bytes:?}");
    }
}

#[test]
fn an_expanded_secret_signs_as_its_seed_does() {
    use sha2::{Digest as _, Sha512};

    let seeded = Ed25519SecretKey::from_bytes(&[7; 32]);
    let expanded = Ed25519SecretKey::from_expanded(&Sha512::digest([7; 32]).into());
    assert_eq!(seeded, expanded);
    assert_eq!(seeded.public_key(), expanded.public_key());
    assert_eq!(seeded.sign(b"message"), expanded.sign(b"message"));
    assert!(matches!(seeded.clone().stored(), Ed25519SecretBytes::Seed(_)));
    assert!(matches!(expanded.clone().stored(), Ed25519SecretBytes::Expanded(_)));
    assert_eq!(expanded.clone().sign(b"message"), expanded.sign(b"message"));
}

#[test]
fn another_message_key_or_signature_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (ours, theirs) = (Ed25519SecretKey::generate(&mut rng), Ed25519SecretKey::generate(&mut rng));
    let signature = ours.sign(b"message");
    ours.public_key().verify(b"message", &signature).unwrap();
    assert_eq!(ours.public_key().verify(b"another", &signature), Err(SignatureError));
    assert_eq!(theirs.public_key().verify(b"message", &signature), Err(SignatureError));
    for at in 0..64 {
        let mut bytes = *signature.as_bytes();
        bytes[at] ^= 1;
        assert_eq!(
            ours.public_key().verify(b"message", &Ed25519Signature::from_bytes(bytes)),
            Err(SignatureError),
            "byte {at}"
        );
    }
}

#[test]
fn a_key_of_small_order_verifies_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let key = Ed25519PublicKey::from_bytes(&identity).unwrap();
    let mut signature = [0; 64];
    signature[0] = 1;
    assert_eq!(key.verify(b"anything", &Ed25519Signature::from_bytes(signature)), Err(SignatureError));
}

/// There are eight such points, so eight different encodings of such points are all.
#[test]
fn the_table_of_small_orders_is_all_of_them() {
    use super::ed25519::SMALL_ORDER;

    for (position, bytes) in SMALL_ORDER.iter().enumerate() {
        let point = ed25519_dalek::VerifyingKey::from_bytes(bytes).unwrap();
        assert!(point.is_weak());
        assert_eq!(point.to_edwards().compress().as_bytes(), bytes, "canonical");
        assert!(!SMALL_ORDER[..position].contains(bytes));
    }
}

/// Who knows the secret key can name any R of small order, and find an S that solves the equation.
#[test]
fn a_signature_with_an_r_of_small_order_is_refused_as_strictly_as_can_be() {
    use curve25519_dalek::scalar::Scalar;
    use ed25519_dalek::Signature;
    use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_verify};
    use sha2::{Digest as _, Sha512};

    use super::ed25519::SMALL_ORDER;

    let expanded = ExpandedSecretKey::from_bytes(&Sha512::digest([7; 32]).into());
    let ours = Ed25519SecretKey::from_bytes(&[7; 32]).public_key();
    let theirs = ed25519_dalek::VerifyingKey::from_bytes(ours.as_bytes()).unwrap();
    let identity = SMALL_ORDER.iter().find(|bytes| bytes[0] == 1).unwrap();
    let challenge = Sha512::new().chain_update(identity).chain_update(ours.as_bytes()).chain_update(b"message");
    let s = Scalar::from_bytes_mod_order_wide(&challenge.finalize().into()) * expanded.scalar;
    let bytes: [u8; 64] = [*identity, s.to_bytes()].concat().try_into().unwrap();

    assert!(raw_verify::<Sha512>(&theirs, b"message", &Signature::from_bytes(&bytes)).is_ok(), "the equation holds");
    assert!(theirs.verify_strict(b"message", &Signature::from_bytes(&bytes)).is_err());
    assert_eq!(ours.verify(b"message", &Ed25519Signature::from_bytes(bytes)), Err(SignatureError));
}

proptest::proptest! {
    #[test]
    fn verification_is_that_of_the_strict_verifier(seed: [u8; 32], message: Vec<u8>, bit in 0usize..512, alter: bool) {
        let secret = Ed25519SecretKey::from_bytes(&seed);
        let mut bytes = *secret.sign(&message).as_bytes();
        bytes[bit / 8] ^= u8::from(alter) << (bit % 8);
        let theirs = ed25519_dalek::VerifyingKey::from_bytes(secret.public_key().as_bytes()).unwrap();
        let strict = theirs.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok();
        let ours = secret.public_key().verify(&message, &Ed25519Signature::from_bytes(bytes)).is_ok();
        proptest::prop_assert_eq!(ours, strict);
        proptest::prop_assert_eq!(ours, !alter);
    }
}

#[test]
fn public_keys_and_signatures_round_trip_as_text_and_json() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let curve = Curve25519SecretKey::generate(&mut rng).public_key();
    let secret = Ed25519SecretKey::generate(&mut rng);
    let (edwards, signature) = (secret.public_key(), secret.sign(b"message"));

    assert_eq!(curve.to_base64().parse::<Curve25519PublicKey>(), Ok(curve));
    assert_eq!(edwards.to_base64().parse::<Ed25519PublicKey>(), Ok(edwards));
    assert_eq!(signature.to_base64().parse::<Ed25519Signature>(), Ok(signature));
    let json = serde_json::to_string(&(curve, edwards, signature)).unwrap();
    assert_eq!(json, format!(r#"["{curve}","{edwards}","{signature}"]"#));
    assert_eq!(
        serde_json::from_str::<(Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature)>(&json).unwrap(),
        (curve, edwards, signature)
    );
}

#[test]
fn what_is_no_key_is_refused_with_its_reason() {
    assert_eq!(Curve25519PublicKey::from_slice(&[0; 31]), Err(KeyError::Length { expected: 32, got: 31 }));
    assert_eq!(Ed25519PublicKey::from_slice(&[0; 33]), Err(KeyError::Length { expected: 32, got: 33 }));
    assert_eq!(Ed25519Signature::from_slice(&[0; 63]), Err(KeyError::Length { expected: 64, got: 63 }));
    assert_eq!(Curve25519PublicKey::from_base64("Zg=="), Err(KeyError::Base64(Base64Error::Malformed)));
    assert_eq!(
        Ed25519Signature::from_base64("Zg"),
        Err(KeyError::Base64(Base64Error::Length { expected: 64, got: 1 }))
    );
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert_eq!(Ed25519PublicKey::from_bytes(&no_point), Err(KeyError::NotAPoint));
    assert!(serde_json::from_str::<Curve25519PublicKey>(r#""short""#).is_err());
}

/// That a type says so is all that can be tested: looking at freed memory is not possible without unsafe code.
#[test]
fn secret_halves_are_wiped_when_dropped() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<Curve25519SecretKey>();
    wiped::<x25519_dalek::StaticSecret>();
    wiped::<Ed25519SecretKey>();
    wiped::<Ed25519SecretBytes>();
    wiped::<ed25519_dalek::hazmat::ExpandedSecretKey>();
    wiped::<super::SharedSecret>();
}

#[test]
fn debug_shows_the_public_half_only() {
    let curve = Curve25519SecretKey::from_bytes(&[0x42; 32]);
    let edwards = Ed25519SecretKey::from_bytes(&[0x42; 32]);
    let shared = curve.diffie_hellman(&curve.public_key()).unwrap();
    assert_eq!(
        format!("{curve:?}"),
        format!("Curve25519SecretKey {{ public: Curve25519PublicKey({}), .. }}", curve.public_key())
    );
    assert_eq!(
        format!("{edwards:?}"),
        format!("Ed25519SecretKey {{ public: Ed25519PublicKey({}), .. }}", edwards.public_key())
    );
    assert_eq!(format!("{:?}", edwards.stored()), "Ed25519SecretBytes(..)");
    assert_eq!(format!("{shared:?}"), "SharedSecret(..)");
}
