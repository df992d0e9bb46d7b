//! The versions of a user's key backup.

use base::limits;
use ruma::UserId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::table::KEY_BACKUP;
use storage::{Batch, Direction, Key, KeyRange, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::keys::{Number, decode, put_leftover};
use crate::user::digest;

/// What a client says of a backup.
#[derive(Clone, Debug)]
pub struct BackupDescription {
    /// How sessions are encrypted.
    pub algorithm: String,
    /// What belongs to it: an object.
    pub auth_data: Box<RawValue>,
}

/// How much is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupState {
    /// Changes whenever what is in it does.
    pub etag: String,
    /// How many sessions there are.
    pub count: u64,
}

/// A version of a backup.
#[derive(Clone, Debug)]
pub struct BackupVersion {
    /// Its name: later ones have greater numbers.
    pub version: String,
    /// What its client says of it.
    pub description: BackupDescription,
    /// How much is in it.
    pub state: BackupState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BackupRecord {
    /// What its sessions are filed under.
    pub(super) number: Number,
    algorithm: String,
    auth_data: String,
    pub(super) etag: u64,
    pub(super) count: u64,
    /// It was removed, and is remembered so that no other is called the same. Only the newest is.
    removed: bool,
}

storage::first_version!(BackupRecord);

impl BackupRecord {
    pub(super) fn state(&self) -> BackupState {
        BackupState { etag: self.etag.to_string(), count: self.count }
    }
}

/// A version as it was read.
pub(super) struct FoundBackup {
    pub(super) version: u64,
    pub(super) record: BackupRecord,
    pub(super) row: Version,
}

pub(super) fn backup_key(user: &UserId, version: u64) -> Key {
    Key::of(KEY_BACKUP, &(digest(user), version))
}

fn unknown() -> Error {
    Refusal::NotFound { what: "key backup" }.into()
}

impl FoundBackup {
    fn shown(self) -> Result<BackupVersion, Error> {
        let state = self.record.state();
        let auth_data = RawValue::from_string(self.record.auth_data);
        let auth_data = auth_data.map_err(|error| Error::damaged(format!("a key backup: {error}")))?;
        let description = BackupDescription { algorithm: self.record.algorithm, auth_data };
        Ok(BackupVersion { version: self.version.to_string(), description, state })
    }
}

impl BackupDescription {
    fn check(&self) -> Result<(), Refusal> {
        let object = serde_json::from_str::<serde::de::IgnoredAny>(self.auth_data.get()).is_ok()
            && self.auth_data.get().starts_with('{');
        if !object {
            return Err(Refusal::BadJson { what: "`auth_data` is no object".to_owned() });
        }
        if self.algorithm.len() + self.auth_data.get().len() > limits::KEY_BACKUP_DESCRIPTION_BYTES {
            let most = limits::KEY_BACKUP_DESCRIPTION_BYTES;
            return Err(Refusal::TooLarge { what: "the description of a key backup", most });
        }
        Ok(())
    }
}

impl Accounts {
    /// Begins another version, which takes sessions from now on: its name.
    ///
    /// # Errors
    /// [`Refusal::BadJson`], [`Refusal::TooLarge`], [`Refusal::TooMany`]; as every commit.
    pub async fn create_backup(&self, user: &UserId, description: &BackupDescription) -> Result<String, Error> {
        description.check()?;
        settle!(self, async {
            let all = self.backups(user).await?;
            let newest = all.first();
            if all.iter().filter(|found| !found.record.removed).count() >= limits::KEY_BACKUPS {
                return Err(Refusal::TooMany { what: "key backups", most: limits::KEY_BACKUPS }.into());
            }
            let version = newest.map_or(1, |found| found.version + 1);
            let mut batch = Batch::new();
            if let Some(gone) = newest.filter(|found| found.record.removed) {
                batch.delete(&backup_key(user, gone.version));
            }
            let key = backup_key(user, version);
            batch.require_absent(&key);
            let record = BackupRecord {
                number: Number(self.store().random().next_u64()),
                algorithm: description.algorithm.clone(),
                auth_data: description.auth_data.get().to_owned(),
                etag: 0,
                count: 0,
                removed: false,
            };
            batch.put_record(&key, &record);
            self.commit("beginning a key backup", batch).await?;
            Ok(version.to_string())
        })
    }

    /// The newest version, or the one that is named; `None` when there is none.
    ///
    /// # Errors
    /// As every read.
    pub async fn backup(&self, user: &UserId, version: Option<&str>) -> Result<Option<BackupVersion>, Error> {
        let found = match version {
            Some(version) => self.find_backup(user, version).await?,
            None => self.current_backup(user).await?,
        };
        found.map(FoundBackup::shown).transpose()
    }

    /// Describes a version anew. Its algorithm stays.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::InvalidParam`] for another algorithm; [`Refusal::BadJson`], [`Refusal::TooLarge`];
    /// as every commit.
    pub async fn update_backup(
        &self,
        user: &UserId,
        version: &str,
        description: &BackupDescription,
    ) -> Result<(), Error> {
        description.check()?;
        settle!(self, async {
            let found = self.find_backup(user, version).await?.ok_or_else(unknown)?;
            if found.record.algorithm != description.algorithm {
                return Err(Refusal::invalid("the algorithm of a key backup cannot be changed").into());
            }
            let key = backup_key(user, found.version);
            let record = BackupRecord { auth_data: description.auth_data.get().to_owned(), ..found.record };
            let mut batch = Batch::new();
            batch.require_unchanged(&key, found.row);
            batch.put_record(&key, &record);
            self.commit("describing a key backup", batch).await.map(drop)
        })
    }

    /// Removes a version and all that is in it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn remove_backup(&self, user: &UserId, version: &str) -> Result<(), Error> {
        let number = settle!(self, async {
            let found = self.find_backup(user, version).await?.ok_or_else(unknown)?;
            let newest = self.backups(user).await?.first().is_some_and(|newest| newest.version == found.version);
            let key = backup_key(user, found.version);
            let mut batch = Batch::new();
            batch.require_unchanged(&key, found.row);
            let number = found.record.number;
            put_leftover(&mut batch, number, self.store().clock().now());
            if newest {
                let (algorithm, auth_data) = (String::new(), String::new());
                let record = BackupRecord { algorithm, auth_data, count: 0, removed: true, ..found.record };
                batch.put_record(&key, &record);
            } else {
                batch.delete(&key);
            }
            self.commit("removing a key backup", batch).await?;
            Ok(number)
        })?;
        self.sweep_soon(vec![number]);
        Ok(())
    }

    /// Removes all versions of a user who is no more.
    pub(crate) async fn remove_backups(&self, user: &UserId) -> Result<(), Error> {
        let numbers = settle!(self, async {
            let all = self.backups(user).await?;
            let mut batch = Batch::new();
            for found in &all {
                batch.delete(&backup_key(user, found.version));
                put_leftover(&mut batch, found.record.number, self.store().clock().now());
            }
            if !batch.is_empty() {
                self.commit("removing key backups", batch).await?;
            }
            Ok(all.into_iter().map(|found| found.record.number).collect::<Vec<_>>())
        })?;
        self.sweep_soon(numbers);
        Ok(())
    }

    /// All versions, newest first, and as first perhaps one that was removed.
    async fn backups(&self, user: &UserId) -> Result<Vec<FoundBackup>, Error> {
        let (mut range, mut found) = (KeyRange::prefix(KEY_BACKUP, &digest(user)), Vec::new());
        loop {
            let page = self.store().scan(&range, Direction::Backward, limits::KEY_BACKUPS + 1).await;
            let page = page.map_err(Error::storage("reading key backups"))?;
            for row in page.rows {
                let parts = row.key.parts::<([u8; 32], u64)>();
                let (_, version) = parts.map_err(|error| Error::damaged(format!("a key backup: {error}")))?;
                found.push(FoundBackup { version, record: decode("a key backup", &row.value)?, row: row.version });
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(found),
            }
        }
    }

    /// The version that takes sessions.
    pub(super) async fn current_backup(&self, user: &UserId) -> Result<Option<FoundBackup>, Error> {
        let range = KeyRange::prefix(KEY_BACKUP, &digest(user));
        // The newest may be one that was removed, no other.
        let page = self.store().scan(&range, Direction::Backward, 2).await;
        for row in page.map_err(Error::storage("reading key backups"))?.rows {
            let parts = row.key.parts::<([u8; 32], u64)>();
            let (_, version) = parts.map_err(|error| Error::damaged(format!("a key backup: {error}")))?;
            let record: BackupRecord = decode("a key backup", &row.value)?;
            if !record.removed {
                return Ok(Some(FoundBackup { version, record, row: row.version }));
            }
        }
        Ok(None)
    }

    /// The version of that name.
    pub(super) async fn find_backup(&self, user: &UserId, version: &str) -> Result<Option<FoundBackup>, Error> {
        // Only as it was given out: "+1" and "01" name nothing.
        let Some(number) = version.parse::<u64>().ok().filter(|number| number.to_string() == version) else {
            return Ok(None);
        };
        let record = self.store().get_record::<BackupRecord>(&backup_key(user, number)).await;
        let record = record.map_err(Error::storage("reading a key backup"))?.filter(|(record, _)| !record.removed);
        Ok(record.map(|(record, row)| FoundBackup { version: number, record, row }))
    }
}
