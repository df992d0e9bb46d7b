//! Media that is named before its content is uploaded
//! (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>).

use base::{Timestamp, limits};
use ruma::{OwnedMxcUri, UserId};
use storage::{Batch, Direction, Record};

use crate::error::{Error, Refusal};
use crate::media::Media;
use crate::record::{MediaRecord, PendingRecord, media_key, new_id, pending_key, pending_of};

/// Media that was created.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its name.
    pub uri: OwnedMxcUri,
    /// Until when its content may be uploaded.
    pub unused_expires_at: Timestamp,
}

impl Media {
    /// Names media whose content `user` is going to upload.
    ///
    /// # Errors
    /// [`Refusal::TooManyPending`]; as every commit.
    pub async fn create(&self, user: &UserId) -> Result<Created, Error> {
        let now = self.store.clock().now();
        let page = self.store.scan(&pending_of(user), Direction::Forward, limits::MEDIA_PENDING_PER_USER + 1).await;
        let page = page.map_err(Error::storage("reading created media"))?;
        let mut batch = Batch::new();
        let mut pending = page.rows.len();
        for row in page.rows {
            let Ok(PendingRecord { id, created }) = PendingRecord::decode(&row.value) else { continue };
            if now.since(created) >= limits::MEDIA_PENDING_LIFETIME {
                self.remove_pending(&mut batch, user, &id).await?;
                pending -= 1;
            }
        }
        if pending >= limits::MEDIA_PENDING_PER_USER {
            return Err(Refusal::TooManyPending.into());
        }
        let id = new_id(&self.store);
        let Some(key) = media_key(&id) else { return Err(Refusal::NotFound.into()) };
        batch.require_absent(&key);
        batch.put_record(&key, &MediaRecord { content: None, uploader: user.to_owned(), created: now });
        batch.put_record(&pending_key(user, &id), &PendingRecord { id: id.clone(), created: now });
        self.store.commit(batch).await.map_err(Error::storage("creating media"))?;
        Ok(Created { uri: self.uri(&id), unused_expires_at: now.after(limits::MEDIA_PENDING_LIFETIME) })
    }

    /// Adds to `batch` the end of what was created by `user` and never uploaded.
    pub(crate) async fn remove_pending(&self, batch: &mut Batch, user: &UserId, id: &str) -> Result<(), Error> {
        batch.delete(&pending_key(user, id));
        let Some(key) = media_key(id) else { return Ok(()) };
        let reading = Error::storage("reading created media");
        if let Some((record, version)) = self.store.get_record::<MediaRecord>(&key).await.map_err(reading)?
            && record.content.is_none()
        {
            batch.require_unchanged(&key, version);
            batch.delete(&key);
        }
        Ok(())
    }
}
