//! The handle on all media of a server. What it can do is in the files beside this one, each with an `impl Media` of its
//! own.

use std::fmt;
use std::sync::Arc;

use base::limits;
use ruma::{OwnedServerName, ServerName};
use storage::{Blobs, Store};
use tokio::sync::{Semaphore, watch};

use crate::error::Error;

/// What the operator has decided about media.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// Who we are.
    pub server: OwnedServerName,
    /// The largest upload, in bytes.
    pub max_upload_bytes: u64,
}

/// All media of this server.
pub struct Media {
    pub(crate) store: Arc<Store>,
    pub(crate) options: MediaOptions,
    blobs: Option<Blobs>,
    /// Counts uploads of what was created before, so that who waits for one looks.
    pub(crate) uploaded: watch::Sender<u64>,
    /// Who may make a thumbnail now, and who may wait for that.
    pub(crate) at_work: Semaphore,
    pub(crate) waiting: Semaphore,
}

impl Media {
    /// Opens the media in `store`. A store in memory has no folder: then nothing can be uploaded.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub async fn open(store: Arc<Store>, options: MediaOptions) -> Result<Arc<Self>, Error> {
        let blobs = match store.data_dir() {
            Some(_) => Some(Blobs::open_in(&store).await.map_err(Error::storage("opening the folder of media"))?),
            None => None,
        };
        Ok(Arc::new(Self {
            store,
            options,
            blobs,
            uploaded: watch::Sender::new(0),
            at_work: Semaphore::new(limits::THUMBNAILS_AT_ONCE),
            waiting: Semaphore::new(limits::THUMBNAILS_WAITING),
        }))
    }

    /// This server.
    pub fn server(&self) -> &ServerName {
        &self.options.server
    }

    /// What the operator has decided.
    pub fn options(&self) -> &MediaOptions {
        &self.options
    }

    /// The files.
    pub(crate) fn blobs(&self) -> Result<&Blobs, Error> {
        self.blobs.as_ref().ok_or(Error::NoFolder)
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the media of {}", self.options.server)
    }
}
