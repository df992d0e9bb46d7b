//! State at rest: accounts and sessions as encrypted, authenticated bytes.
//!
//! Our own format is `version ‖ kind ‖ salt ‖ ciphertext ‖ MAC`; `spec/pickles.md` says it byte for byte. The salt is drawn
//! for each pickle, so the keys of AES and HMAC are never used twice under one [`PickleKey`], and the MAC covers all that
//! comes before it, so that a pickle of one kind cannot be passed off as one of another.
//!
//! - `codec.rs`: the fields inside, big-endian and of fixed order. Each type writes and reads its own.
//! - [`libolm`]: reads what libolm wrote, so that people can change their client without losing their history.
//!
//! What this cannot do: tell an old pickle from the latest. Putting an old one back makes a session encrypt under keys it
//! used before; keeping the latest is the caller's duty.

pub(crate) mod codec;
pub mod libolm;

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use self::codec::FieldError;
use self::codec::{Pickled, Reader, Writer};
use crate::cipher::{CipherKeys, MacLength, PaddingError};

/// The version of the format, and its first byte.
const VERSION: u8 = 1;
const SALT_LENGTH: usize = 32;
const INFO: &[u8] = b"HOLDFAST_PICKLE";

/// The secret that pickles are encrypted with: 32 uniformly random bytes, not a passphrase. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PickleKey([u8; 32]);

impl PickleKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// A new key drawn from `rng`.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The bytes, for keeping the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PickleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PickleKey(..)")
    }
}

/// What a pickle holds. Numbers are never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An [`Account`](crate::olm::Account).
    Account,
    /// A [`Session`](crate::olm::Session).
    Session,
    /// A [`GroupSession`](crate::megolm::GroupSession).
    GroupSession,
    /// An [`InboundGroupSession`](crate::megolm::InboundGroupSession).
    InboundGroupSession,
    /// A hybrid [`Session`](crate::hybrid::Session).
    HybridSession,
    /// A device's [`PreKeys`](crate::hybrid::PreKeys) for hybrid sessions.
    HybridPreKeys,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Account => 1,
            Self::Session => 2,
            Self::GroupSession => 3,
            Self::InboundGroupSession => 4,
            Self::HybridSession => 5,
            Self::HybridPreKeys => 6,
        }
    }
}

/// Why a pickle could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// Too short to be a pickle.
    #[error("reading a pickle: it is too short")]
    TooShort,
    /// Written by a later program, or no pickle at all.
    #[error("reading a pickle: version {0} is not known")]
    Version(u8),
    /// A pickle of something else.
    #[error("reading a pickle: it does not hold the {0:?} that was asked for")]
    Kind(Kind),
    /// Written under another key, or altered.
    #[error("reading a pickle: it is not authentic under this key")]
    Mac,
    /// Authentic, but badly padded: written by a faulty program.
    #[error("reading a pickle: {0}")]
    Padding(#[from] PaddingError),
    /// Authentic, but its fields are not what they should be.
    #[error(transparent)]
    Fields(#[from] FieldError),
}

/// Encrypts `value`.
pub(crate) fn seal(kind: Kind, value: &impl Pickled, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
    let mut body = Writer::default();
    value.write(&mut body);

    let mut salt = [0; SALT_LENGTH];
    rng.fill_bytes(&mut salt);
    let keys = CipherKeys::derive(&salt, key.as_bytes(), INFO);

    let mut bytes = vec![VERSION, kind.number()];
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&keys.encrypt(body.as_bytes()));
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(MacLength::Full));
    bytes
}

/// Decrypts what [`seal`] wrote.
pub(crate) fn open<T: Pickled>(kind: Kind, bytes: &[u8], key: &PickleKey) -> Result<T, PickleError> {
    let (version, rest) = bytes.split_first().ok_or(PickleError::TooShort)?;
    if *version != VERSION {
        return Err(PickleError::Version(*version));
    }
    let (found, rest) = rest.split_first().ok_or(PickleError::TooShort)?;
    if *found != kind.number() {
        return Err(PickleError::Kind(kind));
    }
    let (salt, rest) = rest.split_at_checked(SALT_LENGTH).ok_or(PickleError::TooShort)?;
    let ciphertext_length = rest.len().checked_sub(MacLength::Full.bytes()).ok_or(PickleError::TooShort)?;
    let (ciphertext, _) = rest.split_at_checked(ciphertext_length).ok_or(PickleError::TooShort)?;
    let (covered, tag) = bytes.split_at_checked(bytes.len() - MacLength::Full.bytes()).ok_or(PickleError::TooShort)?;

    let keys = CipherKeys::derive(salt, key.as_bytes(), INFO);
    if !keys.mac(covered).matches(tag, MacLength::Full) {
        return Err(PickleError::Mac);
    }
    let body = Zeroizing::new(keys.decrypt(ciphertext)?);
    read_body(&body)
}

/// Reads the fields of a decrypted pickle.
fn read_body<T: Pickled>(body: &[u8]) -> Result<T, PickleError> {
    let mut reader = Reader::new(body);
    let value = T::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests;
