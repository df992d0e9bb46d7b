//! How accounts stand with this server: locked and suspended by administrators, deactivated for good; and the password.
//!
//! What changes here is in force at once: the account's row is part of every session, and the sessions in memory are
//! forgotten.

use base::Secret;
use ruma::{DeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::{Batch, Kind, Record};

use crate::account::record::Existence;
use crate::account::{AccountRecord, account_key};
use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::profile;
use crate::session::{Device, Session, Which};

/// Log entries of this kind say that an account stands otherwise; their payload is an [`AccountLog`], their partition the
/// user's.
pub const ACCOUNT_CHANGED: Kind = Kind(66);

/// What the log says of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLog {
    /// Whose it is.
    pub user: OwnedUserId,
    /// What became of it.
    pub change: AccountChange,
}

/// What became of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountChange {
    /// It was locked or unlocked, suspended or not any more, or may administer or not any more.
    Standing,
    /// It was deactivated: its user is to leave all rooms.
    Deactivated,
}

storage::first_version!(AccountLog);

/// What an administrator sees of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether its sessions are shut out.
    pub locked: bool,
    /// Whether it may read, and not act.
    pub suspended: bool,
    /// Whether it is gone for good.
    pub deactivated: bool,
}

/// Whether messages of a deactivated account are hidden from those who had not seen them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erase {
    /// They are.
    Yes,
    /// They are not.
    No,
}

impl Accounts {
    /// How `user` stands; only administrators may ask
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminlockuserid>).
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::InvalidParam`] for a user of another server, [`Refusal::NotFound`]; as every read.
    pub async fn standing(&self, admin: &Session, user: &UserId) -> Result<Standing, Error> {
        admin.may_administer()?;
        let (account, _) = self.account_here(user).await?;
        let deactivated = !account.is_active();
        Ok(Standing { locked: account.locked, suspended: account.suspended, deactivated })
    }

    /// Locks or unlocks `user`: a locked user's sessions are refused, and come back when it is unlocked.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], also for oneself and other administrators; as [`Accounts::standing`] and every commit.
    pub async fn set_locked(&self, admin: &Session, user: &UserId, locked: bool) -> Result<(), Error> {
        self.set_standing(admin, user, |account| account.locked = locked).await
    }

    /// Suspends `user`, or lets it act again.
    ///
    /// # Errors
    /// As [`Accounts::set_locked`].
    pub async fn set_suspended(&self, admin: &Session, user: &UserId, suspended: bool) -> Result<(), Error> {
        self.set_standing(admin, user, |account| account.suspended = suspended).await
    }

    async fn set_standing(
        &self,
        admin: &Session,
        user: &UserId,
        change: impl Fn(&mut AccountRecord),
    ) -> Result<(), Error> {
        // Before anything is looked up: who may not know whether there is such a user is not told.
        admin.may_administer()?;
        if admin.user_id == user {
            return Err(Refusal::forbidden("administrators cannot do this to themselves").into());
        }
        self.account_here(user).await?;
        let outcome = self.change_account(user, AccountChange::Standing, |account| {
            if account.admin {
                return Err(Refusal::forbidden("this cannot be done to an administrator"));
            }
            change(account);
            Ok(())
        });
        outcome.await.map(drop)
    }

    /// An account of this server.
    async fn account_here(&self, user: &UserId) -> Result<(AccountRecord, storage::Version), Error> {
        if user.server_name() != self.server() {
            return Err(Refusal::invalid("the user is none of this server's").into());
        }
        self.account(user).await?.ok_or_else(|| Refusal::NotFound { what: "user" }.into())
    }

    /// Gives `user` a new password.
    ///
    /// # Errors
    /// [`Refusal::WeakPassword`], [`Refusal::NotFound`]; as every commit.
    pub async fn set_password(&self, user: &UserId, password: &Secret<String>) -> Result<(), Error> {
        let hash = self.passwords.hash(password.expose(), self.store().random()).await?;
        settle!(self, async {
            let (mut account, version) = self.account(user).await?.ok_or(Refusal::NotFound { what: "user" })?;
            account.password = Some(hash.clone());
            let mut batch = Batch::new();
            Self::require_account(&mut batch, &account, version);
            batch.put_record(&account_key(user), &account);
            self.commit("setting a password", batch).await.map(drop)
        })
    }

    /// Gives `user` a new password and, but for `spared`, logs out its devices; `None`: none is.
    ///
    /// # Errors
    /// As [`Accounts::set_password`].
    pub async fn change_password(
        &self,
        user: &UserId,
        password: &Secret<String>,
        spared: Option<&DeviceId>,
    ) -> Result<(), Error> {
        let Some(spared) = spared else { return self.set_password(user, password).await };
        let hash = self.passwords.hash(password.expose(), self.store().random()).await?;
        let others = Which::AllBut(spared);
        let more = settle!(self, async {
            let (mut account, version) = self.account(user).await?.ok_or(Refusal::NotFound { what: "user" })?;
            account.password = Some(hash.clone());
            let also = |batch: &mut Batch| {
                Self::require_account(batch, &account, version);
                batch.put_record(&account_key(user), &account);
            };
            self.logout_some(user, others, also).await
        })?;
        if more { self.logout(user, others).await } else { Ok(()) }
    }

    /// From where `user` is here: for administrators, and for `user` itself
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid>).
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::InvalidParam`] for a user of another server, [`Refusal::NotFound`]; as every read.
    pub async fn whois(&self, asker: &Session, user: &UserId) -> Result<Vec<Device>, Error> {
        if asker.user_id != user {
            asker.may_administer()?;
        }
        self.account_here(user).await?;
        self.devices(user).await
    }

    /// Deactivates `user`'s account for good: nobody can log in to it or have its name. Its devices, its profile and its
    /// account data are gone; what follows in rooms does who reads the log.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn deactivate(&self, user: &UserId, erase: Erase) -> Result<(), Error> {
        let outcome = self.change_account(user, AccountChange::Deactivated, |account| {
            account.existence = match (erase, account.existence) {
                (Erase::Yes, _) | (_, Existence::Erased) => Existence::Erased,
                (Erase::No, _) => Existence::Deactivated,
            };
            account.password = None;
            account.locked = false;
            account.suspended = false;
            account.admin = false;
            Ok(())
        });
        outcome.await?;
        self.finish_deactivation(user).await
    }

    /// Removes what a deactivated account leaves behind. For who reads the log: the server may have ended before it was
    /// done. Does nothing to an account that is not deactivated.
    ///
    /// # Errors
    /// As every commit.
    pub async fn finish_deactivation(&self, user: &UserId) -> Result<(), Error> {
        let account = self.account(user).await?;
        if account.is_none_or(|(account, _)| account.is_active()) {
            return Ok(());
        }
        self.logout(user, Which::All).await?;
        self.remove_keys(user).await?;
        self.remove_account_data(user).await?;
        self.remove_filters(user).await
    }

    /// Whether messages of `user` are to be hidden from those who had not seen them before.
    ///
    /// # Errors
    /// As every read.
    pub async fn is_erased(&self, user: &UserId) -> Result<bool, Error> {
        Ok(self.account(user).await?.is_some_and(|(account, _)| account.existence == Existence::Erased))
    }

    /// Makes an administrator of `user`, or an ordinary user again. Who asks for it has proven that they may: the operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn set_admin(&self, user: &UserId, admin: bool) -> Result<(), Error> {
        let change = |account: &mut AccountRecord| {
            account.admin = admin;
            Ok(())
        };
        self.change_account(user, AccountChange::Standing, change).await.map(drop)
    }

    /// Changes an account, says so in the log, and forgets its sessions.
    async fn change_account(
        &self,
        user: &UserId,
        kind: AccountChange,
        change: impl Fn(&mut AccountRecord) -> Result<(), Refusal>,
    ) -> Result<AccountRecord, Error> {
        let outcome = settle!(self, async {
            let (mut account, version) = self.account(user).await?.ok_or(Refusal::NotFound { what: "user" })?;
            let before = account.clone();
            change(&mut account)?;
            if account == before {
                return Ok(account);
            }
            let mut batch = Batch::new();
            Self::require_account(&mut batch, &account, version);
            batch.put_record(&account_key(user), &account);
            if kind == AccountChange::Deactivated {
                self.delete_profile(&mut batch, user).await?;
            }
            let log = AccountLog { user: user.to_owned(), change: kind };
            batch.append(self.store().partition_of(user.as_str()), ACCOUNT_CHANGED, log.encode());
            self.commit("changing an account", batch).await?;
            Ok(account)
        });
        self.forget_sessions(user).await?;
        outcome
    }

    /// Takes the profile and the names in the directory away.
    async fn delete_profile(&self, batch: &mut Batch, user: &UserId) -> Result<(), Error> {
        let profile = self.stored_profile(user).await?;
        profile::put_profile(batch, user, &profile, None);
        Ok(())
    }
}
