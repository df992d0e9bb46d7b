//! Showing keys (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>), with the signatures that
//! the one who asks may see (<https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security>).
//!
//! Stored JSON is passed on as it is; only what has to be added to is parsed.

use std::collections::{BTreeMap, BTreeSet};

use base::limits;
use ruma::encryption::{CrossSigningKey, DeviceKeys};
use ruma::serde::Raw;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId, UserId};
use serde_json::value::RawValue;
use storage::table::DEVICE_KEYS;
use storage::{Direction, Key, KeyRange};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::keys::cross_signing::{CrossSigningRecord, StoredSigningKey, cross_signing_key};
use crate::keys::decode;
use crate::keys::signatures::{UserSignatureRecord, show, user_signature_key};
use crate::keys::state::{device_keys_key, device_of};
use crate::keys::upload::DeviceKeysRecord;
use crate::user::digest;

/// Keys of users.
#[derive(Clone, Debug, Default)]
pub struct KeysOfUsers {
    /// The keys of their devices. Every user of this server who was asked for is here.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, Raw<DeviceKeys>>>,
    /// Their master keys.
    pub master_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// Their self-signing keys.
    pub self_signing_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// The user-signing key of the one who asks, and nobody else's.
    pub user_signing_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// Other servers, which were not asked: their users' keys are for federation to fetch.
    pub not_asked: BTreeSet<OwnedServerName>,
}

impl Accounts {
    /// The keys of the users named: of the devices named, or of all when none is.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for too many users; as every read.
    pub async fn query_keys(
        &self,
        viewer: &UserId,
        wanted: &BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>,
    ) -> Result<KeysOfUsers, Error> {
        if wanted.len() > limits::KEY_QUERY_USERS {
            let what = format!("at most {} users are asked for at once", limits::KEY_QUERY_USERS);
            return Err(Refusal::invalid(what).into());
        }
        let mut found = KeysOfUsers::default();
        let (ours, others): (Vec<_>, Vec<_>) = wanted.iter().partition(|(user, _)| user.server_name() == self.server());
        found.not_asked = others.into_iter().map(|(user, _)| user.server_name().to_owned()).collect();
        self.add_device_keys(&mut found, &ours).await?;
        let users: Vec<&OwnedUserId> = ours.into_iter().map(|(user, _)| user).collect();
        self.add_cross_signing(&mut found, viewer, &users).await?;
        Ok(found)
    }

    async fn add_device_keys(
        &self,
        found: &mut KeysOfUsers,
        wanted: &[(&OwnedUserId, &Vec<OwnedDeviceId>)],
    ) -> Result<(), Error> {
        let (mut named, mut rows) = (Vec::new(), Vec::new());
        let mut keys: Vec<(OwnedUserId, OwnedDeviceId, DeviceKeysRecord)> = Vec::new();
        for (user, devices) in wanted {
            found.device_keys.insert((*user).clone(), BTreeMap::new());
            if devices.is_empty() {
                self.all_device_keys(user, &mut keys).await?;
            }
            for device in devices.iter().filter(|device| device.as_str().len() <= limits::DEVICE_ID_BYTES) {
                named.push((*user, device));
                rows.push(device_keys_key(user, device));
            }
        }
        let rows = self.store().engine().get_many(&rows).await.map_err(Error::storage("reading device keys"))?;
        for ((user, device), row) in named.into_iter().zip(rows) {
            if let Some(row) = row {
                keys.push((user.clone(), device.clone(), decode("device keys", &row.value)?));
            }
        }
        let devices: Vec<(&UserId, &OwnedDeviceId)> =
            keys.iter().map(|(user, device, _)| (user.as_ref(), device)).collect();
        let names = self.device_names(&devices).await?;
        for ((user, device, record), name) in keys.into_iter().zip(names) {
            let json = raw(with_name(record.json, name.as_deref())?)?;
            found.device_keys.entry(user).or_default().insert(device, json);
        }
        Ok(())
    }

    async fn all_device_keys(
        &self,
        user: &OwnedUserId,
        keys: &mut Vec<(OwnedUserId, OwnedDeviceId, DeviceKeysRecord)>,
    ) -> Result<(), Error> {
        let mut range = KeyRange::prefix(DEVICE_KEYS, &digest(user));
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading device keys"))?;
            for row in page.rows {
                keys.push((user.clone(), device_of(&row)?, decode("device keys", &row.value)?));
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(()),
            }
        }
    }

    async fn add_cross_signing(
        &self,
        found: &mut KeysOfUsers,
        viewer: &UserId,
        users: &[&OwnedUserId],
    ) -> Result<(), Error> {
        let keys: Vec<Key> = users
            .iter()
            .map(|user| cross_signing_key(user))
            .chain(users.iter().map(|user| user_signature_key(viewer, user)))
            .collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("reading cross-signing keys"))?;
        let mut rows = rows.into_iter();
        let theirs: Vec<_> = rows.by_ref().take(users.len()).collect();
        for ((user, row), signed) in users.iter().zip(theirs).zip(rows) {
            let Some(row) = row else { continue };
            let record: CrossSigningRecord = decode("cross-signing keys", &row.value)?;
            let signed: Option<UserSignatureRecord> =
                signed.map(|row| decode("a signature of a user", &row.value)).transpose()?;
            if let Some(master) = record.master {
                let master = match signed {
                    Some(signed) => signed_master(&master, &signed, viewer)?,
                    None => master.json,
                };
                found.master_keys.insert((*user).clone(), raw(master)?);
            }
            if let Some(key) = record.self_signing {
                found.self_signing_keys.insert((*user).clone(), raw(key.json)?);
            }
            if let Some(key) = record.user_signing.filter(|_| *user == viewer) {
                found.user_signing_keys.insert((*user).clone(), raw(key.json)?);
            }
        }
        Ok(())
    }
}

fn signed_master(master: &StoredSigningKey, signed: &UserSignatureRecord, viewer: &UserId) -> Result<String, Error> {
    let mut object = master.object()?;
    show(&mut object, signed, master, viewer)?;
    Ok(object.to_canonical())
}

fn raw<T>(json: String) -> Result<Raw<T>, Error> {
    let json = RawValue::from_string(json).map_err(|error| Error::damaged(format!("a stored key: {error}")))?;
    Ok(Raw::from_json(json))
}

/// Stored device keys, an object that is not empty and has no `unsigned`, with the name that their user gave the device.
fn with_name(mut json: String, name: Option<&str>) -> Result<String, Error> {
    let (Some(name), true) = (name, json.ends_with('}')) else { return Ok(json) };
    let name = serde_json::to_string(name).map_err(|error| Error::damaged(format!("writing a name: {error}")))?;
    json.pop();
    json.push_str(",\"unsigned\":{\"device_display_name\":");
    json.push_str(&name);
    json.push_str("}}");
    Ok(json)
}
