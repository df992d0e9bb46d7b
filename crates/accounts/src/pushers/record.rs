//! The rows of pushers.

use base::Timestamp;
use ruma::api::client::push::PusherIds;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{PUSHER, PUSHER_OWNER};
use storage::{Key, Record};

use crate::error::Error;
use crate::pushers::Pusher;
use crate::user::digest;

/// A pusher.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PusherRecord {
    user: OwnedUserId,
    device: OwnedDeviceId,
    at: Timestamp,
    /// What the client said, as JSON.
    data: String,
}

/// Whose pusher has a key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnerRecord(pub(super) OwnedUserId);

storage::first_version!(PusherRecord, OwnerRecord);

impl PusherRecord {
    pub(super) fn of(pusher: &Pusher) -> Result<Self, Error> {
        let data = serde_json::to_string(&pusher.data);
        let data = data.map_err(|error| Error::damaged(format!("a pusher that is no JSON: {error}")))?;
        Ok(Self { user: pusher.user.clone(), device: pusher.device.clone(), at: pusher.at, data })
    }

    pub(super) fn read(value: &[u8]) -> Result<Pusher, Error> {
        let record = Self::decode(value).map_err(|error| Error::damaged(format!("a pusher: {error}")))?;
        let data = serde_json::from_str(&record.data);
        let data = data.map_err(|error| Error::damaged(format!("what a client said of a pusher: {error}")))?;
        Ok(Pusher { user: record.user, device: record.device, at: record.at, data })
    }
}

/// The part of a key that stands for a pusher's app and key, which clients choose.
pub(super) fn ids_digest(ids: &PusherIds) -> [u8; 32] {
    let length = u64::try_from(ids.app_id.len()).unwrap_or(u64::MAX).to_be_bytes();
    Sha256::new().chain_update(length).chain_update(&ids.app_id).chain_update(&ids.pushkey).finalize().into()
}

pub(super) fn pusher_key(user: &UserId, ids: &PusherIds) -> Key {
    Key::of(PUSHER, &(digest(user), ids_digest(ids)))
}

pub(super) fn owner_key(ids: &PusherIds, user: &UserId) -> Key {
    Key::of(PUSHER_OWNER, &(ids_digest(ids), digest(user)))
}
