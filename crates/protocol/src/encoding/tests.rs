//! Unpadded base64: the vectors of RFC 4648, and what is refused.

use super::{Base64Error, decode, decode_array, decode_lenient, encode};

/// RFC 4648 §10, without the padding.
const VECTORS: [(&str, &str); 7] = [
    ("", ""),
    ("f", "Zg"),
    ("fo", "Zm8"),
    ("foo", "Zm9v"),
    ("foob", "Zm9vYg"),
    ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy"),
];

#[test]
fn the_vectors_of_rfc_4648_hold_in_both_directions() {
    for (plain, text) in VECTORS {
        assert_eq!(encode(plain), text);
        assert_eq!(decode(text).unwrap(), plain.as_bytes());
        assert_eq!(decode_lenient(text).unwrap(), plain.as_bytes());
    }
}

#[test]
fn padding_is_read_by_the_lenient_decoder_only() {
    assert_eq!(decode_lenient("Zg==").unwrap(), b"f");
    assert_eq!(decode("Zg=="), Err(Base64Error::Malformed));
    assert_eq!(decode_array::<1>("Zg=="), Err(Base64Error::Malformed));
}

#[test]
fn a_second_spelling_of_the_same_bytes_is_refused() {
    for text in ["Zh", "Zm9", "Z m8", "Zm8\n", "Zm-_", "Z", "Zg=", "=", "Zg==="] {
        assert_eq!(decode(text), Err(Base64Error::Malformed), "{text:?}");
    }
    for text in ["Zh", "Zm9", "Z m8", "Zm8\n", "Zm-_", "Z", "=", "Zg==="] {
        assert_eq!(decode_lenient(text), Err(Base64Error::Malformed), "{text:?}");
    }
}

#[test]
fn an_array_takes_its_own_length_only() {
    assert_eq!(decode_array::<3>("Zm9v"), Ok(*b"foo"));
    assert_eq!(decode_array::<4>("Zm9v"), Err(Base64Error::Length { expected: 4, got: 3 }));
    assert_eq!(decode_array::<2>("Zm9v"), Err(Base64Error::Length { expected: 2, got: 3 }));
}
