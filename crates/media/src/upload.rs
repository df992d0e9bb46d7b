//! Taking in what is uploaded, piece by piece, so that memory holds no more than one piece of it.

use std::sync::Arc;

use base::backoff::Backoff;
use base::limits;
use bytes::Bytes;
use ruma::{MxcUri, OwnedMxcUri, OwnedUserId, ServerName, UserId};
use storage::blob::{BlobWriter, Reference};
use storage::{Batch, BlobHash};

use crate::error::{Error, Refusal};
use crate::media::Media;
use crate::record::{ContentRecord, MediaRecord, media_key, new_id, pending_key};

/// An upload under way. Dropped before it is finished, it leaves nothing behind that is ever seen.
#[derive(Debug)]
pub struct Upload {
    media: Arc<Media>,
    writer: BlobWriter,
    bytes: u64,
    user: OwnedUserId,
    /// What it is the content of; `None`: of media that is named when it is finished.
    created: Option<String>,
}

/// What an uploader says of a content. It is given back as it is, and believed by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its type.
    pub content_type: Option<String>,
    /// What its file was called.
    pub filename: Option<String>,
}

impl Media {
    /// Begins an upload by `user`. `length` is its size in bytes where that is known beforehand.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]; when the file cannot be made.
    pub async fn begin(self: &Arc<Self>, user: &UserId, length: Option<u64>) -> Result<Upload, Error> {
        self.check_size(length.unwrap_or_default())?;
        let writer = self.blobs()?.begin().await.map_err(Error::storage("beginning an upload"))?;
        Ok(Upload { media: Arc::clone(self), writer, bytes: 0, user: user.to_owned(), created: None })
    }

    /// Begins the upload of what `user` has created before.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] also when it was created too long ago, [`Refusal::NotTheCreator`],
    /// [`Refusal::CannotOverwrite`]; as [`Media::begin`].
    pub async fn begin_created(
        self: &Arc<Self>,
        user: &UserId,
        server: &ServerName,
        id: &str,
        length: Option<u64>,
    ) -> Result<Upload, Error> {
        let record = match self.find(server, id).await {
            Err(Error::Refused(Refusal::NeedsFederation)) => return Err(Refusal::NotTheCreator.into()),
            found => found?,
        };
        may_upload(&record, user)?;
        let upload = self.begin(user, length).await?;
        Ok(Upload { created: Some(id.to_owned()), ..upload })
    }

    fn check_size(&self, bytes: u64) -> Result<(), Refusal> {
        let most = self.options.max_upload_bytes;
        if bytes > most { Err(Refusal::TooLarge { most }) } else { Ok(()) }
    }
}

fn may_upload(record: &MediaRecord, user: &UserId) -> Result<(), Refusal> {
    if record.uploader != user {
        return Err(Refusal::NotTheCreator);
    }
    if record.content.is_some() { Err(Refusal::CannotOverwrite) } else { Ok(()) }
}

impl Upload {
    /// Adds a piece.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`]; when the file cannot be written.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        self.media.check_size(self.bytes)?;
        self.writer.write(piece).await.map_err(Error::storage("writing an upload"))
    }

    /// Ends the upload: the content is on disk and named. Its name (`mxc://…`) is what events say.
    ///
    /// # Errors
    /// As [`Media::begin_created`]; as every commit.
    pub async fn finish(self, described: Described) -> Result<OwnedMxcUri, Error> {
        let Self { media, writer, bytes, user, created } = self;
        let hash = writer.finish().await.map_err(Error::storage("ending an upload"))?;
        let content = ContentRecord {
            hash: hash.0,
            bytes,
            content_type: described.content_type.filter(|text| text.len() <= limits::MEDIA_TEXT_BYTES),
            filename: described.filename.filter(|text| text.len() <= limits::MEDIA_TEXT_BYTES),
        };
        let id = match &created {
            Some(id) => id.clone(),
            None => new_id(&media.store),
        };
        let mut attempts = 0;
        loop {
            let committed = match created {
                Some(_) => media.fill(&id, &user, &content).await,
                None => media.add(&id, &user, &content).await,
            };
            match committed {
                Err(error) if error.is_conflict() => attempts += 1,
                outcome => break outcome?,
            }
            if attempts == limits::APPEND_ATTEMPTS {
                return Err(Error::Busy);
            }
            let backoff = Backoff { first: limits::APPEND_RETRY_FIRST, most: limits::APPEND_RETRY_MOST };
            media.store.clock().sleep(backoff.wait(attempts, media.store.random())).await;
        }
        media.uploaded.send_modify(|count| *count += 1);
        Ok(media.uri(&id))
    }
}

impl Media {
    pub(crate) fn uri(&self, id: &str) -> OwnedMxcUri {
        <&MxcUri>::from(format!("mxc://{}/{id}", self.options.server).as_str()).to_owned()
    }

    /// Adds media with its content.
    async fn add(&self, id: &str, user: &UserId, content: &ContentRecord) -> Result<(), Error> {
        let Some(key) = media_key(id) else { return Err(Refusal::NotFound.into()) };
        let mut batch = Batch::new();
        batch.require_absent(&key);
        let created = self.store.clock().now();
        let record = MediaRecord { content: Some(content.clone()), uploader: user.to_owned(), created };
        batch.put_record(&key, &record);
        self.commit_with_reference(batch, BlobHash(content.hash), format!("media {id}")).await
    }

    /// Gives media that was created its content.
    async fn fill(&self, id: &str, user: &UserId, content: &ContentRecord) -> Result<(), Error> {
        let Some(key) = media_key(id) else { return Err(Refusal::NotFound.into()) };
        let reading = Error::storage("reading created media");
        let Some((record, version)) = self.store.get_record::<MediaRecord>(&key).await.map_err(reading)? else {
            return Err(Refusal::NotFound.into());
        };
        may_upload(&record, user)?;
        let mut batch = Batch::new();
        batch.require_unchanged(&key, version);
        batch.put_record(&key, &MediaRecord { content: Some(content.clone()), ..record });
        batch.delete(&pending_key(user, id));
        self.commit_with_reference(batch, BlobHash(content.hash), format!("media {id}")).await
    }

    /// Commits `batch`, which says that `referrer` needs the content `hash`.
    pub(crate) async fn commit_with_reference(
        &self,
        mut batch: Batch,
        hash: BlobHash,
        referrer: String,
    ) -> Result<(), Error> {
        let reference = [Reference::Add(hash, referrer)];
        let changed = self.blobs()?.change_references(&mut batch, &reference).await;
        changed.map_err(Error::storage("referring to a content"))?;
        self.store.commit(batch).await.map(drop).map_err(Error::storage("storing media"))
    }
}
