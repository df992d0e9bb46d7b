//! The handle on all accounts of a server. What it can do is in the folders beside this file, each with an `impl Accounts`
//! of its own.

use std::fmt;
use std::sync::Arc;

use ruma::{OwnedServerName, ServerName};
use storage::Store;

/// How much work a password's hash costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordCost {
    /// What an attacker with the database should have to pay.
    #[default]
    Normal,
    /// Next to nothing, for tests.
    Low,
}

/// What the operator has decided about accounts.
#[derive(Clone, Debug)]
pub struct AccountsOptions {
    /// Who we are.
    pub server: OwnedServerName,
    /// What a password's hash costs.
    pub password_cost: PasswordCost,
}

/// All accounts of this server.
pub struct Accounts {
    store: Arc<Store>,
    options: AccountsOptions,
}

impl Accounts {
    /// The accounts in `store`.
    pub fn new(store: Arc<Store>, options: AccountsOptions) -> Arc<Self> {
        Arc::new(Self { store, options })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// This server.
    pub fn server(&self) -> &ServerName {
        &self.options.server
    }

    /// What the operator has decided.
    pub fn options(&self) -> &AccountsOptions {
        &self.options
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the accounts of {}", self.options.server)
    }
}
