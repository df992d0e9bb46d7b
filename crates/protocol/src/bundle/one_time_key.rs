//! One-time and fallback keys, signed by the device that made them.

use super::signature::Signer;
use super::{BundleError, DeviceKeys, algorithm, signature};
use crate::canonical::{FieldError, Object, Value};
use crate::encoding::{self, Base64Error};
use crate::key::{Curve25519PublicKey, KeyError};
use crate::key::{KemError, KemPublicKey};

/// What a one-time key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyContent {
    /// For Olm, signed.
    SignedCurve25519(Curve25519PublicKey),
    /// For Olm, from before keys were signed. A client should not use it; a server keeps it for those that do.
    Curve25519(Curve25519PublicKey),
    /// For the hybrid session, signed.
    SignedHybrid {
        /// The classical half.
        curve25519: Curve25519PublicKey,
        /// The post-quantum half.
        kem: KemPublicKey,
    },
    /// Of an algorithm we do not know, signed by the device as every key since has been.
    Other,
}

/// A one-time or fallback key whose signature, where its algorithm has one, has been checked.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeKey {
    name: String,
    content: KeyContent,
    fallback: bool,
    value: Value,
}

impl OneTimeKey {
    /// Reads the key that `device` published under `name` (`<algorithm>:<key id>`), and checks its signature.
    ///
    /// # Errors
    /// [`BundleError`] if the name or the key is malformed, or the device did not sign it.
    pub fn verify(name: &str, value: Value, device: &DeviceKeys) -> Result<Self, BundleError> {
        let Some((algorithm, id)) = name.split_once(':') else { return Err(BundleError::KeyName(name.to_owned())) };
        if algorithm.is_empty() || id.is_empty() || name.len() > 255 {
            return Err(BundleError::KeyName(name.to_owned()));
        }
        if let (algorithm::CURVE25519, Value::String(text)) = (algorithm, &value) {
            let key = curve25519(name, text)?;
            return Ok(Self { name: name.to_owned(), content: KeyContent::Curve25519(key), fallback: false, value });
        }
        let object = value
            .as_object()
            .ok_or_else(|| FieldError::Type { name: name.to_owned(), expected: "a signed key object" })?;
        signature::verify(object, device.user_id(), &signature::key_id(device.device_id()), device.ed25519())?;
        let fallback = match object.get("fallback") {
            None => false,
            Some(Value::Bool(fallback)) => *fallback,
            Some(_) => return Err(FieldError::Type { name: "fallback".to_owned(), expected: "a boolean" }.into()),
        };
        let content = match algorithm {
            algorithm::SIGNED_CURVE25519 => KeyContent::SignedCurve25519(curve25519(name, object.string("key")?)?),
            algorithm::SIGNED_HYBRID => KeyContent::SignedHybrid {
                curve25519: curve25519(name, object.string("key")?)?,
                kem: kem(name, object.string("kem")?)?,
            },
            _ => KeyContent::Other,
        };
        Ok(Self { name: name.to_owned(), content, fallback, value })
    }

    /// A key of our own device, signed by it, ready to be uploaded under `id`.
    ///
    /// # Errors
    /// [`BundleError`] if `device` is not the device that `key` signs for.
    pub fn sign_curve25519(
        id: &str,
        public: &Curve25519PublicKey,
        fallback: Fallback,
        device: &DeviceKeys,
        key: &impl Signer,
    ) -> Result<Self, BundleError> {
        let object = Object::new().with("key", public.to_base64());
        Self::sign(algorithm::SIGNED_CURVE25519, id, object, fallback, device, key)
    }

    /// A key for the hybrid session of our own device, signed by it, ready to be uploaded under `id`.
    ///
    /// # Errors
    /// [`BundleError`] if `device` is not the device that `key` signs for.
    pub fn sign_hybrid(
        id: &str,
        public: (&Curve25519PublicKey, &KemPublicKey),
        fallback: Fallback,
        device: &DeviceKeys,
        key: &impl Signer,
    ) -> Result<Self, BundleError> {
        let object = Object::new().with("key", public.0.to_base64()).with("kem", encoding::encode(public.1.as_bytes()));
        Self::sign(algorithm::SIGNED_HYBRID, id, object, fallback, device, key)
    }

    fn sign(
        algorithm: &str,
        id: &str,
        mut object: Object,
        fallback: Fallback,
        device: &DeviceKeys,
        key: &impl Signer,
    ) -> Result<Self, BundleError> {
        if fallback == Fallback::Yes {
            object.insert("fallback", true);
        }
        signature::sign(&mut object, device.user_id(), &signature::key_id(device.device_id()), key)?;
        Self::verify(&format!("{algorithm}:{id}"), Value::Object(object), device)
    }

    /// The name it was published under: `<algorithm>:<key id>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part of the name before the colon.
    pub fn algorithm(&self) -> &str {
        self.name.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The key itself.
    pub fn content(&self) -> &KeyContent {
        &self.content
    }

    /// Whether the key says of itself that it is a fallback key, which others may have used before.
    pub fn is_fallback(&self) -> bool {
        self.fallback
    }

    /// The value as it was received.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

/// Whether a key is given out once, or again and again when no other is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A fallback key.
    Yes,
    /// A one-time key.
    No,
}

fn curve25519(name: &str, text: &str) -> Result<Curve25519PublicKey, BundleError> {
    Curve25519PublicKey::from_base64(text).map_err(|source| BundleError::Key { name: name.to_owned(), source })
}

fn kem(name: &str, text: &str) -> Result<KemPublicKey, BundleError> {
    let bytes = encoding::decode(text)
        .map_err(|error: Base64Error| BundleError::Key { name: name.to_owned(), source: KeyError::Base64(error) })?;
    KemPublicKey::from_slice(&bytes).map_err(|source: KemError| BundleError::Kem { name: name.to_owned(), source })
}
