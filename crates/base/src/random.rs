//! Randomness, as a handle that is passed in: the operating system's, or a stream that follows from a seed.
//!
//! Must not be bypassed: a simulation is reproduced from its seed only if nobody draws from elsewhere. Keys and tokens
//! of a real server are drawn from [`Random::system`], which is a cryptographic generator.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// A source of random bytes. Cheap to clone; clones draw from the same stream.
#[derive(Clone)]
pub struct Random(Arc<Mutex<ChaCha20Rng>>);

impl Random {
    /// A cryptographic generator (ChaCha20) keyed by the operating system.
    ///
    /// # Panics
    /// If the operating system has no randomness to give: nothing safe can be done without it.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
    pub fn system() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system gives randomness");
        Self(Arc::new(Mutex::new(ChaCha20Rng::from_seed(seed))))
    }

    /// The stream that follows from `seed`: for tests and simulation, never for keys of a real server.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number of the full 64-bit range.
    pub fn next_u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random number in `0..bound` (zero when `bound` is zero). The bias is below `bound / 2^64`.
    pub fn below(&self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// True with a chance of `numerator` in `denominator`.
    pub fn chance(&self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        let (one, other) = (Random::seeded(7), Random::seeded(7));
        assert_eq!(one.bytes::<32>(), other.bytes::<32>());
        assert_ne!(Random::seeded(8).bytes::<32>(), other.bytes::<32>());
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let random = Random::seeded(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.below(4)).collect();
        assert!(drawn.iter().all(|n| *n < 4));
        assert!((0..4).all(|n| drawn.contains(&n)));
        assert_eq!(random.below(0), 0);
    }
}
