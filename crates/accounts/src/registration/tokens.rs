//! Registration tokens (<https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration>): each may be
//! used so and so often, until then and then. A use is counted in the batch that makes the account.

use base::{Timestamp, limits};
use serde::{Deserialize, Serialize};
use storage::table::REGISTRATION_TOKEN;
use storage::{Batch, Direction, Key, KeyRange, Record, Version};

use crate::account::register::{NewAccount, Registered};
use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};

/// What a token is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenTerms {
    /// How many accounts may be made with it; `None`: any number.
    pub uses_allowed: Option<u64>,
    /// Until when; `None`: for ever.
    pub expires: Option<Timestamp>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token.
    pub token: String,
    /// What it is good for.
    pub terms: TokenTerms,
    /// How many accounts were made with it.
    pub used: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TokenRecord {
    terms: TokenTerms,
    used: u64,
}

impl TokenRecord {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.terms.expires.is_none_or(|expires| now < expires)
            && self.terms.uses_allowed.is_none_or(|allowed| self.used < allowed)
    }
}

storage::first_version!(TokenRecord);

fn key(token: &str) -> Key {
    Key::of(REGISTRATION_TOKEN, &token.to_owned())
}

/// Whether `token` has the form of one.
fn check(token: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if token.is_empty() || token.len() > limits::REGISTRATION_TOKEN_BYTES || !token.bytes().all(allowed) {
        return Err(Refusal::invalid("a registration token has 1 to 64 of A-Z a-z 0-9 . _ ~ -"));
    }
    Ok(())
}

impl Accounts {
    /// Whether an account may be made with `token` now.
    ///
    /// # Errors
    /// As every read.
    pub async fn registration_token_is_valid(&self, token: &str) -> Result<bool, Error> {
        let found = self.registration_token(token).await?;
        let now = self.store().clock().now();
        Ok(found.is_some_and(|(found, _)| found.is_valid(now)))
    }

    async fn registration_token(&self, token: &str) -> Result<Option<(TokenRecord, Version)>, Error> {
        if check(token).is_err() {
            return Ok(None);
        }
        self.store().get_record(&key(token)).await.map_err(Error::storage("reading a registration token"))
    }

    /// Makes an account with a use of `token`.
    pub(super) async fn register_with_token(&self, new: NewAccount, token: &str) -> Result<Registered, Error> {
        settle!(self, async {
            let found = self.registration_token(token).await?;
            let found = found.filter(|(found, _)| found.is_valid(self.store().clock().now()));
            let (mut record, version) = found.ok_or_else(|| Refusal::forbidden("the registration token is used up"))?;
            record.used += 1;
            let key = key(token);
            let also = |batch: &mut Batch| {
                batch.require_unchanged(&key, version);
                batch.put_record(&key, &record);
            };
            self.register_with(new.clone(), also).await
        })
    }

    /// Makes a token, or gives new terms to one that is there; what was counted stays.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for what has not the form of a token; as every commit.
    pub async fn put_registration_token(&self, token: &str, terms: TokenTerms) -> Result<(), Error> {
        check(token)?;
        settle!(self, async {
            let found = self.registration_token(token).await?;
            let used = found.as_ref().map_or(0, |(found, _)| found.used);
            let (mut batch, key) = (Batch::new(), key(token));
            batch.require_version(&key, found.map(|(_, version)| version));
            batch.put_record(&key, &TokenRecord { terms, used });
            self.commit("keeping a registration token", batch).await.map(drop)
        })
    }

    /// Deletes a token; says whether it was there.
    ///
    /// # Errors
    /// As every commit.
    pub async fn delete_registration_token(&self, token: &str) -> Result<bool, Error> {
        settle!(self, async {
            let Some((_, version)) = self.registration_token(token).await? else { return Ok(false) };
            let (mut batch, key) = (Batch::new(), key(token));
            batch.require_unchanged(&key, version);
            batch.delete(&key);
            self.commit("deleting a registration token", batch).await.map(|_| true)
        })
    }

    /// All tokens.
    ///
    /// # Errors
    /// As every read.
    pub async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, Error> {
        let (mut range, mut tokens) = (KeyRange::table(REGISTRATION_TOKEN), Vec::new());
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("reading registration tokens"))?;
            for row in page.rows {
                let token = row.key.parts::<String>().map_err(|error| Error::damaged(error.to_string()))?;
                let record = TokenRecord::decode(&row.value);
                let TokenRecord { terms, used } = record.map_err(|error| Error::damaged(error.to_string()))?;
                tokens.push(RegistrationToken { token, terms, used });
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(tokens),
            }
        }
    }

    /// Makes the tokens of the configuration that are not there yet. To be called at the start.
    ///
    /// # Errors
    /// As every commit.
    pub async fn make_configured_tokens(&self) -> Result<(), Error> {
        for token in &self.options().registration.tokens {
            let (mut batch, key) = (Batch::new(), key(token.expose()));
            check(token.expose())?;
            batch.require_absent(&key);
            batch.put_record(&key, &TokenRecord { terms: TokenTerms::default(), used: 0 });
            match self.commit("making the registration tokens", batch).await {
                Err(error) if error.is_conflict() => {}
                outcome => outcome.map(drop)?,
            }
        }
        Ok(())
    }
}
