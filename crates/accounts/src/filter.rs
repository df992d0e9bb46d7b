//! The filters that clients keep with the server, so as not to send them with every sync
//! (<https://spec.matrix.org/v1.19/client-server-api/#filtering>). A filter's id is the hash of its content: the same filter
//! twice is one, and what an id means never changes.

use base::limits;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ruma::UserId;
use ruma::api::client::filter::FilterDefinition;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use storage::table::FILTER;
use storage::{Batch, Direction, Key, KeyRange};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::user::digest;

/// Bytes of the hash that are in an id: enough that nobody finds two filters with one, and short in a query.
const ID_BYTES: usize = 16;

fn key(user: &UserId, id: [u8; ID_BYTES]) -> Key {
    Key::of(FILTER, &(digest(user), id))
}

impl Accounts {
    /// Keeps a filter of `user`. Gives its id.
    ///
    /// # Errors
    /// [`Refusal::BadJson`] for what is no filter, [`Refusal::TooLarge`], [`Refusal::TooMany`]; as every commit.
    pub async fn put_filter(&self, user: &UserId, filter: &RawValue) -> Result<String, Error> {
        if filter.get().len() > limits::FILTER_BYTES {
            return Err(Refusal::TooLarge { what: "the filter", most: limits::FILTER_BYTES }.into());
        }
        let bad = |error: serde_json::Error| Refusal::BadJson { what: format!("this is no filter: {error}") };
        serde_json::from_str::<FilterDefinition>(filter.get()).map_err(bad)?;
        // Objects are ordered by their keys here, so the same filter written otherwise is the same.
        let text = serde_json::from_str::<serde_json::Value>(filter.get()).map_err(bad)?.to_string();
        let hash: [u8; 32] = Sha256::digest(&text).into();
        let id: [u8; ID_BYTES] = std::array::from_fn(|index| hash[index]);
        let key = key(user, id);
        if self.store().get(&key).await.map_err(Error::storage("reading a filter"))?.is_none() {
            self.check_filter_count(user).await?;
            let mut batch = Batch::new();
            batch.put(&key, text);
            self.commit("keeping a filter", batch).await?;
        }
        Ok(URL_SAFE_NO_PAD.encode(id))
    }

    /// The filter with the id `id`.
    ///
    /// # Errors
    /// As every read.
    pub async fn filter(&self, user: &UserId, id: &str) -> Result<Option<Box<RawValue>>, Error> {
        let Some(id) = URL_SAFE_NO_PAD.decode(id).ok().and_then(|id| id.try_into().ok()) else { return Ok(None) };
        let row = self.store().get(&key(user, id)).await.map_err(Error::storage("reading a filter"))?;
        let filter = row.map(|row| serde_json::from_slice(&row.value)).transpose();
        filter.map_err(|error| Error::damaged(format!("a filter: {error}")))
    }

    async fn check_filter_count(&self, user: &UserId) -> Result<(), Error> {
        let range = KeyRange::prefix(FILTER, &digest(user));
        let page = self.store().scan(&range, Direction::Forward, limits::FILTERS_PER_USER).await;
        if page.map_err(Error::storage("counting filters"))?.rows.len() >= limits::FILTERS_PER_USER {
            return Err(Refusal::TooMany { what: "filters", most: limits::FILTERS_PER_USER }.into());
        }
        Ok(())
    }

    /// Removes all filters of `user`.
    pub(crate) async fn remove_filters(&self, user: &UserId) -> Result<(), Error> {
        self.remove_range(KeyRange::prefix(FILTER, &digest(user))).await
    }

    /// Removes all rows of `range`, some at a time.
    pub(crate) async fn remove_range(&self, mut range: KeyRange) -> Result<(), Error> {
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::ROWS_REMOVED_AT_ONCE).await;
            let page = page.map_err(Error::storage("reading what is to be removed"))?;
            let mut batch = Batch::new();
            page.rows.iter().for_each(|row| batch.delete(&row.key));
            if !batch.is_empty() {
                self.commit("removing what an account leaves behind", batch).await?;
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;
    use crate::fixture::accounts;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_filter_is_kept_once_however_it_is_written() {
        let (accounts, alice) = (accounts().await, user_id!("@alice:example.org"));
        let id = accounts.put_filter(alice, &raw(r#"{"room":{"timeline":{"limit":5}},"event_format":"client"}"#)).await;
        let id = id.unwrap();
        let again = raw(r#"{ "event_format": "client", "room": { "timeline": { "limit": 5 } } }"#);
        assert_eq!(accounts.put_filter(alice, &again).await.unwrap(), id);
        let stored = accounts.filter(alice, &id).await.unwrap().unwrap();
        assert_eq!(stored.get(), r#"{"event_format":"client","room":{"timeline":{"limit":5}}}"#);
        assert!(accounts.filter(user_id!("@bob:example.org"), &id).await.unwrap().is_none());
        for odd in ["", "0", "{}", "ä", &"A".repeat(10_000)] {
            assert!(accounts.filter(alice, odd).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_no_filter_is_refused() {
        let (accounts, alice) = (accounts().await, user_id!("@alice:example.org"));
        for odd in ["[]", "7", r#"{"room":7}"#, r#"{"room":{"timeline":{"limit":"many"}}}"#] {
            let outcome = accounts.put_filter(alice, &raw(odd)).await;
            assert!(matches!(outcome, Err(Error::Refused(Refusal::BadJson { .. }))), "{odd}");
        }
        let large = raw(&format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::FILTER_BYTES)));
        assert!(matches!(accounts.put_filter(alice, &large).await, Err(Error::Refused(Refusal::TooLarge { .. }))));
    }
}
