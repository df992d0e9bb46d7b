//! Signatures that users make of their devices and of each other
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>).
//!
//! What a user signs of their own is kept with the signed object, for all to see. What they sign of others is kept apart,
//! filed under who signed, and shown to nobody else: it would tell whom they know.

use std::collections::BTreeMap;

use base::limits;
use protocol::bundle::upload::SignatureUpload;
use protocol::bundle::{BundleError, signature};
use protocol::canonical::{Object, Value};
use protocol::key::Ed25519PublicKey;
use ruma::api::client::keys::upload_signatures::v3::SignedKeys;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::table::USER_SIGNATURE;
use storage::{Batch, Key, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::keys::changes::{KeyChange, put_change};
use crate::keys::cross_signing::{CrossSigningRecord, Devices, StoredSigningKey, cross_signing_key, only_signed_by};
use crate::keys::decode;
use crate::keys::state::device_keys_key;
use crate::keys::upload::{DeviceKeysRecord, add_signatures};
use crate::user::digest;

/// Why the signatures of one object were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFailure {
    /// The Matrix error code.
    pub code: &'static str,
    /// For people.
    pub error: String,
}

/// What was not taken: by user and key id. All else was.
pub type SignatureFailures = BTreeMap<OwnedUserId, BTreeMap<String, SignatureFailure>>;

/// What a user signed of another's master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserSignatureRecord {
    /// The public key of the master key, in base64.
    pub(super) master: String,
    /// Key id → signature, as JSON.
    pub(super) signatures: String,
}

storage::first_version!(UserSignatureRecord);

pub(super) fn user_signature_key(signer: &UserId, signed: &UserId) -> Key {
    Key::of(USER_SIGNATURE, &(digest(signer), digest(signed)))
}

/// Who signs, and all keys that they may sign with.
struct Signer<'a> {
    user: &'a UserId,
    keys: CrossSigningRecord,
    devices: Devices,
    batch: Batch,
    /// Rows of own devices in the batch.
    own: BTreeMap<Key, (DeviceKeysRecord, Version)>,
    changed_own: bool,
    changed_keys: bool,
    signed_users: Vec<OwnedUserId>,
}

impl Accounts {
    /// Takes in signatures by `user`. Those that are right are stored, all at once; the others are named with the reason.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for too many objects; as every commit.
    pub async fn upload_signatures(
        &self,
        user: &UserId,
        signed: &BTreeMap<OwnedUserId, SignedKeys>,
    ) -> Result<SignatureFailures, Error> {
        if signed.values().map(|keys| keys.iter().count()).sum::<usize>() > limits::SIGNATURES_UPLOADED {
            let what = format!("at most {} objects are taken at once", limits::SIGNATURES_UPLOADED);
            return Err(Refusal::invalid(what).into());
        }
        settle!(self, self.upload_signatures_once(user, signed))
    }

    async fn upload_signatures_once(
        &self,
        user: &UserId,
        signed: &BTreeMap<OwnedUserId, SignedKeys>,
    ) -> Result<SignatureFailures, Error> {
        let (keys, version) = self.cross_signing(user).await?;
        let devices = self.devices_with_keys(user).await?;
        let mut batch = Batch::new();
        batch.require_version(&cross_signing_key(user), version);
        let mut signer = Signer {
            user,
            keys,
            devices,
            batch,
            own: BTreeMap::new(),
            changed_own: false,
            changed_keys: false,
            signed_users: Vec::new(),
        };
        let mut failures = SignatureFailures::new();
        for (owner, objects) in signed {
            for (key_id, json) in objects {
                let outcome = if owner == user {
                    self.sign_own(&mut signer, key_id, json).await
                } else {
                    self.sign_other(&mut signer, owner, key_id, json).await
                };
                match outcome {
                    Ok(()) => {}
                    Err(Error::Refused(refusal)) => {
                        let failure = SignatureFailure { code: refusal.code(), error: refusal.to_string() };
                        failures.entry(owner.clone()).or_default().insert(key_id.to_owned(), failure);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.commit_signatures(signer).await?;
        Ok(failures)
    }

    async fn commit_signatures(&self, signer: Signer<'_>) -> Result<(), Error> {
        let Signer { user, keys, mut batch, own, changed_own, changed_keys, signed_users, .. } = signer;
        if !changed_own && !changed_keys && signed_users.is_empty() {
            return Ok(());
        }
        for (key, (record, version)) in own {
            batch.require_unchanged(&key, version);
            batch.put_record(&key, &record);
        }
        if changed_keys {
            batch.put_record(&cross_signing_key(user), &keys);
        }
        if changed_own || changed_keys {
            put_change(self, &mut batch, &KeyChange::Devices(user.to_owned()));
        }
        if !signed_users.is_empty() {
            put_change(self, &mut batch, &KeyChange::Signed { by: user.to_owned(), users: signed_users });
        }
        self.commit("storing signatures", batch).await.map(drop)
    }

    /// A device of the user, signed by the self-signing key; or the user's master key, signed by devices.
    async fn sign_own(&self, signer: &mut Signer<'_>, key_id: &str, json: &RawValue) -> Result<(), Error> {
        let uploaded = read(json)?;
        if signer.keys.master.as_ref().is_some_and(|master| master.public == key_id) {
            return signer.sign_own_master(&uploaded);
        }
        let key = device_keys_key(signer.user, key_id.into());
        if key_id.len() > limits::DEVICE_ID_BYTES {
            return Err(Refusal::NotFound { what: "device" }.into());
        }
        if !signer.own.contains_key(&key) {
            let stored = self.store().get_record::<DeviceKeysRecord>(&key).await;
            let stored = stored.map_err(Error::storage("reading device keys"))?;
            signer.own.insert(key.clone(), stored.ok_or(Refusal::NotFound { what: "device" })?);
        }
        signer.sign_own_device(&key, key_id, &uploaded)
    }

    /// The master key of another user, signed by the user-signing key.
    async fn sign_other(
        &self,
        signer: &mut Signer<'_>,
        owner: &UserId,
        key_id: &str,
        json: &RawValue,
    ) -> Result<(), Error> {
        let uploaded = read(json)?;
        let row = user_signature_key(signer.user, owner);
        // Of users of other servers nothing is known before federation fetches it.
        let rows = self.store().engine().get_many(&[cross_signing_key(owner), row.clone()]).await;
        let mut rows = rows.map_err(Error::storage("reading cross-signing keys"))?.into_iter();
        let (theirs, known) = (rows.next().flatten(), rows.next().flatten());
        let theirs: CrossSigningRecord = match theirs {
            Some(row) => decode("cross-signing keys", &row.value)?,
            None => CrossSigningRecord::default(),
        };
        let master = theirs.master.filter(|master| master.public == key_id);
        let master = master.ok_or(Refusal::NotFound { what: "master key" })?;
        let mut published = master.object()?;
        let version = known.as_ref().map(|row| row.version);
        if let Some(known) = known {
            let known: UserSignatureRecord = decode("a signature of a user", &known.value)?;
            show(&mut published, &known, &master, signer.user)?;
        }
        let ours = signer.keys.user_signing.as_ref().map(|key| (signature::key_id(&key.public), key));
        let (ours, public) = match ours {
            Some((id, key)) => (id, public_key(key)?),
            None => return Err(BundleError::NoSigner("user-signing key").into()),
        };
        let find = |id: &str| (id == ours).then_some(public);
        let signatures = check(&uploaded, &published, signer.user, find)?;
        let Some((_, signature)) = signatures.into_iter().find(|(id, _)| *id == ours) else { return Ok(()) };
        let signatures = Object::new().with(&ours, signature.to_base64()).to_canonical();
        signer.batch.require_version(&row, version);
        signer.batch.put_record(&row, &UserSignatureRecord { master: master.public, signatures });
        signer.signed_users.push(owner.to_owned());
        Ok(())
    }
}

impl Signer<'_> {
    fn device_key(&self, key_id: &str) -> Option<Ed25519PublicKey> {
        let device = self.devices.signed.iter().find(|device| signature::key_id(device.device_id()) == key_id);
        device.map(|device| *device.ed25519())
    }

    fn sign_own_master(&mut self, uploaded: &Object) -> Result<(), Error> {
        let Some(master) = &self.keys.master else { return Ok(()) };
        let published = master.object()?;
        let signatures = check(uploaded, &published, self.user, |key_id| self.device_key(key_id))?;
        if signatures.is_empty() {
            return Ok(());
        }
        let mut signers: Vec<String> =
            self.devices.signed.iter().map(|device| signature::key_id(device.device_id())).collect();
        signers.push(signature::key_id(&master.public));
        let object = only_signed_by(with(published, self.user, signatures), self.user, &signers);
        let master = StoredSigningKey { public: master.public.clone(), json: fitting(&object)? };
        self.keys.master = Some(master);
        self.changed_keys = true;
        Ok(())
    }

    fn sign_own_device(&mut self, key: &Key, device: &str, uploaded: &Object) -> Result<(), Error> {
        let Some((record, _)) = self.own.get(key) else { return Ok(()) };
        let published = record.object()?;
        let ours = self.keys.self_signing.as_ref().map(|key| (signature::key_id(&key.public), key));
        let (ours, public) = match ours {
            Some((id, key)) => (id, public_key(key)?),
            None => return Err(BundleError::NoSigner("self-signing key").into()),
        };
        let signatures = check(uploaded, &published, self.user, |id| (id == ours).then_some(public))?;
        if signatures.is_empty() {
            return Ok(());
        }
        let signers = [signature::key_id(device), ours];
        let object = only_signed_by(with(published, self.user, signatures), self.user, &signers);
        let json = fitting(&object)?;
        if let Some((record, _)) = self.own.get_mut(key) {
            record.json = json;
            self.changed_own = true;
        }
        Ok(())
    }
}

fn read(json: &RawValue) -> Result<Object, Error> {
    Ok(Object::parse(json.get().as_bytes()).map_err(|error| Refusal::Bundle(BundleError::Json(error)))?)
}

fn public_key(key: &StoredSigningKey) -> Result<Ed25519PublicKey, Error> {
    Ed25519PublicKey::from_base64(&key.public)
        .map_err(|error| Error::damaged(format!("a stored cross-signing key: {error}")))
}

/// The new signatures in `uploaded` by `signer`, checked. There must be some by `signer`, new or not.
fn check(
    uploaded: &Object,
    published: &Object,
    signer: &UserId,
    key: impl Fn(&str) -> Option<Ed25519PublicKey>,
) -> Result<Vec<(String, protocol::key::Ed25519Signature)>, Error> {
    let signatures = uploaded.get("signatures").and_then(Value::as_object);
    let by_signer = signatures.and_then(|signatures| signatures.get(signer.as_str())).and_then(Value::as_object);
    if by_signer.is_none_or(Object::is_empty) {
        let (signer, key_id) = (signer.to_string(), "any key".to_owned());
        return Err(BundleError::NotSigned { signer, key_id }.into());
    }
    Ok(SignatureUpload::check(uploaded, published, signer.as_str(), key)?.signatures)
}

fn with(mut object: Object, signer: &UserId, signatures: Vec<(String, protocol::key::Ed25519Signature)>) -> Object {
    let added: Object = signatures.into_iter().map(|(key_id, by)| (key_id, by.to_base64().into())).collect();
    add_signatures(&mut object, signer.as_str(), &Value::Object(added));
    object
}

fn fitting(object: &Object) -> Result<String, Error> {
    let json = object.to_canonical();
    if json.len() > limits::SIGNED_KEY_BYTES {
        return Err(Refusal::TooLarge { what: "a key with its signatures", most: limits::SIGNED_KEY_BYTES }.into());
    }
    Ok(json)
}

/// Adds to `object`, the present `master` key of somebody, what `viewer` signed of it.
pub(super) fn show(
    object: &mut Object,
    signed: &UserSignatureRecord,
    master: &StoredSigningKey,
    viewer: &UserId,
) -> Result<(), Error> {
    if signed.master != master.public {
        return Ok(());
    }
    let signatures = Object::parse(signed.signatures.as_bytes());
    let signatures = signatures.map_err(|error| Error::damaged(format!("a signature of a user: {error}")))?;
    add_signatures(object, viewer.as_str(), &Value::Object(signatures));
    Ok(())
}
