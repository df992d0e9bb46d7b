//! What a backup says of itself, and why it may be believed.

use super::{BackupError, BackupPublicKey, BackupSecretKey};
use crate::bundle::signature::Signer;
use crate::bundle::trust::{VerifiedDevice, VerifiedIdentity};
use crate::bundle::{BundleError, signature};
use crate::canonical::Object;
use crate::key::Curve25519PublicKey;

/// The `auth_data` of a backup version, believed by nobody yet.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#definition-authdata>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthData {
    public_key: Curve25519PublicKey,
    object: Object,
}

impl AuthData {
    /// Reads the object.
    ///
    /// # Errors
    /// [`BackupError`] if it has no public key.
    pub fn parse(object: Object) -> Result<Self, BackupError> {
        let public_key = Curve25519PublicKey::from_base64(object.string("public_key")?)?;
        Ok(Self { public_key, object })
    }

    /// Describes a new backup.
    #[must_use]
    pub fn new(key: &BackupPublicKey) -> Self {
        let object = Object::new().with("public_key", key.as_curve25519().to_base64());
        Self { public_key: *key.as_curve25519(), object }
    }

    /// The same, with one more signature: by our master key or by our device.
    ///
    /// # Errors
    /// [`BundleError::Field`] if the object has a `signatures` field of another shape.
    pub fn signed_by(mut self, user_id: &str, key_id: &str, key: &impl Signer) -> Result<Self, BundleError> {
        signature::sign(&mut self.object, user_id, key_id, key)?;
        Ok(self)
    }

    /// Believed because our verified master key has signed it.
    ///
    /// # Errors
    /// [`BackupError::NotTrusted`] if it has not.
    pub fn verify(&self, ours: &VerifiedIdentity) -> Result<BackupPublicKey, BackupError> {
        ours.master().get().check_signed(&self.object).map_err(BackupError::NotTrusted)?;
        Ok(BackupPublicKey(self.public_key))
    }

    /// Believed because a verified device of ours has signed it.
    ///
    /// # Errors
    /// [`BackupError::NotTrusted`] if it has not, or is not the device of `user_id`.
    pub fn verify_by_device(&self, user_id: &str, device: &VerifiedDevice) -> Result<BackupPublicKey, BackupError> {
        let device = device.keys();
        if device.user_id() != user_id {
            return Err(BackupError::NotTrusted(BundleError::Owner {
                field: "user_id",
                expected: user_id.to_owned(),
                got: device.user_id().to_owned(),
            }));
        }
        signature::verify(&self.object, user_id, &signature::key_id(device.device_id()), device.ed25519())
            .map_err(BackupError::NotTrusted)?;
        Ok(BackupPublicKey(self.public_key))
    }

    /// Believed because we have the secret key that it belongs to, from a source that we trust.
    ///
    /// # Errors
    /// [`BackupError::OtherKey`] if it belongs to another.
    pub fn matches(&self, key: &BackupSecretKey) -> Result<BackupPublicKey, BackupError> {
        let public = key.public_key();
        if public.0 == self.public_key { Ok(public) } else { Err(BackupError::OtherKey) }
    }

    /// The object, with every field and signature.
    #[must_use]
    pub fn as_object(&self) -> &Object {
        &self.object
    }
}
