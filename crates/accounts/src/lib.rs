//! People and devices: login, sessions, device and cross-signing keys, the to-device inbox, push rules, account data.
//!
//! **Invariant.** Nothing here knows a room. What happens to an account that others must learn of is a log entry, written in
//! the same batch.
//!
//! Where to go: [`accounts`] is the handle that all above this crate hold; [`user`] says how rows are filed under a user;
//! [`error`] what can go wrong.

pub mod accounts;
pub mod error;
pub mod user;

pub use accounts::{Accounts, AccountsOptions, PasswordCost};
pub use error::Error;
