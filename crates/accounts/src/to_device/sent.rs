//! Which requests were answered before (<https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers>).
//!
//! They are filed under the day they came, so that old ones can be removed by the day. A client repeats a request within
//! minutes; it is known for at least a day.

use std::time::Duration;

use base::{Timestamp, limits};
use ruma::{DeviceId, TransactionId, UserId};
use sha2::{Digest, Sha256};
use storage::table::TO_DEVICE_SENT;
use storage::{Batch, Direction, Key, KeyRange};

use crate::accounts::Accounts;
use crate::error::Error;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn day(at: Timestamp) -> u32 {
    let day_ms = u64::try_from(DAY.as_millis()).unwrap_or(u64::MAX);
    u32::try_from(at.as_millis() / day_ms).unwrap_or(u32::MAX)
}

/// A request, where it would be filed if it came today, and if it came yesterday.
pub(super) struct SentRequest([Key; 2]);

impl SentRequest {
    /// The request of `device` with transaction `id` to send messages of type `kind`.
    pub(super) fn new(user: &UserId, device: &DeviceId, kind: &str, id: &TransactionId, now: Timestamp) -> Self {
        let mut hasher = Sha256::new();
        for part in [user.as_str(), device.as_str(), kind, id.as_str()] {
            // With its length, so that no two lists of parts are alike.
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        let hash: [u8; 32] = hasher.finalize().into();
        Self([day(now), day(now).saturating_sub(1)].map(|day| Key::of(TO_DEVICE_SENT, &(day, hash))))
    }

    /// Where it may have been filed.
    pub(super) fn keys(&self) -> &[Key; 2] {
        &self.0
    }

    /// Files it; fails to commit when it was answered meanwhile.
    pub(super) fn put(&self, batch: &mut Batch) {
        let [today, yesterday] = &self.0;
        batch.require_absent(today);
        batch.require_absent(yesterday);
        batch.put(today, Vec::new());
    }
}

impl Accounts {
    /// Forgets requests of days past. To be called every now and then.
    ///
    /// # Errors
    /// As every read and commit.
    pub async fn forget_sent_to_device(&self) -> Result<(), Error> {
        let yesterday = day(self.store().clock().now()).saturating_sub(1);
        let range = KeyRange::between(&Key::of(TO_DEVICE_SENT, &(0_u32,)), &Key::of(TO_DEVICE_SENT, &(yesterday,)));
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::LEFTOVERS_REMOVED).await;
            let page = page.map_err(Error::storage("reading old transaction ids"))?;
            let mut batch = Batch::new();
            page.rows.iter().for_each(|row| batch.delete(&row.key));
            if batch.is_empty() {
                return Ok(());
            }
            self.commit("removing old transaction ids", batch).await?;
        }
    }
}
