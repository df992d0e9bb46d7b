//! Base64 as Matrix writes it: without padding, and read back only in the one form we would have written ourselves.
//!
//! The specification asks for unpadded base64 and advises to accept padding where possible
//! (<https://spec.matrix.org/v1.19/appendices/#unpadded-base64>). Keys and signatures are compared as text in many places,
//! so [`decode`] is strict: two texts never mean the same bytes. [`decode_lenient`] also takes padding and is for what
//! other people's programs wrote and nobody compares: message bodies, pickles, exports. Neither ignores stray bits in the
//! last character, or white space.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use zeroize::Zeroize as _;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is not the base64 that was asked for. Says nothing of the text itself, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// A character outside the alphabet, stray bits at the end, padding where none is allowed, or an impossible length.
    #[error("reading base64: the text is malformed")]
    Malformed,
    /// Well-formed, but not of the length that this field has.
    #[error("reading base64: {got} bytes where {expected} belong")]
    Length {
        /// The length that was asked for.
        expected: usize,
        /// The length that was found.
        got: usize,
    },
}

/// Unpadded standard base64 of `bytes`.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    general_purpose::STANDARD_NO_PAD.encode(bytes)
}

/// Reads exactly what [`encode`] writes.
///
/// # Errors
/// [`Base64Error::Malformed`] for anything else, padding included.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Base64Error> {
    general_purpose::STANDARD_NO_PAD.decode(text).map_err(|_| Base64Error::Malformed)
}

/// Reads what [`encode`] writes, with or without padding.
///
/// # Errors
/// [`Base64Error::Malformed`] for anything else.
pub fn decode_lenient(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Base64Error> {
    LENIENT.decode(text).map_err(|_| Base64Error::Malformed)
}

/// Reads exactly what [`encode`] writes for `N` bytes. The intermediate copy is wiped, so this serves for secrets.
///
/// # Errors
/// [`Base64Error`] if the text is malformed or of another length.
pub fn decode_array<const N: usize>(text: impl AsRef<[u8]>) -> Result<[u8; N], Base64Error> {
    let mut bytes = decode(text)?;
    let array =
        <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| Base64Error::Length { expected: N, got: bytes.len() });
    bytes.zeroize();
    array
}

#[cfg(test)]
mod tests;
