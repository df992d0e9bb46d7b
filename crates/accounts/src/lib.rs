//! People and devices: login, sessions, device and cross-signing keys, the to-device inbox, push rules, account data.
//!
//! **Invariant.** Nothing here knows a room. What happens to an account that others must learn of is a log entry, written in
//! the same batch.
//!
//! Where to go: [`accounts`] is the handle that all above this crate hold; [`account`] makes accounts and says how they
//! stand, [`registration`] who may have one; [`session`] has devices and tokens, [`expiring`] tokens for one purpose, [`uia`]
//! proofs for what is weighty; [`keys`] has what devices and users publish of themselves, [`to_device`] devices' inboxes,
//! [`backup`] their sessions, encrypted, and [`dehydrated`] devices that nobody is logged in with; [`account_data`] is what
//! clients keep with an account, [`filter`] their filters; [`push_rules`] and [`pushers`] say of what and where they are
//! notified; [`profile`] is what users say of themselves, [`presence`] whether they are here; `password` hashes passwords; [`user`] says how rows are filed
//! under a user; [`error`] what can go wrong.

pub mod account;
pub mod account_data;
pub mod accounts;
pub mod backup;
pub mod dehydrated;
pub mod error;
pub mod expiring;
pub mod filter;
#[cfg(test)]
mod fixture;
mod fresh;
pub mod keys;
mod password;
pub mod presence;
pub mod profile;
pub mod push_rules;
pub mod pushers;
pub mod registration;
pub mod session;
pub mod to_device;
pub mod uia;
pub mod user;

pub use account::register::{NewAccount, Registered, Role};
pub use account::{ACCOUNT_CHANGED, AccountChange, AccountLog, Erase, Standing};
pub use account_data::{ACCOUNT_DATA_CHANGED, AccountData, AccountDataLog};
pub use accounts::{Accounts, AccountsOptions, PasswordCost, TokenLifetimes};
pub use error::{Error, Refusal};
pub use profile::{DirectoryEntry, PROFILE_CHANGED, Profile, ProfileLog};
pub use push_rules::PushSettings;
pub use pushers::{PUSHERS_CHANGED, Pusher, PushersLog};
pub use registration::{Guests, RegistrationMode, RegistrationOptions, SecretRegistration, TokenTerms, WantedAccount};
pub use session::{LoggedIn, NewDevice, Session, TokenKind, Which};
pub use uia::{Asked, Attempt, Stage};
