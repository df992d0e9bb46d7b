//! Hash maps whose order follows from a seed. A real server draws the seed from the operating system, so that nobody
//! outside can aim collisions at it; a simulation sets it, so that two runs walk their maps alike.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use siphasher::sip::SipHasher13;

use crate::random::Random;

/// A hash map in seeded order.
#[expect(clippy::disallowed_types, reason = "the one place that names the standard map")]
pub type HashMap<K, V> = std::collections::HashMap<K, V, SeededState>;

/// A hash set in seeded order.
#[expect(clippy::disallowed_types, reason = "the one place that names the standard set")]
pub type HashSet<T> = std::collections::HashSet<T, SeededState>;

static KEYS: OnceLock<(u64, u64)> = OnceLock::new();

/// Sets the process's hash seed; true when it took effect, false when a map had already been made.
pub fn seed_hash_order(seed: u64) -> bool {
    KEYS.set((seed, !seed)).is_ok()
}

/// Builds SipHash-1-3 hashers keyed by the process's seed.
#[derive(Clone, Copy, Debug)]
pub struct SeededState(u64, u64);

impl Default for SeededState {
    fn default() -> Self {
        let (k0, k1) = *KEYS.get_or_init(|| {
            let random = Random::system();
            (random.next_u64(), random.next_u64())
        });
        Self(k0, k1)
    }
}

impl BuildHasher for SeededState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_one_hash_order() {
        let one: HashSet<u32> = (0..100).collect();
        let other: HashSet<u32> = (0..100).collect();
        assert!(one.iter().eq(other.iter()));
        assert!(!seed_hash_order(1), "the seed is fixed once a map exists");
    }
}
