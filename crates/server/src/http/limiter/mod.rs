//! How much one user, or one address, may ask for (<https://spec.matrix.org/v1.19/client-server-api/#rate-limiting>).
//!
//! What is asked for falls into classes; each has a rate that goes on for ever and a burst that may be had at once. Per
//! class and user (or address) one number is kept: the time at which the burst is whole again. All of them lie in a bounded
//! table. With `limits.enabled = false` nothing is counted.
//!
//! Where to go: `class` says what falls into which class, and how much of it there may be.

mod class;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::clock::Monotonic;
use base::collections::{HashMap, SeededState};
use base::{Clock, limits};

pub(crate) use class::{Class, of_address, of_user};

use super::errors::Error;

/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;

/// Who asked how much.
#[derive(Debug)]
pub(crate) struct Limiter {
    is_enabled: bool,
    clock: Clock,
    begun: Monotonic,
    shards: [Mutex<HashMap<u64, u64>>; SHARDS],
}

impl Limiter {
    /// A limiter that has counted nothing yet.
    pub(crate) fn new(is_enabled: bool, clock: Clock) -> Self {
        let begun = clock.monotonic();
        Self { is_enabled, clock, begun, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Counts one request of `class` by `who`.
    ///
    /// # Errors
    /// `M_LIMIT_EXCEEDED`, with the wait after which the same is let through.
    pub(crate) fn take(&self, class: Class, who: impl Hash) -> Result<(), Error> {
        if !self.is_enabled {
            return Ok(());
        }
        match self.wait_for(class, who) {
            None => Ok(()),
            Some(wait) => Err(Error::limit_exceeded(wait)),
        }
    }

    /// Counts one, or says how long to wait for it.
    fn wait_for(&self, class: Class, who: impl Hash) -> Option<Duration> {
        let now = micros(self.clock.monotonic().since(self.begun));
        let (step, burst) = class.step_and_burst();
        let (step, most) = (micros(step), micros(step) * u64::from(burst));
        let key = SeededState::default().hash_one((class, who));
        let place = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        let mut shard = self.shards[place].lock().unwrap_or_else(PoisonError::into_inner);
        let whole = shard.get(&key).copied().unwrap_or_default().max(now) + step;
        if whole - now > most {
            return Some(Duration::from_micros(whole - now - most));
        }
        if shard.len() >= limits::LIMITED_KEYS / SHARDS && !shard.contains_key(&key) {
            // Who has a whole burst again need not be known. If nobody has, all begin anew: memory is bounded, and who
            // fills the table has as many addresses as entries anyway.
            shard.retain(|_, whole| *whole > now);
            if shard.len() >= limits::LIMITED_KEYS / SHARDS {
                shard.clear();
            }
        }
        shard.insert(key, whole);
        None
    }

    /// How many are being counted.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
