//! Leases with fencing numbers: one holder at a time does a piece of background work, and a holder that was thought dead
//! can no longer write when it comes back.
//!
//! A lease is two rows. `lease` says who holds it until when, by the wall clock; clocks may disagree, so that alone
//! protects nothing. `fence` changes only when the holder changes, and every batch of the holder requires that it has
//! not: that is what makes a late holder harmless.

use std::sync::Arc;
use std::time::Duration;

use base::Timestamp;
use base::clock::Monotonic;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Version};
use crate::error::Error;
use crate::key::Key;
use crate::store::Store;
use crate::table::{FENCE, LEASE};

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HolderRecord {
    holder: String,
    expires: Timestamp,
}

crate::first_version!(HolderRecord);

/// How often a lease has changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FenceRecord {
    number: u64,
}

crate::first_version!(FenceRecord);

/// A lease that is held. It ends when it is not renewed in time; dropping it lets it run out.
#[derive(Clone, Debug)]
pub struct Lease {
    store: Arc<Store>,
    name: String,
    holder: String,
    fence: u64,
    fence_version: Version,
    ttl: Duration,
    renewed: Monotonic,
}

impl Lease {
    /// Takes the lease `name` for `holder` if nobody else holds it. A holder that takes its own lease again (after a
    /// restart) gets a new fencing number. `None`: somebody else holds it, or was faster.
    ///
    /// # Errors
    /// As every read and commit.
    pub async fn take(store: &Arc<Store>, name: &str, holder: &str, ttl: Duration) -> Result<Option<Self>, Error> {
        let held = store.get_record::<HolderRecord>(&lease_key(name)).await?;
        let (now, renewed) = (store.clock().now(), store.clock().monotonic());
        if held.as_ref().is_some_and(|(held, _)| held.holder != holder && held.expires > now) {
            return Ok(None);
        }
        let fence = store.get_record::<FenceRecord>(&fence_key(name)).await?;
        let number = fence.as_ref().map_or(0, |(fence, _)| fence.number) + 1;
        let mut batch = Batch::new();
        batch.require_version(&lease_key(name), held.map(|(_, version)| version));
        batch.require_version(&fence_key(name), fence.map(|(_, version)| version));
        batch.put_record(&lease_key(name), &HolderRecord { holder: holder.to_owned(), expires: now.after(ttl) });
        batch.put_record(&fence_key(name), &FenceRecord { number });
        let committed = match store.commit(batch).await {
            Err(error) if error.is_conflict() => return Ok(None),
            other => other?,
        };
        Ok(Some(Self {
            store: Arc::clone(store),
            name: name.to_owned(),
            holder: holder.to_owned(),
            fence: number,
            fence_version: committed.version,
            ttl,
            renewed,
        }))
    }

    /// The fencing number: larger than that of every holder before.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Makes `batch` fail with a conflict if the lease has gone to somebody else.
    pub fn guard(&self, batch: &mut Batch) {
        batch.require_unchanged(&fence_key(&self.name), self.fence_version);
    }

    /// Renews the lease when a third of its time has passed.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn renew_if_due(&mut self) -> Result<(), Error> {
        if self.store.clock().monotonic().since(self.renewed) < self.ttl / 3 {
            return Ok(());
        }
        self.renew().await
    }

    /// Holds the lease for another period.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has gone to somebody else; otherwise as every commit.
    pub async fn renew(&mut self) -> Result<(), Error> {
        let now = self.store.clock().monotonic();
        let mut batch = Batch::new();
        self.guard(&mut batch);
        let expires = self.store.clock().now().after(self.ttl);
        batch.put_record(&lease_key(&self.name), &HolderRecord { holder: self.holder.clone(), expires });
        self.store.commit(batch).await?;
        self.renewed = now;
        Ok(())
    }

    /// Gives the lease up, so that another may take it at once.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has gone to somebody else; otherwise as every commit.
    pub async fn release(self) -> Result<(), Error> {
        let mut batch = Batch::new();
        self.guard(&mut batch);
        batch.delete(&lease_key(&self.name));
        self.store.commit(batch).await.map(|_| ())
    }
}

fn lease_key(name: &str) -> Key {
    Key::of(LEASE, &name.to_owned())
}

fn fence_key(name: &str) -> Key {
    Key::of(FENCE, &name.to_owned())
}
