//! Ed25519 signatures (RFC 8032), verified strictly.
//!
//! Strictly means that a public key of small order verifies nothing, and that the signature equation is checked without
//! the cofactor, so that all verifiers agree on each signature.

use std::fmt;

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign, raw_verify};
use ed25519_dalek::{Signature, VerifyingKey};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{KeyError, base64_text, exactly};
use crate::encoding;

/// The eight points whose order divides the cofactor, in their canonical encodings.
pub(super) const SMALL_ORDER: [[u8; 32]; 8] = [
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x85,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0xfa,
    ],
];

/// The secret half of an Ed25519 key pair, together with its public half. Wiped when dropped.
pub struct Ed25519SecretKey {
    stored: Ed25519SecretBytes,
    expanded: ExpandedSecretKey,
    public: Ed25519PublicKey,
}

/// A secret key as it is written down.
///
/// RFC 8032 keeps the seed; libolm kept only what the seed expands to, from which the seed cannot be had back.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub enum Ed25519SecretBytes {
    /// The 32-byte seed of RFC 8032.
    Seed([u8; 32]),
    /// The scalar and the prefix that the seed expands to.
    Expanded([u8; 64]),
}

impl fmt::Debug for Ed25519SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519SecretBytes(..)")
    }
}

impl Ed25519SecretKey {
    /// The length of a seed in bytes.
    pub const LENGTH: usize = 32;
    /// The length of an expanded secret key in bytes.
    pub const EXPANDED_LENGTH: usize = 64;

    /// A new key drawn from `rng`.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; Self::LENGTH]);
        rng.fill_bytes(seed.as_mut());
        Self::from_bytes(&seed)
    }

    /// The key with this seed. Every value is a key.
    #[must_use]
    pub fn from_bytes(seed: &[u8; Self::LENGTH]) -> Self {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        Self::new(Ed25519SecretBytes::Seed(*seed), ExpandedSecretKey::from_bytes(&hash))
    }

    /// The key with this expanded secret, as libolm kept it. Every value is a key.
    #[must_use]
    pub fn from_expanded(bytes: &[u8; Self::EXPANDED_LENGTH]) -> Self {
        Self::new(Ed25519SecretBytes::Expanded(*bytes), ExpandedSecretKey::from_bytes(bytes))
    }

    fn new(stored: Ed25519SecretBytes, expanded: ExpandedSecretKey) -> Self {
        let public = Ed25519PublicKey(VerifyingKey::from(&expanded));
        Self { stored, expanded, public }
    }

    /// The key as it was given: for writing it down, encrypted.
    #[must_use]
    pub fn stored(&self) -> &Ed25519SecretBytes {
        &self.stored
    }

    /// The half that others may know.
    #[must_use]
    pub fn public_key(&self) -> Ed25519PublicKey {
        self.public
    }

    /// Signs `message`. Deterministic: the same key and message give the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Ed25519Signature {
        Ed25519Signature(raw_sign::<Sha512>(&self.expanded, message, &self.public.0).to_bytes())
    }
}

impl Clone for Ed25519SecretKey {
    fn clone(&self) -> Self {
        match &self.stored {
            Ed25519SecretBytes::Seed(seed) => Self::from_bytes(seed),
            Ed25519SecretBytes::Expanded(bytes) => Self::from_expanded(bytes),
        }
    }
}

/// Both forms of the secret half wipe themselves; the other half is public.
impl ZeroizeOnDrop for Ed25519SecretKey {}

impl fmt::Debug for Ed25519SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PartialEq for Ed25519SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.expanded.ct_eq(&other.expanded).into()
    }
}

impl Eq for Ed25519SecretKey {}

/// The public half of an Ed25519 key pair: a point of the curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed25519PublicKey(VerifyingKey);

impl Ed25519PublicKey {
    /// The length of a public key in bytes.
    pub const LENGTH: usize = 32;

    /// The key that `bytes` write.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] if they write none.
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Result<Self, KeyError> {
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| KeyError::NotAPoint)
    }

    /// The key that `bytes` write.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::NotAPoint`] if they write none.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(&exactly(bytes)?)
    }

    /// The key that `text` writes in unpadded base64.
    ///
    /// # Errors
    /// [`KeyError`] if it writes none.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&encoding::decode_array(text)?)
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        self.0.as_bytes()
    }

    /// The key in unpadded base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.0.as_bytes())
    }

    /// Whether this key made `signature` over `message`.
    ///
    /// # Errors
    /// [`SignatureError`] if it did not, or if the key is of small order.
    pub fn verify(&self, message: &[u8], signature: &Ed25519Signature) -> Result<(), SignatureError> {
        // The equation compares the bytes of R with the one encoding of a point that it computed. So whether R is of small
        // order can be seen from its bytes, which spares decompressing it: an eighth of the whole work.
        let r_is_small = signature.0.first_chunk().is_some_and(|r| SMALL_ORDER.contains(r));
        if r_is_small || self.0.is_weak() {
            return Err(SignatureError);
        }
        raw_verify::<Sha512>(&self.0, message, &Signature::from_bytes(&signature.0)).map_err(|_| SignatureError)
    }
}

impl PartialOrd for Ed25519PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ed25519PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl AsRef<[u8]> for Ed25519PublicKey {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

base64_text!(Ed25519PublicKey);

/// A signature. Any 64 bytes may be one; verifying tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed25519Signature([u8; 64]);

impl Ed25519Signature {
    /// The length of a signature in bytes.
    pub const LENGTH: usize = 64;

    /// The signature that `bytes` write.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The signature that `bytes` write.
    ///
    /// # Errors
    /// [`KeyError::Length`] if they are not 64.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        exactly(bytes).map(Self)
    }

    /// The signature that `text` writes in unpadded base64.
    ///
    /// # Errors
    /// [`KeyError::Base64`] if it does not.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Ok(Self(encoding::decode_array(text)?))
    }

    /// The bytes of the signature.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The signature in unpadded base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.0)
    }
}

base64_text!(Ed25519Signature);

/// The signature was not made by this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("verifying a signature: it was not made by this key over these bytes")]
pub struct SignatureError;
