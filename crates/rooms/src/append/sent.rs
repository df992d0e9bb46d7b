//! Transaction ids: what a client sends twice is said once
//! (<https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers>). The id is written with the event, so that no
//! crash can leave one without the other.

use base::Timestamp;
use ruma::{DeviceId, EventId, OwnedEventId, RoomId, TransactionId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::SENT;
use storage::{Batch, Key, Store};

use crate::error::Error;
use crate::graph::Transaction;

/// The transaction id of a request, with all that it is unique within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentAs {
    digest: [u8; 32],
    transaction: Transaction,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SentRecord {
    event: OwnedEventId,
    /// For whoever removes old ones.
    at: Timestamp,
}

storage::first_version!(SentRecord);

impl SentAs {
    /// The transaction `id` of a request by `device` of `user` to `endpoint` of `room`.
    pub fn new(user: &UserId, device: &DeviceId, endpoint: &str, room: &RoomId, id: &TransactionId) -> Self {
        let mut hasher = Sha256::new();
        for part in [user.as_str(), device.as_str(), endpoint, room.as_str(), id.as_str()] {
            // With its length, so that no two lists of parts are alike.
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        let transaction = Transaction { device: device.to_owned(), id: id.to_owned() };
        Self { digest: hasher.finalize().into(), transaction }
    }

    fn key(&self) -> Key {
        Key::of(SENT, &self.digest)
    }

    /// The device and its transaction id, as they are kept with the event.
    pub(super) fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The event that was sent under it before.
    ///
    /// # Errors
    /// As every read.
    pub async fn event(&self, store: &Store) -> Result<Option<OwnedEventId>, Error> {
        let record = store.get_record::<SentRecord>(&self.key()).await;
        Ok(record.map_err(Error::storage("looking for a transaction id"))?.map(|(record, _)| record.event))
    }

    /// Remembers that `event` was sent under it; fails to commit when another was meanwhile.
    pub(super) fn put(&self, batch: &mut Batch, event: &EventId, at: Timestamp) {
        batch.require_absent(&self.key());
        batch.put_record(&self.key(), &SentRecord { event: event.to_owned(), at });
    }
}
