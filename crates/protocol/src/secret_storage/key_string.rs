//! A key as a person may write it down: base58 in groups of four, with a byte that catches most typing errors.
//!
//! <https://spec.matrix.org/v1.19/appendices/#cryptographic-key-representation>

use zeroize::{Zeroize as _, Zeroizing};

const PREFIX: [u8; 2] = [0x8b, 0x01];
const LENGTH: usize = 35;

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyStringError {
    /// A character that base58 does not have.
    #[error("reading a recovery key: a character in it is not of the alphabet")]
    Alphabet,
    /// Too long or too short.
    #[error("reading a recovery key: characters are missing or too many")]
    Length,
    /// It does not begin as keys do.
    #[error("reading a recovery key: it does not begin as one")]
    Prefix,
    /// A typing error: the parity is wrong.
    #[error("reading a recovery key: it has a typing error")]
    Parity,
}

/// The text of a key.
#[must_use]
pub fn encode(key: &[u8; 32]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
    bytes.extend_from_slice(&PREFIX);
    bytes.extend_from_slice(key);
    let parity = bytes.iter().fold(0, |parity, byte| parity ^ byte);
    bytes.push(parity);
    let text = Zeroizing::new(bs58::encode(&*bytes).into_string());
    let mut grouped = Zeroizing::new(String::with_capacity(text.len() * 2));
    for (index, char) in text.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(char);
    }
    grouped
}

/// The key of a text, white space disregarded.
///
/// # Errors
/// [`KeyStringError`] that says what is wrong with it.
pub fn decode(text: &str) -> Result<Zeroizing<[u8; 32]>, KeyStringError> {
    // Base58 takes quadratic time; no key is longer than 48 characters.
    let mut compact = Zeroizing::new(String::with_capacity(64));
    for char in text.chars().filter(|char| !char.is_whitespace()) {
        if compact.len() >= 60 {
            return Err(KeyStringError::Length);
        }
        compact.push(char);
    }
    let mut decoded = bs58::decode(compact.as_bytes()).into_vec().map_err(|_| KeyStringError::Alphabet)?;
    let bytes = <[u8; LENGTH]>::try_from(decoded.as_slice()).map(Zeroizing::new).map_err(|_| KeyStringError::Length);
    decoded.zeroize();
    let bytes = bytes?;
    if !bytes.starts_with(&PREFIX) {
        return Err(KeyStringError::Prefix);
    }
    if bytes.iter().fold(0, |parity, byte| parity ^ byte) != 0 {
        return Err(KeyStringError::Parity);
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(bytes.get(2..34).unwrap_or_default());
    Ok(key)
}
