//! Giving back what was uploaded, piece by piece, whole or in part.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use base::{limits, task};
use bytes::Bytes;
use ruma::ServerName;
use storage::BlobHash;

use crate::error::{Error, Refusal};
use crate::media::Media;
use crate::record::{ContentRecord, MediaRecord, media_key};

/// A content, open to be read.
#[derive(Debug)]
pub struct Content {
    file: File,
    /// Its size in bytes.
    pub bytes: u64,
    /// What its uploader says it is.
    pub content_type: Option<String>,
    /// What its uploader's file was called.
    pub filename: Option<String>,
    /// Its hash: the same name always has the same content.
    pub hash: BlobHash,
}

impl Media {
    /// The content of media. What was created and is not uploaded yet is waited for, for at most `patience`
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>).
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::NeedsFederation`], [`Refusal::NotYetUploaded`]; when the file cannot be opened.
    pub async fn content(&self, server: &ServerName, id: &str, patience: Duration) -> Result<Content, Error> {
        let record = self.wait_for(server, id, patience).await?;
        self.open_content(record).await
    }

    /// What is stored of a content that is there, or comes within `patience`.
    pub(crate) async fn wait_for(
        &self,
        server: &ServerName,
        id: &str,
        patience: Duration,
    ) -> Result<ContentRecord, Error> {
        let patience = patience.min(limits::MEDIA_WAIT_MOST);
        let waiting = async {
            let mut uploads = self.uploaded.subscribe();
            loop {
                if let Some(content) = self.find(server, id).await?.content {
                    return Ok(content);
                }
                // Another node's upload shows only when it is looked for.
                let _ = self.store.clock().timeout(limits::MEDIA_POLL, uploads.changed()).await;
            }
        };
        match self.store.clock().timeout(patience, waiting).await {
            Some(found) => found,
            // Time ran out in the middle of it, or there was none.
            None => self.find(server, id).await?.content.ok_or_else(|| Refusal::NotYetUploaded.into()),
        }
    }

    /// What is stored of media that has not expired.
    pub(crate) async fn find(&self, server: &ServerName, id: &str) -> Result<MediaRecord, Error> {
        if server != self.server() {
            return Err(Refusal::NeedsFederation.into());
        }
        let Some(key) = media_key(id) else { return Err(Refusal::NotFound.into()) };
        let found = self.store.get_record::<MediaRecord>(&key).await.map_err(Error::storage("reading media"))?;
        match found {
            Some((record, _)) if !record.is_expired(self.store.clock().now()) => Ok(record),
            _ => Err(Refusal::NotFound.into()),
        }
    }

    pub(crate) async fn open_content(&self, record: ContentRecord) -> Result<Content, Error> {
        let ContentRecord { hash, bytes, content_type, filename } = record;
        let hash = BlobHash(hash);
        let file = self.blobs()?.open(hash).await.map_err(Error::storage("opening a content"))?;
        let file = file.ok_or_else(|| Error::Damaged { what: format!("the content {hash} is missing") })?;
        Ok(Content { file, bytes, content_type, filename, hash })
    }
}

impl Content {
    /// All of it.
    pub fn whole(self) -> Pieces {
        Pieces { left: self.bytes, begin: None, file: Some(self.file) }
    }

    /// `length` bytes from the byte `begin` on.
    pub fn part(self, begin: u64, length: u64) -> Pieces {
        let left = length.min(self.bytes.saturating_sub(begin));
        Pieces { left, begin: Some(begin), file: Some(self.file) }
    }
}

/// What is still to be read of a content.
#[derive(Debug)]
pub struct Pieces {
    /// Taken out for the time of a read; gone after a failure.
    file: Option<File>,
    /// Where the first piece begins, if not where the file does.
    begin: Option<u64>,
    left: u64,
}

impl Pieces {
    /// The next piece, of at most [`limits::MEDIA_PIECE_BYTES`]; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than it was.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(mut file) = self.file.take().filter(|_| self.left > 0) else { return Ok(None) };
        let (begin, wanted) = (self.begin.take(), self.left.min(limits::MEDIA_PIECE_BYTES as u64));
        let read = task::blocking(move || {
            if let Some(begin) = begin {
                file.seek(SeekFrom::Start(begin))?;
            }
            let mut piece = vec![0; usize::try_from(wanted).unwrap_or(limits::MEDIA_PIECE_BYTES)];
            file.read_exact(&mut piece)?;
            Ok((file, piece))
        });
        let (file, piece) = read.await.map_err(|error| Error::Read(error.into()))?.map_err(Error::Read)?;
        self.left -= piece.len() as u64;
        self.file = Some(file);
        Ok(Some(piece.into()))
    }
}
