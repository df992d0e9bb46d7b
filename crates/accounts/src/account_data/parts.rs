//! Contents that are too large for one value: long lists of direct chats, push rules of people in many rooms. They lie in
//! parts beside their row, under a number drawn for each content, so parts of two contents never mix: who finds some missing
//! looks at the row again.

use base::limits;
use bytes::Bytes;
use ruma::UserId;
use serde::{Deserialize, Serialize};
use storage::table::ACCOUNT_DATA_PART;
use storage::{Batch, Key};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::user::digest;

/// Where a content is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// Nowhere: it was deleted. The row stays, for clients that have not heard of it.
    Deleted,
    /// Here, as JSON.
    Whole(String),
    /// In parts.
    Parts(Parts),
}

/// Where the parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    id: [u8; 16],
    count: u16,
}

impl Parts {
    fn keys(self, user: &UserId) -> impl Iterator<Item = Key> {
        let user = digest(user);
        (0..self.count).map(move |part| Key::of(ACCOUNT_DATA_PART, &(user, self.id, part)))
    }
}

impl Kept {
    /// Puts `content` where it fits.
    pub(super) fn put(accounts: &Accounts, batch: &mut Batch, user: &UserId, content: Option<String>) -> Self {
        let content = match content {
            None => return Self::Deleted,
            Some(content) if content.len() <= limits::ACCOUNT_DATA_PART_BYTES => return Self::Whole(content),
            Some(content) => Bytes::from(content),
        };
        let count = content.len().div_ceil(limits::ACCOUNT_DATA_PART_BYTES);
        let parts = Parts { id: accounts.store().random().bytes(), count: u16::try_from(count).unwrap_or(u16::MAX) };
        let chunks = (0..content.len()).step_by(limits::ACCOUNT_DATA_PART_BYTES);
        for (key, start) in parts.keys(user).zip(chunks) {
            batch.put(&key, content.slice(start..content.len().min(start + limits::ACCOUNT_DATA_PART_BYTES)));
        }
        Self::Parts(parts)
    }

    /// Removes the parts.
    pub(super) fn delete(&self, batch: &mut Batch, user: &UserId) {
        if let Self::Parts(parts) = self {
            parts.keys(user).for_each(|key| batch.delete(&key));
        }
    }
}

impl Accounts {
    /// The content that lies in `parts`; `None` when another has taken its place.
    pub(super) async fn join_parts(&self, user: &UserId, parts: Parts) -> Result<Option<String>, Error> {
        let keys: Vec<Key> = parts.keys(user).collect();
        let rows = self.store().engine().get_many(&keys).await.map_err(Error::storage("reading account data"))?;
        let Some(rows) = rows.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let bytes = rows.iter().map(|row| row.value.as_ref()).collect::<Vec<_>>().concat();
        String::from_utf8(bytes).map(Some).map_err(|error| Error::damaged(format!("parts of account data: {error}")))
    }
}
