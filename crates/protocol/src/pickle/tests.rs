//! The sealed pickle: what was sealed opens, and anything else is refused.

use super::codec::{FieldError, Pickled, Reader, Writer};
use super::{Kind, PickleError, PickleKey, open, seal};

/// A body of any bytes, to test the envelope alone.
#[derive(Debug, PartialEq)]
struct Body(u32);

impl Pickled for Body {
    fn write(&self, out: &mut Writer) {
        out.u32(self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.u32().map(Self)
    }
}

/// One field more than [`Body`].
struct Longer;

impl Pickled for Longer {
    fn write(&self, out: &mut Writer) {
        out.u64(0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.u64().map(|_| Self)
    }
}

fn rng() -> rand_chacha::ChaCha20Rng {
    rand_core::SeedableRng::seed_from_u64(1)
}

fn key() -> PickleKey {
    PickleKey::from_bytes(&[7; 32])
}

#[test]
fn an_envelope_opens_under_its_key_and_kind_only() {
    let bytes = seal(Kind::Session, &Body(5), &key(), &mut rng());
    assert_eq!(open(Kind::Session, &bytes, &key()), Ok(Body(5)));
    assert_eq!(open::<Body>(Kind::Account, &bytes, &key()), Err(PickleError::Kind(Kind::Account)));
    assert_eq!(open::<Body>(Kind::Session, &bytes, &PickleKey::from_bytes(&[8; 32])), Err(PickleError::Mac));
    let mut other_kind = bytes.clone();
    other_kind[1] = Kind::Account.number();
    assert_eq!(open::<Body>(Kind::Account, &other_kind, &key()), Err(PickleError::Mac));
    let mut later = bytes;
    later[0] = 2;
    assert_eq!(open::<Body>(Kind::Session, &later, &key()), Err(PickleError::Version(2)));
}

#[test]
fn an_altered_or_cut_envelope_is_refused() {
    let bytes = seal(Kind::Session, &Body(5), &key(), &mut rng());
    for bit in 0..8 * bytes.len() {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(open::<Body>(Kind::Session, &altered, &key()).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(open::<Body>(Kind::Session, &bytes[..length], &key()).is_err(), "{length} bytes");
    }
    assert_eq!(open::<Body>(Kind::Session, &[1, 2], &key()), Err(PickleError::TooShort));
}

#[test]
fn the_same_state_is_never_written_the_same_way_twice() {
    let mut rng = rng();
    let (first, second) =
        (seal(Kind::Session, &Body(5), &key(), &mut rng), seal(Kind::Session, &Body(5), &key(), &mut rng));
    assert_ne!(first[2..34], second[2..34], "the salts");
    assert_ne!(first[34..50], second[34..50], "the ciphertexts");
}

#[test]
fn fields_must_be_all_there_and_no_more() {
    let short = seal(Kind::Session, &Body(5), &key(), &mut rng());
    assert_eq!(open::<Longer>(Kind::Session, &short, &key()).err(), Some(FieldError::EndOfInput.into()));
    let long = seal(Kind::Session, &Longer, &key(), &mut rng());
    assert_eq!(open::<Body>(Kind::Session, &long, &key()), Err(FieldError::TrailingBytes.into()));
}

#[test]
fn a_flag_is_zero_or_one_and_a_list_within_its_bound() {
    assert_eq!(Reader::new(&[0]).flag(), Ok(false));
    assert_eq!(Reader::new(&[1]).flag(), Ok(true));
    assert_eq!(Reader::new(&[2]).flag(), Err(FieldError::Value));
    assert_eq!(Reader::new(&[0, 0, 0, 3]).count(3), Ok(3));
    assert_eq!(Reader::new(&[0, 0, 0, 4]).count(3), Err(FieldError::Count { count: 4, max: 3 }));
    assert_eq!(Reader::new(&[0xff; 4]).count(3), Err(FieldError::Count { count: u32::MAX, max: 3 }));
}
