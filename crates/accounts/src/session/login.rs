//! Logging in with a password.

use ruma::{OwnedUserId, UserId};

use crate::account::{AccountRecord, Existence};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::session::{LoggedIn, NewDevice};

impl AccountRecord {
    /// Whether a session may begin.
    pub(crate) fn may_log_in(&self) -> Result<(), Refusal> {
        match self.existence {
            Existence::Active if self.locked => Err(Refusal::Locked),
            Existence::Active => Ok(()),
            Existence::Deactivated | Existence::Erased => Err(Refusal::Deactivated),
        }
    }
}

impl Accounts {
    /// Who `name` means where a user logs in: a user id of this server, or its local part, in any case. `None` for what can
    /// be nobody here.
    pub fn user_of_login(&self, name: &str) -> Option<OwnedUserId> {
        if !name.starts_with('@') {
            return self.user_id_of(&name.to_lowercase());
        }
        let id = UserId::parse(name).ok().filter(|id| id.server_name() == self.server())?;
        self.user_id_of(&id.localpart().to_lowercase())
    }

    /// Starts a session of who is called `name`, as [`Accounts::user_of_login`] understands it, with `password`.
    ///
    /// # Errors
    /// As [`Accounts::login_with_password`].
    pub async fn login_by_name(&self, name: &str, password: &str, device: NewDevice) -> Result<LoggedIn, Error> {
        let user = self.user_of_login(name).ok_or(Refusal::WrongPassword)?;
        self.login_with_password(&user, password, device).await
    }

    /// Starts a session of `user` with `password`.
    ///
    /// # Errors
    /// [`Refusal::WrongPassword`], also for who is not there, after the same time; as [`Accounts::begin_session`].
    pub async fn login_with_password(
        &self,
        user: &UserId,
        password: &str,
        device: NewDevice,
    ) -> Result<LoggedIn, Error> {
        self.check_password(user, password).await?;
        self.begin_session(user, device).await
    }

    /// Whether `password` is `user`'s.
    ///
    /// # Errors
    /// [`Refusal::WrongPassword`], also for who is not there, after the same time; [`Refusal::Deactivated`];
    /// [`Error::TooManyPasswords`]; as every read.
    pub async fn check_password(&self, user: &UserId, password: &str) -> Result<(), Error> {
        let account = if user.server_name() == self.server() { self.account(user).await? } else { None };
        let account = account.map(|(account, _)| account);
        let (existence, hash) = match account {
            Some(account) => (account.existence, account.password),
            None => (Existence::Active, None),
        };
        if existence != Existence::Active {
            return Err(Refusal::Deactivated.into());
        }
        if self.passwords.verify(password, hash).await? { Ok(()) } else { Err(Refusal::WrongPassword.into()) }
    }
}
