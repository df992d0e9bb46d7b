//! Tidying up: what was created and never uploaded, and files that nothing refers to.

use std::sync::Arc;

use base::limits;
use ruma::OwnedUserId;
use storage::table::MEDIA_PENDING;
use storage::{Batch, Direction, KeyRange, Lease, Record};

use crate::error::Error;
use crate::media::Media;
use crate::record::{MediaRecord, PendingRecord, media_key};

/// The name of the lease under which one process at a time tidies up.
const LEASE: &str = "media collection";

impl Media {
    /// Removes what has expired and what nothing refers to. To be called now and then; of several processes on one store,
    /// one does it. `holder` names this one.
    ///
    /// # Errors
    /// As every read and commit.
    pub async fn collect(self: &Arc<Self>, holder: &str) -> Result<(), Error> {
        let Ok(blobs) = self.blobs() else { return Ok(()) };
        let lease = Lease::take(&self.store, LEASE, holder, limits::LEASE_TTL).await;
        let Some(lease) = lease.map_err(Error::storage("taking the lease on collecting media"))? else { return Ok(()) };
        self.remove_expired().await?;
        let collected = blobs.collect().await.map_err(Error::storage("collecting files of media"))?;
        if collected.blobs + collected.strays > 0 {
            tracing::info!(files = collected.blobs + collected.strays, bytes = collected.bytes, "removed unused media");
        }
        lease.release().await.map_err(Error::storage("giving back the lease on collecting media"))
    }

    /// Removes what was created too long ago.
    async fn remove_expired(&self) -> Result<(), Error> {
        let now = self.store.clock().now();
        let mut rest = Some(KeyRange::table(MEDIA_PENDING));
        while let Some(range) = rest {
            let page = self.store.scan(&range, Direction::Forward, limits::MEDIA_COLLECTED_AT_ONCE).await;
            let page = page.map_err(Error::storage("reading created media"))?;
            rest = page.rest;
            for row in page.rows {
                let Ok(PendingRecord { id, created }) = PendingRecord::decode(&row.value) else { continue };
                if now.since(created) < limits::MEDIA_PENDING_LIFETIME {
                    continue;
                }
                let Some(uploader) = self.uploader(&id).await? else { continue };
                let mut batch = Batch::new();
                self.remove_pending(&mut batch, &uploader, &id).await?;
                match self.store.commit(batch).await {
                    // Somebody uploads it in this moment, or creates more: the next time.
                    Err(error) if error.is_conflict() => {}
                    outcome => drop(outcome.map_err(Error::storage("removing created media"))?),
                }
            }
        }
        Ok(())
    }

    async fn uploader(&self, id: &str) -> Result<Option<OwnedUserId>, Error> {
        let Some(key) = media_key(id) else { return Ok(None) };
        let found = self.store.get_record::<MediaRecord>(&key).await.map_err(Error::storage("reading media"))?;
        Ok(found.map(|(record, _)| record.uploader))
    }
}
