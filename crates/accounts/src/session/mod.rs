//! Sessions: the devices of users and the tokens with which they speak.
//!
//! A device's row holds the hashes of its tokens, a token's row says whose it is; both are written together, under the
//! precondition that the device's row is as it was read. So a device never has a token that nobody would recognise, and no
//! token outlives its device. A token itself is nowhere stored.
//!
//! [`Accounts::session_of_token`] is on the path of every request: what it found is kept in memory.
//!
//! Where to go: `token` makes and hashes them; `device` is what is stored; `begin` starts sessions, `login` proves who may,
//! `refresh` renews tokens, `logout` ends sessions; `cache` is the memory; `seen` notes when a device was last here;
//! `devices` is what users see of theirs.

mod begin;
mod cache;
mod device;
mod devices;
mod login;
mod logout;
mod refresh;
mod seen;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use base::Timestamp;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use storage::Batch;

use crate::account::{AccountKind, AccountRecord, account_key};
use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::profile::DISPLAY_NAME;

pub(crate) use begin::NewSession;
pub use begin::{LoggedIn, NewDevice, TokenKind};
pub(crate) use cache::{SessionCache, session_cache};
pub use devices::Device;
pub use logout::{DEVICES_CHANGED, DeviceChange, DeviceLog, Which};
pub(crate) use seen::SeenDevices;
pub use seen::SeenFrom;
pub(crate) use token::{TokenHash, new_token};

use device::{DeviceRecord, Found};
use seen::LastNoted;
use token::TokenRecord;

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Session {
    /// The user.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Whether the user administers this server.
    pub is_admin: bool,
    /// Whether it is a guest.
    pub is_guest: bool,
    /// Whether an administrator has suspended the user: it may read, and not act.
    pub is_suspended: bool,
    /// When it was last noted that the device was here.
    noted: Arc<LastNoted>,
}

impl Session {
    /// Refuses what a suspended user may not do
    /// (<https://spec.matrix.org/v1.19/client-server-api/#account-suspension>).
    ///
    /// # Errors
    /// [`Refusal::Suspended`].
    pub fn may_act(&self) -> Result<(), Refusal> {
        if self.is_suspended { Err(Refusal::Suspended) } else { Ok(()) }
    }

    /// Refuses what guests may not do.
    ///
    /// # Errors
    /// [`Refusal::GuestForbidden`].
    pub fn is_no_guest(&self) -> Result<(), Refusal> {
        if self.is_guest { Err(Refusal::GuestForbidden) } else { Ok(()) }
    }

    /// Refuses changes to the profile by those who may not: guests may only say what they are called
    /// (<https://spec.matrix.org/v1.19/client-server-api/#guest-access>).
    ///
    /// # Errors
    /// [`Refusal::Suspended`], [`Refusal::GuestForbidden`].
    pub fn may_change_profile(&self, field: &str) -> Result<(), Refusal> {
        self.may_act()?;
        if field == DISPLAY_NAME { Ok(()) } else { self.is_no_guest() }
    }

    /// Refuses what only administrators may do.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`].
    pub fn may_administer(&self) -> Result<(), Refusal> {
        if self.is_admin { Ok(()) } else { Err(Refusal::forbidden("only administrators of this server may do this")) }
    }
}

/// A session as it is kept in memory.
#[derive(Clone, Debug)]
pub(crate) struct KnownSession {
    session: Session,
    /// When its access token expires.
    expires: Option<Timestamp>,
    locked: bool,
}

impl KnownSession {
    fn of(account: &AccountRecord, device: &DeviceRecord, expires: Option<Timestamp>) -> Self {
        let session = Session {
            user_id: account.user_id.clone(),
            device_id: device.id.clone(),
            is_admin: account.admin,
            is_guest: account.kind == AccountKind::Guest,
            is_suspended: account.suspended,
            noted: Arc::default(),
        };
        Self { session, expires, locked: account.locked }
    }
}

impl Accounts {
    /// The session that `token` is the access token of; `None` when there is none (any more).
    ///
    /// Usually answered from memory. The first use of a renewed token ends the life of the one before it
    /// (<https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens>).
    ///
    /// # Errors
    /// [`Refusal::ExpiredToken`] and [`Refusal::Locked`], both soft logouts; as every read.
    pub async fn session_of_token(&self, token: &str) -> Result<Option<Session>, Error> {
        let Some(known) = self.known_session(token).await? else { return Ok(None) };
        if known.expires.is_some_and(|expires| expires <= self.store().clock().now()) {
            return Err(Refusal::ExpiredToken.into());
        }
        if known.locked {
            return Err(Refusal::Locked.into());
        }
        Ok(Some(known.session))
    }

    /// As [`Accounts::session_of_token`], also for tokens that have expired and users that are locked: they may log out
    /// (<https://spec.matrix.org/v1.19/client-server-api/#account-locking>).
    ///
    /// # Errors
    /// As every read.
    pub async fn session_to_end(&self, token: &str) -> Result<Option<Session>, Error> {
        Ok(self.known_session(token).await?.map(|known| known.session))
    }

    async fn known_session(&self, token: &str) -> Result<Option<KnownSession>, Error> {
        let hash = TokenHash::of(token);
        let now = self.store().clock().monotonic();
        if let Some(known) = self.sessions.get(&hash, now) {
            return Ok(Some(known));
        }
        let reading = self.sessions.begin(now);
        // Apart, so that requests whose sessions are known do not take the room for it.
        let known = settle!(self, Box::pin(self.read_session(hash)))?;
        if let Some(known) = &known {
            self.sessions.put(hash, known.clone(), reading);
        }
        Ok(known)
    }

    async fn read_session(&self, hash: TokenHash) -> Result<Option<KnownSession>, Error> {
        let Some((account, found)) = self.find_token(hash).await? else { return Ok(None) };
        if !account.is_active() {
            return Ok(None);
        }
        let Some(expires) = found.device.access_expires(hash) else { return Ok(None) };
        let known = KnownSession::of(&account, &found.device, expires);
        match self.promote(found, hash).await {
            // Who is known is told so also while nothing can be written.
            Err(error) if error.is_unavailable() => Ok(Some(known)),
            outcome => outcome.map(|_| Some(known)),
        }
    }

    /// The account and the device of a token, whichever kind it is.
    async fn find_token(&self, hash: TokenHash) -> Result<Option<(AccountRecord, Found)>, Error> {
        let reading = Error::storage("reading a token");
        let token = self.store().get_record::<TokenRecord>(&hash.key()).await.map_err(reading)?;
        let Some((token, _)) = token else { return Ok(None) };
        let (account, found) =
            tokio::try_join!(self.account(&token.user), Found::read(self.store(), &token.user, &token.device))?;
        Ok(account.map(|(account, _)| account).zip(found))
    }

    /// At the first use of a pair of tokens that replaces another, removes the other. Gives the device as it then is.
    async fn promote(&self, mut found: Found, hash: TokenHash) -> Result<Found, Error> {
        let next = found.device.next.take_if(|next| next.has(hash));
        let Some(next) = next else { return Ok(found) };
        let old = std::mem::replace(&mut found.device.current, next);
        let mut batch = Batch::new();
        found.put(&mut batch);
        old.delete(&mut batch);
        let committed = self.commit("replacing a token", batch).await?;
        self.sessions.forget(&old.access);
        found.version = Some(committed.version);
        Ok(found)
    }

    /// Forgets the sessions of `user` that are in memory, after the change to its account is durable.
    pub(crate) async fn forget_sessions(&self, user: &UserId) -> Result<(), Error> {
        for found in Found::all(self.store(), user).await? {
            found.device.pairs().for_each(|pair| self.sessions.forget(&pair.access));
        }
        Ok(())
    }

    /// Requires in `batch` that `user`'s account still is as it was read.
    pub(crate) fn require_account(batch: &mut Batch, account: &AccountRecord, version: storage::Version) {
        batch.require_unchanged(&account_key(&account.user_id), version);
    }
}
