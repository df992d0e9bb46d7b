//! Whom a user ignores (<https://spec.matrix.org/v1.19/client-server-api/#ignoring-users>). Every sync and every page of
//! messages asks, so the answer is kept in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::collections::HashSet;
use base::limits;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::accounts::Accounts;
use crate::error::Error;
use crate::fresh::Fresh;
use crate::user::digest;

/// The type of account data that says it.
pub(super) const TYPE: &str = "m.ignored_user_list";

/// Users, without order.
pub type Users = Arc<HashSet<OwnedUserId>>;

pub(crate) type IgnoredCache = Fresh<[u8; 32], Users>;

pub(crate) fn ignored_cache() -> IgnoredCache {
    let weight = |users: &Users| 150 + users.iter().map(|user| user.as_str().len() + 40).sum::<usize>();
    Fresh::new(limits::IGNORED_CACHE_BYTES, limits::SESSION_CACHE_AGE, weight)
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    ignored_users: BTreeMap<String, IgnoredAny>,
}

impl Accounts {
    /// Whom `user` ignores. A list that is not of the form that it should have ignores nobody, and of its entries those that
    /// are no user ids count for nothing. Nobody can ignore themselves.
    ///
    /// # Errors
    /// As every read.
    pub async fn ignored_users(&self, user: &UserId) -> Result<Users, Error> {
        let (key, now) = (digest(user), self.store().clock().monotonic());
        if let Some(known) = self.ignored.get(&key, now) {
            return Ok(known);
        }
        let reading = self.ignored.begin(now);
        let content = self.account_data(user, None, TYPE).await?;
        let content: Content = content.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
        let ids = content.ignored_users.into_keys().filter_map(|id| UserId::parse(id).ok());
        let users: Users = Arc::new(ids.filter(|id| id != user).collect());
        self.ignored.put(key, Arc::clone(&users), reading);
        Ok(users)
    }
}
