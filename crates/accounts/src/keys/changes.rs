//! Whose keys changed since when (<https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>).
//!
//! A change is a log entry in the partition of its user, and in the same batch a row filed under the same position, so that
//! nobody has to read the whole log to find a few changes in it. Of a user only the latest change matters: whoever has not
//! seen it has to ask for all of the user's keys anyway. Older rows are removed when a newer one is come across.
//!
//! The latest changes are kept in memory, as many as [`limits::KEY_CHANGES_IN_MEMORY`] says; whoever was away for longer is
//! answered from the rows.
//!
//! Must not know who shares a room with whom: that is asked of `rooms`, by sync.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::collections::HashMap;
use base::{Partition, Position, Positions, limits};
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::KEY_CHANGE;
use storage::{Batch, Direction, Key, KeyRange, KeyWriter, Kind, Record, Row, Store, Template};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::keys::decode;

/// Log entries of this kind say that the keys of a user changed, or what a user has signed of others'; their payload is a
/// [`KeyChange`], their partition the user's.
pub const DEVICE_LIST_CHANGED: Kind = Kind(72);

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyChange {
    /// Devices came, went, or are called otherwise, or their keys or the user's cross-signing keys are other ones: all who
    /// share an encrypted room with the user have to ask for them again, and so have the user's own devices.
    Devices(OwnedUserId),
    /// A user signed keys of others, or has a new user-signing key: the user's own devices, and nobody else, have to ask for
    /// the keys of those again.
    Signed {
        /// Who signed.
        by: OwnedUserId,
        /// Whose keys.
        users: Vec<OwnedUserId>,
    },
}

storage::first_version!(KeyChange);

impl KeyChange {
    /// Whose partition it is told in.
    pub fn user(&self) -> &UserId {
        match self {
            Self::Devices(user) | Self::Signed { by: user, .. } => user,
        }
    }
}

/// Whose keys somebody has to ask for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    /// Users whose devices or cross-signing keys changed, of all that this server knows. To be told to those who share an
    /// encrypted room with them, and to themselves.
    pub devices: BTreeSet<OwnedUserId>,
    /// Users of whom the viewer signed keys. To be told to the viewer in any case.
    pub signed: BTreeSet<OwnedUserId>,
}

impl KeyChanges {
    fn add(&mut self, change: &KeyChange, viewer: &UserId) {
        match change {
            KeyChange::Devices(user) => {
                self.devices.insert(user.clone());
            }
            KeyChange::Signed { by, users } if by == viewer => self.signed.extend(users.iter().cloned()),
            KeyChange::Signed { .. } => {}
        }
    }
}

/// To be written with any change that others see of `user`'s devices, names and keys.
pub(crate) fn put_device_list_change(accounts: &Accounts, batch: &mut Batch, user: &UserId) {
    put_change(accounts, batch, &KeyChange::Devices(user.to_owned()));
}

pub(super) fn put_change(accounts: &Accounts, batch: &mut Batch, change: &KeyChange) {
    let partition = accounts.store().partition_of(change.user().as_str());
    let record = change.encode();
    let stamp = batch.append(partition, DEVICE_LIST_CHANGED, record.clone());
    let key = KeyWriter::new(KEY_CHANGE).part(&partition).stamp(stamp).template();
    batch.put_template(key, Template::plain(record));
}

/// The latest changes of each partition, in memory.
#[derive(Default)]
pub(crate) struct ChangeIndex(Mutex<HashMap<Partition, Arc<Mutex<Recent>>>>);

impl ChangeIndex {
    fn partition(&self, partition: Partition) -> Arc<Mutex<Recent>> {
        lock(&self.0).entry(partition).or_default().clone()
    }
}

/// The latest changes of one partition: all of those after `floor`, up to and including `until`.
#[derive(Default)]
struct Recent {
    read: bool,
    floor: Position,
    until: Position,
    changes: VecDeque<(Position, KeyChange)>,
    /// Where the latest change of each user's devices among these stands.
    latest: HashMap<OwnedUserId, Position>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn change_key(partition: Partition, position: Position) -> Key {
    Key::of(KEY_CHANGE, &(partition, position))
}

/// The rows after `after` up to and including `until`.
fn range(partition: Partition, after: Position, until: Position) -> KeyRange {
    KeyRange::between(&change_key(partition, after.next()), &change_key(partition, until.next()))
}

fn read_row(row: &Row) -> Result<(Position, KeyChange), Error> {
    let parts = row.key.parts::<(Partition, Position)>();
    let (_, position) = parts.map_err(|error| Error::damaged(format!("a change of keys: {error}")))?;
    Ok((position, decode("a change of keys", &row.value)?))
}

impl Recent {
    /// Adds what was read of the rows up to `until`, and gives the positions of changes that newer ones made superfluous.
    fn add(&mut self, found: Vec<(Position, KeyChange)>, until: Position) -> Vec<Position> {
        let mut superfluous = Vec::new();
        for (position, change) in found {
            // Two may have read the same rows.
            if position <= self.until {
                continue;
            }
            if let KeyChange::Devices(user) = &change
                && let Some(older) = self.latest.insert(user.clone(), position)
            {
                superfluous.push(older);
            }
            self.changes.push_back((position, change));
        }
        self.until = self.until.max(until);
        if !superfluous.is_empty() {
            let gone: BTreeSet<Position> = superfluous.iter().copied().collect();
            self.changes.retain(|(position, _)| !gone.contains(position));
        }
        while self.changes.len() > limits::KEY_CHANGES_IN_MEMORY {
            let Some((position, change)) = self.changes.pop_front() else { break };
            self.floor = self.floor.max(position);
            if let KeyChange::Devices(user) = &change
                && self.latest.get(user) == Some(&position)
            {
                self.latest.remove(user);
            }
        }
        superfluous
    }

    /// Adds the changes after `since` up to `until` to `changes`.
    fn collect(&self, [since, until]: [Position; 2], viewer: &UserId, changes: &mut KeyChanges) {
        let start = self.changes.partition_point(|(position, _)| *position <= since);
        let later = self.changes.range(start..).take_while(|(position, _)| *position <= until);
        later.for_each(|(_, change)| changes.add(change, viewer));
    }
}

impl Accounts {
    /// Whose keys changed after `since`, up to `until`, as far as `viewer` may have to learn of it. A user whose keys changed
    /// again after `until` may be left out: that is told with what comes after `until`.
    ///
    /// Usually from memory.
    ///
    /// # Errors
    /// As every read.
    pub async fn device_list_changes(
        &self,
        viewer: &UserId,
        since: &Positions,
        until: &Positions,
    ) -> Result<KeyChanges, Error> {
        let mut changes = KeyChanges::default();
        for (number, until) in until.as_slice().iter().enumerate() {
            let partition = Partition(u16::try_from(number).unwrap_or(u16::MAX));
            let (since, until) = (since.of(partition), *until);
            if since >= until {
                continue;
            }
            let recent = self.changes.partition(partition);
            self.catch_up(partition, &recent, until).await?;
            let floor = {
                let recent = lock(&recent);
                recent.collect([since, until], viewer, &mut changes);
                recent.floor
            };
            if since < floor {
                let older = rows(self.store(), range(partition, since, floor.min(until))).await?;
                older.iter().for_each(|(_, change)| changes.add(change, viewer));
            }
        }
        Ok(changes)
    }

    /// Reads into `recent` what was written up to `until`.
    async fn catch_up(&self, partition: Partition, recent: &Mutex<Recent>, until: Position) -> Result<(), Error> {
        let (read, after) = {
            let recent = lock(recent);
            (recent.read, recent.until)
        };
        if read && after >= until {
            return Ok(());
        }
        if !read {
            return self.read_latest(partition, recent, until).await;
        }
        let found = rows(self.store(), range(partition, after, until)).await?;
        let superfluous = lock(recent).add(found, until);
        self.remove_changes(partition, superfluous);
        Ok(())
    }

    /// The first time: reads the latest changes, as many as are kept.
    async fn read_latest(&self, partition: Partition, recent: &Mutex<Recent>, until: Position) -> Result<(), Error> {
        let all = range(partition, Position::START, until);
        let page = self.store().scan(&all, Direction::Backward, limits::KEY_CHANGES_IN_MEMORY).await;
        let page = page.map_err(Error::storage("reading changes of keys"))?;
        let mut found = page.rows.iter().map(read_row).collect::<Result<Vec<_>, _>>()?;
        found.reverse();
        // What lies before the oldest of these was not read.
        let floor = page.rest.as_ref().and(found.first()).map_or(Position::START, |(position, _)| *position);
        let superfluous = {
            let mut recent = lock(recent);
            if recent.read {
                return Ok(());
            }
            recent.read = true;
            recent.floor = floor;
            recent.add(found, until)
        };
        self.remove_changes(partition, superfluous);
        Ok(())
    }

    fn remove_changes(&self, partition: Partition, positions: Vec<Position>) {
        if positions.is_empty() {
            return;
        }
        let store = self.store_handle();
        base::task::spawn(async move {
            let mut batch = Batch::new();
            positions.iter().for_each(|position| batch.delete(&change_key(partition, *position)));
            if let Err(error) = store.commit(batch).await {
                tracing::debug!(%error, "superfluous changes of keys are still there");
            }
        });
    }
}

async fn rows(store: &Store, mut range: KeyRange) -> Result<Vec<(Position, KeyChange)>, Error> {
    let mut found = Vec::new();
    loop {
        let page = store.scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
        let page = page.map_err(Error::storage("reading changes of keys"))?;
        for row in &page.rows {
            found.push(read_row(row)?);
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(found),
        }
    }
}
