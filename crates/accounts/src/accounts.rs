//! The handle on all accounts of a server. What it can do is in the folders beside this file, each with an `impl Accounts`
//! of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base::backoff::Backoff;
use base::limits;
use ruma::{OwnedServerName, ServerName};
use storage::{Batch, Committed, Store};

use crate::account_data::ignored::{IgnoredCache, ignored_cache};
use crate::error::Error;
use crate::keys::{ChangeIndex, Claims};
use crate::password::Passwords;
use crate::presence::Presence;
use crate::push_rules::{PushCache, push_cache};
use crate::registration::{Nonces, RegistrationOptions};
use crate::session::{SeenDevices, SessionCache, session_cache};
use crate::to_device::InboxSizes;
use crate::uia::Sessions;

pub use crate::password::PasswordCost;

/// How long tokens last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLifetimes {
    /// An access token of a client that cannot refresh it; `None`: until it logs out.
    pub access: Option<Duration>,
    /// An access token of a client that can.
    pub refreshable: Duration,
    /// A refresh token that is not used; `None`: until its client logs out.
    pub refresh: Option<Duration>,
}

impl Default for TokenLifetimes {
    fn default() -> Self {
        Self { access: None, refreshable: limits::REFRESHABLE_TOKEN_LIFETIME, refresh: None }
    }
}

/// What the operator has decided about accounts.
#[derive(Clone, Debug)]
pub struct AccountsOptions {
    /// Who we are.
    pub server: OwnedServerName,
    /// What a password's hash costs.
    pub password_cost: PasswordCost,
    /// How long tokens last.
    pub lifetimes: TokenLifetimes,
    /// Who may make an account.
    pub registration: RegistrationOptions,
}

impl AccountsOptions {
    /// What applies when nothing else is said.
    pub fn new(server: OwnedServerName) -> Self {
        Self {
            server,
            password_cost: PasswordCost::default(),
            lifetimes: TokenLifetimes::default(),
            registration: RegistrationOptions::default(),
        }
    }

    /// As [`AccountsOptions::new`], with passwords that cost next to nothing.
    pub fn for_tests(server: OwnedServerName) -> Self {
        Self { password_cost: PasswordCost::Low, ..Self::new(server) }
    }
}

/// All accounts of this server.
pub struct Accounts {
    store: Arc<Store>,
    options: AccountsOptions,
    pub(crate) passwords: Passwords,
    pub(crate) sessions: SessionCache,
    pub(crate) seen: SeenDevices,
    pub(crate) ignored: IgnoredCache,
    pub(crate) uia: Sessions,
    pub(crate) nonces: Nonces,
    pub(crate) changes: ChangeIndex,
    pub(crate) claims: Claims,
    pub(crate) inboxes: InboxSizes,
    pub(crate) push: PushCache,
    pub(crate) presence: Presence,
}

impl Accounts {
    /// The accounts in `store`.
    pub fn new(store: Arc<Store>, options: AccountsOptions) -> Arc<Self> {
        let passwords = Passwords::new(options.password_cost);
        let claims = Claims::new(Arc::clone(&store));
        let presence = Presence::new(store.clock().clone());
        Arc::new(Self {
            store,
            options,
            passwords,
            sessions: session_cache(),
            seen: SeenDevices::default(),
            ignored: ignored_cache(),
            uia: Sessions::default(),
            nonces: Nonces::default(),
            changes: ChangeIndex::default(),
            claims,
            inboxes: InboxSizes::new(),
            push: push_cache(),
            presence,
        })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store, for work that nobody waits for.
    pub(crate) fn store_handle(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// This server.
    pub fn server(&self) -> &ServerName {
        &self.options.server
    }

    /// What the operator has decided.
    pub fn options(&self) -> &AccountsOptions {
        &self.options
    }

    /// Commits `batch`; `doing` says what was being tried.
    pub(crate) async fn commit(&self, doing: &'static str, batch: Batch) -> Result<Committed, Error> {
        self.store.commit(batch).await.map_err(Error::storage(doing))
    }

    /// Waits after the given number of attempts at which others were faster.
    pub(crate) async fn pause(&self, attempts: u32) {
        let backoff = Backoff { first: limits::ACCOUNT_RETRY_FIRST, most: limits::ACCOUNT_RETRY_MOST };
        self.store.clock().sleep(backoff.wait(attempts, self.store.random())).await;
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the accounts of {}", self.options.server)
    }
}

/// Evaluates `$attempt`, a future that reads, decides and commits, until nobody else wrote first.
macro_rules! settle {
    ($accounts:expr, $attempt:expr) => {{
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome: Result<_, crate::error::Error> = $attempt.await;
            match outcome {
                Err(error) if error.is_conflict() && attempts < base::limits::ACCOUNT_ATTEMPTS => {
                    $accounts.pause(attempts).await;
                }
                Err(error) if error.is_conflict() => break Err(crate::error::Error::Busy { attempts }),
                outcome => break outcome,
            }
        }
    }};
}

pub(crate) use settle;
