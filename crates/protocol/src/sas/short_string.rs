//! What the two people compare.

use super::emoji::{EMOJI, Emoji};
use crate::cipher::kdf;

/// The short authentication string: 42 bits as seven emoji, or 39 bits as three numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortString(pub(super) [u8; 6]);

impl ShortString {
    /// One derivation serves both forms, as the longer output of HKDF begins with the shorter.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#sas-hkdf-calculation>
    pub(super) fn derive(secret: &[u8; 32], info: &str) -> Self {
        Self(*kdf::hkdf::<6>(&[], secret, info.as_bytes()))
    }

    /// Seven emoji.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#sas-method-emoji>
    #[must_use]
    pub fn emoji(&self) -> [Emoji; 7] {
        let bits = self.bits();
        std::array::from_fn(|index| {
            let six = (bits >> (42 - 6 * index)) & 0x3f;
            let [first, ..] = EMOJI;
            usize::try_from(six).ok().and_then(|six| EMOJI.get(six)).copied().unwrap_or(first)
        })
    }

    /// Three numbers of four digits.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#sas-method-decimal>
    #[must_use]
    pub fn decimals(&self) -> [u16; 3] {
        let bits = self.bits();
        std::array::from_fn(|index| {
            let thirteen = (bits >> (35 - 13 * index)) & 0x1fff;
            u16::try_from(thirteen).unwrap_or(0) + 1000
        })
    }

    /// The 48 bits as a number.
    fn bits(&self) -> u64 {
        self.0.iter().fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
    }
}
