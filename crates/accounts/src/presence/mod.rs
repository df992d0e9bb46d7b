//! Who is here (<https://spec.matrix.org/v1.19/client-server-api/#presence>), in memory only: after a restart everybody is
//! away until they show themselves, which is the truth.
//!
//! Changes are counted. Who tells others of them remembers up to which count it has, asks for what came after, and may
//! [watch](Presence::watch) the count.
//!
//! Must not decide who may see whom: that depends on rooms.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::clock::Monotonic;
use base::collections::HashMap;
use base::{Clock, limits};
use ruma::presence::PresenceState;
use ruma::{OwnedUserId, UserId};
use tokio::sync::watch;

use crate::accounts::Accounts;
use crate::error::Refusal;

/// Whether a user is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Whether it is.
    pub state: PresenceState,
    /// What it says beside that.
    pub status_msg: Option<String>,
    /// How long ago it last did something; `None`: not since the server started.
    pub last_active_ago: Option<Duration>,
    /// Whether that was just now.
    pub currently_active: bool,
}

struct Known {
    state: PresenceState,
    status_msg: Option<String>,
    last_active: Monotonic,
    currently_active: bool,
    /// When it counts as away if it has not shown itself again.
    away_at: Monotonic,
    version: u64,
}

impl Known {
    /// What others can see change; that time passes they see for themselves.
    fn visible(&self) -> (&PresenceState, &Option<String>, bool) {
        (&self.state, &self.status_msg, self.currently_active)
    }

    /// Lets time pass.
    fn age(&mut self, now: Monotonic) {
        let idle = now.since(self.last_active);
        self.currently_active &= idle < limits::PRESENCE_ACTIVE && self.state == PresenceState::Online;
        if self.state == PresenceState::Offline {
            return;
        }
        if now >= self.away_at {
            self.state = PresenceState::Offline;
        } else if self.state == PresenceState::Online && idle >= limits::PRESENCE_IDLE {
            self.state = PresenceState::Unavailable;
        }
    }
}

#[derive(Default)]
struct Inner {
    users: HashMap<OwnedUserId, Known>,
    /// Users by the version of their last change.
    order: BTreeMap<u64, OwnedUserId>,
    version: u64,
}

impl Inner {
    /// Changes what is known of `user`, and counts it if others can see the change.
    fn change(&mut self, user: &UserId, now: Monotonic, change: impl FnOnce(&mut Known)) {
        if !self.users.contains_key(user) {
            self.make_room();
            let known = Known {
                state: PresenceState::Offline,
                status_msg: None,
                last_active: now,
                currently_active: false,
                away_at: now,
                version: 0,
            };
            self.users.insert(user.to_owned(), known);
        }
        let Some(known) = self.users.get_mut(user) else { return };
        let before = (known.state.clone(), known.status_msg.clone(), known.currently_active);
        change(known);
        if (&before.0, &before.1, before.2) != known.visible() {
            self.version += 1;
            self.order.remove(&known.version);
            known.version = self.version;
            self.order.insert(self.version, user.to_owned());
        } else if known.version == 0 {
            // Nobody has seen anything of this user yet, and there is nothing to see.
            self.users.remove(user);
        }
    }

    /// Forgets whoever changed least lately, when there are too many.
    fn make_room(&mut self) {
        if self.users.len() >= limits::PRESENCE_USERS
            && let Some((_, user)) = self.order.pop_first()
        {
            self.users.remove(&user);
        }
    }
}

/// The presence of users.
pub struct Presence {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
    clock: Clock,
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the presence of users")
    }
}

impl Presence {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { inner: Mutex::default(), version: watch::Sender::new(0), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, user: &UserId, change: impl FnOnce(&mut Known, Monotonic)) {
        let now = self.clock.monotonic();
        let version = {
            let mut inner = self.lock();
            inner.change(user, now, |known| {
                known.age(now);
                change(known, now);
            });
            inner.version
        };
        self.announce(version);
    }

    fn announce(&self, version: u64) {
        self.version.send_if_modified(|known| {
            let moved = *known < version;
            *known = version.max(*known);
            moved
        });
    }

    /// What `user` says of itself. Without a message it says nothing any more.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for a state that is none, or a message that is too long.
    pub fn set(&self, user: &UserId, state: PresenceState, status_msg: Option<String>) -> Result<(), Refusal> {
        if !matches!(state, PresenceState::Online | PresenceState::Unavailable | PresenceState::Offline) {
            return Err(Refusal::invalid("there is no such presence"));
        }
        if status_msg.as_ref().is_some_and(|text| text.len() > limits::PRESENCE_STATUS_BYTES) {
            return Err(Refusal::invalid("the status message is too long"));
        }
        self.change(user, |known, now| {
            known.away_at = now.after(limits::PRESENCE_AWAY);
            known.last_active = now;
            known.currently_active = state == PresenceState::Online;
            known.state = state;
            known.status_msg = status_msg.filter(|text| !text.is_empty());
        });
        Ok(())
    }

    /// A device of `user` syncs, for up to `lasting` from now, and says so with this presence. `offline` means that the sync
    /// says nothing of it.
    pub fn note_sync(&self, user: &UserId, state: &PresenceState, lasting: Duration) {
        if !matches!(state, PresenceState::Online | PresenceState::Unavailable) {
            return;
        }
        self.change(user, |known, now| {
            known.away_at = known.away_at.max(now.after(lasting.saturating_add(limits::PRESENCE_AWAY)));
            let came_back = known.state == PresenceState::Offline;
            if *state == PresenceState::Unavailable {
                known.state = PresenceState::Unavailable;
                known.currently_active = false;
            } else if came_back || now.since(known.last_active) < limits::PRESENCE_IDLE {
                // A device that only listens does not keep its user active.
                known.state = PresenceState::Online;
                if came_back {
                    known.last_active = now;
                    known.currently_active = true;
                }
            }
        });
    }

    /// `user` did something that takes a person: said something, or read it.
    pub fn note_active(&self, user: &UserId) {
        let now = self.clock.monotonic();
        // Asked at every message: mostly nothing changes that others see, and then nobody is woken.
        self.change(user, |known, _| {
            known.last_active = now;
            if known.state != PresenceState::Offline {
                known.state = PresenceState::Online;
                known.currently_active = true;
            }
        });
    }

    /// Whether `user` is here.
    pub fn of(&self, user: &UserId) -> UserPresence {
        let now = self.clock.monotonic();
        self.lock().users.get_mut(user).map_or_else(away, |known| shown(known, now))
    }

    /// Those whose presence changed after `version`, as it is now, oldest change first. From 0: all who have shown
    /// themselves.
    pub fn since(&self, version: u64) -> Vec<(OwnedUserId, UserPresence)> {
        let now = self.clock.monotonic();
        let inner = self.lock();
        let changed = inner.order.range(version.saturating_add(1)..).map(|(_, user)| user);
        let changed = changed.filter_map(|user| Some((user.clone(), shown(inner.users.get(user)?, now))));
        changed.collect()
    }

    /// The count of the last change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Follows that count.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Lets time pass for everybody: who has not shown themselves for long is away. To be called every
    /// [`limits::PRESENCE_EVERY`].
    pub fn expire(&self) {
        let now = self.clock.monotonic();
        let version = {
            let mut inner = self.lock();
            let aged = inner.users.iter().filter(|(_, known)| is_due(known, now)).map(|(user, _)| user.clone());
            for user in aged.collect::<Vec<_>>() {
                inner.change(&user, now, |known| known.age(now));
            }
            inner.version
        };
        self.announce(version);
    }
}

fn is_due(known: &Known, now: Monotonic) -> bool {
    let idle = now.since(known.last_active);
    (known.currently_active && idle >= limits::PRESENCE_ACTIVE)
        || (known.state != PresenceState::Offline && now >= known.away_at)
        || (known.state == PresenceState::Online && idle >= limits::PRESENCE_IDLE)
}

fn away() -> UserPresence {
    UserPresence { state: PresenceState::Offline, status_msg: None, last_active_ago: None, currently_active: false }
}

fn shown(known: &Known, now: Monotonic) -> UserPresence {
    UserPresence {
        state: known.state.clone(),
        status_msg: known.status_msg.clone(),
        last_active_ago: Some(now.since(known.last_active)),
        currently_active: known.currently_active,
    }
}

impl Accounts {
    /// Who is here.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }
}
