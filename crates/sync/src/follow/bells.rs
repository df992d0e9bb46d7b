//! Who waits, and how they are woken: a bell for each user with a client that waits. A client that waits costs one entry in
//! a list of the bell; a user without one costs nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::collections::HashMap;
use tokio::sync::Notify;

use crate::follow::UserKey;

/// What happened, as far as a client may or may not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// Something in a room: events, or the user's own membership.
    Room,
    /// A receipt.
    Receipt,
    /// Somebody types, or no more.
    Typing,
    /// Account data, global or of a room.
    AccountData,
    /// A message to a device.
    ToDevice,
    /// Somebody's devices.
    Devices,
    /// Somebody's presence.
    Presence,
}

const KINDS: usize = 7;

/// Which rings a client cares for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest(u8);

impl Interest {
    /// Everything.
    pub(crate) const ALL: Self = Self(0x7f);

    /// Nothing yet.
    pub(crate) const NONE: Self = Self(0);

    /// Also `ring`.
    #[must_use]
    pub(crate) const fn and(self, ring: Ring) -> Self {
        Self(self.0 | 1 << ring as u8)
    }

    const fn has(self, kind: usize) -> bool {
        self.0 >> kind & 1 == 1
    }
}

/// How often a bell has rung, by kind.
#[derive(Debug, Default)]
struct Bell {
    rung: [AtomicU32; KINDS],
    notify: Notify,
}

impl Bell {
    fn count(&self, interest: Interest) -> u32 {
        let counts = self.rung.iter().enumerate().filter(|(kind, _)| interest.has(*kind));
        counts.fold(0, |sum, (_, count)| sum.wrapping_add(count.load(Ordering::Acquire)))
    }
}

/// The bells of all users with clients that wait.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    // A mutex: it is held for a look-up, and never across an await.
    bells: Mutex<HashMap<UserKey, Arc<Bell>>>,
}

impl Bells {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Listens for `user`'s bell from now on.
    pub(crate) fn listen(self: &Arc<Self>, user: UserKey, interest: Interest) -> Listener {
        let bell = Arc::clone(self.lock().entry(user).or_default());
        let heard = bell.count(interest);
        Listener { bells: Arc::clone(self), user, bell, interest, heard }
    }

    /// Rings `user`'s bell; false when nobody listens.
    pub(crate) fn ring(&self, user: &UserKey, ring: Ring) -> bool {
        // Under the lock, so that who stops listening meanwhile sees how many hold the bell.
        let bells = self.lock();
        let Some(bell) = bells.get(user) else { return false };
        if let Some(count) = bell.rung.get(ring as usize) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        bell.notify.notify_waiters();
        true
    }

    /// Those of `users` that somebody listens for.
    pub(crate) fn listening(&self, users: &[UserKey]) -> Vec<UserKey> {
        let bells = self.lock();
        users.iter().filter(|user| bells.contains_key(*user)).copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UserKey, Arc<Bell>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for a bell. What rang since it was made, or since it last rang for it, is never missed.
#[derive(Debug)]
pub(crate) struct Listener {
    bells: Arc<Bells>,
    user: UserKey,
    bell: Arc<Bell>,
    interest: Interest,
    heard: u32,
}

impl Listener {
    /// Waits until the bell has rung for something of interest.
    pub(crate) async fn rung(&mut self) {
        loop {
            // Enrolled before looking, so that no ring falls between.
            let notified = self.bell.notify.notified();
            let count = self.bell.count(self.interest);
            if count != self.heard {
                self.heard = count;
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut bells = self.bells.lock();
        // The map's and this one: nobody else listens, and nobody can begin to while the map is locked.
        if Arc::strong_count(&self.bell) <= 2 {
            bells.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALICE: UserKey = UserKey([1; 16]);
    const BOB: UserKey = UserKey([2; 16]);

    #[tokio::test]
    async fn exactly_those_wake_who_wait_for_what_happened() {
        let bells = Arc::new(Bells::default());
        let mut all = bells.listen(ALICE, Interest::ALL);
        let mut messages = bells.listen(ALICE, Interest::NONE.and(Ring::ToDevice));
        let mut bob = bells.listen(BOB, Interest::ALL);
        assert!(bells.ring(&ALICE, Ring::Typing));
        all.rung().await;
        assert_eq!(messages.rung().now_or_never(), None);
        assert_eq!(bob.rung().now_or_never(), None);
        bells.ring(&ALICE, Ring::ToDevice);
        messages.rung().await;
        all.rung().await;
        assert_eq!(all.rung().now_or_never(), None, "each ring is heard once");
    }

    #[tokio::test]
    async fn a_ring_between_looking_and_waiting_is_heard() {
        let bells = Arc::new(Bells::default());
        let mut listener = bells.listen(ALICE, Interest::ALL);
        bells.ring(&ALICE, Ring::Room);
        listener.rung().now_or_never().expect("it rang after it was listened for");
    }

    #[test]
    fn who_does_not_wait_any_more_costs_nothing() {
        let bells = Arc::new(Bells::default());
        let (one, other) = (bells.listen(ALICE, Interest::ALL), bells.listen(ALICE, Interest::ALL));
        drop(one);
        assert!(bells.ring(&ALICE, Ring::Room));
        drop(other);
        assert!(!bells.ring(&ALICE, Ring::Room));
        assert!(bells.is_empty());
    }
}
