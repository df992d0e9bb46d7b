//! The handle on all rooms of a server: the store, who we are, with which key we sign, and what the operator has decided
//! about rooms. Everything above this crate holds an `Arc<Rooms>`; what it can do is in the folders beside this file, each
//! with an `impl Rooms` of its own.

use std::fmt;
use std::sync::Arc;

use ruma::{OwnedServerName, RoomVersionId, ServerName};
use serde::{Deserialize, Serialize};
use storage::table::SIGNING_KEY;
use storage::{Batch, Key, Store};
use tokio::sync::Mutex;

use base::limits;

use crate::cache::Cache;
use crate::error::Error;
use crate::event::SigningKey;
use crate::ingest::Workshop;
use crate::notice::Notice;
use crate::number::RoomNumber;

/// When new rooms are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// Always, and plaintext messages are refused in rooms of this server.
    Required,
    /// New private rooms are, unless their maker says otherwise.
    #[default]
    Default,
    /// When their maker says so.
    Optional,
}

/// What the operator has decided about rooms.
#[derive(Clone, Debug)]
pub struct RoomsOptions {
    /// Who we are.
    pub server: OwnedServerName,
    /// The version of new rooms.
    pub default_version: RoomVersionId,
    /// When new rooms are encrypted.
    pub encryption: EncryptionPolicy,
}

/// The key with which this server signs.
#[derive(Serialize, Deserialize)]
struct KeyRecord {
    /// The part of its id after `ed25519:`.
    name: String,
    secret: [u8; 32],
}

storage::first_version!(KeyRecord);

/// All rooms of this server.
pub struct Rooms {
    store: Arc<Store>,
    options: RoomsOptions,
    key: SigningKey,
    notice: Notice,
    cache: Cache,
    lanes: Vec<Mutex<()>>,
    workshop: Workshop,
}

impl Rooms {
    /// Opens the rooms in `store`. At the first start a signing key is made.
    ///
    /// # Errors
    /// As every read and commit; [`Error::Damaged`] when the stored key is none.
    pub async fn open(store: Arc<Store>, options: RoomsOptions) -> Result<Arc<Self>, Error> {
        let key = signing_key(&store, &options.server).await?;
        let notice = Notice::new(store.clock().clone());
        let lanes = std::iter::repeat_with(Mutex::default).take(limits::ROOM_LANES).collect();
        let workshop = Workshop::open(&store).await?;
        let cache = Cache::default();
        Ok(Arc::new(Self { store, options, key, notice, cache, lanes, workshop }))
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// This server.
    pub fn server(&self) -> &ServerName {
        &self.options.server
    }

    /// What the operator has decided.
    pub fn options(&self) -> &RoomsOptions {
        &self.options
    }

    pub(crate) fn notice(&self) -> &Notice {
        &self.notice
    }

    /// What appends remember.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The lane of `room`: who appends to a room goes after who came before, so that those of one process do not make each
    /// other begin anew. Several rooms share a lane.
    pub(crate) fn lane(&self, room: RoomNumber) -> &Mutex<()> {
        let lane = usize::try_from(room.0 % self.lanes.len() as u64).unwrap_or_default();
        &self.lanes[lane]
    }

    /// Where work on what others sent is done.
    pub(crate) fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// The key with which this server signs.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rooms of {}", self.options.server)
    }
}

/// The key in the store; made when there is none. Of several processes that make one at once, one wins.
async fn signing_key(store: &Store, server: &ServerName) -> Result<SigningKey, Error> {
    let row = Key::of(SIGNING_KEY, &("current".to_owned(),));
    loop {
        let stored = store.get_record::<KeyRecord>(&row).await.map_err(Error::storage("reading the signing key"))?;
        if let Some((KeyRecord { name, secret }, _)) = stored {
            return Ok(SigningKey::new(server.to_owned(), &name, &secret)?);
        }
        let letters = store.random().bytes::<4>().map(|byte| char::from(b'a' + byte % 26));
        let name = format!("a_{}", letters.iter().collect::<String>());
        let mut batch = Batch::new();
        batch.require_absent(&row);
        batch.put_record(&row, &KeyRecord { name, secret: store.random().bytes() });
        match store.commit(batch).await {
            Err(error) if error.is_conflict() => {}
            other => other.map(drop).map_err(Error::storage("storing the signing key"))?,
        }
    }
}
