//! Which suite two devices speak, and why nobody in between can choose a worse one.

use sha2::{Digest as _, Sha256};

use super::HybridError;
use crate::bundle::{DeviceKeys, algorithm};
use crate::key::{Curve25519PublicKey, Curve25519SecretKey};
use crate::olm::Account;

/// How two devices encrypt to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// Olm.
    Olm,
    /// The hybrid of this module.
    Hybrid,
}

/// Why no suite is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// Neither is offered by both.
    #[error("choosing a session suite: the devices have none in common")]
    NoneInCommon,
    /// The device offered the hybrid before and no longer does: an old bundle played back, or a device that was taken over.
    #[error("choosing a session suite: the device no longer offers the hybrid that it offered before")]
    Downgrade,
}

/// The better of the suites that both devices have signed to offer. `seen` is the best that this device has been seen to offer, which
/// a client remembers with the device.
///
/// # Errors
/// [`SuiteError`] if there is none, or a device that was seen to offer the hybrid no longer does.
pub fn choose(ours: &DeviceKeys, theirs: &DeviceKeys, seen: Option<Suite>) -> Result<Suite, SuiteError> {
    if seen == Some(Suite::Hybrid) && !theirs.offers(algorithm::HYBRID) {
        return Err(SuiteError::Downgrade);
    }
    let both = |name: &str| ours.offers(name) && theirs.offers(name);
    if both(algorithm::HYBRID) {
        Ok(Suite::Hybrid)
    } else if both(algorithm::OLM) {
        Ok(Suite::Olm)
    } else {
        Err(SuiteError::NoneInCommon)
    }
}

/// Our own device: what it publishes, and the secret of its Curve25519 identity key.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    device: &'a DeviceKeys,
    secret: &'a Curve25519SecretKey,
}

impl<'a> Identity<'a> {
    /// Our device and its secret, which must belong together.
    ///
    /// # Errors
    /// [`HybridError::OtherIdentity`] if they do not, [`HybridError::NotOffered`] if the device does not offer the hybrid.
    pub fn new(device: &'a DeviceKeys, secret: &'a Curve25519SecretKey) -> Result<Self, HybridError> {
        if identity_key(device)? != secret.public_key() {
            return Err(HybridError::OtherIdentity);
        }
        Ok(Self { device, secret })
    }

    /// The device of this account.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_account(device: &'a DeviceKeys, account: &'a Account) -> Result<Self, HybridError> {
        Self::new(device, account.identity_secret())
    }

    pub(super) fn device(&self) -> &DeviceKeys {
        self.device
    }

    pub(super) fn secret(&self) -> &Curve25519SecretKey {
        self.secret
    }
}

/// The identity key of a device that offers the hybrid.
pub(super) fn identity_key(device: &DeviceKeys) -> Result<Curve25519PublicKey, HybridError> {
    if !device.offers(algorithm::HYBRID) {
        return Err(HybridError::NotOffered);
    }
    device.curve25519().filter(|key| key.is_canonical()).copied().ok_or(HybridError::NotOffered)
}

/// Adds a device to a transcript: who it is, its two identity keys, and which suites it offers.
pub(super) fn bind(transcript: Sha256, device: &DeviceKeys) -> Sha256 {
    let offers = u8::from(device.offers(algorithm::OLM)) | (u8::from(device.offers(algorithm::HYBRID)) << 1);
    let mut transcript = transcript;
    for name in [device.user_id(), device.device_id()] {
        // Device keys are at most 64 KiB long, so a name's length always fits.
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        transcript = transcript.chain_update(length.to_be_bytes()).chain_update(name);
    }
    transcript
        .chain_update(device.ed25519().as_bytes())
        .chain_update(device.curve25519().map_or([0; 32], |key| key.to_bytes()))
        .chain_update([offers])
}
