//! Which users of this server are in a room: what the follower must know to ring their bells. Loaded when something happens
//! in a room while anybody waits, kept up by the room's own changes, forgotten when there are too many.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base::collections::{HashMap, HashSet};
use base::limits;
use rooms::{RoomNumber, Rooms};

use crate::error::Error;
use crate::follow::UserKey;

#[derive(Debug, Default)]
struct Known {
    rooms: HashMap<RoomNumber, HashSet<UserKey>>,
    /// Rooms in the order in which they were loaded.
    order: VecDeque<RoomNumber>,
    users: usize,
}

/// Users of this server by the rooms they are joined to.
#[derive(Debug, Default)]
pub(crate) struct Members {
    known: Mutex<Known>,
}

impl Members {
    /// The users of this server who are in `room`.
    ///
    /// # Errors
    /// As every read.
    pub(crate) async fn of(&self, rooms: &Rooms, room: RoomNumber) -> Result<Vec<UserKey>, Error> {
        if let Some(users) = self.lock().rooms.get(&room) {
            return Ok(users.iter().copied().collect());
        }
        let members = rooms::append::members(rooms.store(), room).await?;
        let local = members.into_iter().filter(|member| member.membership == "join");
        let local = local.filter(|member| member.user.server_name() == rooms.server());
        let users: HashSet<UserKey> = local.map(|member| UserKey::of(&member.user)).collect();
        let list = users.iter().copied().collect();
        self.lock().add(room, users);
        Ok(list)
    }

    /// Notes that a user has joined `room`, or is not in it any more.
    pub(crate) fn note(&self, room: RoomNumber, user: UserKey, joined: Joined) {
        let mut known = self.lock();
        let Some(users) = known.rooms.get_mut(&room) else { return };
        let changed = match joined {
            Joined::Now => users.insert(user),
            Joined::NoMore => users.remove(&user),
        };
        match joined {
            Joined::Now if changed => known.users += 1,
            Joined::NoMore if changed => known.users -= 1,
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// From now on.
    Now,
    /// Not any more.
    NoMore,
}

impl Known {
    fn add(&mut self, room: RoomNumber, users: HashSet<UserKey>) {
        self.users += users.len();
        match self.rooms.insert(room, users) {
            // Two loaded it at once.
            Some(before) => self.users -= before.len(),
            None => self.order.push_back(room),
        }
        while self.users > limits::SYNC_MEMBERS && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { return };
            self.users -= self.rooms.remove(&oldest).map(|users| users.len()).unwrap_or_default();
        }
    }
}
