//! The fields inside a pickle: fixed order, big-endian, no names. What cannot be written is refused when read.

use zeroize::{Zeroize as _, Zeroizing};

use crate::key::ed25519::Ed25519SecretBytes;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, Ed25519PublicKey, Ed25519SecretKey, KeyError};

/// Why the fields of a pickle, which was authentic, could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A field or a list ends early.
    #[error("reading the fields of a pickle: it ends too early")]
    EndOfInput,
    /// There are bytes behind the last field.
    #[error("reading the fields of a pickle: there are bytes behind the last field")]
    TrailingBytes,
    /// A list is longer than it may grow.
    #[error("reading the fields of a pickle: a list of {count} where {max} is the most")]
    Count {
        /// The length that was found.
        count: u32,
        /// The longest that it may be.
        max: usize,
    },
    /// A field has a value that it cannot have.
    #[error("reading the fields of a pickle: a field has an impossible value")]
    Value,
    /// A public key is none.
    #[error("reading the fields of a pickle: {0}")]
    Key(#[from] KeyError),
}

/// What writes itself into a pickle and reads itself back.
pub(crate) trait Pickled: Sized {
    fn write(&self, out: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError>;
}

/// The body of a pickle before it is encrypted. Wiped when dropped, and when it grows.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// The length of the list that follows. Every list is bounded far below what the field holds.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn ed25519_secret(&mut self, key: &Ed25519SecretKey) {
        match key.stored() {
            Ed25519SecretBytes::Seed(seed) => {
                self.flag(false);
                self.bytes(seed);
            }
            Ed25519SecretBytes::Expanded(expanded) => {
                self.flag(true);
                self.bytes(expanded);
            }
        }
    }

    /// A vector that grows leaves its old bytes behind; so move to a new one by hand and wipe the old.
    fn grow(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() < more {
            let mut larger = Vec::with_capacity((self.0.len() + more).max(2 * self.0.capacity()).max(256));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Takes fields off the front of a decrypted pickle.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], FieldError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(FieldError::EndOfInput)?;
        self.rest = rest;
        Ok(array)
    }

    /// 32 bytes of a key, or however many are asked for.
    pub(crate) fn secret<const N: usize>(&mut self) -> Result<Zeroizing<[u8; N]>, FieldError> {
        self.array().map(|array| Zeroizing::new(*array))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FieldError> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FieldError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FieldError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    pub(crate) fn flag(&mut self) -> Result<bool, FieldError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FieldError::Value),
        }
    }

    /// The length of the list that follows, which is at most `max`.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, FieldError> {
        let count = self.u32()?;
        match usize::try_from(count) {
            Ok(length) if length <= max => Ok(length),
            _ => Err(FieldError::Count { count, max }),
        }
    }

    pub(crate) fn curve25519_secret(&mut self) -> Result<Curve25519SecretKey, FieldError> {
        self.array().map(Curve25519SecretKey::from_bytes)
    }

    pub(crate) fn curve25519_public(&mut self) -> Result<Curve25519PublicKey, FieldError> {
        self.array().map(|bytes| Curve25519PublicKey::from_bytes(*bytes))
    }

    pub(crate) fn ed25519_secret(&mut self) -> Result<Ed25519SecretKey, FieldError> {
        if self.flag()? {
            self.array().map(Ed25519SecretKey::from_expanded)
        } else {
            self.array().map(Ed25519SecretKey::from_bytes)
        }
    }

    pub(crate) fn ed25519_public(&mut self) -> Result<Ed25519PublicKey, FieldError> {
        Ok(Ed25519PublicKey::from_bytes(self.array()?)?)
    }

    /// That nothing is left.
    pub(crate) fn finish(self) -> Result<(), FieldError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FieldError::TrailingBytes) }
    }
}
