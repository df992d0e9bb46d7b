//! Making accounts. Who may make one is decided by [`crate::registration`].

use base::{Secret, limits};
use ruma::{OwnedUserId, UserId};
use storage::Batch;

use crate::account::record::Existence;
use crate::account::{AccountKind, AccountRecord, account_key};
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::profile::{ProfileRecord, StoredProfile, put_profile};
use crate::session::{LoggedIn, NewDevice, NewSession};

/// Who is to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// The local part of the user id; `None`: one is made up.
    pub username: Option<String>,
    /// `None` for who cannot log in with a password.
    pub password: Option<Secret<String>>,
    /// What the user is called at first.
    pub display_name: Option<String>,
    /// What may be done beyond what all may.
    pub role: Role,
    /// The device to log in at once; `None`: none is.
    pub device: Option<NewDevice>,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// What users do.
    #[default]
    User,
    /// What guests may (<https://spec.matrix.org/v1.19/client-server-api/#guest-access>).
    Guest,
    /// Everything.
    Admin,
}

/// An account that was made.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The session, if one was asked for.
    pub session: Option<LoggedIn>,
}

impl Accounts {
    /// Makes an account, and a session of it if asked to, all at once or not at all.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`], [`Refusal::UserInUse`], [`Refusal::WeakPassword`]; as every commit.
    pub async fn register(&self, new: NewAccount) -> Result<Registered, Error> {
        self.register_with(new, |_| {}).await
    }

    /// As [`Accounts::register`]; `also` adds to the batch what must happen with it, or must hold for it.
    pub(crate) async fn register_with(&self, new: NewAccount, also: impl Fn(&mut Batch)) -> Result<Registered, Error> {
        let user_id = self.new_user_id(&new).await?;
        let password = match &new.password {
            Some(password) => Some(self.passwords.hash(password.expose(), self.store().random()).await?),
            None => None,
        };
        let account = AccountRecord {
            user_id: user_id.clone(),
            created: self.store().clock().now(),
            kind: if new.role == Role::Guest { AccountKind::Guest } else { AccountKind::User },
            password,
            existence: Existence::Active,
            admin: new.role == Role::Admin,
            locked: false,
            suspended: false,
        };
        let key = account_key(&user_id);
        let mut batch = Batch::new();
        batch.require_absent(&key);
        batch.put_record(&key, &account);
        if new.role != Role::Guest {
            let profile = ProfileRecord::named(new.display_name.as_deref().unwrap_or_default())?;
            put_profile(&mut batch, &user_id, &StoredProfile::default(), Some(&profile));
        }
        also(&mut batch);
        let session = match &new.device {
            Some(device) => {
                let session = NewSession::begin(self, &user_id, device, None)?;
                session.put(self, &mut batch);
                Some(session.logged_in)
            }
            None => None,
        };
        match self.commit("making an account", batch).await {
            Err(error) if error.is_conflict() && self.account(&user_id).await?.is_some() => {
                Err(Refusal::UserInUse.into())
            }
            outcome => outcome.map(|_| Registered { user_id, session }),
        }
    }

    /// The id that the new account gets. That nobody has it is checked again when it is made.
    async fn new_user_id(&self, new: &NewAccount) -> Result<OwnedUserId, Error> {
        if let Some(name) = &new.username {
            return self.check_username(name).await;
        }
        // Digits alone are what guests are called.
        let made_up = match new.role {
            Role::Guest => self.store().random().below(10_u64.pow(15)).to_string(),
            Role::User | Role::Admin => format!("u{:016x}", self.store().random().next_u64()),
        };
        self.user_id_of(&made_up).ok_or_else(|| Error::damaged("a made-up user name is none"))
    }

    /// Whether `name` may be the local part of a new user's id, and nobody has it: then the id.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`], [`Refusal::UserInUse`]; as every read.
    pub async fn check_username(&self, name: &str) -> Result<OwnedUserId, Error> {
        let invalid = |what| Error::from(Refusal::InvalidUsername { what });
        let name = name.to_lowercase();
        if name.is_empty() {
            return Err(invalid("it is empty"));
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/+".contains(&byte);
        if !name.bytes().all(allowed) {
            return Err(invalid("it may have a-z, 0-9 and ._=-/+ only"));
        }
        if name.starts_with('_') {
            return Err(invalid("it may not begin with an underscore"));
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("digits alone are kept for guests"));
        }
        let id = self.user_id_of(&name).ok_or_else(|| invalid("it is too long"))?;
        if id.as_bytes().len() > limits::ID_BYTES {
            return Err(invalid("it is too long"));
        }
        if self.account(&id).await?.is_some() {
            return Err(Refusal::UserInUse.into());
        }
        Ok(id)
    }

    /// The user of this server with the local part `name`; `None` when no user can be called that.
    pub(crate) fn user_id_of(&self, name: &str) -> Option<OwnedUserId> {
        UserId::parse(format!("@{name}:{}", self.server())).ok()
    }
}
