//! What clients keep with their account: globally or for one room, by type
//! (<https://spec.matrix.org/v1.19/client-server-api/#client-config>). Push rules, tags and ignored users live here as well.
//!
//! A second index has what a user last changed in the order of the log, so that a sync finds what moved since its token with
//! one short scan, and an idle one finds nothing with one seek.
//!
//! Where to go: `record` is what is stored, `parts` what of it is too large for a row; [`tags`] and [`ignored`] know what some types mean.

pub mod ignored;
mod parts;
mod record;
pub mod tags;

#[cfg(test)]
mod tests;

use base::{Position, limits};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::table::{ACCOUNT_DATA, ACCOUNT_DATA_ORDER, ACCOUNT_DATA_PART};
use storage::{Batch, Direction, Key, KeyRange, KeyWriter, Kind, Record, Template, Version, split_stamp};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::push_rules;
use crate::user::digest;

use parts::Kept;
use record::{DataRecord, Name, order_key, order_start};

/// Log entries of this kind say that a user's account data changed; their payload is an [`AccountDataLog`], their partition
/// the user's.
pub const ACCOUNT_DATA_CHANGED: Kind = Kind(65);

/// What the log says of account data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDataLog {
    /// Whose it is.
    pub user: OwnedUserId,
    /// The room it is for; `None`: global.
    pub room: Option<OwnedRoomId>,
    /// Its type.
    pub kind: String,
}

storage::first_version!(AccountDataLog);

/// One piece of account data.
#[derive(Clone, Debug)]
pub struct AccountData {
    /// The room it is for; `None`: global.
    pub room: Option<OwnedRoomId>,
    /// Its type.
    pub kind: String,
    /// Its content; `{}` when it was deleted.
    pub content: Box<RawValue>,
    /// When it last changed, in the log's partition of the user.
    pub position: Position,
}

/// As it was read.
struct Stored {
    record: DataRecord,
    content: Option<String>,
    position: Position,
    version: Version,
}

/// The types that only the server writes: each has an endpoint of its own.
const SERVER_MANAGED: [&str; 2] = ["m.fully_read", "m.push_rules"];

impl Accounts {
    /// What `user` keeps under `kind`.
    ///
    /// # Errors
    /// As every read.
    pub async fn account_data(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
    ) -> Result<Option<Box<RawValue>>, Error> {
        let stored = self.stored_data(&Name::of(user, room, kind)).await?;
        let stored = stored.and_then(|stored| stored.content).map(content).transpose()?;
        if room.is_none() && kind == push_rules::TYPE && self.exists(user).await? {
            // Everybody has push rules; what is stored may lack some that are newer.
            return push_rules::content(user, stored.as_deref()).map(Some);
        }
        Ok(stored)
    }

    /// Keeps `content` under `kind`, whatever the type. Gives the position of the change.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] for what is no object, [`Refusal::TooLarge`], [`Refusal::TooMany`]; as every commit.
    pub async fn set_account_data(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        content: &RawValue,
    ) -> Result<Position, Error> {
        self.update_account_data(user, room, kind, |_| Ok(Some(content.to_owned()))).await
    }

    /// As [`Accounts::set_account_data`], for types that clients may write by the general endpoint.
    ///
    /// # Errors
    /// [`Refusal::ServerManaged`]; and as there.
    pub async fn set_account_data_of_client(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        content: &RawValue,
    ) -> Result<Position, Error> {
        check_kind(kind)?;
        self.set_account_data(user, room, kind, content).await
    }

    /// Deletes what is kept under `kind` (MSC3391). Nothing happens when nothing is.
    ///
    /// # Errors
    /// [`Refusal::ServerManaged`]; as every commit.
    pub async fn delete_account_data(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<(), Error> {
        check_kind(kind)?;
        let name = Name::of(user, room, kind);
        settle!(self, async {
            let Some(stored) = self.stored_data(&name).await?.filter(|stored| stored.content.is_some()) else {
                return Ok(());
            };
            self.write_data(&name, None, Some(stored)).await.map(drop)
        })
    }

    /// Replaces what is kept under `kind` by what `change` makes of it. `change` is called again when somebody else was
    /// faster; with `None` it leaves everything as it is. Gives the position of the last change.
    ///
    /// # Errors
    /// What `change` says; and as [`Accounts::set_account_data`].
    pub async fn update_account_data(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        change: impl Fn(Option<&RawValue>) -> Result<Option<Box<RawValue>>, Refusal>,
    ) -> Result<Position, Error> {
        let name = Name::of(user, room, kind);
        if kind.is_empty() || kind.len() > limits::ACCOUNT_DATA_TYPE_BYTES {
            return Err(Refusal::invalid("the type is empty or too long").into());
        }
        settle!(self, async {
            let stored = self.stored_data(&name).await?;
            let before = stored.as_ref().and_then(|stored| stored.content.clone()).map(content).transpose()?;
            let Some(after) = change(before.as_deref())? else {
                return Ok(stored.map_or(Position::START, |stored| stored.position));
            };
            check_content(&after)?;
            if stored.is_none() {
                self.check_data_count(user).await?;
            }
            self.write_data(&name, Some(after.get().to_owned()), stored).await
        })
    }

    /// What changed of `user`'s account data after `since`, oldest first; from [`Position::START`], all there is. What was
    /// deleted after `since` comes with the content `{}`, what was deleted before does not come.
    ///
    /// # Errors
    /// As every read.
    pub async fn account_data_since(&self, user: &UserId, since: Position) -> Result<Vec<AccountData>, Error> {
        let reading = || Error::storage("reading account data");
        let (mut range, mut changed) = (order_start(user, since.next()), Vec::new());
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await.map_err(reading())?;
            let keys = page.rows.iter().map(|row| Name::key_of_order(user, &row.value));
            let keys: Vec<Key> = keys.collect::<Option<_>>().ok_or_else(|| Error::damaged("an order of data"))?;
            // A row may have changed since the page was read; then it comes as it is now, and again from its new place.
            let rows = self.store().engine().get_many(&keys).await.map_err(reading())?;
            for (key, row) in keys.iter().zip(rows).filter_map(|(key, row)| row.map(|row| (key, row))) {
                let Some(stored) = self.whole(user, key, row).await? else { continue };
                let Stored { record, position, content: kept, .. } = stored;
                if kept.is_none() && since == Position::START {
                    continue;
                }
                let content = content(kept.unwrap_or_else(|| "{}".to_owned()))?;
                changed.push(AccountData { room: record.room, kind: record.kind, content, position });
            }
            match page.rest {
                Some(rest) => range = rest,
                None => break,
            }
        }
        let has_rules = changed.iter().any(|data| data.room.is_none() && data.kind == push_rules::TYPE);
        if since == Position::START && !has_rules && self.exists(user).await? {
            let content = push_rules::content(user, None)?;
            changed.push(AccountData { room: None, kind: push_rules::TYPE.to_owned(), content, position: since });
        }
        Ok(changed)
    }

    /// Removes all account data of `user`.
    pub(crate) async fn remove_account_data(&self, user: &UserId) -> Result<(), Error> {
        for table in [ACCOUNT_DATA, ACCOUNT_DATA_ORDER, ACCOUNT_DATA_PART] {
            self.remove_range(KeyRange::prefix(table, &digest(user))).await?;
        }
        self.ignored.forget(&digest(user));
        Ok(())
    }

    async fn stored_data(&self, name: &Name) -> Result<Option<Stored>, Error> {
        let key = name.key();
        match self.store().get(&key).await.map_err(Error::storage("reading account data"))? {
            Some(row) => self.whole(&name.user, &key, row).await,
            None => Ok(None),
        }
    }

    /// What was read from `key`, with its content. Its parts may have been replaced since; then the row is read again.
    async fn whole(&self, user: &UserId, key: &Key, mut row: storage::Stored) -> Result<Option<Stored>, Error> {
        for _ in 0..limits::ACCOUNT_ATTEMPTS {
            let (mut record, position) = decode(&row)?;
            let version = row.version;
            let content = match &mut record.kept {
                Kept::Deleted => Some(None),
                Kept::Whole(text) => Some(Some(std::mem::take(text))),
                Kept::Parts(parts) => self.join_parts(user, *parts).await?.map(Some),
            };
            if let Some(content) = content {
                return Ok(Some(Stored { record, content, position, version }));
            }
            let again = self.store().get(key).await.map_err(Error::storage("reading account data"))?;
            let Some(again) = again else { return Ok(None) };
            row = again;
        }
        Err(Error::Busy { attempts: limits::ACCOUNT_ATTEMPTS })
    }

    /// Writes one piece, its place in the order, and the log entry, all at once.
    async fn write_data(
        &self,
        name: &Name,
        content: Option<String>,
        before: Option<Stored>,
    ) -> Result<Position, Error> {
        let Name { user, room, kind } = name;
        let (mut batch, key) = (Batch::new(), name.key());
        batch.require_version(&key, before.as_ref().map(|stored| stored.version));
        let log = AccountDataLog { user: user.clone(), room: room.clone(), kind: kind.clone() };
        let partition = self.store().partition_of(user.as_str());
        let stamp = batch.append(partition, ACCOUNT_DATA_CHANGED, log.encode());
        let kept = Kept::put(self, &mut batch, user, content);
        let record = DataRecord { room: room.clone(), kind: kind.clone(), kept };
        batch.put_template(Template::plain(key.to_bytes()), Template::with_stamp(record.encode(), stamp));
        if let Some(before) = before {
            batch.delete(&order_key(user, before.position));
            before.record.kept.delete(&mut batch, user);
        }
        let place = KeyWriter::new(ACCOUNT_DATA_ORDER).part(&digest(user)).stamp(stamp).template();
        batch.put_template(place, Template::plain(name.order_value()));
        let committed = self.commit("keeping account data", batch).await?;
        if room.is_none() && kind == ignored::TYPE {
            self.ignored.forget(&digest(user));
        }
        if room.is_none() && (kind == ignored::TYPE || kind == push_rules::TYPE) {
            self.push.forget(&digest(user));
        }
        committed.position(stamp).ok_or_else(|| Error::damaged("account data got no position"))
    }

    async fn check_data_count(&self, user: &UserId) -> Result<(), Error> {
        let range = KeyRange::prefix(ACCOUNT_DATA_ORDER, &digest(user));
        let page = self.store().scan(&range, Direction::Forward, limits::ACCOUNT_DATA_PER_USER).await;
        let page = page.map_err(Error::storage("counting account data"))?;
        if page.rows.len() >= limits::ACCOUNT_DATA_PER_USER {
            let most = limits::ACCOUNT_DATA_PER_USER;
            return Err(Refusal::TooMany { what: "pieces of account data", most }.into());
        }
        Ok(())
    }
}

fn check_kind(kind: &str) -> Result<(), Refusal> {
    match SERVER_MANAGED.iter().find(|managed| **managed == kind) {
        Some(kind) => Err(Refusal::ServerManaged { kind }),
        None => Ok(()),
    }
}

fn check_content(content: &RawValue) -> Result<(), Refusal> {
    if !content.get().trim_start().starts_with('{') {
        return Err(Refusal::BadJson { what: "account data must be an object".to_owned() });
    }
    if content.get().len() > limits::ACCOUNT_DATA_BYTES {
        return Err(Refusal::TooLarge { what: "the content", most: limits::ACCOUNT_DATA_BYTES });
    }
    Ok(())
}

fn decode(row: &storage::Stored) -> Result<(DataRecord, Position), Error> {
    let (value, position) = split_stamp(&row.value).ok_or_else(|| Error::damaged("account data without a position"))?;
    let record = DataRecord::decode(value).map_err(|error| Error::damaged(format!("account data: {error}")))?;
    Ok((record, position))
}

fn content(stored: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(stored).map_err(|error| Error::damaged(format!("the content of account data: {error}")))
}
