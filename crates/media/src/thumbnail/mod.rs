//! Thumbnails (<https://spec.matrix.org/v1.19/client-server-api/#thumbnails>): made when they are asked for the first time,
//! and kept. Only the sizes of the specification's list are made, so that nobody fills the disk by asking for others.
//!
//! Where to go: `make` decodes, shrinks and encodes, without knowing where bytes come from.

mod make;

use std::io::Read;
use std::time::Duration;

use base::{limits, task};
use ruma::ServerName;
use storage::{Batch, BlobHash};

use crate::content::Content;
use crate::error::{Error, Refusal};
use crate::media::Media;
use crate::record::{ContentRecord, ThumbnailRecord, thumbnail_key};

use make::Made;

/// How an image is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Filled, and what stands over is cut off.
    Crop,
    /// Whole, and no side is longer than wanted.
    Scale,
}

/// What is asked for. Either side is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How it is to fit.
    pub method: Method,
}

/// A size that thumbnails are made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) method: Method,
}

const fn size(width: u32, height: u32, method: Method) -> Size {
    Size { width, height, method }
}

/// The sizes that are made, each method's from small to large.
const SIZES: [Size; 5] = [
    size(32, 32, Method::Crop),
    size(96, 96, Method::Crop),
    size(320, 240, Method::Scale),
    size(640, 480, Method::Scale),
    size(800, 600, Method::Scale),
];

impl Wanted {
    /// The smallest size that is at least as large, or the largest there is; of the wanted method where that is large enough.
    fn size(self) -> Size {
        let is_large_enough = |size: &&Size| size.width >= self.width && size.height >= self.height;
        let by_method = SIZES.iter().filter(|size| size.method == self.method).find(is_large_enough);
        let any = || SIZES.iter().find(is_large_enough);
        by_method.or_else(any).copied().unwrap_or(size(800, 600, Method::Scale))
    }
}

impl Media {
    /// A thumbnail of media. What was created and is not uploaded yet is waited for, for at most `patience`
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>). An image that
    /// is small enough is its own thumbnail; of one that moves, it is the first picture.
    ///
    /// # Errors
    /// [`Refusal::NoThumbnail`]; [`Error::Busy`] when too many are being made; as [`Media::content`].
    pub async fn thumbnail(
        &self,
        server: &ServerName,
        id: &str,
        wanted: Wanted,
        patience: Duration,
    ) -> Result<Content, Error> {
        let original = self.wait_for(server, id, patience).await?;
        let size = wanted.size();
        let key = thumbnail_key(BlobHash(original.hash), size);
        let found =
            self.store.get_record::<ThumbnailRecord>(&key).await.map_err(Error::storage("reading a thumbnail"))?;
        let thumbnail = match found {
            Some((thumbnail, _)) => thumbnail,
            None => self.make_thumbnail(&original, size).await?,
        };
        self.open_content(thumbnail.content.unwrap_or(original)).await
    }

    async fn make_thumbnail(&self, original: &ContentRecord, size: Size) -> Result<ThumbnailRecord, Error> {
        if original.bytes > limits::THUMBNAIL_SOURCE_BYTES {
            return Err(Refusal::NoThumbnail { why: "the image is too large" }.into());
        }
        let made = self.shrink(original, size).await?;
        let content = match made {
            Made::SmallEnough => None,
            Made::Image { bytes, content_type } => {
                let length = bytes.len() as u64;
                let stored = self.blobs()?.put(bytes).await.map_err(Error::storage("storing a thumbnail"))?;
                let content_type = Some(content_type.to_owned());
                Some(ContentRecord { hash: stored.0, bytes: length, content_type, filename: None })
            }
        };
        let (of, record) = (BlobHash(original.hash), ThumbnailRecord { content });
        let mut batch = Batch::new();
        let key = thumbnail_key(of, size);
        batch.require_absent(&key);
        batch.put_record(&key, &record);
        let stored = match &record.content {
            Some(content) => {
                let referrer = format!("thumbnail {of} {} {}", size.width, size.height);
                self.commit_with_reference(batch, BlobHash(content.hash), referrer).await
            }
            None => self.store.commit(batch).await.map(drop).map_err(Error::storage("storing a thumbnail")),
        };
        match stored {
            // Others made the same at the same time, or another of the same content: it serves all the same, and is made
            // again for the next who asks.
            Err(error) if error.is_conflict() => Ok(record),
            outcome => outcome.map(|()| record),
        }
    }

    /// Makes it beside the runtime, a few at a time.
    async fn shrink(&self, original: &ContentRecord, size: Size) -> Result<Made, Error> {
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(Error::Busy) };
        let Ok(_at_work) = self.at_work.acquire().await else { return Err(Error::Busy) };
        let blob = self.blobs()?.open(BlobHash(original.hash)).await.map_err(Error::storage("opening a content"))?;
        let Some(file) = blob else { return Err(Error::Damaged { what: "a content is missing".to_owned() }) };
        let work = task::blocking(move || {
            let mut bytes = Vec::new();
            file.take(limits::THUMBNAIL_SOURCE_BYTES).read_to_end(&mut bytes).map_err(Error::Read)?;
            make::shrink(&bytes, size).map_err(Error::from)
        });
        // A decoder that panics has met an image that nobody can show.
        work.await.unwrap_or_else(|_| Err(Refusal::NoThumbnail { why: "the image is damaged" }.into()))
    }
}
