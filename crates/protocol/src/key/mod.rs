//! The kinds of keys that everything else is built of, each with its secret and its public half as a type of its own.
//!
//! - [`curve25519`]: agreement (X25519, RFC 7748). A [`Curve25519SecretKey`] meets a [`Curve25519PublicKey`] and gives a
//!   [`SharedSecret`], or refuses a public key that would make the secret predictable.
//! - [`ed25519`]: signatures (RFC 8032). An [`Ed25519SecretKey`] signs, an [`Ed25519PublicKey`] verifies an
//!   [`Ed25519Signature`], strictly: no key of small order, no second encoding.
//! - [`kem`]: agreement that a quantum computer does not undo (ML-KEM-768, FIPS 203), always beside X25519, never alone.
//!
//! Public halves and signatures read and write unpadded base64, also through `serde`. Secret halves have no `serde`, no
//! `Display`, and a `Debug` that shows their name and no more.

pub mod curve25519;
pub mod ed25519;
pub mod kem;

pub use curve25519::{Curve25519PublicKey, Curve25519SecretKey, NonContributoryKey, SharedSecret};
pub use ed25519::{Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature, SignatureError};
pub use kem::{KemCiphertext, KemError, KemPublicKey, KemSecretKey, KemSharedSecret};

use crate::encoding::Base64Error;

/// Why some bytes are not a public key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not unpadded base64 of the right length.
    #[error("reading a key: {0}")]
    Base64(#[from] Base64Error),
    /// Not of the right length.
    #[error("reading a key: {got} bytes where {expected} belong")]
    Length {
        /// The length of this kind of key.
        expected: usize,
        /// The length that was found.
        got: usize,
    },
    /// The bytes of an Ed25519 public key that name no point of the curve.
    #[error("reading a key: the bytes are no point of the curve")]
    NotAPoint,
}

/// `bytes` as an array of the length that a kind of key has.
fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], KeyError> {
    bytes.try_into().map_err(|_| KeyError::Length { expected: N, got: bytes.len() })
}

/// Gives a public type its base64 text, in `Display`, `Debug`, `FromStr` and `serde`.
macro_rules! base64_text {
    ($type:ident) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.to_base64())
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.to_base64())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::key::KeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_base64(text)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_base64())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_base64(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
use base64_text;

#[cfg(test)]
mod tests;
