//! Accounts on the memory engine, for tests.

use std::sync::Arc;

use base::{Clock, Random, Secret, Timestamp};
use ruma::{UserId, server_name};
use storage::{EngineChoice, MemoryDisk, Store, StoreOptions};

use crate::{Accounts, AccountsOptions, LoggedIn, NewAccount, NewDevice};

/// When tests begin.
pub(crate) const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) async fn store(disk: &MemoryDisk) -> Arc<Store> {
    let mut options = StoreOptions::new("", EngineChoice::Memory { disk: disk.clone() });
    options.clock = Clock::simulated(EPOCH);
    options.random = Random::seeded(1);
    Arc::new(Store::open(options).await.unwrap())
}

pub(crate) fn options() -> AccountsOptions {
    AccountsOptions::for_tests(server_name!("example.org").to_owned())
}

pub(crate) async fn accounts() -> Arc<Accounts> {
    Accounts::new(store(&MemoryDisk::new()).await, options())
}

/// Makes a user with the password `secret`, logged in.
pub(crate) async fn user(accounts: &Accounts, name: &str) -> LoggedIn {
    let new = NewAccount {
        username: Some(name.to_owned()),
        password: Some(Secret::new("secret".to_owned())),
        device: Some(NewDevice::default()),
        ..NewAccount::default()
    };
    accounts.register(new).await.unwrap().session.unwrap()
}

/// Logs `user` in once more.
pub(crate) async fn login(accounts: &Accounts, user: &UserId, device: NewDevice) -> LoggedIn {
    accounts.login_with_password(user, "secret", device).await.unwrap()
}
