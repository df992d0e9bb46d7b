//! The one row per device that says how its keys stand. Senders read it to find the device's inbox, sync to tell the device
//! what is left of its one-time keys; claims and uploads change it. A device has this row from its first login to its end:
//! where there is none, there is no device.

use std::collections::BTreeMap;

use base::limits;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::{DEVICE_KEYS, DEVICE_STATE};
use storage::{Batch, Direction, Key, KeyRange, Row, Version};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::keys::decode;
use crate::keys::leftover::{Number, put_leftover};
use crate::user::digest;

/// The algorithm that clients have one-time keys of. Its count is told also when it is zero, as other servers do and
/// clients have come to expect.
const USUAL_ALGORITHM: &str = "signed_curve25519";

/// The one-time keys of one algorithm. They are numbered in the order of their upload and given out in that order, so those
/// that are left are always the ones from `first` to before `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) algorithm: String,
    /// The oldest that is still stored. Those before `first` were claimed and are remembered.
    pub(crate) kept: u64,
    /// The next to be given out.
    pub(crate) first: u64,
    /// What the next one uploaded will be called.
    pub(crate) next: u64,
}

impl Stock {
    pub(crate) fn left(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

/// How a fallback key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FallbackUse {
    /// There is none (any more).
    Absent,
    /// Nobody has claimed it.
    Unused,
    /// It was claimed at least once.
    Used,
}

/// The fallback key of one algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FallbackState {
    pub(crate) algorithm: String,
    pub(crate) is: FallbackUse,
}

/// How the keys of a device stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceState {
    /// What its other rows are filed under.
    pub(crate) number: Number,
    /// By algorithm; a stock's place in this list is part of its keys' rows and never changes.
    pub(crate) stocks: Vec<Stock>,
    /// By algorithm; the place is part of the row likewise.
    pub(crate) fallbacks: Vec<FallbackState>,
}

storage::first_version!(DeviceState);

impl DeviceState {
    /// A device without keys.
    pub(crate) fn new(number: Number) -> Self {
        Self { number, stocks: Vec::new(), fallbacks: Vec::new() }
    }

    pub(crate) fn counts(&self) -> KeyCounts {
        let mut one_time = BTreeMap::from([(USUAL_ALGORITHM.to_owned(), 0)]);
        one_time.extend(self.stocks.iter().map(|stock| (stock.algorithm.clone(), stock.left())));
        let unused = self.fallbacks.iter().filter(|key| key.is == FallbackUse::Unused).map(|key| key.algorithm.clone());
        KeyCounts { one_time, unused_fallback: unused.collect() }
    }
}

/// What is left of a device's keys, as sync tells it
/// (<https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// How many one-time keys of each algorithm nobody has claimed.
    pub one_time: BTreeMap<String, u64>,
    /// The algorithms whose fallback key nobody has claimed.
    pub unused_fallback: Vec<String>,
}

pub(crate) fn state_key(user: &UserId, device: &DeviceId) -> Key {
    Key::of(DEVICE_STATE, &(digest(user), device.as_str().to_owned()))
}

pub(crate) fn device_keys_key(user: &UserId, device: &DeviceId) -> Key {
    Key::of(DEVICE_KEYS, &(digest(user), device.as_str().to_owned()))
}

/// The device id in a row's key.
pub(crate) fn device_of(row: &Row) -> Result<OwnedDeviceId, Error> {
    let parts = row.key.parts::<([u8; 32], String)>();
    Ok(parts.map_err(|error| Error::damaged(format!("a device's row: {error}")))?.1.into())
}

/// To be written with a new device.
pub(crate) fn begin_device(accounts: &Accounts, batch: &mut Batch, user: &UserId, device: &DeviceId) {
    let number = Number(accounts.store().random().next_u64());
    batch.put_record(&state_key(user, device), &DeviceState::new(number));
    // A dehydrated device may have been called so: its keys are not this one's.
    batch.delete(&device_keys_key(user, device));
}

/// To be written with the end of a device that has `state`: nothing of its keys and its inbox is left.
pub(crate) fn end_device(
    accounts: &Accounts,
    batch: &mut Batch,
    user: &UserId,
    device: &DeviceId,
    state: &DeviceState,
) {
    batch.delete(&state_key(user, device));
    batch.delete(&device_keys_key(user, device));
    put_leftover(batch, state.number, accounts.store().clock().now());
}

impl Accounts {
    /// How the keys of a device stand; `None` when there is no such device.
    pub(crate) async fn device_state(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<Option<(DeviceState, Version)>, Error> {
        if device.as_str().len() > limits::DEVICE_ID_BYTES {
            return Ok(None);
        }
        self.store().get_record(&state_key(user, device)).await.map_err(Error::storage("reading a device's keys"))
    }

    /// As [`Accounts::device_state`], for several devices of a user, in the order asked for.
    pub(crate) async fn device_states(
        &self,
        user: &UserId,
        devices: &[OwnedDeviceId],
    ) -> Result<Vec<Option<DeviceState>>, Error> {
        let keys: Vec<Key> = devices.iter().map(|device| state_key(user, device)).collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("reading devices' keys"))?;
        rows.into_iter().map(|row| row.map(|row| decode("a device's keys", &row.value)).transpose()).collect()
    }

    /// How the keys of all devices of `user` stand.
    pub(crate) async fn all_device_states(&self, user: &UserId) -> Result<Vec<(OwnedDeviceId, DeviceState)>, Error> {
        let (mut range, mut found) = (KeyRange::prefix(DEVICE_STATE, &digest(user)), Vec::new());
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading devices' keys"))?;
            for row in page.rows {
                found.push((device_of(&row)?, decode("a device's keys", &row.value)?));
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(found),
            }
        }
    }

    /// What is left of a device's one-time and fallback keys; nothing for a device that is none. One read of one row.
    ///
    /// # Errors
    /// As every read.
    pub async fn key_counts(&self, user: &UserId, device: &DeviceId) -> Result<KeyCounts, Error> {
        let state = self.device_state(user, device).await?;
        Ok(state.map_or_else(KeyCounts::default, |(state, _)| state.counts()))
    }
}
