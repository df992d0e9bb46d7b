//! Accounts themselves: who there is, and how they stand with this server.
//!
//! Where to go: `record` is what is stored of one; [`mod@register`] makes them; `standing` locks and suspends.

mod record;
pub mod register;
pub mod standing;

#[cfg(test)]
mod tests;

use ruma::UserId;
use storage::{Key, Version};

use crate::accounts::Accounts;
use crate::error::Error;

pub use standing::{ACCOUNT_CHANGED, AccountChange, AccountLog, Erase, Standing};

pub(crate) use record::{AccountKind, AccountRecord, Existence, account_key};

impl Accounts {
    /// What is stored of `user`, with its version.
    pub(crate) async fn account(&self, user: &UserId) -> Result<Option<(AccountRecord, Version)>, Error> {
        let key: Key = account_key(user);
        self.store().get_record(&key).await.map_err(Error::storage("reading an account"))
    }

    /// Whether there is an account of `user`, also one that was deactivated.
    ///
    /// # Errors
    /// As every read.
    pub async fn exists(&self, user: &UserId) -> Result<bool, Error> {
        Ok(user.server_name() == self.server() && self.account(user).await?.is_some())
    }
}
