//! Tokens that are good for a short time and one purpose: to log in another device, or to prove to somebody else who one is.
//!
//! A token has its own expiry in it, and its row is filed by that, so those that nobody used are found and removed by a
//! short scan whenever another is made.

use base::{Timestamp, limits};
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use storage::table::EXPIRING_TOKEN;
use storage::{Batch, Direction, Key, KeyRange, Version};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::session::{LoggedIn, NewDevice, TokenHash, new_token};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    /// Logging in once (<https://spec.matrix.org/v1.19/client-server-api/#token-based-user-login>).
    Login,
    /// Telling a third party who one is (<https://spec.matrix.org/v1.19/client-server-api/#openid>).
    OpenId,
}

impl Purpose {
    fn prefix(self) -> &'static str {
        match self {
            Self::Login => "hfl",
            Self::OpenId => "hfo",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ExpiringRecord {
    user: OwnedUserId,
    purpose: Purpose,
}

storage::first_version!(ExpiringRecord);

fn key(expires: Timestamp, token: &str) -> Key {
    Key::of(EXPIRING_TOKEN, &(expires.as_millis(), TokenHash::of(token).0))
}

/// The expiry that a token says it has.
fn expiry(token: &str) -> Option<Timestamp> {
    let (_, rest) = token.split_once('_')?;
    let (millis, _) = rest.split_once('_')?;
    u64::from_str_radix(millis, 16).ok().map(Timestamp)
}

impl Accounts {
    /// A token with which another device of `user` may log in, once, within [`limits::LOGIN_TOKEN_LIFETIME`].
    ///
    /// # Errors
    /// As every commit.
    pub async fn login_token(&self, user: &UserId) -> Result<String, Error> {
        let expires = self.store().clock().now().after(limits::LOGIN_TOKEN_LIFETIME);
        self.make_expiring(user, Purpose::Login, expires).await
    }

    /// A token with which a third party may ask us who `user` is, within [`limits::OPENID_TOKEN_LIFETIME`].
    ///
    /// # Errors
    /// As every commit.
    pub async fn openid_token(&self, user: &UserId) -> Result<String, Error> {
        let expires = self.store().clock().now().after(limits::OPENID_TOKEN_LIFETIME);
        self.make_expiring(user, Purpose::OpenId, expires).await
    }

    /// Starts a session by a token of [`Accounts::login_token`].
    ///
    /// # Errors
    /// [`Refusal::WrongLoginToken`]; as [`Accounts::begin_session`].
    pub async fn login_with_token(&self, token: &str, device: NewDevice) -> Result<LoggedIn, Error> {
        let found = self.expiring(token, Purpose::Login).await?;
        let (record, key, version) = found.ok_or(Refusal::WrongLoginToken)?;
        let mut batch = Batch::new();
        batch.require_unchanged(&key, version);
        batch.delete(&key);
        // Spent before the session begins: whoever sends it twice at once is let in once.
        match self.commit("spending a login token", batch).await {
            Err(error) if error.is_conflict() => return Err(Refusal::WrongLoginToken.into()),
            outcome => outcome.map(drop)?,
        }
        self.begin_session(&record.user, device).await
    }

    /// Whose a token of [`Accounts::openid_token`] is.
    ///
    /// # Errors
    /// As every read.
    pub async fn user_of_openid_token(&self, token: &str) -> Result<Option<OwnedUserId>, Error> {
        let Some((record, ..)) = self.expiring(token, Purpose::OpenId).await? else { return Ok(None) };
        let account = self.account(&record.user).await?;
        Ok(account.filter(|(account, _)| account.is_active()).map(|_| record.user))
    }

    async fn make_expiring(&self, user: &UserId, purpose: Purpose, expires: Timestamp) -> Result<String, Error> {
        let random = new_token(&format!("{}_{:x}", purpose.prefix(), expires.as_millis()), self.store().random());
        let mut batch = Batch::new();
        batch.put_record(&key(expires, &random), &ExpiringRecord { user: user.to_owned(), purpose });
        self.remove_expired(&mut batch).await?;
        self.commit("making a token", batch).await.map(|_| random)
    }

    /// More at once than one makes, so that what has expired never piles up.
    async fn remove_expired(&self, batch: &mut Batch) -> Result<(), Error> {
        let now = self.store().clock().now();
        let start = Key::of(EXPIRING_TOKEN, &(0_u64, [0; 32]));
        let range = KeyRange::between(&start, &Key::of(EXPIRING_TOKEN, &(now.as_millis().saturating_add(1), [0; 32])));
        let page = self.store().scan(&range, Direction::Forward, limits::EXPIRED_REMOVED_AT_ONCE).await;
        let page = page.map_err(Error::storage("looking for expired tokens"))?;
        page.rows.iter().for_each(|row| batch.delete(&row.key));
        Ok(())
    }

    async fn expiring(&self, token: &str, purpose: Purpose) -> Result<Option<(ExpiringRecord, Key, Version)>, Error> {
        let now = self.store().clock().now();
        let Some(expires) = expiry(token).filter(|expires| now < *expires) else { return Ok(None) };
        let key = key(expires, token);
        let found = self.store().get_record::<ExpiringRecord>(&key).await.map_err(Error::storage("reading a token"))?;
        let found = found.filter(|(record, _)| record.purpose == purpose);
        Ok(found.map(|(record, version)| (record, key, version)))
    }
}

#[cfg(test)]
mod tests {
    use storage::table::EXPIRING_TOKEN;

    use super::*;
    use crate::fixture::{accounts, user};

    #[tokio::test(start_paused = true)]
    async fn a_login_token_lets_in_once_and_for_two_minutes() {
        let accounts = accounts().await;
        let alice = user(&accounts, "alice").await;
        let token = accounts.login_token(&alice.user_id).await.unwrap();
        let login = || accounts.login_with_token(&token, NewDevice::default());
        let (one, other) = tokio::join!(login(), login());
        assert_ne!(one.is_ok(), other.is_ok());
        assert!(matches!(login().await, Err(Error::Refused(Refusal::WrongLoginToken))));

        let late = accounts.login_token(&alice.user_id).await.unwrap();
        accounts.store().clock().sleep(limits::LOGIN_TOKEN_LIFETIME).await;
        assert!(accounts.login_with_token(&late, NewDevice::default()).await.is_err());
        for odd in ["", "hfl", "hfl_", "hfl_zz_x", "hfl_ffffffffffff_x", "ä_ä_ä"] {
            assert!(accounts.login_with_token(odd, NewDevice::default()).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_openid_token_names_its_user_and_does_nothing_else() {
        let accounts = accounts().await;
        let alice = user(&accounts, "alice").await;
        let token = accounts.openid_token(&alice.user_id).await.unwrap();
        assert_eq!(accounts.user_of_openid_token(&token).await.unwrap(), Some(alice.user_id.clone()));
        assert_eq!(accounts.user_of_openid_token(&token).await.unwrap(), Some(alice.user_id.clone()));
        assert!(accounts.login_with_token(&token, NewDevice::default()).await.is_err());
        let login = accounts.login_token(&alice.user_id).await.unwrap();
        assert_eq!(accounts.user_of_openid_token(&login).await.unwrap(), None);

        accounts.store().clock().sleep(limits::OPENID_TOKEN_LIFETIME).await;
        assert_eq!(accounts.user_of_openid_token(&token).await.unwrap(), None);
        accounts.openid_token(&alice.user_id).await.unwrap();
        let rows = accounts.store().scan(&KeyRange::table(EXPIRING_TOKEN), Direction::Forward, 10).await.unwrap().rows;
        assert_eq!(rows.len(), 1, "what has expired is removed when another is made");
    }
}
