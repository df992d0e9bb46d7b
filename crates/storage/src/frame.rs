//! How changes lie one after the other in a file: key length, key, whether there is a value, value length, value. It is
//! the inside of spools and of archives; both know their whole file's checksum, so frames have none.

use std::io::{self, ErrorKind, Read, Write};

use base::limits;
use bytes::Bytes;

use crate::engine::Change;
use crate::key::Key;

/// Writes one change.
pub(crate) fn write(out: &mut impl Write, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
    write_bytes(out, key)?;
    out.write_all(&[u8::from(value.is_some())])?;
    value.map_or(Ok(()), |value| write_bytes(out, value))
}

/// Reads the next change; `None` at the end of the file.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Change>> {
    let mut first = [0];
    if from.read(&mut first)? == 0 {
        return Ok(None);
    }
    let ([a], [b, c, d]) = (first, read_array(from)?);
    let key = Key::from_bytes(read_bytes(from, [a, b, c, d])?).ok_or(ErrorKind::InvalidData)?;
    let value = match read_array(from)? {
        [0] => None,
        [1] => {
            let length = read_array(from)?;
            Some(read_bytes(from, length)?)
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    Ok(Some(Change { key, value }))
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| ErrorKind::InvalidInput)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    from.read_exact(&mut array)?;
    Ok(array)
}

fn read_bytes(from: &mut impl Read, length: [u8; 4]) -> io::Result<Bytes> {
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    // A log entry is a payload of the largest size and its kind.
    if length > limits::VALUE_BYTES + 2 {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_are_read_back_in_order(
            changes in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), any::<Option<Vec<u8>>>()), 0..20),
        ) {
            let mut file = Vec::new();
            for (key, value) in &changes {
                write(&mut file, key, value.as_deref()).unwrap();
            }
            let mut rest = &file[..];
            for (key, value) in changes {
                let read = read(&mut rest).unwrap().unwrap();
                prop_assert_eq!(read.key.as_bytes(), &key[..]);
                prop_assert_eq!(read.value, value.map(Bytes::from));
            }
            prop_assert_eq!(read(&mut rest).unwrap(), None);
        }

        #[test]
        fn arbitrary_bytes_are_an_error_and_never_a_panic(bytes in any::<Vec<u8>>()) {
            let mut rest = &bytes[..];
            while let Ok(Some(_)) = read(&mut rest) {}
        }
    }
}
