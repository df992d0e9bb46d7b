//! Whom a client may believe: trust as types that only the right signatures can produce.
//!
//! ```text
//! our master key ─▶ our user-signing key ─▶ their master key ─▶ their self-signing key ─▶ their device
//!  OwnIdentity                              VerifiedIdentity                               VerifiedDevice
//! ```
//!
//! Keys are referred to by their bytes and fixed before verification begins, never by id alone, as device ids and public keys share
//! one name space that a malicious server can exploit.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security>

use super::signature::Signer;
use super::{BundleError, DeviceKeys, MasterKey, SelfSigningKey, UserSigningKey, signature};
use crate::key::Ed25519PublicKey;

/// Another user's cross-signing keys: consistent with each other, and not yet known to be that person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedIdentity {
    master: MasterKey,
    self_signing: SelfSigningKey,
}

impl UnverifiedIdentity {
    /// The identity that a server shows for a user, together with all the user's devices it shows.
    ///
    /// # Errors
    /// [`BundleError::NameTaken`] if a device's id is one of the keys, which clients must refuse to verify;
    /// [`BundleError::NotSigned`] if the two keys are not of one identity.
    pub fn new(master: MasterKey, self_signing: SelfSigningKey, devices: &[DeviceKeys]) -> Result<Self, BundleError> {
        // The self-signing key was checked against a master key when it was read; here against this one.
        master.get().check_signed(self_signing.get().as_object())?;
        for key in [master.get(), self_signing.get()] {
            let name = key.key().to_base64();
            if devices.iter().any(|device| device.device_id() == name) {
                return Err(BundleError::NameTaken(name));
            }
        }
        Ok(Self { master, self_signing })
    }

    /// The master key that would have to be verified.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Verified because our user-signing key has signed the master key.
    ///
    /// # Errors
    /// [`BundleError::NotSigned`] or [`BundleError::WrongSignature`] if it has not.
    pub fn verify(self, own: &OwnIdentity) -> Result<VerifiedIdentity, BundleError> {
        own.user_signing.get().check_signed(self.master.get().as_object())?;
        Ok(VerifiedIdentity { master: self.master, self_signing: self.self_signing })
    }

    /// Verified because both people compared what their devices showed, which covered exactly this master key.
    ///
    /// # Errors
    /// [`BundleError::KeyName`] if the key that was compared is another one.
    pub fn verify_compared(self, compared: &Ed25519PublicKey) -> Result<VerifiedIdentity, BundleError> {
        if self.master.get().key() != compared {
            return Err(BundleError::KeyName(self.master.get().key_id()));
        }
        Ok(VerifiedIdentity { master: self.master, self_signing: self.self_signing })
    }
}

/// A user's cross-signing keys that we have verified: ourselves, or another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIdentity {
    master: MasterKey,
    self_signing: SelfSigningKey,
}

impl VerifiedIdentity {
    /// The verified master key.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The device, trusted because this identity's self-signing key has signed it.
    ///
    /// # Errors
    /// [`BundleError`] if it is another user's device, not signed, or named like a cross-signing key.
    pub fn device(&self, device: DeviceKeys) -> Result<VerifiedDevice, BundleError> {
        for key in [self.master.get(), self.self_signing.get()] {
            if key.key().to_base64() == device.device_id() {
                return Err(BundleError::NameTaken(device.device_id().to_owned()));
            }
        }
        super::device_keys::expect_owner("user_id", self.master.get().user_id(), device.user_id())?;
        self.self_signing.get().check_signed(device.as_object())?;
        Ok(VerifiedDevice(device))
    }
}

/// A device that we may send secrets to: its user's verified identity has signed it, or we compared its key ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice(DeviceKeys);

impl VerifiedDevice {
    /// A device whose Ed25519 key was compared out of band.
    ///
    /// # Errors
    /// [`BundleError::KeyName`] if the key that was compared is another one.
    pub fn compared(device: DeviceKeys, compared: &Ed25519PublicKey) -> Result<Self, BundleError> {
        if device.ed25519() == compared {
            Ok(Self(device))
        } else {
            Err(BundleError::KeyName(signature::key_id(device.device_id())))
        }
    }

    /// The device's keys.
    pub fn keys(&self) -> &DeviceKeys {
        &self.0
    }
}

/// Our own identity: the root of everything we believe. Made of keys that we hold or have verified, not of a server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnIdentity {
    identity: VerifiedIdentity,
    user_signing: UserSigningKey,
}

impl OwnIdentity {
    /// Our identity as the server shows it, believed if its master key is the one we hold or have verified before.
    ///
    /// # Errors
    /// [`BundleError::KeyName`] if the server shows another master key; [`BundleError::NotSigned`] if the keys are not of one
    /// identity.
    pub fn new(
        trusted_master: &Ed25519PublicKey,
        master: MasterKey,
        self_signing: SelfSigningKey,
        user_signing: UserSigningKey,
    ) -> Result<Self, BundleError> {
        master.get().check_signed(user_signing.get().as_object())?;
        let identity = UnverifiedIdentity::new(master, self_signing, &[])?.verify_compared(trusted_master)?;
        Ok(Self { identity, user_signing })
    }

    /// Our own verified identity, which says which devices are ours.
    pub fn identity(&self) -> &VerifiedIdentity {
        &self.identity
    }

    /// Signs another user's master key after it was verified, for upload: our other devices will believe it too.
    ///
    /// # Errors
    /// [`BundleError::WrongSignature`] if `key` is not the secret half of our user-signing key.
    pub fn sign_user(&self, them: &VerifiedIdentity, key: &impl Signer) -> Result<MasterKey, BundleError> {
        let ours = self.user_signing.get();
        let signed = them.master.clone().signed_by(ours.user_id(), &ours.key_id(), key)?;
        ours.check_signed(signed.get().as_object())?;
        Ok(signed)
    }

    /// Signs a device of ours, for upload: everybody who verified us will believe it.
    ///
    /// # Errors
    /// [`BundleError::WrongSignature`] if `key` is not the secret half of our self-signing key, [`BundleError::Owner`] if the device
    /// is not ours.
    pub fn sign_device(&self, device: &DeviceKeys, key: &impl Signer) -> Result<VerifiedDevice, BundleError> {
        let ours = self.identity.self_signing.get();
        let mut object = device.as_object().clone();
        signature::sign(&mut object, ours.user_id(), &ours.key_id(), key)?;
        self.identity.device(DeviceKeys::verify(object, device.user_id(), device.device_id())?)
    }
}
