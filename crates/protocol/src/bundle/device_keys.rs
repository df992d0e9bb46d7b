//! The identity keys of a device, signed by itself.

use super::signature::Signer;
use super::{BundleError, DEVICE_KEYS_BYTES_MAX, signature};
use crate::canonical::Object;
use crate::key::{Curve25519PublicKey, Ed25519PublicKey};

/// A device's identity keys whose own signature has been checked.
///
/// That proves that whoever has the Ed25519 key wrote every word of it, the offered algorithms included. It does not prove that the
/// user wants this device: that is what [`super::trust`] asks.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#device-keys>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKeys {
    user_id: String,
    device_id: String,
    algorithms: Vec<String>,
    ed25519: Ed25519PublicKey,
    curve25519: Option<Curve25519PublicKey>,
    object: Object,
}

impl DeviceKeys {
    /// Reads device keys that should belong to this device of this user, and checks their signature.
    ///
    /// # Errors
    /// [`BundleError`] if they belong to somebody else, are malformed or not signed by the device itself.
    pub fn verify(object: Object, user_id: &str, device_id: &str) -> Result<Self, BundleError> {
        let algorithms = check_shape(&object, user_id, device_id)?;
        let keys = object.object("keys")?;
        let key_id = signature::key_id(device_id);
        let ed25519 = Ed25519PublicKey::from_base64(keys.string(&key_id)?)
            .map_err(|source| BundleError::Key { name: key_id.clone(), source })?;
        let curve_name = format!("curve25519:{device_id}");
        let curve25519 = keys
            .optional_string(&curve_name)?
            .map(Curve25519PublicKey::from_base64)
            .transpose()
            .map_err(|source| BundleError::Key { name: curve_name, source })?;
        signature::verify(&object, user_id, &key_id, &ed25519)?;
        Ok(Self {
            user_id: user_id.to_owned(),
            device_id: device_id.to_owned(),
            algorithms,
            ed25519,
            curve25519,
            object,
        })
    }

    /// The keys of our own device, signed.
    ///
    /// # Errors
    /// [`BundleError::TooMuch`] if the ids and algorithms make it too large.
    pub fn sign(
        user_id: &str,
        device_id: &str,
        algorithms: &[&str],
        curve25519: &Curve25519PublicKey,
        key: &impl Signer,
    ) -> Result<Self, BundleError> {
        let keys = Object::new()
            .with(&format!("curve25519:{device_id}"), curve25519.to_base64())
            .with(&signature::key_id(device_id), key.public_key().to_base64());
        let mut object = Object::new()
            .with("user_id", user_id)
            .with("device_id", device_id)
            .with("algorithms", algorithms.to_vec())
            .with("keys", keys);
        signature::sign(&mut object, user_id, &signature::key_id(device_id), key)?;
        Self::verify(object, user_id, device_id)
    }

    /// Whose device it is.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Which of the user's devices.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The algorithms the device offers, in its order.
    pub fn algorithms(&self) -> &[String] {
        &self.algorithms
    }

    /// Whether the device offers this algorithm; its signature says so.
    pub fn offers(&self, algorithm: &str) -> bool {
        self.algorithms.iter().any(|offered| offered == algorithm)
    }

    /// The key it signs with: its fingerprint.
    pub fn ed25519(&self) -> &Ed25519PublicKey {
        &self.ed25519
    }

    /// The key it agrees on sessions with, which Olm and the hybrid need.
    pub fn curve25519(&self) -> Option<&Curve25519PublicKey> {
        self.curve25519.as_ref()
    }

    /// The object as it was received, with every field and signature.
    pub fn as_object(&self) -> &Object {
        &self.object
    }

    /// Whether both are the same identity: what may never change while a device exists.
    pub fn same_identity(&self, other: &Self) -> bool {
        self.user_id == other.user_id
            && self.device_id == other.device_id
            && self.ed25519 == other.ed25519
            && self.curve25519 == other.curve25519
    }
}

/// What device keys must have, signed or not: an owner, algorithms, and keys under names of the device. Gives the algorithms.
fn check_shape(object: &Object, user_id: &str, device_id: &str) -> Result<Vec<String>, BundleError> {
    if object.to_canonical().len() > DEVICE_KEYS_BYTES_MAX {
        return Err(BundleError::TooMuch { what: "bytes of device keys", limit: DEVICE_KEYS_BYTES_MAX });
    }
    expect_owner("user_id", user_id, object.string("user_id")?)?;
    expect_owner("device_id", device_id, object.string("device_id")?)?;
    let algorithms = object.strings("algorithms")?.into_iter().map(str::to_owned).collect();
    let keys = object.object("keys")?;
    for (name, _) in keys.iter() {
        if !name.split_once(':').is_some_and(|(algorithm, id)| !algorithm.is_empty() && id == device_id) {
            return Err(BundleError::KeyName(name.to_owned()));
        }
        keys.string(name)?;
    }
    Ok(algorithms)
}

/// Device keys of the right form that the device has not signed. A homeserver may keep and show them, as others do; nobody can
/// use them: a client refuses what is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedDeviceKeys(Object);

impl UnsignedDeviceKeys {
    /// Whether `object` has a field for signatures, and none there by the device itself. One that is there has to be right.
    ///
    /// # Errors
    /// [`BundleError::Field`] if it has no such field.
    pub fn is_unsigned(object: &Object, user_id: &str, device_id: &str) -> Result<bool, BundleError> {
        let by_user = object.object("signatures")?.optional_object(user_id)?;
        Ok(by_user.is_none_or(|by_user| by_user.get(&signature::key_id(device_id)).is_none()))
    }

    /// Reads device keys that should belong to this device of this user.
    ///
    /// # Errors
    /// [`BundleError`] if they belong to somebody else or are malformed.
    pub fn parse(object: Object, user_id: &str, device_id: &str) -> Result<Self, BundleError> {
        check_shape(&object, user_id, device_id)?;
        Ok(Self(object))
    }

    /// The object as it was received.
    pub fn as_object(&self) -> &Object {
        &self.0
    }
}

pub(super) fn expect_owner(field: &'static str, expected: &str, got: &str) -> Result<(), BundleError> {
    if expected == got {
        Ok(())
    } else {
        Err(BundleError::Owner { field, expected: expected.to_owned(), got: got.to_owned() })
    }
}
