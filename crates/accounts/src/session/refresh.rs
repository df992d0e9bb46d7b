//! Renewing tokens (<https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens>).
//!
//! The old tokens are good until one of the new ones is used, so that a client that never got the answer can ask again.

use storage::Batch;

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::session::LoggedIn;
use crate::session::begin::{NewTokens, TokenKind};
use crate::session::token::TokenHash;

impl Accounts {
    /// Gives new tokens for a refresh token.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`], [`Refusal::ExpiredToken`], [`Refusal::Locked`]; as every commit.
    pub async fn refresh(&self, token: &str) -> Result<LoggedIn, Error> {
        let hash = TokenHash::of(token);
        settle!(self, self.refresh_once(hash))
    }

    async fn refresh_once(&self, hash: TokenHash) -> Result<LoggedIn, Error> {
        let (account, found) = self.find_token(hash).await?.ok_or(Refusal::UnknownToken)?;
        if !account.is_active() || !found.device.pairs().any(|pair| pair.refresh == Some(hash)) {
            return Err(Refusal::UnknownToken.into());
        }
        if account.locked {
            return Err(Refusal::Locked.into());
        }
        let mut found = self.promote(found, hash).await?;
        let now = self.store().clock().now();
        if found.device.current.refresh_expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal::ExpiredToken.into());
        }
        let NewTokens { access, refresh, expires_in, pair } = NewTokens::make(self, TokenKind::Refreshable);
        let mut batch = Batch::new();
        pair.put(&mut batch, &found.user, &found.device.id);
        // Given before and never used: its client never saw it.
        let lost = found.device.next.replace(pair);
        if let Some(lost) = &lost {
            lost.delete(&mut batch);
        }
        found.put(&mut batch);
        self.commit("renewing a token", batch).await?;
        if let Some(lost) = lost {
            self.sessions.forget(&lost.access);
        }
        let (user_id, device_id) = (found.user, found.device.id);
        Ok(LoggedIn { user_id, device_id, access_token: access, refresh_token: refresh, expires_in })
    }
}
