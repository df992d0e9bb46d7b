//! What is asked of `/sync`.

use std::sync::Arc;
use std::time::Duration;

use ruma::UserId;
use ruma::presence::PresenceState;

use crate::error::{Error, Refusal};
use crate::filter::{SyncFilter, parse_filter};
use crate::follow::UserKey;
use crate::handle::Syncer;

/// Which state goes with a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhichState {
    /// The state before it.
    #[default]
    Before,
    /// The state after it, under the name that the specification has since v1.16.
    After,
    /// The same under the name of the proposal (MSC4222).
    AfterUnstable,
}

/// What a client asks of `/sync`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The token of the answer before.
    pub since: Option<String>,
    /// What it wants to see.
    pub(crate) filter: Arc<SyncFilter>,
    /// Whether the state of all rooms is to be told whole.
    pub full_state: bool,
    /// Which state.
    pub state: WhichState,
    /// What the user is said to be doing.
    pub set_presence: PresenceState,
    /// How long to wait for something to tell.
    pub timeout: Duration,
}

impl Syncer {
    /// The filter that `filter` is: JSON, or the id of one that `user` has stored; without one, everything passes
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_request>).
    async fn filter(&self, user: &UserId, filter: Option<&str>) -> Result<Arc<SyncFilter>, Error> {
        let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { return Ok(Arc::default()) };
        let key = (UserKey::of(user), filter.to_owned());
        if let Some(known) = self.filters.get(&key) {
            return Ok(known);
        }
        let definition = if filter.starts_with('{') {
            parse_filter(filter)?
        } else {
            // What an id stands for never changes, so it may be remembered.
            let stored = self.accounts.filter(user, filter).await?;
            let unknown = || Refusal::BadFilter { what: "no filter has this id".to_owned() };
            parse_filter(stored.ok_or_else(unknown)?.get())?
        };
        let filter = Arc::new(SyncFilter::from(definition));
        self.filters.insert(key, Arc::clone(&filter));
        Ok(filter)
    }

    /// A request of `user` with this filter, as it stands in the query, and all else as it is by default.
    ///
    /// # Errors
    /// [`Refusal::BadFilter`]; as every read.
    pub async fn request(&self, user: &UserId, filter: Option<&str>) -> Result<Request, Error> {
        let filter = self.filter(user, filter).await?;
        Ok(Request {
            since: None,
            filter,
            full_state: false,
            state: WhichState::default(),
            set_presence: PresenceState::default(),
            timeout: Duration::ZERO,
        })
    }
}
