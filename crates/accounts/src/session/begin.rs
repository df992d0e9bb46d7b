//! The beginning of a session: a device, or a device that is already there, and a pair of tokens.

use std::time::Duration;

use base::{Timestamp, limits};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use storage::Batch;

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::keys::begin_device;
use crate::session::device::{DeviceRecord, Found, TokenPair};
use crate::session::logout::{DeviceChange, log_device};
use crate::session::token::{TokenHash, new_token};

/// What a client says of the device that logs in.
#[derive(Clone, Debug, Default)]
pub struct NewDevice {
    /// Its id, if it has one already; a device with this id is logged in anew.
    pub id: Option<OwnedDeviceId>,
    /// What it is called if it is new.
    pub display_name: Option<String>,
    /// Whether it can renew its access token.
    pub tokens: TokenKind,
}

/// What tokens a client can do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKind {
    /// One that lasts.
    #[default]
    Lasting,
    /// A short-lived one, and another to renew it with.
    Refreshable,
}

/// A session that has begun. This is the only time that its tokens are to be seen.
#[derive(Clone)]
pub struct LoggedIn {
    /// The user.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The token to speak with.
    pub access_token: String,
    /// The token to renew it with.
    pub refresh_token: Option<String>,
    /// How long the access token is good for.
    pub expires_in: Option<Duration>,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}, tokens not shown", self.user_id, self.device_id)
    }
}

/// A pair of tokens that was made, and what is stored of it.
pub(super) struct NewTokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) expires_in: Option<Duration>,
    pub(super) pair: TokenPair,
}

impl NewTokens {
    pub(super) fn make(accounts: &Accounts, kind: TokenKind) -> Self {
        let (random, lifetimes) = (accounts.store().random(), accounts.options().lifetimes);
        let now = accounts.store().clock().now();
        let access = new_token("hfa", random);
        let refresh = (kind == TokenKind::Refreshable).then(|| new_token("hfr", random));
        let expires_in = if refresh.is_some() { Some(lifetimes.refreshable) } else { lifetimes.access };
        let ends = |lifetime: Duration| now.after(lifetime);
        let pair = TokenPair {
            access: TokenHash::of(&access),
            access_expires: expires_in.map(ends),
            refresh: refresh.as_deref().map(TokenHash::of),
            refresh_expires: lifetimes.refresh.filter(|_| refresh.is_some()).map(ends),
        };
        Self { access, refresh, expires_in, pair }
    }
}

/// A session that begins when what [`NewSession::put`] writes is committed.
pub(crate) struct NewSession {
    found: Found,
    /// The tokens that the device had.
    replaced: Vec<TokenPair>,
    pub(crate) logged_in: LoggedIn,
}

impl NewSession {
    /// A session of `device`. `found` is the device with that id, if there is one.
    pub(crate) fn begin(
        accounts: &Accounts,
        user: &UserId,
        device: &NewDevice,
        found: Option<Found>,
    ) -> Result<Self, Refusal> {
        let id = match &device.id {
            Some(id) => id.clone(),
            None => made_up_id(accounts),
        };
        check(&id, device.display_name.as_deref())?;
        let tokens = NewTokens::make(accounts, device.tokens);
        let mut replaced = Vec::new();
        let found = match found {
            Some(mut found) => {
                replaced.push(std::mem::replace(&mut found.device.current, tokens.pair));
                replaced.extend(found.device.next.take());
                found
            }
            None => {
                let created: Timestamp = accounts.store().clock().now();
                let display_name = device.display_name.clone();
                let device = DeviceRecord { id: id.clone(), display_name, created, current: tokens.pair, next: None };
                Found { user: user.to_owned(), device, version: None }
            }
        };
        let logged_in = LoggedIn {
            user_id: user.to_owned(),
            device_id: id,
            access_token: tokens.access,
            refresh_token: tokens.refresh,
            expires_in: tokens.expires_in,
        };
        Ok(Self { found, replaced, logged_in })
    }

    /// Writes it.
    pub(crate) fn put(&self, accounts: &Accounts, batch: &mut Batch) {
        let Found { user, device, version } = &self.found;
        self.found.put(batch);
        device.current.put(batch, user, &device.id);
        self.replaced.iter().for_each(|pair| pair.delete(batch));
        if version.is_none() {
            log_device(accounts, batch, user, &device.id, DeviceChange::Added);
            begin_device(accounts, batch, user, &device.id);
        }
    }

    /// Once committed: the tokens that the device had are no longer good.
    pub(super) fn begun(self, accounts: &Accounts) -> LoggedIn {
        self.replaced.iter().for_each(|pair| accounts.sessions.forget(&pair.access));
        self.logged_in
    }
}

/// Whether a device may be called that.
pub(super) fn check(id: &OwnedDeviceId, display_name: Option<&str>) -> Result<(), Refusal> {
    let id = id.as_str();
    if id.is_empty() || id.len() > limits::DEVICE_ID_BYTES || id.contains('\0') {
        return Err(Refusal::invalid(format!("a device id has 1 to {} bytes", limits::DEVICE_ID_BYTES)));
    }
    check_name(display_name)
}

pub(super) fn check_name(display_name: Option<&str>) -> Result<(), Refusal> {
    match display_name {
        Some(name) if name.len() > limits::DEVICE_NAME_BYTES => {
            Err(Refusal::invalid(format!("a device's name has at most {} bytes", limits::DEVICE_NAME_BYTES)))
        }
        _ => Ok(()),
    }
}

fn made_up_id(accounts: &Accounts) -> OwnedDeviceId {
    let letters = accounts.store().random().bytes::<10>().map(|byte| char::from(b'A' + byte % 26));
    letters.iter().collect::<String>().into()
}

impl Accounts {
    /// Starts a session of `user`, whose identity was proven. Who it is is not asked again; whether they may log in is.
    ///
    /// # Errors
    /// [`Refusal::Deactivated`], [`Refusal::Locked`]; [`Refusal::InvalidParam`] for a device id or name that is none; as
    /// every commit.
    pub async fn begin_session(&self, user: &UserId, device: NewDevice) -> Result<LoggedIn, Error> {
        let mut device = device;
        // Fixed before the first attempt, so that a second one means the same device.
        let id = device.id.get_or_insert_with(|| made_up_id(self)).clone();
        check(&id, device.display_name.as_deref())?;
        crate::accounts::settle!(self, async {
            let (account, version) = self.account(user).await?.ok_or(Refusal::WrongPassword)?;
            account.may_log_in()?;
            let found = Found::read(self.store(), user, &id).await?;
            if found.is_none() {
                self.check_device_count(user).await?;
            }
            let session = NewSession::begin(self, user, &device, found)?;
            let mut batch = Batch::new();
            Self::require_account(&mut batch, &account, version);
            session.put(self, &mut batch);
            self.commit("beginning a session", batch).await?;
            Ok(session.begun(self))
        })
    }

    async fn check_device_count(&self, user: &UserId) -> Result<(), Error> {
        if Found::all(self.store(), user).await?.len() >= limits::DEVICES_PER_USER {
            return Err(Refusal::TooMany { what: "devices", most: limits::DEVICES_PER_USER }.into());
        }
        Ok(())
    }
}
