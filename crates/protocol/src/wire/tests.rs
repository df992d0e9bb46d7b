//! The frame of messages: round trips, and no panic on arbitrary bytes.

use proptest::prelude::*;

use super::{Reader, WireError, push_integer, push_string, read_fields};

const INTEGER: u8 = 0x10;
const STRING: u8 = 0x0a;

fn number(bytes: &[u8]) -> Result<u64, WireError> {
    Reader { rest: bytes }.number()
}

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
        push_integer(&mut out, INTEGER, value);
        assert_eq!(out, bytes);
        assert_eq!(read_fields(&out, [INTEGER]).map(|[field]| field.integer), Ok(value));
    }
}

#[test]
fn a_number_with_a_second_spelling_is_refused() {
    let beyond_64_bits = [&[0xff; 9][..], &[0x02]].concat();
    let eleven_bytes = [&[0x80; 10][..], &[0x01]].concat();
    for bytes in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &beyond_64_bits, &eleven_bytes, &[0x80; 64]] {
        assert_eq!(number(bytes), Err(WireError::Number), "{bytes:02x?}");
    }
}

#[test]
fn a_length_that_lies_is_refused() {
    let mut out = Vec::new();
    push_string(&mut out, STRING, b"four");
    for length in 1..out.len() {
        assert_eq!(read_fields(&out[..length], [STRING]), Err(WireError::EndOfInput));
    }
    let huge = [&[STRING][..], &[0xff; 9], &[0x01]].concat();
    assert_eq!(read_fields(&huge, [STRING]), Err(WireError::EndOfInput));
}

#[test]
fn each_field_is_there_once_and_no_other() {
    let mut out = Vec::new();
    push_string(&mut out, STRING, b"four");
    assert_eq!(read_fields(&out, [INTEGER]), Err(WireError::UnknownField { tag: STRING }));
    assert_eq!(read_fields(&out, [STRING, INTEGER]), Err(WireError::MissingField { tag: INTEGER }));
    assert_eq!(read_fields(&[], [STRING]), Err(WireError::MissingField { tag: STRING }));
    let twice = [&out[..], &out].concat();
    assert_eq!(read_fields(&twice, [STRING]), Err(WireError::RepeatedField { tag: STRING }));
    out.push(0);
    assert_eq!(read_fields(&out, [STRING]), Err(WireError::UnknownField { tag: 0 }));
}

#[test]
fn fields_are_found_in_any_order_and_say_where_they_are() {
    let (mut integer, mut string) = (Vec::new(), Vec::new());
    push_integer(&mut integer, INTEGER, 300);
    push_string(&mut string, STRING, b"four");
    for (payload, start) in [([&integer[..], &string].concat(), 5), ([&string[..], &integer].concat(), 2)] {
        let [found_string, found_integer] = read_fields(&payload, [STRING, INTEGER]).unwrap();
        assert_eq!(found_integer.integer, 300);
        assert_eq!((found_string.string, found_string.start), (&b"four"[..], start));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_a_number_is_read_in_the_form_it_is_written_in(
        value: u64,
        string in proptest::collection::vec(any::<u8>(), 0..300),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut out = Vec::new();
        push_integer(&mut out, INTEGER, value);
        push_string(&mut out, STRING, &string);
        let [found_integer, found_string] = read_fields(&out, [INTEGER, STRING]).unwrap();
        prop_assert_eq!(found_integer.integer, value);
        prop_assert_eq!(found_string.string, &string[..]);

        if let Ok(number) = number(&noise) {
            let mut again = vec![];
            super::push_number(&mut again, number);
            prop_assert_eq!(&noise[..again.len()], &again[..]);
        }
    }
}
