//! `/sync` (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>): what has changed between the point
//! of the client's token and now, or all there is; and if nothing has, then when something does.
//!
//! First the heads of the log are read, then everything up to them: what comes meanwhile belongs to the next answer.
//!
//! Where to go: `request` is what is asked, `rooms` decides which rooms are told of and how, `joined`, `left` and `invited`
//! put these together, `answer` is what comes of it and how it is written.

pub(crate) mod answer;
mod invited;
mod joined;
mod left;
mod request;
mod rooms;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ::rooms::read;
use ::rooms::timeline::Order;
use accounts::account_data::ignored::Users;
use base::{Position, Positions, limits};
use bytes::Bytes;

use crate::error::Error;
use crate::extras::Extras;
use crate::filter::SyncFilter;
use crate::follow::{Interest, UserKey};
use crate::handle::{RoomInfo, Syncer, Viewer};
use crate::shared::Asked;
use crate::token::Token;
use answer::Answer;

pub(crate) use joined::membership;
pub use request::{Request, WhichState};

/// One computation of an answer.
pub(crate) struct Ask<'a> {
    pub(crate) viewer: &'a Viewer,
    pub(crate) request: &'a Request,
    pub(crate) filter: &'a SyncFilter,
    /// What the client has seen.
    pub(crate) since: Option<&'a Token>,
    /// Up to where it is told.
    pub(crate) to: &'a Positions,
    /// Whom the user ignores.
    pub(crate) ignored: Users,
}

impl Ask<'_> {
    /// The user, as rooms know readers.
    pub(crate) fn reader(&self) -> read::Viewer<'_> {
        read::Viewer { user: &self.viewer.user, device: Some(&self.viewer.device), ignored: &self.ignored }
    }

    /// The point up to which the client has seen a room.
    pub(crate) fn prev_batch(&self, info: &RoomInfo) -> String {
        let seen = self.since_in(info.partition).unwrap_or_else(|| self.to.of(info.partition));
        read::Token(Order::Live(seen.next())).to_string()
    }

    /// What the client has seen of a partition; `None` when it has seen nothing at all.
    pub(crate) fn since_in(&self, partition: base::Partition) -> Option<Position> {
        self.since.map(|since| since.positions.of(partition))
    }
}

impl Syncer {
    /// Answers `/sync`: the body of the answer, as JSON.
    ///
    /// # Errors
    /// [`Error::Refused`]; as every read.
    pub async fn sync(self: &Arc<Self>, viewer: Viewer, request: Request) -> Result<Bytes, Arc<Error>> {
        let since = request.since.as_deref().map(Token::parse).transpose().map_err(Error::from)?;
        if let Some(since) = &since {
            Box::pin(self.acknowledge(&viewer, self.messages_seen(&viewer, since))).await?;
        }
        self.note_presence(&viewer.user, &request.set_presence, request.timeout);
        let Some(since) = since else { return self.sync_initially(viewer, request).await };
        let request = Arc::new(request);
        let (mut left, clock) = (request.timeout, self.rooms.store().clock().clone());
        if request.full_state {
            left = Duration::ZERO;
        }
        let left = left.min(limits::SYNC_TIMEOUT);
        let deadline = clock.monotonic().after(left);
        // Listened for before looking, so that nothing falls between.
        let mut listener = self.follower.bells().listen(UserKey::of(&viewer.user), Interest::ALL);
        loop {
            let answer = Box::pin(self.compute(&viewer, &request, Some(&since))).await?;
            let left = deadline.since(clock.monotonic());
            if request.full_state || left.is_zero() || !answer.is_empty() {
                return Ok(Box::pin(self.write(&viewer, &request, answer)).await?);
            }
            if clock.timeout(left, listener.rung()).await.is_none() {
                return Ok(Box::pin(self.write(&viewer, &request, answer)).await?);
            }
        }
    }

    /// Everything there is. What takes long is done a few at a time, and once for all who ask for the same.
    async fn sync_initially(self: &Arc<Self>, viewer: Viewer, request: Request) -> Result<Bytes, Arc<Error>> {
        let asked = Asked { viewer: viewer.clone(), what: format!("{request:?}") };
        let syncer = Arc::clone(self);
        let work = async move {
            let _place = syncer.long.acquire().await.map_err(|_| Error::Interrupted)?;
            let answer = syncer.compute(&viewer, &request, None).await?;
            Ok(syncer.write(&viewer, &request, answer).await?)
        };
        self.in_flight.answer(asked, work).await
    }

    /// Up to where a device that comes with this token has its messages.
    fn messages_seen(&self, viewer: &Viewer, since: &Token) -> Position {
        let partition = self.rooms.store().partition_of(viewer.user.as_str());
        since.to_device.unwrap_or_else(|| since.positions.of(partition))
    }

    async fn compute(&self, viewer: &Viewer, request: &Request, since: Option<&Token>) -> Result<Answer, Error> {
        let to = self.follower.up_to_date().await?;
        let since = since.map(|since| Token { positions: to.min(&since.positions), ..since.clone() });
        let ignored = self.ignored_by(&viewer.user).await?;
        let filter = &request.filter;
        let ask = Ask { viewer, request, filter, since: since.as_ref(), to: &to, ignored };
        let all = self.rooms_of(&viewer.user).await?;
        let volatile = self.volatile(&all);
        let partition = self.rooms.store().partition_of(viewer.user.as_str());
        let data = self.account_data_changed(&viewer.user, ask.since_in(partition), to.of(partition)).await?;
        let mut answer = Answer::default();
        self.add_account_data(&ask, data.global, &mut answer);
        self.add_rooms(&ask, &all, &Extras::new(&ask, data.rooms), &mut answer).await?;
        let seen = ask.since.map(|since| self.messages_seen(viewer, since)).unwrap_or_default();
        let messages = self.messages(viewer, [seen, to.of(partition)], limits::SYNC_TO_DEVICE).await?;
        answer.to_device = messages.messages;
        let to_device = (messages.next < to.of(partition)).then_some(messages.next);
        answer.next = Some(Token { positions: to.clone(), to_device, volatile: Some(volatile) });
        Ok(answer)
    }
}
