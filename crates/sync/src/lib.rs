//! What changed since: sync, sliding sync and wake-ups.
