//! Who is typing (<https://spec.matrix.org/v1.19/client-server-api/#typing-notifications>), in memory only: a restart forgets
//! it, and nobody minds. Everything is bounded; who types beyond a bound is not shown.
//!
//! A version counts the changes of all rooms. Who has seen version 7 and finds a room at 9 has something to learn of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::clock::Monotonic;
use base::collections::HashMap;
use base::{Clock, limits, task};
use ruma::{OwnedUserId, RoomId, UserId};
use tokio::sync::{Notify, broadcast};

use crate::error::Error;
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// Who types in a room now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypingNow {
    /// When that last changed; 0 when nobody has typed there since the start of the process.
    pub version: u64,
    /// They, in order.
    pub users: Vec<OwnedUserId>,
}

#[derive(Debug, Default)]
struct RoomTyping {
    version: u64,
    until: BTreeMap<OwnedUserId, Monotonic>,
    /// The task that waits for the first to expire, while there is one: it is told of an earlier one.
    waiting: Option<Arc<Notify>>,
}

#[derive(Debug, Default)]
struct All {
    version: u64,
    rooms: HashMap<RoomNumber, RoomTyping>,
}

/// Who is typing where.
#[derive(Debug)]
pub struct Typing {
    clock: Clock,
    // A mutex: it is held for a look-up, and never across an await.
    all: Mutex<All>,
    changes: broadcast::Sender<RoomNumber>,
}

impl Typing {
    pub(super) fn new(clock: Clock) -> Self {
        let (changes, _) = broadcast::channel(limits::TYPING_CHANGES);
        Self { clock, all: Mutex::default(), changes }
    }

    /// Who types in `room`.
    pub fn now(&self, room: RoomNumber) -> TypingNow {
        let all = self.lock();
        let Some(typing) = all.rooms.get(&room) else { return TypingNow::default() };
        TypingNow { version: typing.version, users: typing.until.keys().cloned().collect() }
    }

    /// The version after all changes there were.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The rooms in which it changes who types, from now on. Who falls behind is told so, and has to look everywhere.
    pub fn changes(&self) -> broadcast::Receiver<RoomNumber> {
        self.changes.subscribe()
    }

    /// `user` types in `room` for as long as `timeout`, or does not any more.
    pub fn set(self: &Arc<Self>, room: RoomNumber, user: &UserId, timeout: Option<Duration>) {
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).map(|timeout| timeout.min(limits::TYPING_LONGEST));
        let mut all = self.lock();
        let Some(timeout) = timeout else {
            let typing = all.rooms.get_mut(&room);
            // The task that waits finds nobody left when the time would have been over, and ends.
            if typing.is_some_and(|typing| typing.until.remove(user).is_some()) {
                self.changed(&mut all, room);
            }
            return;
        };
        if !all.make_room_for(room) {
            return;
        }
        let typing = all.rooms.entry(room).or_default();
        if typing.until.len() >= limits::TYPING_IN_ROOM && !typing.until.contains_key(user) {
            return;
        }
        let until = self.clock.monotonic().after(timeout);
        let is_new = typing.until.insert(user.to_owned(), until).is_none();
        match &typing.waiting {
            Some(waiting) => waiting.notify_one(),
            None => {
                // One task for each room where somebody types; it ends when nobody does.
                let waiting = typing.waiting.insert(Arc::default());
                task::spawn(Arc::clone(self).expire(room, Arc::clone(waiting)));
            }
        }
        if is_new {
            self.changed(&mut all, room);
        }
    }

    async fn expire(self: Arc<Self>, room: RoomNumber, waiting: Arc<Notify>) {
        while let Some(wait) = self.expired(room) {
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = waiting.notified() => {}
            }
        }
    }

    /// Forgets those whose time is over; the time until the next one's is, if there is one.
    fn expired(&self, room: RoomNumber) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut all = self.lock();
        let typing = all.rooms.get_mut(&room)?;
        let before = typing.until.len();
        typing.until.retain(|_, until| *until > now);
        let next = typing.until.values().min().map(|until| until.since(now));
        if next.is_none() {
            typing.waiting = None;
        }
        if typing.until.len() != before {
            self.changed(&mut all, room);
        }
        next
    }

    fn changed(&self, all: &mut All, room: RoomNumber) {
        all.version += 1;
        if let Some(typing) = all.rooms.get_mut(&room) {
            typing.version = all.version;
        }
        // Nobody may be listening.
        let _ = self.changes.send(room);
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Whether there is room for `room`; if need be, rooms where it has been quiet the longest are forgotten.
    fn make_room_for(&mut self, room: RoomNumber) -> bool {
        if self.rooms.len() < limits::TYPING_ROOMS || self.rooms.contains_key(&room) {
            return true;
        }
        let quiet = self.rooms.values().filter(|typing| typing.until.is_empty());
        let mut versions: Vec<u64> = quiet.map(|typing| typing.version).collect();
        versions.sort_unstable();
        // Half of them at once, so that not every new one looks through all.
        let Some(last) = versions.get(versions.len() / 2).copied() else { return false };
        self.rooms.retain(|_, typing| !typing.until.is_empty() || typing.version > last);
        true
    }
}

impl Rooms {
    /// Who types where.
    pub fn typing(&self) -> &Arc<Typing> {
        &self.notice().typing
    }

    /// A user of this server, who must be in `room_id`, types there for as long as `timeout`, or does not any more.
    /// <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid>
    ///
    /// # Errors
    /// [`crate::Refusal::NotJoined`]; as every read.
    pub async fn types(&self, room_id: &RoomId, user: &UserId, timeout: Option<Duration>) -> Result<(), Error> {
        let room = self.joined_room(room_id, user).await?;
        self.typing().set(room, user, timeout);
        Ok(())
    }
}
