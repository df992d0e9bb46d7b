//! A disk that becomes full, and one whose fsync fails.
