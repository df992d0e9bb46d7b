//! Who has pushers, in memory: most events concern nobody who has, and must cost nothing then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use accounts::{Accounts, PUSHERS_CHANGED, Pusher};
use base::shutdown::Shutdown;
use moka::sync::Cache;
use rooms::append::EVENT_ACCEPTED;
use rooms::notice::{RECEIPT_MOVED, ReceiptLog};
use rooms::state::StateRoot;
use rooms::{EventNumber, RoomNumber, Rooms};
use ruma::{OwnedUserId, UserId};
use storage::{LogEntry, Record};

use crate::error::Error;

/// Who is in a room, as long as its state and those who have pushers are the same.
type Audience = Arc<(StateRoot, u64, Vec<OwnedUserId>)>;

/// Those who have pushers.
pub(super) struct Known {
    users: Mutex<Users>,
    audiences: Cache<RoomNumber, Audience>,
    stop: OnceLock<Shutdown>,
}

#[derive(Default)]
struct Users {
    pushers: BTreeMap<OwnedUserId, Arc<Vec<Pusher>>>,
    /// Counts how often the users among them changed.
    changes: u64,
    /// An entry of the log says that they did, and it was not looked into yet.
    is_changing: bool,
}

impl Known {
    pub(super) async fn read(accounts: &Accounts) -> Result<Self, Error> {
        let mut users = Users::default();
        for user in accounts.users_with_pushers().await? {
            let pushers = accounts.pushers(&user).await?;
            users.pushers.insert(user, Arc::new(pushers));
        }
        let audiences = Cache::new(base::limits::PUSH_AUDIENCES);
        Ok(Self { users: Mutex::new(users), audiences, stop: OnceLock::new() })
    }

    /// Reads again what pushers `user` has.
    pub(super) async fn reload(&self, accounts: &Accounts, user: &UserId) -> Result<(), Error> {
        let pushers = accounts.pushers(user).await?;
        let mut users = self.lock();
        if pushers.is_empty() {
            users.pushers.remove(user);
        } else {
            users.pushers.insert(user.to_owned(), Arc::new(pushers));
        }
        users.changes += 1;
        users.is_changing = false;
        Ok(())
    }

    pub(super) fn has(&self, user: &UserId) -> bool {
        self.lock().pushers.contains_key(user)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().pushers.is_empty()
    }

    /// Whether the reader is to be shown `entry`. While nobody has a pusher it is shown next to nothing, so that nothing has
    /// to be written for it.
    pub(super) fn wants(&self, entry: &LogEntry) -> bool {
        let mut users = self.lock();
        match entry.kind {
            PUSHERS_CHANGED => {
                users.is_changing = true;
                true
            }
            RECEIPT_MOVED => {
                ReceiptLog::decode(&entry.payload).map_or(true, |log| users.pushers.contains_key(&log.user))
            }
            EVENT_ACCEPTED => users.is_changing || !users.pushers.is_empty(),
            _ => false,
        }
    }

    /// The pushers of `user`.
    pub(super) fn pushers(&self, user: &UserId) -> Arc<Vec<Pusher>> {
        self.lock().pushers.get(user).cloned().unwrap_or_default()
    }

    /// Those with pushers whom `event` of `room` may concern.
    pub(super) async fn audience(
        &self,
        rooms: &Rooms,
        room: RoomNumber,
        event: EventNumber,
    ) -> Result<Vec<OwnedUserId>, Error> {
        let (all, changes) = {
            let users = self.lock();
            (users.pushers.keys().cloned().collect::<Vec<_>>(), users.changes)
        };
        let Some(reading) = rooms.read_number(room).await? else { return Ok(Vec::new()) };
        let state = reading.state();
        let known = self.audiences.get(&room).filter(|known| (known.0, known.1) == (state, changes));
        let mut audience = match known {
            Some(known) => known.2.clone(),
            None => {
                let joined = rooms.joined_among(room, &all).await?;
                self.audiences.insert(room, Arc::new((state, changes, joined.clone())));
                joined
            }
        };
        let invited = rooms.invited_by(room, event).await?.filter(|user| all.contains(user));
        audience.extend(invited.filter(|user| !audience.contains(user)));
        Ok(audience)
    }

    pub(super) fn stop_with(&self, stop: &Shutdown) {
        self.stop.get_or_init(|| stop.clone());
    }

    /// What ends those who catch up.
    pub(super) fn stop(&self) -> Option<Shutdown> {
        self.stop.get().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
