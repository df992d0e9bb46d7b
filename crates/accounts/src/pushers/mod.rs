//! Where users want to be notified when their devices do not listen: pushers
//! (<https://spec.matrix.org/v1.19/client-server-api/#push-notifications>). A pusher is a session's and goes with it, in the
//! same batch.
//!
//! Must not send anything; `delivery` does.

mod record;

#[cfg(test)]
mod tests;

use base::{Timestamp, limits};
use ruma::api::client::push::{Pusher as PusherData, PusherIds, PusherKind};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::{PUSHER, PUSHER_OWNER};
use storage::{Batch, Direction, Key, KeyRange, Kind, Record};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::user::digest;

use record::{OwnerRecord, PusherRecord, owner_key, pusher_key};

/// Log entries of this kind say that a user's pushers changed; their payload is a [`PushersLog`], their partition the user's.
pub const PUSHERS_CHANGED: Kind = Kind(71);

/// What the log says of pushers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushersLog {
    /// Whose.
    pub user: OwnedUserId,
}

storage::first_version!(PushersLog);

/// A pusher.
#[derive(Clone, Debug)]
pub struct Pusher {
    /// Whose.
    pub user: OwnedUserId,
    /// The device whose session made it.
    pub device: OwnedDeviceId,
    /// When it was made or changed.
    pub at: Timestamp,
    /// What the client said.
    pub data: PusherData,
}

/// What becomes of pushers of other users with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    Stay,
    /// They go: the device has changed hands.
    Go,
}

/// The path that every push gateway has (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>).
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

impl Accounts {
    /// The pushers of `user`.
    ///
    /// # Errors
    /// As every read.
    pub async fn pushers(&self, user: &UserId) -> Result<Vec<Pusher>, Error> {
        let range = KeyRange::prefix(PUSHER, &digest(user));
        let page = self.store().scan(&range, Direction::Forward, limits::PUSHERS).await;
        let page = page.map_err(Error::storage("reading pushers"))?;
        page.rows.iter().map(|row| PusherRecord::read(&row.value)).collect()
    }

    /// Everybody who has a pusher.
    ///
    /// # Errors
    /// As every read.
    pub async fn users_with_pushers(&self) -> Result<Vec<OwnedUserId>, Error> {
        let (mut range, mut users) = (KeyRange::table(PUSHER), Vec::new());
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading all pushers"))?;
            for row in page.rows {
                let user = PusherRecord::read(&row.value)?.user;
                if users.last() != Some(&user) {
                    users.push(user);
                }
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(users),
            }
        }
    }

    /// Makes a pusher of the session of `device`, or changes it.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for one that cannot be, [`Refusal::TooMany`]; as every commit.
    pub async fn set_pusher(
        &self,
        user: &UserId,
        device: &DeviceId,
        data: PusherData,
        others: Others,
    ) -> Result<(), Error> {
        check(&data)?;
        settle!(self, async {
            let mut batch = Batch::new();
            // The device's row is written, so that a logout at the same time sees the pusher or comes first.
            self.touch_device(&mut batch, user, device).await?;
            let key = pusher_key(user, &data.ids);
            let before = self.store().get(&key).await.map_err(Error::storage("reading a pusher"))?;
            if before.is_none() && self.pushers(user).await?.len() >= limits::PUSHERS {
                return Err(Refusal::TooMany { what: "pushers", most: limits::PUSHERS }.into());
            }
            if others == Others::Go {
                self.put_others_gone(&mut batch, user, &data.ids).await?;
            }
            let pusher = Pusher {
                user: user.to_owned(),
                device: device.to_owned(),
                at: self.store().clock().now(),
                data: data.clone(),
            };
            batch.require_version(&key, before.map(|before| before.version));
            batch.put_record(&key, &PusherRecord::of(&pusher)?);
            batch.put_record(&owner_key(&data.ids, user), &OwnerRecord(user.to_owned()));
            self.log_pushers(&mut batch, user);
            self.commit("storing a pusher", batch).await.map(drop)
        })
    }

    /// Removes a pusher, if there is such a one.
    ///
    /// # Errors
    /// As every commit.
    pub async fn remove_pusher(&self, user: &UserId, ids: &PusherIds) -> Result<(), Error> {
        settle!(self, async {
            let key = pusher_key(user, ids);
            let Some(stored) = self.store().get(&key).await.map_err(Error::storage("reading a pusher"))? else {
                return Ok(());
            };
            let mut batch = Batch::new();
            batch.require_unchanged(&key, stored.version);
            self.put_removed(&mut batch, user, ids);
            self.commit("removing a pusher", batch).await.map(drop)
        })
    }

    /// In `batch`, removes the pushers of those devices of `user` that are `leaving`.
    pub(crate) async fn put_pushers_leaving(
        &self,
        batch: &mut Batch,
        user: &UserId,
        leaving: impl Fn(&DeviceId) -> bool,
    ) -> Result<(), Error> {
        for pusher in self.pushers(user).await? {
            if leaving(&pusher.device) {
                self.put_removed(batch, user, &pusher.data.ids);
            }
        }
        Ok(())
    }

    async fn put_others_gone(&self, batch: &mut Batch, user: &UserId, ids: &PusherIds) -> Result<(), Error> {
        let range = KeyRange::prefix(PUSHER_OWNER, &record::ids_digest(ids));
        let page = self.store().scan(&range, Direction::Forward, limits::PUSHERS).await;
        for row in page.map_err(Error::storage("looking for a pusher's owners"))?.rows {
            let owner = OwnerRecord::decode(&row.value);
            let OwnerRecord(owner) = owner.map_err(|error| Error::damaged(format!("a pusher's owner: {error}")))?;
            if owner != user {
                batch.require_unchanged(&row.key, row.version);
                self.put_removed(batch, &owner, ids);
            }
        }
        Ok(())
    }

    fn put_removed(&self, batch: &mut Batch, user: &UserId, ids: &PusherIds) {
        let keys: [Key; 2] = [pusher_key(user, ids), owner_key(ids, user)];
        keys.iter().for_each(|key| batch.delete(key));
        self.log_pushers(batch, user);
    }

    fn log_pushers(&self, batch: &mut Batch, user: &UserId) {
        let log = PushersLog { user: user.to_owned() };
        batch.append(self.store().partition_of(user.as_str()), PUSHERS_CHANGED, log.encode());
    }
}

fn check(data: &PusherData) -> Result<(), Refusal> {
    let PusherKind::Http(http) = &data.kind else {
        return Err(Refusal::invalid("pushers of this kind are not known here; `http` ones are"));
    };
    if data.ids.pushkey.is_empty() || data.ids.pushkey.len() > limits::PUSHKEY_BYTES {
        return Err(Refusal::invalid("a pushkey is not empty and not longer than 512 bytes"));
    }
    if data.ids.app_id.is_empty() || data.ids.app_id.chars().count() > limits::PUSH_APP_ID_CHARS {
        return Err(Refusal::invalid("an app_id is not empty and not longer than 64 characters"));
    }
    let url = http.url.parse::<http::Uri>().ok();
    let is_gateway = url.is_some_and(|url| {
        let scheme = url.scheme_str();
        (scheme == Some("https") || scheme == Some("http"))
            && url.host().is_some_and(|host| !host.is_empty())
            && url.path() == GATEWAY_PATH
            && url.query().is_none()
    });
    if !is_gateway {
        return Err(Refusal::invalid("the url must be that of a push gateway, which ends in /_matrix/push/v1/notify"));
    }
    let size = serde_json::to_vec(data).map_or(usize::MAX, |json| json.len());
    if size > limits::PUSHER_BYTES {
        return Err(Refusal::TooLarge { what: "the pusher", most: limits::PUSHER_BYTES });
    }
    Ok(())
}
