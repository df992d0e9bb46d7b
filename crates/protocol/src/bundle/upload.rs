//! What a homeserver checks before it stores an upload. Pure: what is known already is an argument.
//!
//! - [`KeysUpload`]: `POST /_matrix/client/v3/keys/upload`
//! - [`CrossSigningUpload`]: `POST /_matrix/client/v3/keys/device_signing/upload`
//! - [`SignatureUpload`]: one entry of `POST /_matrix/client/v3/keys/signatures/upload`

use std::collections::BTreeSet;

use super::{
    BundleError, DeviceKeys, Fallback, MasterKey, ONE_TIME_KEYS_MAX, OneTimeKey, SelfSigningKey, UnsignedDeviceKeys,
    UserSigningKey, signature,
};
use crate::canonical::{Integer, Object};
use crate::key::{Ed25519PublicKey, Ed25519Signature};

/// Who uploads, and what the server knows of them.
#[derive(Clone, Copy, Debug)]
pub struct Uploader<'a> {
    /// The user that the access token belongs to.
    pub user_id: &'a str,
    /// The device that the access token belongs to.
    pub device_id: &'a str,
    /// The device's keys, if it uploaded them before.
    pub device: Option<&'a DeviceKeys>,
    /// The public keys, in base64, of the user's cross-signing keys: device ids may not look like one of them.
    pub cross_signing_keys: &'a [String],
}

/// A checked upload of device keys, one-time keys and fallback keys: everything in it may be stored.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUpload {
    /// New device keys, if there are any. They may be of another identity than the device's present ones
    /// ([`DeviceKeys::same_identity`]): a client that lost its keys and not its access token has nothing else to offer. The
    /// one-time keys of the former identity are of no use to anybody then.
    pub device_keys: Option<DeviceKeys>,
    /// New device keys that nobody signed, in the place of [`Self::device_keys`]. No client sends anything to such a device.
    pub unsigned_device_keys: Option<UnsignedDeviceKeys>,
    /// New one-time keys.
    pub one_time_keys: Vec<OneTimeKey>,
    /// New fallback keys: at most one an algorithm.
    pub fallback_keys: Vec<OneTimeKey>,
}

impl KeysUpload {
    /// Checks a request body. All or nothing: one bad key refuses the upload.
    ///
    /// # Errors
    /// [`BundleError`] that names the part and what is wrong with it.
    pub fn check(body: &Object, uploader: &Uploader<'_>) -> Result<Self, BundleError> {
        if uploader.cross_signing_keys.iter().any(|key| key == uploader.device_id) {
            return Err(BundleError::NameTaken(uploader.device_id.to_owned()));
        }
        let (mut device_keys, mut unsigned_device_keys) = (None, None);
        if let Some(object) = body.optional_object("device_keys")? {
            let (user_id, device_id) = (uploader.user_id, uploader.device_id);
            if UnsignedDeviceKeys::is_unsigned(object, user_id, device_id)? {
                unsigned_device_keys = Some(UnsignedDeviceKeys::parse(object.clone(), user_id, device_id)?);
            } else {
                device_keys = Some(DeviceKeys::verify(object.clone(), user_id, device_id)?);
            }
        }
        // Unsigned device keys sign for no other key.
        let device = device_keys.as_ref().or(uploader.device.filter(|_| unsigned_device_keys.is_none()));
        let one_time_keys = one_time_keys(body.optional_object("one_time_keys")?, device, Fallback::No)?;
        let fallback_keys = one_time_keys_of_fallback(body, device)?;
        Ok(Self { device_keys, unsigned_device_keys, one_time_keys, fallback_keys })
    }

    /// The request body for what a client has to upload.
    pub fn to_body(&self) -> Object {
        let mut body = Object::new();
        if let Some(device_keys) = &self.device_keys {
            body.insert("device_keys", device_keys.as_object().clone());
        } else if let Some(device_keys) = &self.unsigned_device_keys {
            body.insert("device_keys", device_keys.as_object().clone());
        }
        for (field, keys) in [("one_time_keys", &self.one_time_keys), ("fallback_keys", &self.fallback_keys)] {
            if !keys.is_empty() {
                let object: Object = keys.iter().map(|key| (key.name().to_owned(), key.value().clone())).collect();
                body.insert(field, object);
            }
        }
        body
    }

    /// The answer: how many one-time keys of each algorithm the server holds now.
    pub fn response(counts: &[(&str, u32)]) -> Object {
        let counts: Object =
            counts.iter().map(|(name, count)| ((*name).to_owned(), Integer::from(*count).into())).collect();
        Object::new().with("one_time_key_counts", counts)
    }
}

fn one_time_keys_of_fallback(body: &Object, device: Option<&DeviceKeys>) -> Result<Vec<OneTimeKey>, BundleError> {
    let keys = one_time_keys(body.optional_object("fallback_keys")?, device, Fallback::Yes)?;
    let algorithms: BTreeSet<&str> = keys.iter().map(OneTimeKey::algorithm).collect();
    if algorithms.len() < keys.len() {
        return Err(BundleError::TooMuch { what: "fallback keys of an algorithm", limit: 1 });
    }
    Ok(keys)
}

fn one_time_keys(
    keys: Option<&Object>,
    device: Option<&DeviceKeys>,
    fallback: Fallback,
) -> Result<Vec<OneTimeKey>, BundleError> {
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(Vec::new()) };
    if keys.len() > ONE_TIME_KEYS_MAX {
        return Err(BundleError::TooMuch { what: "one-time keys in an upload", limit: ONE_TIME_KEYS_MAX });
    }
    let device = device.ok_or(BundleError::NoSigner("device keys"))?;
    let mut checked = Vec::with_capacity(keys.len());
    for (name, value) in keys.iter() {
        let key = OneTimeKey::verify(name, value.clone(), device)?;
        // A one-time key that calls itself a fallback key would be taken for one by whoever claims it. The reverse, a fallback
        // key without the mark, the specification only advises against.
        if fallback == Fallback::No && key.is_fallback() {
            return Err(BundleError::KeyName(name.to_owned()));
        }
        checked.push(key);
    }
    Ok(checked)
}

/// What the server knows of a user who uploads cross-signing keys.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The user that the access token belongs to.
    pub user_id: &'a str,
    /// The user's present master key.
    pub master: Option<&'a MasterKey>,
    /// The user's devices: they may have signed a master key, and their ids may not be the name of a cross-signing key.
    pub devices: &'a [DeviceKeys],
    /// Ids of the user's devices that have no keys yet.
    pub keyless_devices: &'a [String],
}

/// A checked upload of cross-signing keys: everything in it may be stored.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossSigningUpload {
    /// A master key, new or as it was.
    pub master: Option<MasterKey>,
    /// A self-signing key, signed by that master key, or else by the present one.
    pub self_signing: Option<SelfSigningKey>,
    /// A user-signing key, signed by that master key, or else by the present one.
    pub user_signing: Option<UserSigningKey>,
}

impl CrossSigningUpload {
    /// Checks a request body. All or nothing.
    ///
    /// # Errors
    /// [`BundleError`] that names the part and what is wrong with it.
    pub fn check(body: &Object, owner: &Owner<'_>) -> Result<Self, BundleError> {
        let master = body
            .optional_object("master_key")?
            .map(|object| MasterKey::parse(object.clone(), owner.user_id))
            .transpose()?;
        if let Some(master) = &master {
            check_device_signatures(master, owner)?;
        }
        let signer = master.as_ref().or(owner.master);
        let signed = |field: &str| -> Result<Option<(Object, &MasterKey)>, BundleError> {
            let Some(object) = body.optional_object(field)? else { return Ok(None) };
            Ok(Some((object.clone(), signer.ok_or(BundleError::NoSigner("master key"))?)))
        };
        let self_signing =
            signed("self_signing_key")?.map(|(object, master)| SelfSigningKey::verify(object, master)).transpose()?;
        let user_signing =
            signed("user_signing_key")?.map(|(object, master)| UserSigningKey::verify(object, master)).transpose()?;
        let upload = Self { master, self_signing, user_signing };
        for key in upload.public_keys() {
            let name = key.to_base64();
            let taken = owner.devices.iter().any(|device| device.device_id() == name);
            if taken || owner.keyless_devices.contains(&name) {
                return Err(BundleError::NameTaken(name));
            }
        }
        Ok(upload)
    }

    /// The public keys in the upload.
    pub fn public_keys(&self) -> impl Iterator<Item = &Ed25519PublicKey> {
        [
            self.master.as_ref().map(|key| key.get().key()),
            self.self_signing.as_ref().map(|key| key.get().key()),
            self.user_signing.as_ref().map(|key| key.get().key()),
        ]
        .into_iter()
        .flatten()
    }
}

/// A master key may carry signatures by the user's devices. Those of devices we know must be right.
fn check_device_signatures(master: &MasterKey, owner: &Owner<'_>) -> Result<(), BundleError> {
    let object = master.get().as_object();
    for device in owner.devices {
        let key_id = signature::key_id(device.device_id());
        if signature::claimed(object, owner.user_id, &key_id)?.is_some() {
            signature::verify(object, owner.user_id, &key_id, device.ed25519())?;
        }
    }
    Ok(())
}

/// New signatures on a key that was published before, each checked.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureUpload {
    /// Key id and signature, all by the uploading user.
    pub signatures: Vec<(String, Ed25519Signature)>,
}

impl SignatureUpload {
    /// Checks signatures by `signer` on an object that must be the one `published`, but for `signatures` and `unsigned`.
    ///
    /// `key` finds the signer's key of a key id: one of their devices' or cross-signing keys. Signatures that are published
    /// already, and those in other users' names, are left aside.
    ///
    /// # Errors
    /// [`BundleError`] if the object differs, a signature is wrong, or its key is unknown.
    pub fn check(
        uploaded: &Object,
        published: &Object,
        signer: &str,
        key: impl Fn(&str) -> Option<Ed25519PublicKey>,
    ) -> Result<Self, BundleError> {
        if uploaded.signed_bytes() != published.signed_bytes() {
            return Err(BundleError::ObjectChanged);
        }
        let mut signatures = Vec::new();
        let by_signer = uploaded.object("signatures")?.optional_object(signer)?;
        for (key_id, _) in by_signer.into_iter().flat_map(Object::iter) {
            let Some(claimed) = signature::claimed(uploaded, signer, key_id)? else { continue };
            if signature::claimed(published, signer, key_id)? == Some(claimed) {
                continue;
            }
            let public = key(key_id).ok_or(BundleError::NoSigner("key of that id"))?;
            signature::verify(uploaded, signer, key_id, &public)?;
            signatures.push((key_id.to_owned(), claimed));
        }
        Ok(Self { signatures })
    }
}
