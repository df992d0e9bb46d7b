//! What users see and say of their devices (<https://spec.matrix.org/v1.19/client-server-api/#device-management>).

use ruma::{DeviceId, OwnedDeviceId, UserId};
use storage::{Batch, Key, Record};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::session::begin::check_name;
use crate::session::device::{DeviceRecord, Found, device_key};
use crate::session::logout::{DeviceChange, log_device};
use crate::session::seen::{SeenFrom, seen_key};

/// A device, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: OwnedDeviceId,
    /// What it is called.
    pub display_name: Option<String>,
    /// When and where it was last here.
    pub seen: Option<SeenFrom>,
}

impl Accounts {
    /// The devices of `user`.
    ///
    /// # Errors
    /// As every read.
    pub async fn devices(&self, user: &UserId) -> Result<Vec<Device>, Error> {
        let found = Found::all(self.store(), user).await?;
        self.with_seen(user, found).await
    }

    /// One device of `user`.
    ///
    /// # Errors
    /// As every read.
    pub async fn device(&self, user: &UserId, device: &DeviceId) -> Result<Option<Device>, Error> {
        let found = Found::read(self.store(), user, device).await?;
        Ok(self.with_seen(user, found.into_iter().collect()).await?.pop())
    }

    async fn with_seen(&self, user: &UserId, found: Vec<Found>) -> Result<Vec<Device>, Error> {
        let keys: Vec<Key> = found.iter().map(|found| seen_key(user, &found.device.id)).collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("reading devices"))?;
        let devices = found.into_iter().zip(rows).map(|(found, row)| {
            let (id, display_name) = (found.device.id, found.device.display_name);
            let stored = row.map(|row| SeenFrom::decode(&row.value)).transpose();
            let stored = stored.map_err(|error| Error::damaged(format!("when a device was here: {error}")))?;
            let seen = self.seen.of(user, &id).or(stored);
            Ok(Device { id, display_name, seen })
        });
        devices.collect()
    }

    /// What devices are called, in the order asked for; `None` also for one that is none.
    pub(crate) async fn device_names(
        &self,
        devices: &[(&UserId, &OwnedDeviceId)],
    ) -> Result<Vec<Option<String>>, Error> {
        let keys: Vec<Key> = devices.iter().map(|(user, device)| device_key(user, device)).collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("reading devices"))?;
        let name = |value: &[u8]| {
            let device = DeviceRecord::decode(value);
            device.map_err(|error| Error::damaged(format!("a device: {error}"))).map(|device| device.display_name)
        };
        rows.into_iter().map(|row| row.map_or(Ok(None), |row| name(&row.value))).collect()
    }

    /// Writes the row of a device again in `batch`, so that whoever changes or ends its session at the same time has to look
    /// again.
    pub(crate) async fn touch_device(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) -> Result<(), Error> {
        let found = Found::read(self.store(), user, device).await?;
        found.ok_or(Refusal::NotFound { what: "device" })?.put(batch);
        Ok(())
    }

    /// Calls a device otherwise; `None` leaves it as it is.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::InvalidParam`] for a name that is too long; as every commit.
    pub async fn rename_device(&self, user: &UserId, device: &DeviceId, name: Option<&str>) -> Result<(), Error> {
        check_name(name)?;
        settle!(self, async {
            let found = Found::read(self.store(), user, device).await?;
            let mut found = found.ok_or(Refusal::NotFound { what: "device" })?;
            if name.is_none() || found.device.display_name.as_deref() == name {
                return Ok(());
            }
            found.device.display_name = name.map(ToOwned::to_owned);
            let mut batch = Batch::new();
            found.put(&mut batch);
            log_device(self, &mut batch, user, device, DeviceChange::Renamed);
            self.commit("renaming a device", batch).await.map(drop)
        })
    }
}
