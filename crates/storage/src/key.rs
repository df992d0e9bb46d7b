//! The one key codec: order-preserving (encoded keys sort as their parts do, first part first) and injective (two
//! different lists of parts never encode alike), so a key can always be read back.
//!
//! Numbers are big-endian. Text and byte strings escape `00` as `00 FF` and end with `00 01`, which sorts a prefix
//! before what it is a prefix of whatever part follows.

use std::fmt;

use base::{Partition, Position, limits};
use bytes::Bytes;

use crate::batch::{Stamp, Template};
use crate::table::TableId;

/// The key of one row, its table's number in front. At most [`limits::KEY_BYTES`] long to be written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key of `parts` in `table`.
    pub fn of(table: TableId, parts: &impl KeyParts) -> Self {
        let mut writer = KeyWriter::new(table);
        parts.write(&mut writer);
        writer.finish()
    }

    /// Takes back bytes that an engine stored. `None` when they name no table.
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// All bytes, the table's number first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All bytes, to keep; no copy is made.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The table.
    pub fn table(&self) -> TableId {
        TableId(self.0.first().copied().unwrap_or_default())
    }

    /// The key within its table.
    pub fn row(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Reads the parts back.
    ///
    /// # Errors
    /// When the key was not written from such parts.
    pub fn parts<P: KeyParts>(&self) -> Result<P, KeyError> {
        let mut reader = KeyReader { rest: self.row() };
        let parts = P::read(&mut reader)?;
        if reader.rest.is_empty() { Ok(parts) } else { Err(KeyError) }
    }

    /// Whether an engine accepts a key of this length.
    pub(crate) fn is_short_enough(&self) -> bool {
        self.0.len() <= limits::KEY_BYTES
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `log:000100…`: the table's name and the row in hex, for an operator's eyes.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table().entry() {
            Some(entry) => write!(f, "{}:", entry.name)?,
            None => write!(f, "table {}:", self.table().0)?,
        }
        self.row().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A stored key that its table's owner did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key does not have the parts that its table's keys have")]
pub struct KeyError;

/// The rows from `start` (included) to `end` (excluded), all of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
}

impl KeyRange {
    /// All rows of all tables.
    pub fn everything() -> Self {
        Self { start: Bytes::from_static(&[0]), end: Self::below(&[u8::MAX]).end }
    }

    /// All rows of `table`.
    pub fn table(table: TableId) -> Self {
        Self::below(&[table.0])
    }

    /// The rows of `table` whose key begins with `parts`.
    pub fn prefix(table: TableId, parts: &impl KeyParts) -> Self {
        Self::below(Key::of(table, parts).as_bytes())
    }

    /// The rows from `start` to `end` (excluded); empty when `end` is not after `start`.
    pub fn between(start: &Key, end: &Key) -> Self {
        Self { start: start.to_bytes(), end: end.to_bytes() }
    }

    /// What of this range lies after `key`: where a forward scan goes on.
    #[must_use]
    pub fn after(&self, key: &Key) -> Self {
        let mut start = key.as_bytes().to_vec();
        start.push(0);
        Self { start: start.into(), end: self.end.clone() }
    }

    /// What of this range lies before `key`: where a backward scan goes on.
    #[must_use]
    pub fn before(&self, key: &Key) -> Self {
        Self { start: self.start.clone(), end: key.to_bytes() }
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The table the range lies in.
    pub fn table_id(&self) -> TableId {
        TableId(self.start.first().copied().unwrap_or_default())
    }

    fn below(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        // The first key after all that begin with the prefix: cut trailing FFs, then count up. Nothing is left only of
        // table 255, the last one: its range ends after the longest key.
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        match end.last_mut() {
            Some(last) => *last += 1,
            None => end = vec![u8::MAX; limits::KEY_BYTES + 1],
        }
        Self { start: Bytes::copy_from_slice(prefix), end: end.into() }
    }
}

/// Writes the parts of a key.
#[derive(Debug)]
pub struct KeyWriter {
    bytes: Vec<u8>,
    stamps: Vec<(u32, Stamp)>,
}

impl KeyWriter {
    /// A key of `table` without parts yet.
    pub fn new(table: TableId) -> Self {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(table.0);
        Self { bytes, stamps: Vec::new() }
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, part: &impl KeyParts) -> Self {
        part.write(&mut self);
        self
    }

    /// Adds the position that the engine will give to an append of the same batch; it reads back as a [`Position`].
    #[must_use]
    pub fn stamp(mut self, stamp: Stamp) -> Self {
        let offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.stamps.push((offset, stamp));
        self.bytes.extend_from_slice(&[0; 8]);
        self
    }

    /// The key; what a [`KeyWriter::stamp`] added stands at position 0.
    pub fn finish(self) -> Key {
        Key(self.bytes.into())
    }

    /// The key as a template, stamps to be filled at commit.
    pub fn template(self) -> Template {
        Template { bytes: self.bytes.into(), stamps: self.stamps }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// Reads the parts of a key in the order they were written.
#[derive(Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl KeyReader<'_> {
    /// Whether no part is left.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(KeyError)?;
        self.rest = rest;
        Ok(*array)
    }

    fn escaped(&mut self) -> Result<Vec<u8>, KeyError> {
        let mut out = Vec::new();
        loop {
            let zero = self.rest.iter().position(|byte| *byte == 0).ok_or(KeyError)?;
            let (plain, tail) = self.rest.split_at(zero);
            out.extend_from_slice(plain);
            let [_, mark, rest @ ..] = tail else { return Err(KeyError) };
            self.rest = rest;
            match mark {
                0xff => out.push(0),
                1 => return Ok(out),
                _ => return Err(KeyError),
            }
        }
    }
}

/// What can stand in a key: numbers, text, byte arrays, positions, and tuples of these.
pub trait KeyParts: Sized {
    /// Writes the parts.
    fn write(&self, writer: &mut KeyWriter);

    /// Reads them back.
    ///
    /// # Errors
    /// When the bytes were not written by [`KeyParts::write`] of the same type.
    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError>;
}

macro_rules! number_parts {
    ($($number:ty),*) => {$(
        impl KeyParts for $number {
            fn write(&self, writer: &mut KeyWriter) {
                writer.raw(&self.to_be_bytes());
            }

            fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                reader.array().map(Self::from_be_bytes)
            }
        }
    )*};
}

number_parts!(u8, u16, u32, u64);

impl KeyParts for Position {
    fn write(&self, writer: &mut KeyWriter) {
        self.0.write(writer);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        u64::read(reader).map(Self)
    }
}

impl KeyParts for Partition {
    fn write(&self, writer: &mut KeyWriter) {
        self.0.write(writer);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        u16::read(reader).map(Self)
    }
}

impl<const N: usize> KeyParts for [u8; N] {
    fn write(&self, writer: &mut KeyWriter) {
        writer.raw(self);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        reader.array()
    }
}

impl KeyParts for Vec<u8> {
    fn write(&self, writer: &mut KeyWriter) {
        for byte in self {
            match byte {
                0 => writer.raw(&[0, 0xff]),
                byte => writer.raw(&[*byte]),
            }
        }
        writer.raw(&[0, 1]);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        reader.escaped()
    }
}

impl KeyParts for String {
    fn write(&self, writer: &mut KeyWriter) {
        self.as_bytes().to_vec().write(writer);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        Self::from_utf8(reader.escaped()?).map_err(|_| KeyError)
    }
}

macro_rules! tuple_parts {
    ($($part:ident . $index:tt),*) => {
        impl<$($part: KeyParts),*> KeyParts for ($($part,)*) {
            fn write(&self, writer: &mut KeyWriter) {
                $(self.$index.write(writer);)*
            }

            fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                Ok(($($part::read(reader)?,)*))
            }
        }
    };
}

tuple_parts!(A.0);
tuple_parts!(A.0, B.1);
tuple_parts!(A.0, B.1, C.2);
tuple_parts!(A.0, B.1, C.2, D.3);

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
