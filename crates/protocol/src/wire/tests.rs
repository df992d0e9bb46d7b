use proptest::prelude::*;

use super::{Reader, WireError, push_integer, push_string};

#[test]
fn numbers_are_written_as_the_specification_says() {
    for (value, bytes) in [
        (0, vec![0x10, 0x00]),
        (1, vec![0x10, 0x01]),
        (0x7f, vec![0x10, 0x7f]),
        (0x80, vec![0x10, 0x80, 0x01]),
        (300, vec![0x10, 0xac, 0x02]),
        (u64::MAX, [&[0x10][..], &[0xff; 9], &[0x01]].concat()),
    ] {
        let mut out = Vec::new();
        push_integer(&mut out, 0x10, value);
        assert_eq!(out, bytes);
        assert_eq!(Reader::new(&out).integer(0x10), Ok(value));
    }
}

#[test]
fn a_number_with_a_second_spelling_is_refused() {
    let beyond_64_bits = [&[0xff; 9][..], &[0x02]].concat();
    let eleven_bytes = [&[0x80; 10][..], &[0x01]].concat();
    for bytes in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &beyond_64_bits, &eleven_bytes, &[0x80; 64]] {
        assert_eq!(Reader::new(bytes).number(), Err(WireError::Number), "{bytes:02x?}");
    }
}

#[test]
fn a_length_that_lies_is_refused() {
    let mut out = Vec::new();
    push_string(&mut out, 0x0a, b"four");
    for length in 0..out.len() {
        assert_eq!(Reader::new(&out[..length]).string(0x0a), Err(WireError::EndOfInput));
    }
    let huge = [&[0x0a][..], &[0xff; 9], &[0x01]].concat();
    assert_eq!(Reader::new(&huge).string(0x0a), Err(WireError::EndOfInput));
}

#[test]
fn another_field_or_one_too_many_is_refused() {
    let mut out = Vec::new();
    push_string(&mut out, 0x0a, b"four");
    assert_eq!(Reader::new(&out).string(0x12), Err(WireError::UnexpectedField { expected: 0x12 }));
    out.push(0);
    let mut reader = Reader::new(&out);
    assert_eq!(reader.string(0x0a), Ok(&b"four"[..]));
    assert_eq!(reader.finish(), Err(WireError::TrailingBytes));
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_what_is_read_is_what_would_be_written(
        number: u64,
        string in proptest::collection::vec(any::<u8>(), 0..300),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut out = Vec::new();
        push_integer(&mut out, 0x08, number);
        push_string(&mut out, 0x12, &string);
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.integer(0x08), Ok(number));
        prop_assert_eq!(reader.string(0x12), Ok(&string[..]));
        prop_assert_eq!(reader.finish(), Ok(()));

        let mut reader = Reader::new(&noise);
        if let Ok(number) = reader.number() {
            let mut again = vec![];
            super::push_number(&mut again, number);
            prop_assert_eq!(&noise[..again.len()], &again[..]);
        }
    }
}
