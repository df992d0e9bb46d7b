//! Pacing of retries: exponential back-off with jitter, and a circuit breaker on top of it.
//!
//! Pure arithmetic over times that are passed in; it neither sleeps nor asks a clock.

use std::time::Duration;

use crate::clock::Monotonic;
use crate::random::Random;

/// How long to wait after the n-th failure in a row: doubling from `first` up to `most`, then between half and the
/// whole of that at random, so that those who failed together do not return together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (0 counts as 1).
    pub fn wait(&self, failures: u32, random: &Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.most);
        let half_micros = u64::try_from(whole.as_micros() / 2).unwrap_or(u64::MAX);
        Duration::from_micros(half_micros + random.below(half_micros.saturating_add(1)))
    }
}

/// Stops asking something that keeps failing. Closed: ask freely. Open: do not ask before the time is up. After that
/// one attempt is let through; its success closes the breaker, its failure opens it for longer.
#[derive(Clone, Debug)]
pub struct Breaker {
    backoff: Backoff,
    /// Failures in a row before the breaker opens.
    tolerance: u32,
    failures: u32,
    open_until: Option<Monotonic>,
}

impl Breaker {
    /// A closed breaker that opens at the `tolerance`-th failure in a row and then waits as `backoff` says.
    pub fn new(tolerance: u32, backoff: Backoff) -> Self {
        Self { backoff, tolerance: tolerance.max(1), failures: 0, open_until: None }
    }

    /// How long to wait before the next attempt; zero when it may be made at once.
    pub fn wait(&self, now: Monotonic) -> Duration {
        self.open_until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the breaker is open at `now`.
    pub fn is_open(&self, now: Monotonic) -> bool {
        !self.wait(now).is_zero()
    }

    /// An attempt worked, or the other side was heard from: close.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.open_until = None;
    }

    /// An attempt failed at `now`.
    pub fn failed(&mut self, now: Monotonic, random: &Random) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.tolerance {
            let beyond = self.failures - self.tolerance + 1;
            self.open_until = Some(now.after(self.backoff.wait(beyond, random)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

    #[test]
    fn waits_double_stay_jittered_and_stop_growing() {
        let random = Random::seeded(3);
        for failures in 1..200 {
            let whole = Duration::from_secs(1 << (failures - 1).min(6)).min(BACKOFF.most);
            let wait = BACKOFF.wait(failures, &random);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?} of {whole:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_opens_at_its_tolerance_and_closes_on_success() {
        let (clock, random) = (Clock::simulated(Timestamp(0)), Random::seeded(4));
        let mut breaker = Breaker::new(3, BACKOFF);
        breaker.failed(clock.monotonic(), &random);
        breaker.failed(clock.monotonic(), &random);
        assert!(!breaker.is_open(clock.monotonic()));
        breaker.failed(clock.monotonic(), &random);
        assert!(breaker.is_open(clock.monotonic()));
        clock.sleep(breaker.wait(clock.monotonic())).await;
        assert!(!breaker.is_open(clock.monotonic()));
        breaker.failed(clock.monotonic(), &random);
        assert!(breaker.is_open(clock.monotonic()), "the probe failed, so it opens again");
        breaker.succeeded();
        assert!(!breaker.is_open(clock.monotonic()));
    }
}
