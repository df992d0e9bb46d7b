//! Time, as a handle that is passed in. Wall-clock time for what people and peers see, monotonic time for waiting.
//!
//! Must not be bypassed: `SystemTime::now`, `Instant::now` and `tokio::time::sleep` are forbidden elsewhere, because a
//! simulated server has a clock of its own that may run ahead, behind, or jump.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point of wall-clock time: milliseconds since 1970-01-01T00:00:00Z, as Matrix writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This point plus `duration`; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// A point of monotonic time: only differences mean anything, and it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(tokio::time::Instant);

impl Monotonic {
    /// Time from `earlier` to this point; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// This point plus `duration`.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// The server's clock. Cheap to clone; clones share the same time.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System,
    /// Virtual time: tokio's (possibly paused) clock counted from `epoch`, moved by `skew_ms`.
    Simulated {
        epoch: Timestamp,
        started: Monotonic,
        skew_ms: AtomicI64,
    },
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock that shows `epoch` now and then follows tokio's time, which a test or the simulator may pause and move.
    pub fn simulated(epoch: Timestamp) -> Self {
        Self(Arc::new(Source::Simulated { epoch, started: monotonic_now(), skew_ms: AtomicI64::new(0) }))
    }

    /// Wall-clock time now. It may jump in either direction: order things by position, not by this.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System => system_now(),
            Source::Simulated { epoch, started, skew_ms } => {
                let shown = epoch.after(monotonic_now().since(*started));
                Timestamp(shown.0.saturating_add_signed(skew_ms.load(Ordering::Relaxed)))
            }
        }
    }

    /// Monotonic time now, for measuring and for deadlines.
    pub fn monotonic(&self) -> Monotonic {
        monotonic_now()
    }

    /// Waits for `duration`. Dropping the future ends the wait.
    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        tokio::time::sleep(duration)
    }

    /// Runs `future` for at most `duration`; `None` when time ran out and the future was dropped.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(duration, future).await.ok()
    }

    /// Makes a simulated clock jump by `millis` (negative: back). The system's clock is left alone.
    pub fn jump(&self, millis: i64) {
        if let Source::Simulated { skew_ms, .. } = &*self.0 {
            skew_ms.fetch_add(millis, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn monotonic_now() -> Monotonic {
    Monotonic(tokio::time::Instant::now())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_virtual_time_and_jumps() {
        let clock = Clock::simulated(Timestamp(1_000));
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now(), Timestamp(3_601_000));
        clock.jump(-1_000);
        assert_eq!(clock.now(), Timestamp(3_600_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_gives_up_and_a_quick_answer_passes() {
        let clock = Clock::simulated(Timestamp(0));
        assert_eq!(clock.timeout(Duration::from_secs(1), std::future::pending::<()>()).await, None);
        assert_eq!(clock.timeout(Duration::from_secs(1), async { 7 }).await, Some(7));
    }

    #[test]
    fn timestamps_saturate_instead_of_wrapping() {
        assert_eq!(Timestamp(u64::MAX).after(Duration::from_secs(1)), Timestamp(u64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
