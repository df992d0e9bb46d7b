//! People and devices: login, sessions, device and cross-signing keys, the to-device inbox, push rules, account data.
//!
//! **Invariant.** Nothing here knows a room. What happens to an account that others must learn of is a log entry, written in
//! the same batch.
//!
//! Where to go: [`accounts`] is the handle that all above this crate hold; [`account`] makes accounts and says how they
//! stand; [`account_data`] is what clients keep with them; [`session`] has devices and tokens; `password` hashes passwords; [`user`] says how rows are filed under a user;
//! [`error`] what can go wrong.

pub mod account;
pub mod account_data;
pub mod accounts;
pub mod error;
#[cfg(test)]
mod fixture;
mod fresh;
mod password;
pub mod session;
pub mod user;

pub use account::register::{NewAccount, Registered, Role};
pub use account_data::{ACCOUNT_DATA_CHANGED, AccountData, AccountDataLog};
pub use accounts::{Accounts, AccountsOptions, PasswordCost, TokenLifetimes};
pub use error::{Error, Refusal};
pub use session::{LoggedIn, NewDevice, Session, TokenKind, Which};
