//! Dehydrated devices: a device that nobody is logged in with, which takes messages while all others of its user are away,
//! until one of them revives it
//! (<https://github.com/matrix-org/matrix-spec-proposals/pull/3814>, not yet in the specification).
//!
//! It has keys and an inbox as any device has, and no token. A user has at most one.

#[cfg(test)]
mod tests;

use base::{Position, limits};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::table::DEHYDRATED;
use storage::{Batch, Key, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::keys::{
    DeviceState, KeysToUpload, Number, Uploading, end_device, put_device_list_change, put_leftover, state_key,
};
use crate::to_device::Inbox;
use crate::user::digest;

/// A dehydrated device, as it is uploaded.
#[derive(Clone, Debug)]
pub struct NewDehydratedDevice {
    /// Its id.
    pub id: OwnedDeviceId,
    /// What it is called.
    pub display_name: Option<String>,
    /// What it is revived from, encrypted: an object.
    pub data: Box<RawValue>,
    /// Its keys, of which its identity keys must be there.
    pub keys: KeysToUpload,
}

/// A dehydrated device, as who revives it needs it.
#[derive(Clone, Debug)]
pub struct DehydratedDevice {
    /// Its id.
    pub id: OwnedDeviceId,
    /// What it is revived from.
    pub data: Box<RawValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct DehydratedRecord {
    device: OwnedDeviceId,
    display_name: Option<String>,
    data: String,
}

storage::first_version!(DehydratedRecord);

fn dehydrated_key(user: &UserId) -> Key {
    Key::of(DEHYDRATED, &digest(user))
}

fn none() -> Error {
    Refusal::NotFound { what: "dehydrated device" }.into()
}

fn check(new: &NewDehydratedDevice) -> Result<(), Refusal> {
    let id = new.id.as_str();
    if id.is_empty() || id.len() > limits::DEVICE_ID_BYTES || id.contains('\0') {
        return Err(Refusal::invalid(format!("a device id has 1 to {} bytes", limits::DEVICE_ID_BYTES)));
    }
    if new.display_name.as_ref().is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES) {
        return Err(Refusal::invalid(format!("a device's name has at most {} bytes", limits::DEVICE_NAME_BYTES)));
    }
    if !new.data.get().starts_with('{') {
        return Err(Refusal::BadJson { what: "`device_data` is no object".to_owned() });
    }
    if new.data.get().len() > limits::DEHYDRATED_BYTES {
        return Err(Refusal::TooLarge { what: "a dehydrated device", most: limits::DEHYDRATED_BYTES });
    }
    if new.keys.device_keys.is_none() {
        return Err(Refusal::MissingParam { what: "the device's keys" });
    }
    Ok(())
}

impl Accounts {
    /// Stores a dehydrated device of `user` in the place of the one before, if there is one.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] when somebody is logged in with that device; as [`Accounts::upload_keys`].
    pub async fn dehydrate(&self, user: &UserId, new: &NewDehydratedDevice) -> Result<(), Error> {
        check(new)?;
        let body = new.keys.body()?;
        let ended = settle!(self, async {
            let (old, version) = self.dehydrated_record(user).await?;
            if self.device(user, &new.id).await?.is_some() {
                return Err(Refusal::invalid("there is a device of that id").into());
            }
            let present = self.device_state(user, &new.id).await?;
            let number = Number(self.store().random().next_u64());
            let mut uploading = Uploading::new(self, user, &new.id, DeviceState::new(number));
            uploading.add(&body).await?;
            let Uploading { state, mut batch, .. } = uploading;
            let mut ended = Vec::new();
            if let Some(old) = old.filter(|old| old.device != new.id) {
                ended.extend(self.put_end(&mut batch, user, &old.device).await?);
            }
            let key = state_key(user, &new.id);
            batch.require_version(&key, present.as_ref().map(|(_, version)| *version));
            batch.put_record(&key, &state);
            if let Some((present, _)) = present {
                put_leftover(&mut batch, present.number, self.store().clock().now());
                ended.push(present.number);
            }
            batch.require_version(&dehydrated_key(user), version);
            let record = DehydratedRecord {
                device: new.id.clone(),
                display_name: new.display_name.clone(),
                data: new.data.get().to_owned(),
            };
            batch.put_record(&dehydrated_key(user), &record);
            put_device_list_change(self, &mut batch, user);
            self.commit("storing a dehydrated device", batch).await?;
            Ok(ended)
        })?;
        self.sweep_soon(ended);
        Ok(())
    }

    /// The dehydrated device of `user`.
    ///
    /// # Errors
    /// As every read.
    pub async fn dehydrated_device(&self, user: &UserId) -> Result<Option<DehydratedDevice>, Error> {
        let (Some(record), _) = self.dehydrated_record(user).await? else { return Ok(None) };
        let data = RawValue::from_string(record.data);
        let data = data.map_err(|error| Error::damaged(format!("a dehydrated device: {error}")))?;
        Ok(Some(DehydratedDevice { id: record.device, data }))
    }

    /// Removes the dehydrated device of `user`, and gives its id.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn remove_dehydrated_device(&self, user: &UserId) -> Result<OwnedDeviceId, Error> {
        let (device, ended) = settle!(self, async {
            let (old, version) = self.dehydrated_record(user).await?;
            let old = old.ok_or_else(none)?;
            let mut batch = Batch::new();
            batch.require_version(&dehydrated_key(user), version);
            batch.delete(&dehydrated_key(user));
            let ended = self.put_end(&mut batch, user, &old.device).await?;
            put_device_list_change(self, &mut batch, user);
            self.commit("removing a dehydrated device", batch).await?;
            Ok((old.device, ended))
        })?;
        self.sweep_soon(ended.into_iter().collect());
        Ok(device)
    }

    /// The messages that came for the dehydrated device `device` after `since`; those up to there are removed. At most as
    /// many as a sync has: the next ones come after [`Inbox::next`].
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is not the dehydrated device; as every read.
    pub async fn dehydrated_events(
        &self,
        user: &UserId,
        device: &DeviceId,
        since: Option<Position>,
    ) -> Result<Inbox, Error> {
        let (record, _) = self.dehydrated_record(user).await?;
        if record.is_none_or(|record| record.device != device) {
            return Err(none());
        }
        let partition = self.store().partition_of(user.as_str());
        let until = self.store().watch(partition).map_err(Error::storage("reading the log"))?.head();
        // A position from outside may be any; what lies after the end is not to be lost.
        let since = since.unwrap_or_default().min(until);
        self.acknowledge_to_device(user, device, since).await?;
        self.to_device(user, device, [since, until], limits::TO_DEVICE_AT_ONCE).await
    }

    async fn dehydrated_record(&self, user: &UserId) -> Result<(Option<DehydratedRecord>, Option<Version>), Error> {
        let record = self.store().get_record(&dehydrated_key(user)).await;
        let record = record.map_err(Error::storage("reading a dehydrated device"))?;
        Ok(record.map_or((None, None), |(record, version)| (Some(record), Some(version))))
    }

    /// Writes the end of `device`, unless somebody has logged in under its id.
    async fn put_end(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) -> Result<Option<Number>, Error> {
        if self.device(user, device).await?.is_some() {
            return Ok(None);
        }
        let Some((state, _)) = self.device_state(user, device).await? else { return Ok(None) };
        end_device(self, batch, user, device, &state);
        Ok(Some(state.number))
    }
}
