//! How a value lies in an engine: a CRC-32C over the row's key and all that follows, then (in the embedded engines) the
//! version, then the value. The checksum is ours because a bad disk behind an engine does not always tell.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::batch::Version;

const CRC_BYTES: usize = 4;

/// Seals the rows of a group. Keys lie beside keys and values beside values in a few blocks of memory: an engine keeps
/// them for minutes in a memtable of hundreds of thousands of rows, which it searches key by key.
#[derive(Debug, Default)]
pub(crate) struct Sealer {
    keys: BytesMut,
    values: BytesMut,
}

/// A reader that holds on to one small value holds on to its block: few enough bytes to be no harm.
const BLOCK_BYTES: usize = 16 << 10;

impl Sealer {
    /// The stored form of `value` under `key`, with its version in front.
    pub(crate) fn seal(&mut self, key: &[u8], version: Version, value: &[u8]) -> Bytes {
        let mut prefix = [0u8; 10];
        let prefix = varint(version.0, &mut prefix);
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(key), prefix), value);
        make_room(&mut self.values, CRC_BYTES + prefix.len() + value.len());
        self.values.put_u32_le(crc);
        self.values.put_slice(prefix);
        self.values.put_slice(value);
        self.values.split().freeze()
    }

    /// A copy of `key` beside the other keys.
    pub(crate) fn copy(&mut self, key: &[u8]) -> Bytes {
        make_room(&mut self.keys, key.len());
        self.keys.put_slice(key);
        self.keys.split().freeze()
    }
}

fn make_room(block: &mut BytesMut, bytes: usize) {
    if block.capacity() < bytes {
        *block = BytesMut::with_capacity(bytes.max(BLOCK_BYTES));
    }
}

/// The stored form of `value` under `key`, for an engine that keeps versions itself.
#[cfg(any(feature = "postgres", test))]
pub(crate) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), value);
    [&crc.to_le_bytes(), value].concat()
}

/// The value that was sealed under `key`, or what is wrong with it.
pub(crate) fn open(key: &[u8], mut sealed: Bytes) -> Result<Bytes, &'static str> {
    let Some(crc) = sealed.first_chunk::<CRC_BYTES>().copied() else { return Err("it is cut short") };
    sealed.advance(CRC_BYTES);
    if crc32c::crc32c_append(crc32c::crc32c(key), &sealed) != u32::from_le_bytes(crc) {
        return Err("its checksum does not match");
    }
    Ok(sealed)
}

/// The value and version that were sealed under `key`, or what is wrong with them.
pub(crate) fn open_versioned(key: &[u8], sealed: Bytes) -> Result<(Version, Bytes), &'static str> {
    let mut opened = open(key, sealed)?;
    let mut version = 0u64;
    for shift in (0..64).step_by(7) {
        let Some(byte) = opened.first().copied() else { return Err("its version is cut short") };
        opened.advance(1);
        version |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((Version(version), opened));
        }
    }
    Err("its version is too long")
}

fn varint(mut number: u64, out: &mut [u8; 10]) -> &[u8] {
    let mut length = 0;
    for slot in out.iter_mut() {
        length += 1;
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            *slot = low;
            break;
        }
        *slot = low | 0x80;
    }
    out.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_any_flipped_bit_is_seen(
            key in any::<Vec<u8>>(), version in any::<u64>(), value in any::<Vec<u8>>(), flip in any::<prop::sample::Index>(),
        ) {
            let mut sealer = Sealer::default();
            let _before = sealer.seal(b"another", Version(1), b"row");
            let sealed = sealer.seal(&key, Version(version), &value);
            let opened = open_versioned(&key, sealed.clone());
            prop_assert_eq!(opened, Ok((Version(version), Bytes::from(value))));
            let mut flipped = sealed.to_vec();
            let bit = flip.index(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open_versioned(&key, flipped.into()).is_err());
        }

        #[test]
        fn a_value_under_another_key_is_seen(key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
            let sealed: Bytes = seal(&key, &value).into();
            prop_assert_eq!(open(&key, sealed.clone()), Ok(Bytes::from(value)));
            let mut other = key;
            other.push(0);
            prop_assert!(open(&other, sealed).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(key in any::<Vec<u8>>(), bytes in any::<Vec<u8>>()) {
            let _ = open_versioned(&key, bytes.into());
        }
    }
}
