//! Who may make an account: nobody, who has a token, or everybody; and scripts that know a secret.
//!
//! Where to go: `tokens` are the registration tokens; `shared_secret` is for scripts. Accounts themselves are made by
//! [`Accounts::register`].

mod shared_secret;
mod tokens;

#[cfg(test)]
mod tests;

use base::Secret;

use crate::account::register::{NewAccount, Registered, Role};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::session::NewDevice;
use crate::uia::{Asked, Attempt, Stage};

pub(crate) use shared_secret::Nonces;
pub use shared_secret::SecretRegistration;
pub use tokens::{RegistrationToken, TokenTerms};

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Nobody but by the shared secret and administrators.
    #[default]
    Closed,
    /// Who has a registration token.
    Token,
    /// Everybody.
    Open,
}

/// Whether guests are let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guests {
    /// They are not.
    #[default]
    Refused,
    /// They are.
    Welcome,
}

/// What the operator has decided about who may make an account.
#[derive(Clone, Debug, Default)]
pub struct RegistrationOptions {
    /// Who may.
    pub mode: RegistrationMode,
    /// Registration tokens that exist from the first start.
    pub tokens: Vec<Secret<String>>,
    /// The secret with which scripts may.
    pub shared_secret: Option<Secret<String>>,
    /// Whether guests are let in.
    pub guests: Guests,
}

/// What somebody says who wants an account (<https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>).
#[derive(Clone, Debug, Default)]
pub struct WantedAccount {
    /// The local part of the user id; `None`: one is made up.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret<String>>,
    /// The device to log in at once; `None`: none is.
    pub device: Option<NewDevice>,
}

impl Accounts {
    /// Makes an account for somebody who is nobody yet, if they may have one.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when nobody may; [`Error::MoreAuth`] with what is to be proven first;
    /// [`Refusal::MissingParam`] without a password; as [`Accounts::register`].
    pub async fn register_by_user(
        &self,
        wanted: WantedAccount,
        attempt: Option<&Attempt>,
    ) -> Result<Registered, Error> {
        let flows: &[&[Stage]] = match self.options().registration.mode {
            RegistrationMode::Closed => return Err(closed().into()),
            RegistrationMode::Token => &[&[Stage::RegistrationToken]],
            RegistrationMode::Open => &[&[Stage::Dummy]],
        };
        if let Some(name) = &wanted.username {
            self.check_username(name).await?;
        }
        if let Some(password) = &wanted.password {
            crate::password::check(password.expose())?;
        }
        let proven = self.prove(Asked { operation: "register", user: None, flows }, attempt).await?;
        if wanted.password.is_none() {
            return Err(Refusal::MissingParam { what: "the password" }.into());
        }
        let WantedAccount { username, password, device } = wanted;
        let new = NewAccount { username, password, device, ..NewAccount::default() };
        match &proven.registration_token {
            Some(token) => self.register_with_token(new, token).await,
            None => self.register(new).await,
        }
    }

    /// Whether `name` may be had as a user name
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable>).
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when nobody may make an account; as [`Accounts::check_username`].
    pub async fn check_available(&self, name: &str) -> Result<(), Error> {
        if self.options().registration.mode == RegistrationMode::Closed {
            return Err(closed().into());
        }
        self.check_username(name).await.map(drop)
    }

    /// Makes a guest (<https://spec.matrix.org/v1.19/client-server-api/#guest-access>). What guests say of themselves but the
    /// name of the device is passed over.
    ///
    /// # Errors
    /// [`Refusal::GuestForbidden`]; as [`Accounts::register`].
    pub async fn register_guest(&self, display_name: Option<String>) -> Result<Registered, Error> {
        if self.options().registration.guests == Guests::Refused {
            return Err(Refusal::GuestForbidden.into());
        }
        let device = Some(NewDevice { display_name, ..NewDevice::default() });
        self.register(NewAccount { role: Role::Guest, device, ..NewAccount::default() }).await
    }
}

fn closed() -> Refusal {
    Refusal::forbidden("registration is closed on this server")
}
