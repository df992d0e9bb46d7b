//! A message's authenticator: HMAC-SHA-256, sent whole or cut to its first eight bytes.

use subtle::ConstantTimeEq as _;

use super::kdf::HASH_LENGTH;

/// How much of the HMAC travels with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacLength {
    /// The first eight bytes: the first version of Olm and Megolm, and libolm's pickles.
    Truncated,
    /// All 32 bytes: the second version.
    Full,
}

impl MacLength {
    /// The number of bytes that travel.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Truncated => 8,
            Self::Full => HASH_LENGTH,
        }
    }
}

/// The HMAC-SHA-256 that we computed over a message.
///
/// Not compared with `==`: [`Self::matches`] takes the same time whatever differs.
#[derive(Debug, Clone, Copy)]
pub struct Mac([u8; HASH_LENGTH]);

impl Mac {
    pub(super) fn new(bytes: [u8; HASH_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes that travel with the message.
    #[must_use]
    pub fn tag(&self, length: MacLength) -> &[u8] {
        self.0.split_at(length.bytes()).0
    }

    /// Whether `tag` is what should have travelled with the message.
    #[must_use]
    pub fn matches(&self, tag: &[u8], length: MacLength) -> bool {
        self.tag(length).ct_eq(tag).into()
    }
}
