//! What is in a key backup: sessions by room.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::limits;
use protocol::backup::{BackupError, KeyBackupData};
use protocol::canonical::Object;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use storage::table::KEY_BACKUP_SESSION;
use storage::{Batch, Direction, Key, KeyRange, Store};

use crate::accounts::{Accounts, settle};
use crate::backup::version::{BackupState, FoundBackup, backup_key};
use crate::error::{Error, Refusal};
use crate::keys::{Number, decode, put_leftover};

/// Sessions by room and id, as they came.
pub type BackupSessions<T> = BTreeMap<OwnedRoomId, BTreeMap<String, Raw<T>>>;

/// Which sessions of a backup are meant.
#[derive(Clone, Copy, Debug)]
pub enum WhichSessions<'a> {
    /// All.
    All,
    /// Those of a room.
    Room(&'a RoomId),
    /// One.
    One(&'a RoomId, &'a str),
}

/// A session that is in a backup.
#[derive(Clone, Debug)]
pub struct SavedSession {
    /// The room that it is of.
    pub room: OwnedRoomId,
    /// Its id.
    pub session: String,
    /// What was saved of it: an object as the client uploaded it.
    pub json: Box<RawValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionRecord {
    room: OwnedRoomId,
    session: String,
    first_message_index: u32,
    forwarded_count: u32,
    is_verified: bool,
    json: String,
}

storage::first_version!(SessionRecord);

impl SessionRecord {
    fn of(room: &RoomId, session: &str, data: &KeyBackupData) -> Result<Self, Refusal> {
        let json = data.to_object().to_canonical();
        if json.len() > limits::KEY_BACKUP_SESSION_BYTES {
            let most = limits::KEY_BACKUP_SESSION_BYTES;
            return Err(Refusal::TooLarge { what: "a session in a key backup", most });
        }
        if session.len() > limits::SESSION_ID_BYTES {
            return Err(Refusal::TooLarge { what: "the id of a session", most: limits::SESSION_ID_BYTES });
        }
        Ok(Self {
            room: room.to_owned(),
            session: session.to_owned(),
            first_message_index: data.first_message_index,
            forwarded_count: data.forwarded_count,
            is_verified: data.is_verified,
            json,
        })
    }

    /// What decides whether it stays.
    fn rank(&self) -> KeyBackupData {
        KeyBackupData {
            first_message_index: self.first_message_index,
            forwarded_count: self.forwarded_count,
            is_verified: self.is_verified,
            session_data: Object::new(),
        }
    }

    fn shown(self) -> Result<SavedSession, Error> {
        let json = RawValue::from_string(self.json);
        let json = json.map_err(|error| Error::damaged(format!("a session in a key backup: {error}")))?;
        Ok(SavedSession { room: self.room, session: self.session, json })
    }
}

/// Half of a hash: a user who finds two of their own ids with the same has only fooled themselves.
fn short_digest(text: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut short = [0; 16];
    short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    short
}

fn session_key(number: Number, room: &RoomId, session: &str) -> Key {
    Key::of(KEY_BACKUP_SESSION, &(number, short_digest(room.as_str()), short_digest(session)))
}

fn range(number: Number, which: WhichSessions<'_>) -> KeyRange {
    match which {
        WhichSessions::All => KeyRange::prefix(KEY_BACKUP_SESSION, &number),
        WhichSessions::Room(room) => KeyRange::prefix(KEY_BACKUP_SESSION, &(number, short_digest(room.as_str()))),
        WhichSessions::One(room, session) => {
            KeyRange::prefix(KEY_BACKUP_SESSION, &(number, short_digest(room.as_str()), short_digest(session)))
        }
    }
}

fn unknown() -> Error {
    Refusal::NotFound { what: "key backup" }.into()
}

fn read<T>(raw: &Raw<T>) -> Result<KeyBackupData, Refusal> {
    let bad = |error: String| Refusal::BadJson { what: error };
    let object = Object::parse(raw.json().get().as_bytes()).map_err(|error| bad(error.to_string()))?;
    KeyBackupData::parse(&object).map_err(|error: BackupError| bad(error.to_string()))
}

impl Accounts {
    /// Puts sessions into the current backup, which must be `version`; of those that are there already the better one stays
    /// (<https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys>). Many are written in several
    /// batches: when one fails, the same once more completes it.
    ///
    /// # Errors
    /// [`Refusal::WrongBackupVersion`]; [`Refusal::NotFound`]; [`Refusal::BadJson`] and [`Refusal::TooLarge`] for sessions
    /// that are none; as every commit.
    pub async fn save_sessions<T>(
        &self,
        user: &UserId,
        version: &str,
        sessions: &BackupSessions<T>,
    ) -> Result<BackupState, Error> {
        let mut records = Vec::new();
        for (room, sessions) in sessions {
            for (session, data) in sessions {
                records.push(SessionRecord::of(room, session, &read(data)?)?);
            }
        }
        let mut rest = &records[..];
        loop {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|record| {
                bytes += record.json.len();
                bytes <= limits::KEY_BACKUP_BATCH_BYTES
            });
            let (some, later) = rest.split_at(fits.count().max(1).min(rest.len()));
            let state = settle!(self, self.save_some(user, version, some))?;
            if later.is_empty() {
                return Ok(state);
            }
            rest = later;
        }
    }

    async fn save_some(&self, user: &UserId, version: &str, records: &[SessionRecord]) -> Result<BackupState, Error> {
        let found = self.writable_backup(user, version).await?;
        let FoundBackup { version, mut record, row } = found;
        let keys: Vec<Key> =
            records.iter().map(|session| session_key(record.number, &session.room, &session.session)).collect();
        let rows = self.store().engine().get_many(&keys).await;
        let rows = rows.map_err(Error::storage("reading sessions of a key backup"))?;
        let mut batch = Batch::new();
        for ((key, session), row) in keys.iter().zip(records).zip(rows) {
            match row {
                Some(row) => {
                    let known: SessionRecord = decode("a session in a key backup", &row.value)?;
                    if !session.rank().replaces(&known.rank()) {
                        continue;
                    }
                }
                None => record.count += 1,
            }
            batch.put_record(key, session);
        }
        if batch.is_empty() {
            return Ok(record.state());
        }
        record.etag += 1;
        let key = backup_key(user, version);
        batch.require_unchanged(&key, row);
        // Nor has another version begun meanwhile.
        batch.require_absent(&backup_key(user, version + 1));
        batch.put_record(&key, &record);
        self.commit("saving sessions", batch).await?;
        Ok(record.state())
    }

    /// The current version, if it is called `version`.
    async fn writable_backup(&self, user: &UserId, version: &str) -> Result<FoundBackup, Error> {
        let current = self.current_backup(user).await?.ok_or_else(unknown)?;
        if current.version.to_string() == version {
            return Ok(current);
        }
        self.find_backup(user, version).await?.ok_or_else(unknown)?;
        Err(Refusal::WrongBackupVersion { current: current.version.to_string() }.into())
    }

    /// One session; `None` when it is not there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown version; as every read.
    pub async fn saved_session(
        &self,
        user: &UserId,
        version: &str,
        room: &RoomId,
        session: &str,
    ) -> Result<Option<Box<RawValue>>, Error> {
        let number = self.find_backup(user, version).await?.ok_or_else(unknown)?.record.number;
        let record = self.store().get_record::<SessionRecord>(&session_key(number, room, session)).await;
        let record = record.map_err(Error::storage("reading a session of a key backup"))?;
        record.map(|(record, _)| Ok(record.shown()?.json)).transpose()
    }

    /// The sessions of a room or of all, to be read page by page.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown version; as every read.
    pub async fn saved_sessions(
        &self,
        user: &UserId,
        version: &str,
        which: WhichSessions<'_>,
    ) -> Result<BackupPages, Error> {
        let number = self.find_backup(user, version).await?.ok_or_else(unknown)?.record.number;
        Ok(BackupPages { store: self.store_handle(), rest: Some(range(number, which)) })
    }

    /// Removes sessions from a version, current or not.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown version; as every commit.
    pub async fn remove_sessions(
        &self,
        user: &UserId,
        version: &str,
        which: WhichSessions<'_>,
    ) -> Result<BackupState, Error> {
        if matches!(which, WhichSessions::All) {
            return self.remove_all_sessions(user, version).await;
        }
        loop {
            let (state, done) = settle!(self, self.remove_some(user, version, which))?;
            if done {
                return Ok(state);
            }
        }
    }

    /// The backup gets another number: what is filed under the old one is nobody's then.
    async fn remove_all_sessions(&self, user: &UserId, version: &str) -> Result<BackupState, Error> {
        let (state, number) = settle!(self, async {
            let FoundBackup { version, mut record, row } =
                self.find_backup(user, version).await?.ok_or_else(unknown)?;
            let (key, number) = (backup_key(user, version), record.number);
            record.number = Number(self.store().random().next_u64());
            record.count = 0;
            record.etag += 1;
            let mut batch = Batch::new();
            batch.require_unchanged(&key, row);
            batch.put_record(&key, &record);
            put_leftover(&mut batch, number, self.store().clock().now());
            self.commit("emptying a key backup", batch).await?;
            Ok((record.state(), number))
        })?;
        self.sweep_soon(vec![number]);
        Ok(state)
    }

    async fn remove_some(
        &self,
        user: &UserId,
        version: &str,
        which: WhichSessions<'_>,
    ) -> Result<(BackupState, bool), Error> {
        let FoundBackup { version, mut record, row } = self.find_backup(user, version).await?.ok_or_else(unknown)?;
        let range = range(record.number, which);
        let page = self.store().scan(&range, Direction::Forward, limits::LEFTOVERS_REMOVED).await;
        let page = page.map_err(Error::storage("reading sessions of a key backup"))?;
        if page.rows.is_empty() {
            return Ok((record.state(), true));
        }
        let mut batch = Batch::new();
        page.rows.iter().for_each(|row| batch.delete(&row.key));
        record.count = record.count.saturating_sub(u64::try_from(page.rows.len()).unwrap_or(u64::MAX));
        record.etag += 1;
        let key = backup_key(user, version);
        batch.require_unchanged(&key, row);
        batch.put_record(&key, &record);
        self.commit("removing sessions", batch).await?;
        Ok((record.state(), page.rest.is_none()))
    }
}

/// Sessions of a backup, read page by page, so that a restore of a hundred thousand sessions is never in memory as a whole.
/// Those of one room come together.
#[derive(Debug)]
pub struct BackupPages {
    store: Arc<Store>,
    rest: Option<KeyRange>,
}

impl BackupPages {
    /// The next sessions; `None` at the end.
    ///
    /// # Errors
    /// As every read.
    pub async fn next(&mut self) -> Result<Option<Vec<SavedSession>>, Error> {
        let Some(range) = self.rest.take() else { return Ok(None) };
        let page = self.store.scan(&range, Direction::Forward, limits::KEY_BACKUP_PAGE).await;
        let page = page.map_err(Error::storage("reading sessions of a key backup"))?;
        self.rest = page.rest;
        let shown = page.rows.iter().map(|row| {
            let record: SessionRecord = decode("a session in a key backup", &row.value)?;
            record.shown()
        });
        shown.collect::<Result<Vec<_>, _>>().map(Some)
    }
}
