//! The ratchet `R_i`: four parts that turn at different speeds, like the wheels of a counter.
//!
//! The last part, `R_i,3`, is hashed at each step; each 256 steps it is made anew from `R_i,2`, and so on up to `R_i,0`,
//! which moves each 2^24 steps (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#the-megolm-ratchet-algorithm>). So the
//! ratchet winds any distance forwards in at most 1,020 hashes, and never back.

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cipher::CipherKeys;
use crate::cipher::kdf::hmac;
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

const PART_LENGTH: usize = 32;

/// `R_i` and `i`. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Ratchet {
    parts: [[u8; PART_LENGTH]; 4],
    index: u32,
}

impl Ratchet {
    /// The length of the four parts.
    pub(crate) const LENGTH: usize = 4 * PART_LENGTH;

    pub(crate) fn new(bytes: &[u8; Self::LENGTH], index: u32) -> Self {
        let mut ratchet = Self { parts: [[0; PART_LENGTH]; 4], index };
        ratchet.parts.as_flattened_mut().copy_from_slice(bytes);
        ratchet
    }

    /// `i`.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// `R_i,0 ‖ R_i,1 ‖ R_i,2 ‖ R_i,3`.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.parts.as_flattened()
    }

    /// `AES_KEY ‖ HMAC_KEY ‖ AES_IV = HKDF(0, R_i, "MEGOLM_KEYS", 80)`.
    pub(crate) fn cipher_keys(&self) -> CipherKeys {
        CipherKeys::derive(&[0], self.as_bytes(), b"MEGOLM_KEYS")
    }

    /// Winds forwards to `target`. An index that is behind is where the ratchet stays: there is no way back.
    pub(crate) fn advance_to(&mut self, target: u32) {
        if target <= self.index {
            return;
        }
        // Wheel after wheel, slowest first. Once a wheel has moved, the faster ones begin at zero.
        for wheel in 0..4 {
            let shift = 8 * (3 - wheel);
            let steps = (target >> shift) - (self.index >> shift);
            for _ in 1..steps {
                self.rehash(wheel, wheel);
            }
            if steps > 0 {
                for faster in (wheel..4).rev() {
                    self.rehash(wheel, faster);
                }
                self.index = target >> shift << shift;
            }
        }
    }

    /// `R_,to = H_to(R_,from)`, where `H_k(A) = HMAC(A, k)`.
    fn rehash(&mut self, from: u8, to: u8) {
        let hash = self.parts.get(usize::from(from)).map(|part| hmac(part, &[to]));
        if let (Some(part), Some(hash)) = (self.parts.get_mut(usize::from(to)), hash) {
            *part = hash;
        }
    }
}

impl ConstantTimeEq for Ratchet {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.as_bytes().ct_eq(other.as_bytes()) & self.index.ct_eq(&other.index)
    }
}

impl Pickled for Ratchet {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.as_bytes());
        out.u32(self.index);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let bytes = from.secret()?;
        Ok(Self::new(&bytes, from.u32()?))
    }
}

#[cfg(test)]
mod tests;
