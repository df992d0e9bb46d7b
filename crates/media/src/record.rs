//! What is stored of media, and under which keys.

use base::{Timestamp, limits};
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{MEDIA, MEDIA_PENDING, THUMBNAIL};
use storage::{BlobHash, Key, KeyRange, Store};

use crate::thumbnail::{Method, Size};

/// Letters of an id that we make: 140 bits, so that nobody guesses one.
const ID_LETTERS: usize = 24;
/// Longest id that can be one of ours.
const ID_BYTES: usize = 64;

/// Media of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MediaRecord {
    /// Its content; `None` until it is uploaded.
    pub(crate) content: Option<ContentRecord>,
    pub(crate) uploader: OwnedUserId,
    pub(crate) created: Timestamp,
}

/// A content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentRecord {
    pub(crate) hash: [u8; 32],
    pub(crate) bytes: u64,
    pub(crate) content_type: Option<String>,
    pub(crate) filename: Option<String>,
}

impl MediaRecord {
    /// Whether it was created so long ago that its content may not be uploaded any more.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.content.is_none() && now.since(self.created) >= limits::MEDIA_PENDING_LIFETIME
    }
}

storage::first_version!(MediaRecord);

/// Media that was created and not uploaded, filed under its creator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingRecord {
    pub(crate) id: String,
    pub(crate) created: Timestamp,
}

storage::first_version!(PendingRecord);

/// A thumbnail that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThumbnailRecord {
    /// Its content; `None`: the image itself is small enough.
    pub(crate) content: Option<ContentRecord>,
}

storage::first_version!(ThumbnailRecord);

/// A new id.
pub(crate) fn new_id(store: &Store) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |_| {
        let place = usize::try_from(store.random().below(52)).unwrap_or_default();
        LETTERS.get(place).copied().map_or('A', char::from)
    };
    (0..ID_LETTERS).map(letter).collect()
}

/// The row of media; `None` for what cannot be an id of ours.
pub(crate) fn media_key(id: &str) -> Option<Key> {
    let is_id = (1..=ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| Key::of(MEDIA, &(id.to_owned(),)))
}

pub(crate) fn pending_key(user: &UserId, id: &str) -> Key {
    Key::of(MEDIA_PENDING, &(digest(user), id.to_owned()))
}

pub(crate) fn pending_of(user: &UserId) -> KeyRange {
    KeyRange::prefix(MEDIA_PENDING, &(digest(user),))
}

pub(crate) fn thumbnail_key(of: BlobHash, size: Size) -> Key {
    let method = match size.method {
        Method::Crop => 0_u8,
        Method::Scale => 1,
    };
    Key::of(THUMBNAIL, &(of, size.width, size.height, method))
}

fn digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str()).into()
}
