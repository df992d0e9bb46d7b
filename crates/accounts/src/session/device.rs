//! What is stored of a device.

use base::{Timestamp, limits};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::DEVICE;
use storage::{Batch, Direction, Key, KeyRange, Record, Store, Version};

use crate::error::Error;
use crate::session::token::{TokenHash, TokenRecord};
use crate::user::digest;

/// The tokens that a device was given at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenPair {
    pub(super) access: TokenHash,
    pub(super) access_expires: Option<Timestamp>,
    pub(super) refresh: Option<TokenHash>,
    pub(super) refresh_expires: Option<Timestamp>,
}

impl TokenPair {
    /// Whether `hash` is one of the two.
    pub(super) fn has(&self, hash: TokenHash) -> bool {
        self.access == hash || self.refresh == Some(hash)
    }

    fn hashes(&self) -> impl Iterator<Item = TokenHash> {
        [Some(self.access), self.refresh].into_iter().flatten()
    }

    pub(super) fn put(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) {
        let record = TokenRecord { user: user.to_owned(), device: device.to_owned() };
        self.hashes().for_each(|hash| batch.put_record(&hash.key(), &record));
    }

    pub(super) fn delete(&self, batch: &mut Batch) {
        self.hashes().for_each(|hash| batch.delete(&hash.key()));
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub(super) id: OwnedDeviceId,
    pub(super) display_name: Option<String>,
    pub(super) created: Timestamp,
    pub(super) current: TokenPair,
    /// What its client was given for the current ones and has not used yet.
    pub(super) next: Option<TokenPair>,
}

impl DeviceRecord {
    pub(super) fn pairs(&self) -> impl Iterator<Item = &TokenPair> {
        [Some(&self.current), self.next.as_ref()].into_iter().flatten()
    }

    /// When the access token with `hash` expires; `None` when it is no access token of this device.
    pub(super) fn access_expires(&self, hash: TokenHash) -> Option<Option<Timestamp>> {
        self.pairs().find(|pair| pair.access == hash).map(|pair| pair.access_expires)
    }
}

storage::first_version!(DeviceRecord);

/// A device as it was read, or is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(super) user: OwnedUserId,
    pub(super) device: DeviceRecord,
    pub(super) version: Option<Version>,
}

impl Found {
    pub(super) async fn read(store: &Store, user: &UserId, device: &DeviceId) -> Result<Option<Self>, Error> {
        if device.as_str().len() > limits::DEVICE_ID_BYTES {
            return Ok(None);
        }
        let row = store.get_record(&device_key(user, device)).await.map_err(Error::storage("reading a device"))?;
        Ok(row.map(|(device, version)| Self { user: user.to_owned(), device, version: Some(version) }))
    }

    /// All devices of `user`.
    pub(super) async fn all(store: &Store, user: &UserId) -> Result<Vec<Self>, Error> {
        let (mut range, mut found) = (KeyRange::prefix(DEVICE, &digest(user)), Vec::new());
        loop {
            let page = store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading devices"))?;
            for row in page.rows {
                let device = DeviceRecord::decode(&row.value);
                let device = device.map_err(|error| Error::damaged(format!("a device: {error}")))?;
                found.push(Self { user: user.to_owned(), device, version: Some(row.version) });
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(found),
            }
        }
    }

    pub(super) fn key(&self) -> Key {
        device_key(&self.user, &self.device.id)
    }

    /// Writes the device, under the precondition that nobody has since it was read.
    pub(super) fn put(&self, batch: &mut Batch) {
        let key = self.key();
        batch.require_version(&key, self.version);
        batch.put_record(&key, &self.device);
    }

    /// Removes the device and its tokens, under the same precondition.
    pub(super) fn delete(&self, batch: &mut Batch) {
        let key = self.key();
        batch.require_version(&key, self.version);
        batch.delete(&key);
        self.device.pairs().for_each(|pair| pair.delete(batch));
    }
}

/// Where a device is filed. Its id must be no longer than [`limits::DEVICE_ID_BYTES`].
pub(super) fn device_key(user: &UserId, device: &DeviceId) -> Key {
    Key::of(DEVICE, &(digest(user), device.as_str().to_owned()))
}
