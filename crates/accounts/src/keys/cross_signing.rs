//! The cross-signing keys of users (<https://spec.matrix.org/v1.19/client-server-api/#cross-signing>), all three in one row,
//! so that nobody ever sees a self-signing key beside a master key that has not signed it.

use base::limits;
use protocol::bundle::upload::{CrossSigningUpload, Owner};
use protocol::bundle::{BundleError, CrossSigningKey, DeviceKeys, MasterKey, signature};
use protocol::canonical::{Object, Value};
use ruma::serde::Raw;
use ruma::{OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::{CROSS_SIGNING, DEVICE_KEYS, USER_SIGNATURE};
use storage::{Batch, Direction, Key, KeyRange, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::keys::changes::{KeyChange, put_change};
use crate::keys::decode;
use crate::keys::state::device_of;
use crate::keys::upload::DeviceKeysRecord;
use crate::user::digest;

/// Keys that a user uploads, as they came.
#[derive(Clone, Debug, Default)]
pub struct CrossSigningKeys {
    /// The master key.
    pub master_key: Option<Raw<ruma::encryption::CrossSigningKey>>,
    /// The self-signing key.
    pub self_signing_key: Option<Raw<ruma::encryption::CrossSigningKey>>,
    /// The user-signing key.
    pub user_signing_key: Option<Raw<ruma::encryption::CrossSigningKey>>,
}

/// Whether the user has proven again who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// They have, for this upload.
    Given,
    /// They have only said so.
    Absent,
}

/// What came of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CrossSigningOutcome {
    /// The keys are stored; or were before.
    Stored,
    /// Nothing was changed: the user has keys, and must first prove who they are
    /// (<https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>).
    NeedsConfirmation,
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredSigningKey {
    /// In base64: its name is `ed25519:` and this.
    pub(super) public: String,
    pub(super) json: String,
}

impl StoredSigningKey {
    pub(super) fn object(&self) -> Result<Object, Error> {
        Object::parse(self.json.as_bytes()).map_err(|error| Error::damaged(format!("a cross-signing key: {error}")))
    }

    fn of(key: &CrossSigningKey, object: &Object) -> Result<Self, Error> {
        let json = object.to_canonical();
        if json.len() > limits::SIGNED_KEY_BYTES {
            return Err(Refusal::TooLarge { what: "a cross-signing key", most: limits::SIGNED_KEY_BYTES }.into());
        }
        Ok(Self { public: key.key().to_base64(), json })
    }
}

/// The keys of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CrossSigningRecord {
    pub(super) master: Option<StoredSigningKey>,
    pub(super) self_signing: Option<StoredSigningKey>,
    pub(super) user_signing: Option<StoredSigningKey>,
}

storage::first_version!(CrossSigningRecord);

impl CrossSigningRecord {
    fn all(&self) -> [&Option<StoredSigningKey>; 3] {
        [&self.master, &self.self_signing, &self.user_signing]
    }

    pub(super) fn master_key(&self, user: &UserId) -> Result<Option<MasterKey>, Error> {
        let damaged = |error: BundleError| Error::damaged(format!("a stored master key: {error}"));
        let Some(master) = &self.master else { return Ok(None) };
        Ok(Some(MasterKey::parse(master.object()?, user.as_str()).map_err(damaged)?))
    }
}

pub(super) fn cross_signing_key(user: &UserId) -> Key {
    Key::of(CROSS_SIGNING, &digest(user))
}

/// The public keys in a stored row, in base64.
pub(super) fn public_keys(value: &[u8]) -> Result<Vec<String>, Error> {
    let record: CrossSigningRecord = decode("cross-signing keys", value)?;
    Ok(record.all().into_iter().flatten().map(|key| key.public.clone()).collect())
}

/// The devices of a user, as far as they have keys.
pub(super) struct Devices {
    pub(super) signed: Vec<DeviceKeys>,
    /// Those whose keys are not signed by themselves, which can sign nothing else.
    pub(super) unsigned: Vec<OwnedDeviceId>,
}

impl CrossSigningKeys {
    fn body(&self) -> Result<Object, Refusal> {
        let keys = [
            ("master_key", &self.master_key),
            ("self_signing_key", &self.self_signing_key),
            ("user_signing_key", &self.user_signing_key),
        ];
        let mut body = Object::new();
        for (field, key) in keys {
            if let Some(key) = key {
                let object = Object::parse(key.json().get().as_bytes());
                body.insert(field, object.map_err(|error| Refusal::Bundle(BundleError::Json(error)))?);
            }
        }
        Ok(body)
    }
}

impl Accounts {
    /// Takes in a user's cross-signing keys. Without [`Confirmation::Given`] only the first ones of a user are taken, and
    /// those that are there already
    /// (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>).
    ///
    /// # Errors
    /// [`Refusal::Bundle`] for keys that are malformed or wrongly signed; as every commit.
    pub async fn upload_cross_signing(
        &self,
        user: &UserId,
        keys: &CrossSigningKeys,
        confirmation: Confirmation,
    ) -> Result<CrossSigningOutcome, Error> {
        let body = keys.body()?;
        settle!(self, async {
            let (stored, version) = self.cross_signing(user).await?;
            if stored.master.is_some() && has_nothing_new(&body, &stored)? {
                return Ok(CrossSigningOutcome::Stored);
            }
            let devices = self.devices_with_keys(user).await?;
            let states = self.all_device_states(user).await?;
            let keyless: Vec<String> = states.into_iter().map(|(device, _)| device.to_string()).collect();
            let master = stored.master_key(user)?;
            let owner = Owner {
                user_id: user.as_str(),
                master: master.as_ref(),
                devices: &devices.signed,
                keyless_devices: &keyless,
            };
            let upload = CrossSigningUpload::check(&body, &owner)?;
            if upload.public_keys().next().is_none() && master.is_none() {
                return Err(BundleError::NoSigner("master key").into());
            }
            if master.is_some() && confirmation == Confirmation::Absent {
                return Ok(CrossSigningOutcome::NeedsConfirmation);
            }
            let record = next(&stored, &upload, user, &devices.signed)?;
            self.put_cross_signing(user, [&stored, &record], version).await?;
            Ok(CrossSigningOutcome::Stored)
        })
    }

    async fn put_cross_signing(
        &self,
        user: &UserId,
        [old, new]: [&CrossSigningRecord; 2],
        version: Option<Version>,
    ) -> Result<(), Error> {
        if old == new {
            return Ok(());
        }
        let key = cross_signing_key(user);
        let mut batch = Batch::new();
        batch.require_version(&key, version);
        batch.put_record(&key, new);
        let change = if (&old.master, &old.self_signing) == (&new.master, &new.self_signing) {
            // Nobody else sees it.
            KeyChange::Signed { by: user.to_owned(), users: vec![user.to_owned()] }
        } else {
            KeyChange::Devices(user.to_owned())
        };
        put_change(self, &mut batch, &change);
        self.commit("storing cross-signing keys", batch).await.map(drop)
    }

    /// Removes what a user who is no more has published, signed and backed up. What they signed of others nobody else saw.
    pub(crate) async fn remove_keys(&self, user: &UserId) -> Result<(), Error> {
        match self.remove_dehydrated_device(user).await {
            Err(Error::Refused(Refusal::NotFound { .. })) => {}
            outcome => drop(outcome?),
        }
        self.remove_backups(user).await?;
        settle!(self, async {
            let signatures = KeyRange::prefix(USER_SIGNATURE, &digest(user));
            let page = self.store().scan(&signatures, Direction::Forward, limits::LEFTOVERS_REMOVED).await;
            let page = page.map_err(Error::storage("reading what a user signed"))?;
            let mut batch = Batch::new();
            page.rows.iter().for_each(|row| batch.delete(&row.key));
            let (stored, version) = self.cross_signing(user).await?;
            if stored != CrossSigningRecord::default() {
                let key = cross_signing_key(user);
                batch.require_version(&key, version);
                batch.delete(&key);
                put_change(self, &mut batch, &KeyChange::Devices(user.to_owned()));
            }
            if batch.is_empty() { Ok(()) } else { self.commit("removing a user's keys", batch).await.map(drop) }
        })
    }

    pub(super) async fn cross_signing(&self, user: &UserId) -> Result<(CrossSigningRecord, Option<Version>), Error> {
        let record = self.store().get_record(&cross_signing_key(user)).await;
        let record = record.map_err(Error::storage("reading cross-signing keys"))?;
        Ok(record.map_or_else(Default::default, |(record, version)| (record, Some(version))))
    }

    /// The keys of all devices of `user`.
    pub(super) async fn devices_with_keys(&self, user: &UserId) -> Result<Devices, Error> {
        let mut devices = Devices { signed: Vec::new(), unsigned: Vec::new() };
        let mut range = KeyRange::prefix(DEVICE_KEYS, &digest(user));
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading device keys"))?;
            for row in page.rows {
                let device = device_of(&row)?;
                let record: DeviceKeysRecord = decode("device keys", &row.value)?;
                match record.keys(user, &device)? {
                    Some(keys) => devices.signed.push(keys),
                    None => devices.unsigned.push(device),
                }
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(devices),
            }
        }
    }
}

/// Whether every key in `body` is stored already; signatures do not count.
fn has_nothing_new(body: &Object, stored: &CrossSigningRecord) -> Result<bool, Error> {
    let fields = ["master_key", "self_signing_key", "user_signing_key"];
    for (field, stored) in fields.into_iter().zip(stored.all()) {
        let Some(Value::Object(new)) = body.get(field) else { continue };
        let Some(stored) = stored else { return Ok(false) };
        if stored.object()?.signed_bytes() != new.signed_bytes() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The keys of `user` after `upload`. A new master key has not signed what the old one had.
fn next(
    stored: &CrossSigningRecord,
    upload: &CrossSigningUpload,
    user: &UserId,
    devices: &[DeviceKeys],
) -> Result<CrossSigningRecord, Error> {
    let mut record = stored.clone();
    if let Some(master) = &upload.master {
        let public = master.get().key().to_base64();
        if record.master.as_ref().is_none_or(|known| known.public != public) {
            record = CrossSigningRecord::default();
        }
        let known = record.master.as_ref().map(StoredSigningKey::object).transpose()?;
        let object = super::upload::merged(master.get().as_object(), known.as_ref());
        let mut signers: Vec<String> = devices.iter().map(|device| signature::key_id(device.device_id())).collect();
        signers.push(master.get().key_id());
        record.master = Some(StoredSigningKey::of(master.get(), &only_signed_by(object, user, &signers))?);
    }
    let master = record.master.as_ref().map(|master| signature::key_id(&master.public));
    let signers: Vec<String> = master.into_iter().collect();
    let lower = |key: &CrossSigningKey| {
        let mut object = key.as_object().clone();
        object.remove("unsigned");
        StoredSigningKey::of(key, &only_signed_by(object, user, &signers))
    };
    if let Some(key) = &upload.self_signing {
        record.self_signing = Some(lower(key.get())?);
    }
    if let Some(key) = &upload.user_signing {
        record.user_signing = Some(lower(key.get())?);
    }
    Ok(record)
}

/// `object` without signatures of others than `user`, and of keys that are not among `signers`: nobody has checked these, and
/// those of keys long gone would pile up.
pub(super) fn only_signed_by(mut object: Object, user: &UserId, signers: &[String]) -> Object {
    signature::hide_from(&mut object, user.as_str(), user.as_str());
    if let Some(Value::Object(all)) = object.get_mut("signatures")
        && let Some(Value::Object(by_user)) = all.get_mut(user.as_str())
    {
        let gone: Vec<String> =
            by_user.iter().map(|(key_id, _)| key_id.to_owned()).filter(|key_id| !signers.contains(key_id)).collect();
        gone.iter().for_each(|key_id| drop(by_user.remove(key_id)));
    }
    object
}
