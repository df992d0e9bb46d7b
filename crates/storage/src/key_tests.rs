//! The key codec's properties: order, injectivity, round trip, ranges; and no panic on arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::table::{LOG, TEST};

type Parts = (Vec<u8>, u64, String, u16);

fn key(parts: &Parts) -> Key {
    Key::of(TEST, parts)
}

/// Few different bytes, zeros and FFs among them, so that near misses are common.
fn tight_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x41, 0xfe, 0xff]), 0..6)
}

fn tight_parts() -> impl Strategy<Value = Parts> {
    let number = prop::sample::select(vec![0u64, 1, 255, 256, u64::MAX - 1, u64::MAX]);
    let text = prop::sample::select(vec!["", "\0", "a", "a\0", "a\u{1}", "ab", "é"]).prop_map(String::from);
    (tight_bytes(), number, text, any::<u16>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn keys_sort_as_their_parts_and_are_injective(one in tight_parts(), other in tight_parts()) {
        prop_assert_eq!(key(&one).cmp(&key(&other)), one.cmp(&other));
    }

    #[test]
    fn keys_read_back(parts in (any::<Vec<u8>>(), any::<u64>(), any::<String>(), any::<u16>())) {
        prop_assert_eq!(key(&parts).parts::<Parts>(), Ok(parts));
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_but_never_panic(bytes in any::<Vec<u8>>()) {
        if let Some(key) = Key::from_bytes(bytes.into()) && let Ok(parts) = key.parts::<Parts>() {
            prop_assert_eq!(Key::of(key.table(), &parts), key);
        }
    }

    #[test]
    fn a_prefix_range_holds_just_the_keys_with_that_prefix(prefix in tight_bytes(), parts in tight_parts()) {
        let range = KeyRange::prefix(TEST, &(prefix.clone(),));
        let encoded = key(&parts);
        let inside = range.start <= encoded.to_bytes() && encoded.to_bytes() < range.end;
        prop_assert_eq!(inside, parts.0 == prefix);
    }
}

#[test]
fn a_raw_prefix_of_ffs_still_ends() {
    let range = KeyRange::prefix(TEST, &[0xffu8; 8]);
    let inside = Key::of(TEST, &([0xffu8; 8], 7u64));
    assert!(range.start <= inside.to_bytes() && inside.to_bytes() < range.end);
    let log = KeyRange::prefix(LOG, &[0xffu8; 2]);
    assert_eq!(&log.end[..], [LOG.0 + 1], "the next table's first key is the end");
}

#[test]
fn ranges_go_on_after_and_before_a_key() {
    let table = KeyRange::table(TEST);
    let key = Key::of(TEST, &5u64);
    assert!(table.after(&key).start > key.to_bytes());
    assert_eq!(table.before(&key).end, key.to_bytes());
    assert!(KeyRange::between(&key, &key).is_empty());
}

#[test]
fn a_key_shows_its_table_and_row() {
    assert_eq!(Key::of(LOG, &(Partition(1), Position(2))).to_string(), "log:00010000000000000002");
}
