//! A server's envelope key: two secrets, and the object it publishes, signed.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{ALGORITHM, EnvelopeError, NAME_MAX, schedule};
use crate::bundle::signature;
use crate::canonical::{FieldError, Integer, Object};
use crate::encoding;
use crate::key::{
    Curve25519PublicKey, Curve25519SecretKey, Ed25519PublicKey, Ed25519SecretKey, KemPublicKey, KemSecretKey,
};

/// The longest time that a key may be valid: 30 days. When its secret is deleted after that, what was sealed to it is gone.
pub const LIFETIME_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The secret halves. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvelopeSecretKey {
    pub(super) curve25519: Curve25519SecretKey,
    pub(super) kem: KemSecretKey,
}

impl EnvelopeSecretKey {
    /// The length of a stored key in bytes.
    pub const LENGTH: usize = 96;

    /// A new key: 32 bytes are drawn for X25519, then 64 for ML-KEM.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let curve25519 = Curve25519SecretKey::generate(rng);
        Self { curve25519, kem: KemSecretKey::generate(rng) }
    }

    /// The key that was stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        let (mut curve25519, mut kem) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 64]));
        let (first, second) = bytes.split_at(32);
        curve25519.copy_from_slice(first);
        kem.copy_from_slice(second);
        Self { curve25519: Curve25519SecretKey::from_bytes(&curve25519), kem: KemSecretKey::from_bytes(&kem) }
    }

    /// The key, for storing it encrypted.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LENGTH]> {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        let (first, second) = bytes.split_at_mut(32);
        first.copy_from_slice(self.curve25519.as_bytes());
        second.copy_from_slice(self.kem.as_bytes());
        bytes
    }

    /// The name of the key, which envelopes carry.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        schedule::key_id(&self.curve25519.public_key(), self.kem.public_key())
    }

    /// The object to publish, signed by the server.
    ///
    /// # Errors
    /// [`EnvelopeError::Lifetime`] if it is empty or too long, [`EnvelopeError::Name`] if the name is.
    pub fn publish(
        &self,
        server_name: &str,
        valid_ms: std::ops::Range<u64>,
        signing_key_id: &str,
        signing_key: &Ed25519SecretKey,
    ) -> Result<EnvelopeKey, EnvelopeError> {
        let time = |name: &str, time: u64| {
            i64::try_from(time).ok().and_then(Integer::new).ok_or_else(|| wrong(name, "a time"))
        };
        let mut object = Object::new()
            .with("algorithm", ALGORITHM)
            .with("server_name", server_name)
            .with("key_id", encoding::encode(self.id()))
            .with("x25519", self.curve25519.public_key().to_base64())
            .with("mlkem768", encoding::encode(self.kem.public_key().as_bytes()))
            .with("valid_from_ts", time("valid_from_ts", valid_ms.start)?)
            .with("valid_until_ts", time("valid_until_ts", valid_ms.end)?);
        signature::sign(&mut object, server_name, signing_key_id, signing_key).map_err(EnvelopeError::Signature)?;
        EnvelopeKey::verify(object, server_name, signing_key_id, &signing_key.public_key())
    }
}

impl fmt::Debug for EnvelopeSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeSecretKey").field("id", &encoding::encode(self.id())).finish_non_exhaustive()
    }
}

/// A published envelope key whose server has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeKey {
    pub(super) server_name: String,
    pub(super) id: [u8; 16],
    pub(super) curve25519: Curve25519PublicKey,
    pub(super) kem: KemPublicKey,
    valid_from_ms: u64,
    valid_until_ms: u64,
    object: Object,
}

impl EnvelopeKey {
    /// Reads the object that `server_name` publishes, and checks its signature by the server's key of this name.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it is another server's, malformed, or not signed.
    pub fn verify(
        object: Object,
        server_name: &str,
        signing_key_id: &str,
        signing_key: &Ed25519PublicKey,
    ) -> Result<Self, EnvelopeError> {
        let algorithm = object.string("algorithm")?;
        if algorithm != ALGORITHM {
            return Err(EnvelopeError::Algorithm(algorithm.to_owned()));
        }
        let owner = object.string("server_name")?;
        if owner != server_name {
            return Err(EnvelopeError::OtherServer(owner.to_owned()));
        }
        if server_name.is_empty() || server_name.len() > NAME_MAX {
            return Err(EnvelopeError::Name);
        }
        let curve25519 = Curve25519PublicKey::from_base64(object.string("x25519")?)?;
        let kem =
            encoding::decode(object.string("mlkem768")?).map_err(|_| wrong("mlkem768", "an ML-KEM-768 public key"))?;
        let kem = KemPublicKey::from_slice(&kem)?;
        let id = schedule::key_id(&curve25519, &kem);
        if object.string("key_id")? != encoding::encode(id) {
            return Err(EnvelopeError::KeyId);
        }
        let (valid_from_ms, valid_until_ms) = (object.unsigned("valid_from_ts")?, object.unsigned("valid_until_ts")?);
        let lifetime = valid_until_ms.checked_sub(valid_from_ms).ok_or(EnvelopeError::Lifetime)?;
        if lifetime == 0 || lifetime > LIFETIME_MAX_MS {
            return Err(EnvelopeError::Lifetime);
        }
        signature::verify(&object, server_name, signing_key_id, signing_key).map_err(EnvelopeError::Signature)?;
        Ok(Self { server_name: server_name.to_owned(), id, curve25519, kem, valid_from_ms, valid_until_ms, object })
    }

    /// Whose key it is.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The name of the key, which envelopes carry.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Whether one may seal to it at this time.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        (self.valid_from_ms..self.valid_until_ms).contains(&now_ms)
    }

    /// The object as it is published.
    #[must_use]
    pub fn as_object(&self) -> &Object {
        &self.object
    }
}

fn wrong(name: &str, expected: &'static str) -> EnvelopeError {
    FieldError::Type { name: name.to_owned(), expected }.into()
}
