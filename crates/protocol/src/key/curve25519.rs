//! X25519: two parties who know each other's public key agree on a secret (RFC 7748).
//!
//! A public key of small order would let an attacker choose the secret, so an agreement that the other side's key did not
//! contribute to is refused here, once, for every protocol above.

use std::fmt;
use std::sync::OnceLock;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{KeyError, base64_text, exactly};
use crate::encoding;

/// The secret half of a Curve25519 key pair, together with its public half. Wiped when dropped.
///
/// The public half is computed when it is first asked for: a session that only reads never asks.
#[derive(Clone)]
pub struct Curve25519SecretKey {
    secret: StaticSecret,
    public: OnceLock<Curve25519PublicKey>,
}

impl Curve25519SecretKey {
    /// The length of a secret key in bytes.
    pub const LENGTH: usize = 32;

    /// A new key drawn from `rng`.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// The key whose (unclamped) scalar is `bytes`. Every value is a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self { secret: StaticSecret::from(*bytes), public: OnceLock::new() }
    }

    /// The scalar, as it was given: for writing the key down, encrypted.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        self.secret.as_bytes()
    }

    /// The half that others may know.
    #[must_use]
    pub fn public_key(&self) -> Curve25519PublicKey {
        *self.public.get_or_init(|| Curve25519PublicKey(PublicKey::from(&self.secret).to_bytes()))
    }

    /// `ECDH(self, theirs)`.
    ///
    /// # Errors
    /// [`NonContributoryKey`] if `theirs` is of small order, so that the result would not depend on our secret.
    pub fn diffie_hellman(&self, theirs: &Curve25519PublicKey) -> Result<SharedSecret, NonContributoryKey> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(theirs.0));
        if shared.was_contributory() { Ok(SharedSecret(shared.to_bytes())) } else { Err(NonContributoryKey) }
    }
}

/// The secret half wipes itself; the other is public.
impl ZeroizeOnDrop for Curve25519SecretKey {}

impl fmt::Debug for Curve25519SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Curve25519SecretKey").field("public", &self.public_key()).finish_non_exhaustive()
    }
}

impl PartialEq for Curve25519SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Curve25519SecretKey {}

/// The public half of a Curve25519 key pair.
///
/// Equality is that of the bytes. RFC 7748 lets some keys be written in two ways; [`Self::is_canonical`] tells the one
/// that honest software writes from the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Curve25519PublicKey([u8; 32]);

impl Curve25519PublicKey {
    /// The length of a public key in bytes.
    pub const LENGTH: usize = 32;

    /// The key that `bytes` write. Every value is a key; agreement refuses those of small order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The key that `bytes` write.
    ///
    /// # Errors
    /// [`KeyError::Length`] if they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        exactly(bytes).map(Self)
    }

    /// The key that `text` writes in unpadded base64.
    ///
    /// # Errors
    /// [`KeyError::Base64`] if it does not.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Ok(Self(encoding::decode_array(text)?))
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }

    /// The key in unpadded base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.0)
    }

    /// Whether the bytes are the number below 2^255 − 19 that RFC 7748 reduces them to: whether nobody can write the same
    /// key in other bytes.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        let [first, middle @ .., last] = &self.0;
        let above_prime = *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && *last == 0x7f;
        last & 0x80 == 0 && !above_prime
    }
}

impl AsRef<[u8]> for Curve25519PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Curve25519SecretKey> for Curve25519PublicKey {
    fn from(secret: &Curve25519SecretKey) -> Self {
        secret.public_key()
    }
}

base64_text!(Curve25519PublicKey);

/// What two parties agreed on. Not a key yet: derive keys from it. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// The length of a shared secret in bytes.
    pub const LENGTH: usize = 32;

    /// The bytes, as input of a key derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// The other side's public key is of small order: the shared secret would be the same for every secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("agreeing on a secret: the other side's public key is of small order")]
pub struct NonContributoryKey;
