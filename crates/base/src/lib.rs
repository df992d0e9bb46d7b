//! What every other crate stands on: time, randomness, hash order, tasks, positions, limits, back-off and secrets.
//!
//! **Invariant.** Nothing here knows what a message, a room or a disk is, and nothing here does I/O but reading the
//! operating system's clock and randomness. Time, randomness, spawning and hash order enter the program through this
//! crate and nowhere else (`clippy.toml` forbids the rest), so that a whole federation can run from one seed.
//!
//! Where to go: [`clock`] and [`random`] are handles that are passed in; [`task`] spawns; [`collections`] has the maps;
//! [`position`] names places in the log; [`backoff`] paces retries; [`limits`] has every bound with its reason.

pub mod backoff;
pub mod clock;
pub mod collections;
pub mod limits;
pub mod position;
pub mod random;
pub mod secret;
pub mod shutdown;
pub mod task;

pub use clock::{Clock, Timestamp};
pub use position::{Partition, Position, Positions};
pub use random::Random;
pub use secret::Secret;
