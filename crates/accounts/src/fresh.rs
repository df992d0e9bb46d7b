//! A bounded memory of what was read from the store. What is kept is never older than the cache allows, which bounds how
//! long another node's change goes unnoticed; what this process itself changes is forgotten at once.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::clock::Monotonic;
use base::collections::SeededState;
use moka::sync::Cache;

#[derive(Clone)]
struct Kept<V> {
    value: V,
    read_at: Monotonic,
}

/// To be taken before something is read that is then [put](Fresh::put).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: Monotonic,
    epoch: u64,
}

/// What was read lately.
pub(crate) struct Fresh<K, V> {
    kept: Cache<K, Kept<V>, SeededState>,
    age: Duration,
    /// Counts what was forgotten. Who read something while it changed must not keep what it read.
    epoch: AtomicU64,
}

impl<K, V> Fresh<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps at most `bytes`, by what `weigh` says that a value takes, each for `age` at most.
    pub(crate) fn new(bytes: u64, age: Duration, weigh: fn(&V) -> usize) -> Self {
        let kept = Cache::builder()
            .weigher(move |_, kept: &Kept<V>| u32::try_from(weigh(&kept.value)).unwrap_or(u32::MAX))
            .max_capacity(bytes)
            .build_with_hasher(SeededState::default());
        Self { kept, age, epoch: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, key: &K, now: Monotonic) -> Option<V> {
        let kept = self.kept.get(key)?;
        (now.since(kept.read_at) < self.age).then_some(kept.value)
    }

    pub(crate) fn begin(&self, now: Monotonic) -> Reading {
        Reading { at: now, epoch: self.epoch.load(Ordering::SeqCst) }
    }

    /// Keeps `value`, unless something was forgotten since it began to be read.
    pub(crate) fn put(&self, key: K, value: V, reading: Reading) {
        self.kept.insert(key, Kept { value, read_at: reading.at });
        // Whoever forgets counts first and removes then: either this sees the count, or what it put is removed.
        if self.epoch.load(Ordering::SeqCst) != reading.epoch {
            self.kept.invalidate(&key);
        }
    }

    /// Forgets what was read under `key`, after the change to it is durable.
    pub(crate) fn forget(&self, key: &K) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.kept.invalidate(key);
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, Timestamp};

    use super::*;

    fn cache() -> Fresh<u8, u8> {
        Fresh::new(1_000, Duration::from_secs(60), |_| 1)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_read_again() {
        let (cache, clock) = (cache(), Clock::simulated(Timestamp(0)));
        cache.put(1, 7, cache.begin(clock.monotonic()));
        assert_eq!(cache.get(&1, clock.monotonic()), Some(7));
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(cache.get(&1, clock.monotonic()), None);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (cache, clock) = (cache(), Clock::simulated(Timestamp(0)));
        let reading = cache.begin(clock.monotonic());
        cache.forget(&1);
        cache.put(1, 7, reading);
        assert_eq!(cache.get(&1, clock.monotonic()), None);
    }
}
