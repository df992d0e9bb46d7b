//! Reading what libolm wrote: the C library that Matrix clients used before, whose pickles are still on people's disks.
//!
//! Read only: nothing of ours writes this format, whose MAC is cut to eight bytes and whose initialisation vector follows
//! from the key alone. Numbers are big-endian, lists begin with their length. What libolm's several versions wrote is told
//! apart by the number at the front; each file here says which it knows.

pub(crate) mod account;
pub(crate) mod group_session;
pub(crate) mod session;

use zeroize::Zeroizing;

use super::FieldError;
use super::codec::Reader;
use crate::cipher::{CipherKeys, MacLength, PaddingError};
use crate::encoding::{self, Base64Error};
use crate::key::{Curve25519SecretKey, Ed25519SecretKey};

/// Why a pickle of libolm's could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LibolmPickleError {
    /// Not base64.
    #[error("reading a libolm pickle: {0}")]
    Base64(#[from] Base64Error),
    /// Too short to hold a MAC.
    #[error("reading a libolm pickle: it is too short")]
    TooShort,
    /// Written under another key, or altered.
    #[error("reading a libolm pickle: it is not authentic under this key")]
    Mac,
    /// Authentic, but badly padded.
    #[error("reading a libolm pickle: {0}")]
    Padding(#[from] PaddingError),
    /// Of a version that libolm never wrote, or a pickle of something else.
    #[error("reading a libolm pickle: version {0} is not known")]
    Version(u32),
    /// An account whose signing key libolm made wrongly: such keys count as compromised, and libolm refused them too.
    #[error("reading a libolm pickle: its signing key is of the first version, which is compromised")]
    CompromisedKey,
    /// Authentic, but its fields are not what they should be.
    #[error(transparent)]
    Fields(#[from] FieldError),
}

/// Decrypts `text` and has `read` read its fields.
pub(crate) fn open<T>(
    text: &str,
    key: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, LibolmPickleError>,
) -> Result<T, LibolmPickleError> {
    let bytes = encoding::decode_lenient(text)?;
    let length = bytes.len().checked_sub(MacLength::Truncated.bytes()).ok_or(LibolmPickleError::TooShort)?;
    let (ciphertext, tag) = bytes.split_at_checked(length).ok_or(LibolmPickleError::TooShort)?;

    let keys = CipherKeys::derive(&[0], key, b"Pickle");
    if !keys.mac(ciphertext).matches(tag, MacLength::Truncated) {
        return Err(LibolmPickleError::Mac);
    }
    let body = Zeroizing::new(keys.decrypt(ciphertext)?);
    read_body(&body, read)
}

/// Reads the fields of a decrypted pickle, all of them.
pub(crate) fn read_body<T>(
    body: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, LibolmPickleError>,
) -> Result<T, LibolmPickleError> {
    let mut reader = Reader::new(body);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// A key pair whose public half is written too. If the halves do not fit, the pickle is damaged, and the key another than
/// the one that people know.
fn curve25519_pair(from: &mut Reader<'_>) -> Result<Curve25519SecretKey, FieldError> {
    let (public, secret) = (from.curve25519_public()?, from.curve25519_secret()?);
    if secret.public_key() == public { Ok(secret) } else { Err(FieldError::Value) }
}

/// As [`curve25519_pair`], with the secret half expanded.
fn ed25519_pair(from: &mut Reader<'_>) -> Result<Ed25519SecretKey, FieldError> {
    let (public, secret) = (from.ed25519_public()?, Ed25519SecretKey::from_expanded(from.array()?));
    if secret.public_key() == public { Ok(secret) } else { Err(FieldError::Value) }
}

#[cfg(test)]
mod tests;
