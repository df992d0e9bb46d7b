//! What is stored of an account.

use base::Timestamp;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::Key;
use storage::table::ACCOUNT;

use crate::user::digest;

/// What kind of account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AccountKind {
    User,
    Guest,
}

/// Whether an account is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Existence {
    Active,
    Deactivated,
    /// Deactivated, and nobody who could not read a message of its before is to be shown one.
    Erased,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) user_id: OwnedUserId,
    pub(crate) created: Timestamp,
    pub(crate) kind: AccountKind,
    /// In PHC form; `None` for who cannot log in with a password.
    pub(crate) password: Option<String>,
    pub(crate) existence: Existence,
    pub(crate) admin: bool,
    pub(crate) locked: bool,
    pub(crate) suspended: bool,
}

impl AccountRecord {
    pub(crate) fn is_active(&self) -> bool {
        self.existence == Existence::Active
    }
}

storage::first_version!(AccountRecord);

pub(crate) fn account_key(user: &UserId) -> Key {
    Key::of(ACCOUNT, &digest(user))
}
