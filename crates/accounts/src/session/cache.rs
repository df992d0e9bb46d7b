//! Sessions by their access token, in memory. What is kept is never older than [`limits::SESSION_CACHE_AGE`], and what this
//! process itself ends is forgotten at once.

use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::Monotonic;
use base::collections::SeededState;
use base::limits;
use moka::sync::Cache;

use crate::session::KnownSession;
use crate::session::token::TokenHash;

#[derive(Clone)]
struct Kept {
    known: KnownSession,
    read_at: Monotonic,
}

/// The sessions that are known.
pub(crate) struct SessionCache {
    kept: Cache<TokenHash, Kept, SeededState>,
    /// Counts what was forgotten. Who read a session while it changed must not keep what it read.
    epoch: AtomicU64,
}

impl SessionCache {
    pub(crate) fn new() -> Self {
        let kept = Cache::builder()
            .weigher(|_, kept: &Kept| weight(&kept.known))
            .max_capacity(limits::SESSION_CACHE_BYTES)
            .build_with_hasher(SeededState::default());
        Self { kept, epoch: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, hash: TokenHash, now: Monotonic) -> Option<KnownSession> {
        let kept = self.kept.get(&hash)?;
        (now.since(kept.read_at) < limits::SESSION_CACHE_AGE).then_some(kept.known)
    }

    /// To be asked for before a session is read that is then [put](Self::put).
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Keeps `known`, unless something was forgotten since `epoch`.
    pub(super) fn put(&self, hash: TokenHash, known: KnownSession, read_at: Monotonic, epoch: u64) {
        self.kept.insert(hash, Kept { known, read_at });
        // Whoever forgets counts first and removes then: either this sees the count, or what it put is removed.
        if self.epoch() != epoch {
            self.kept.invalidate(&hash);
        }
    }

    /// Forgets a session, after the change to it is durable.
    pub(crate) fn forget(&self, hash: TokenHash) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.kept.invalidate(&hash);
    }
}

/// About what a session takes in memory, in bytes: its ids, and what the maps and the record have beside them.
fn weight(known: &KnownSession) -> u32 {
    let ids = known.session.user_id.as_str().len() + known.session.device_id.as_str().len();
    u32::try_from(ids + 300).unwrap_or(u32::MAX)
}
