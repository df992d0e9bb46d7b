//! Megolm's ratchet: jumps come to the same as single steps.

use proptest::prelude::*;

use super::Ratchet;
use crate::cipher::kdf::hmac;

fn ratchet(index: u32) -> Ratchet {
    let bytes: Vec<u8> = (0..128).collect();
    Ratchet::new(&bytes.try_into().unwrap(), index)
}

/// One step, as the specification writes it: which part reseeds follows from what `i` is a multiple of.
fn step(ratchet: &mut Ratchet) {
    let i = ratchet.index + 1;
    let slowest = if i.is_multiple_of(1 << 24) {
        0
    } else if i.is_multiple_of(1 << 16) {
        1
    } else if i.is_multiple_of(1 << 8) {
        2
    } else {
        3
    };
    let seed = ratchet.parts[slowest];
    for part in slowest..4 {
        ratchet.parts[part] = hmac(&seed, &[u8::try_from(part).unwrap()]);
    }
    ratchet.index = i;
}

#[test]
fn winding_far_is_winding_step_by_step() {
    for start in [0, 1, 0xfe, 0xff, 0xfff0, 0x00ff_fff0, 0x00ff_ffff, 0xffff_f000] {
        let mut stepped = ratchet(start);
        for distance in 1..600 {
            step(&mut stepped);
            let mut wound = ratchet(start);
            wound.advance_to(start + distance);
            assert_eq!(wound.index(), stepped.index());
            assert_eq!(wound.as_bytes(), stepped.as_bytes(), "from {start:#x} by {distance}");
        }
    }
}

#[test]
fn there_is_no_way_back() {
    let mut wound = ratchet(500);
    for target in [0, 499, 500] {
        wound.advance_to(target);
        assert_eq!((wound.index(), wound.as_bytes()), (500, ratchet(500).as_bytes()));
    }
}

proptest! {
    #[test]
    fn winding_in_two_goes_is_winding_in_one(mut stops: [u32; 3]) {
        stops.sort_unstable();
        let [start, between, end] = stops;
        let (mut once, mut twice) = (ratchet(start), ratchet(start));
        once.advance_to(end);
        twice.advance_to(between);
        twice.advance_to(end);
        prop_assert_eq!(once.as_bytes(), twice.as_bytes());
        prop_assert_eq!(once.index(), end);
    }
}
