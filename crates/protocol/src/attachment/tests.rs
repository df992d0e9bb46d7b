//! Known answers, any cut into chunks, and every alteration.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{AttachmentError, AttachmentInfo, Decryptor, Encryptor};
use crate::canonical::{Object, Value};
use crate::encoding;

fn encrypt(plaintext: &[u8]) -> (Vec<u8>, AttachmentInfo) {
    let mut encryptor = Encryptor::new(&mut ChaCha20Rng::seed_from_u64(1));
    let mut bytes = plaintext.to_vec();
    encryptor.apply(&mut bytes).unwrap();
    (bytes, encryptor.finish())
}

fn decrypt(ciphertext: &[u8], info: &AttachmentInfo) -> Result<Vec<u8>, AttachmentError> {
    let mut decryptor = Decryptor::new(info);
    let mut bytes = ciphertext.to_vec();
    decryptor.apply(&mut bytes)?;
    decryptor.finish()?;
    Ok(bytes)
}

fn described(key: &str, iv: &str, sha256: &str) -> Object {
    let json = format!(
        r#"{{"v":"v2","key":{{"alg":"A256CTR","ext":true,"k":"{key}","key_ops":["encrypt","decrypt"],"kty":"oct"}},
            "iv":"{iv}","hashes":{{"sha256":"{sha256}"}}}}"#
    );
    Object::parse(json.as_bytes()).unwrap()
}

/// The vectors that the attachment libraries of the other clients are tested with.
#[test]
fn the_vectors_of_other_clients_hold() {
    let vectors = [
        (
            "",
            described(
                "__________________________________________8",
                "//////////8AAAAAAAAAAA",
                "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            ),
            "",
        ),
        (
            "5xJZTt5cQicm+9f4",
            described(
                "__________________________________________8",
                "//////////8AAAAAAAAAAA",
                "YzF08lARDdOCzJpzuSwsjTNlQc4pHxpdHcXiD/wpK6k",
            ),
            "SGVsbG8sIFdvcmxk",
        ),
        (
            "zhtFStAeFx0s+9L/sSQO+WQMtldqYEHqTxMduJrCIpnkyer09kxJJuA4K+adQE4w+7jZe/vR9kIcqj9rOhDR8Q",
            described(
                "__________________________________________8",
                "//////////8AAAAAAAAAAA",
                "IOq7/dHHB+mfHfxlRY5XMeCWEwTPmlf4cJcgrkf6fVU",
            ),
            "YWxwaGFudW1lcmljYWxseWFscGhhbnVtZXJpY2FsbHlhbHBoYW51bWVyaWNhbGx5YWxwaGFudW1lcmljYWxseQ",
        ),
    ];
    for (ciphertext, description, plaintext) in vectors {
        let info = AttachmentInfo::parse(&description).unwrap();
        let opened = decrypt(&encoding::decode(ciphertext).unwrap(), &info).unwrap();
        assert_eq!(encoding::encode(opened), plaintext);
    }
}

#[test]
fn the_counter_starts_at_zero_and_every_file_has_its_own_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (one, other) = (Encryptor::new(&mut rng).finish(), Encryptor::new(&mut rng).finish());
    assert_eq!(one.iv[8..], [0; 8]);
    assert_ne!(one.iv, other.iv);
    assert_ne!(one.key, other.key);
}

#[test]
fn an_altered_byte_anywhere_is_refused() {
    let (ciphertext, info) = encrypt(b"a picture of a cat, somewhat longer than one block");
    assert!(decrypt(&ciphertext, &info).is_ok());
    for at in 0..ciphertext.len() {
        let mut altered = ciphertext.clone();
        altered[at] ^= 1;
        assert_eq!(decrypt(&altered, &info), Err(AttachmentError::Altered));
    }
    assert_eq!(decrypt(&ciphertext[1..], &info), Err(AttachmentError::Altered));
}

#[test]
fn a_description_is_refused_for_each_wrong_part() {
    let (_, info) = encrypt(b"x");
    let good = info.to_object();
    assert!(AttachmentInfo::parse(&good).is_ok());
    for field in ["v", "key", "iv", "hashes"] {
        let mut object = good.clone();
        object.remove(field);
        assert!(matches!(AttachmentInfo::parse(&object), Err(AttachmentError::Field(_))), "{field}");
    }
    let wrong: [(&str, Value); 6] = [
        ("kty", "EC".into()),
        ("alg", "A128CTR".into()),
        ("ext", false.into()),
        ("key_ops", vec!["encrypt"].into()),
        ("k", "AAAA".into()),
        ("k", "not base64 at all".into()),
    ];
    for (field, value) in wrong {
        let mut object = good.clone();
        let Some(Value::Object(key)) = object.get_mut("key") else { panic!("a key") };
        key.insert(field, value);
        assert!(AttachmentInfo::parse(&object).is_err(), "{field}");
    }
    assert_eq!(AttachmentInfo::parse(&good.clone().with("v", "v1")).unwrap_err(), AttachmentError::Unknown("v"));
    assert_eq!(AttachmentInfo::parse(&good.with("iv", "AAAA")).unwrap_err(), AttachmentError::Encoding("iv"));
}

#[test]
fn debug_shows_no_key() {
    let (_, info) = encrypt(b"x");
    let shown = format!("{info:?} {:?}", Encryptor::new(&mut ChaCha20Rng::seed_from_u64(1)));
    let Some(Value::Object(key)) = info.to_object().remove("key") else { panic!("a key") };
    assert!(!shown.contains(key.string("k").unwrap()));
    assert!(shown.contains("AttachmentInfo { sha256: "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_may_be_cut_anywhere(plaintext in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(1_usize..80, 1..8)) {
        let (ciphertext, info) = encrypt(&plaintext);
        let mut encryptor = Encryptor::new(&mut ChaCha20Rng::seed_from_u64(1));
        let mut decryptor = Decryptor::new(&AttachmentInfo::parse(&info.to_object()).unwrap());
        let (mut encrypted, mut opened) = (plaintext.clone(), ciphertext.clone());
        let mut at = 0;
        for cut in cuts.iter().cycle() {
            let end = (at + cut).min(plaintext.len());
            encryptor.apply(&mut encrypted[at..end]).unwrap();
            decryptor.apply(&mut opened[at..end]).unwrap();
            at = end;
            if at == plaintext.len() {
                break;
            }
        }
        prop_assert_eq!(encrypted, ciphertext);
        prop_assert_eq!(encryptor.finish().sha256, info.sha256);
        prop_assert!(decryptor.finish().is_ok());
        prop_assert_eq!(opened, plaintext);
    }
}
