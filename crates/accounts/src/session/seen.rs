//! When and from where a device was last here. Every request says so, so it is only noted in memory, and written now and
//! then, many at once. What was not written when the server ends is lost; nobody is harmed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use base::collections::HashMap;
use base::{Timestamp, limits};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::DEVICE_SEEN;
use storage::{Batch, Key};

use crate::accounts::{Accounts, settle};
use crate::error::Error;
use crate::session::Session;
use crate::session::device::Found;
use crate::user::digest;

/// Where a device was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFrom {
    /// When.
    pub at: Timestamp,
    /// Its address.
    pub ip: String,
    /// What its client calls itself.
    pub user_agent: Option<String>,
}

storage::first_version!(SeenFrom);

pub(super) fn seen_key(user: &UserId, device: &DeviceId) -> Key {
    Key::of(DEVICE_SEEN, &(digest(user), device.as_str().to_owned()))
}

/// When it was last noted that a session's device was here; shared by all copies of the session.
#[derive(Debug, Default)]
pub(super) struct LastNoted(AtomicU64);

impl LastNoted {
    /// Whether it is time to note it again.
    fn is_due(&self, now: Timestamp) -> bool {
        let last = Timestamp(self.0.load(Ordering::Relaxed));
        let due = last.0 == 0 || now.since(last) >= limits::SEEN_EVERY || now < last;
        if due {
            self.0.store(now.0, Ordering::Relaxed);
        }
        due
    }
}

/// What was noted and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct SeenDevices(Mutex<HashMap<(OwnedUserId, OwnedDeviceId), SeenFrom>>);

impl SeenDevices {
    fn note(&self, user: &UserId, device: &DeviceId, seen: SeenFrom) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (user.to_owned(), device.to_owned());
        // Past the bound the newest are lost, until the others are written.
        if waiting.len() < limits::SEEN_WAITING || waiting.contains_key(&key) {
            waiting.insert(key, seen);
        }
    }

    pub(super) fn of(&self, user: &UserId, device: &DeviceId) -> Option<SeenFrom> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&(user.to_owned(), device.to_owned())).cloned()
    }

    fn take(&self) -> HashMap<(OwnedUserId, OwnedDeviceId), SeenFrom> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Accounts {
    /// Notes that the session's device is here now. Costs next to nothing when that was noted within
    /// [`limits::SEEN_EVERY`].
    pub fn note_seen(&self, session: &Session, ip: &str, user_agent: Option<&str>) {
        let now = self.store().clock().now();
        if session.noted.is_due(now) {
            let cut = |text: &str| text.chars().take(limits::SEEN_TEXT_CHARACTERS).collect();
            let seen = SeenFrom { at: now, ip: cut(ip), user_agent: user_agent.map(cut) };
            self.seen.note(&session.user_id, &session.device_id, seen);
        }
    }

    /// Writes what was noted. To be called now and then, and at the end.
    ///
    /// # Errors
    /// As every commit; what was to be written then is lost.
    pub async fn flush_seen(&self) -> Result<(), Error> {
        let noted: Vec<_> = self.seen.take().into_iter().collect();
        for some in noted.chunks(limits::SEEN_WRITTEN_AT_ONCE) {
            settle!(self, self.write_seen(some))?;
        }
        Ok(())
    }

    async fn write_seen(&self, noted: &[((OwnedUserId, OwnedDeviceId), SeenFrom)]) -> Result<(), Error> {
        let mut batch = Batch::new();
        for ((user, device), seen) in noted {
            // Of a device that has logged out since nothing may be left.
            if let Some(found) = Found::read(self.store(), user, device).await? {
                batch.require_version(&found.key(), found.version);
                batch.put_record(&seen_key(user, device), seen);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.commit("noting when devices were here", batch).await.map(drop)
    }
}
