//! Damage to the newest log.
