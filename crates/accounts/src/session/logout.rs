//! The end of sessions: a device and all that is its.

use base::limits;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::{Batch, Kind, Record};

use crate::accounts::{Accounts, settle};
use crate::error::Error;
use crate::keys::{DeviceState, end_device, put_device_list_change};
use crate::session::device::Found;
use crate::session::seen::seen_key;

/// Log entries of this kind say that a user's devices changed; their payload is a [`DeviceLog`], their partition the user's.
pub const DEVICES_CHANGED: Kind = Kind(64);

/// What the log says of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLog {
    /// Whose it is.
    pub user: OwnedUserId,
    /// Which.
    pub device: OwnedDeviceId,
    /// What became of it.
    pub change: DeviceChange,
}

/// What became of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChange {
    /// It logged in for the first time.
    Added,
    /// It is called otherwise.
    Renamed,
    /// It was logged out; nothing of it is left.
    Removed,
}

storage::first_version!(DeviceLog);

pub(super) fn log_device(
    accounts: &Accounts,
    batch: &mut Batch,
    user: &UserId,
    device: &DeviceId,
    change: DeviceChange,
) {
    let log = DeviceLog { user: user.to_owned(), device: device.to_owned(), change };
    batch.append(accounts.store().partition_of(user.as_str()), DEVICES_CHANGED, log.encode());
    put_device_list_change(accounts, batch, user);
}

/// Which of a user's devices are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Those with these ids; ids of no device are passed over.
    These(&'a [OwnedDeviceId]),
    /// All of them.
    All,
    /// All but this.
    AllBut(&'a DeviceId),
}

impl Which<'_> {
    fn has(self, device: &DeviceId) -> bool {
        match self {
            Self::These(devices) => devices.iter().any(|id| id == device),
            Self::All => true,
            Self::AllBut(spared) => spared != device,
        }
    }
}

impl Accounts {
    /// Logs out devices of `user`: their tokens are no longer good, and nothing of them is left. As many as fit into a batch
    /// go at once; each device goes whole.
    ///
    /// # Errors
    /// As every commit. Devices of earlier batches are gone then.
    pub async fn logout(&self, user: &UserId, which: Which<'_>) -> Result<(), Error> {
        while settle!(self, self.logout_some(user, which, |_| {}))? {}
        Ok(())
    }

    /// Logs out as many devices as fit into one batch, to which `also` adds; says whether some are left.
    pub(crate) async fn logout_some(
        &self,
        user: &UserId,
        which: Which<'_>,
        also: impl Fn(&mut Batch),
    ) -> Result<bool, Error> {
        let found = match which {
            Which::These([device]) => Found::read(self.store(), user, device).await?.into_iter().collect(),
            _ => Found::all(self.store(), user).await?,
        };
        let mut leaving: Vec<Found> = found.into_iter().filter(|found| which.has(&found.device.id)).collect();
        let rest = leaving.len() > limits::DEVICES_LOGGED_OUT_AT_ONCE;
        leaving.truncate(limits::DEVICES_LOGGED_OUT_AT_ONCE);
        let ids: Vec<OwnedDeviceId> = leaving.iter().map(|found| found.device.id.clone()).collect();
        let states = self.device_states(user, &ids).await?;
        let mut batch = Batch::new();
        for (found, state) in leaving.iter().zip(&states) {
            self.put_logout(&mut batch, found, state.as_ref());
        }
        if !leaving.is_empty() {
            let leave = |device: &DeviceId| leaving.iter().any(|found| found.device.id == device);
            self.put_pushers_leaving(&mut batch, user, leave).await?;
        }
        also(&mut batch);
        if batch.is_empty() {
            return Ok(false);
        }
        self.commit("logging out", batch).await?;
        for pair in leaving.iter().flat_map(|found| found.device.pairs()) {
            self.sessions.forget(&pair.access);
        }
        self.sweep_soon(states.into_iter().flatten().map(|state| state.number).collect());
        Ok(rest)
    }

    /// All that a device leaves behind is removed here, and nowhere else.
    fn put_logout(&self, batch: &mut Batch, found: &Found, state: Option<&DeviceState>) {
        let (user, device) = (&found.user, &found.device.id);
        found.delete(batch);
        if let Some(state) = state {
            end_device(self, batch, user, device, state);
        }
        batch.delete(&seen_key(user, device));
        log_device(self, batch, user, device, DeviceChange::Removed);
    }
}
