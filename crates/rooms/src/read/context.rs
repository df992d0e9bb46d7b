//! What was said around an event
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>).

use std::collections::BTreeSet;

use ruma::{EventId, OwnedUserId};
use storage::Direction;

use crate::error::Error;
use crate::graph::Stored;
use crate::read::fields::Fields;
use crate::read::filter::EventFilter;
use crate::read::page::Stretch;
use crate::read::reading::Reading;
use crate::read::sight::{Shown, Viewer};
use crate::read::state::Members;
use crate::read::token::Token;
use crate::state::StateRoot;
use crate::timeline::{Order, last_until};

/// An event with what was said around it.
#[derive(Clone, Debug)]
pub struct Context {
    /// What was said before it, the last first.
    pub before: Vec<Shown>,
    /// What was said after it, the first first.
    pub after: Vec<Shown>,
    /// Where to go on backwards.
    pub start: Token,
    /// Where to go on forwards.
    pub end: Token,
    /// The room's state after the last of these.
    pub state: StateRoot,
}

impl Reading<'_> {
    /// The event `id`, if `viewer` may see it.
    ///
    /// # Errors
    /// As every read.
    pub async fn visible_event(&mut self, viewer: &Viewer<'_>, id: &EventId) -> Result<Option<Shown>, Error> {
        let Some(found) = self.find(id).await? else { return Ok(None) };
        let mut sight = self.sight(viewer.user).await?;
        Ok(self.those_visible(&mut sight, vec![found]).await?.pop())
    }

    /// What `viewer` may see around the event at `order`.
    ///
    /// # Errors
    /// As every read.
    pub async fn context(
        &mut self,
        viewer: &Viewer<'_>,
        order: Order,
        [before, after]: [usize; 2],
        filter: &EventFilter,
    ) -> Result<Context, Error> {
        let stretch = Stretch { from: order, to: None, direction: Direction::Backward, limit: before, filter };
        let earlier = self.timeline(viewer, &stretch).await?;
        let from = order.next();
        let later = Stretch { from, direction: Direction::Forward, limit: after, ..stretch };
        let later = self.timeline(viewer, &later).await?;
        let last = later.events.last().map_or(order, |shown| shown.order);
        let state = last_until(self.store(), self.number(), last).await?.map_or(StateRoot::EMPTY, |entry| entry.state);
        let start = earlier.end.unwrap_or(Token(order));
        let end = later.end.unwrap_or(Token(from));
        Ok(Context { before: earlier.events, after: later.events, start, end, state })
    }

    /// The senders of `events`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn senders(&self, events: &[&Shown]) -> Result<BTreeSet<OwnedUserId>, Error> {
        let sender = |shown: &&Shown| Ok(Fields::of(&shown.stored.json)?.sender.as_ref().try_into().ok());
        let senders: Result<Vec<Option<OwnedUserId>>, Error> = events.iter().map(sender).collect();
        Ok(senders?.into_iter().flatten().collect())
    }

    /// What of the state `root` a client that filters by `filter` is told beside `events`: all of it, or of members only
    /// those who sent one.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_beside(
        &mut self,
        root: StateRoot,
        filter: &EventFilter,
        events: &[&Shown],
    ) -> Result<Vec<Stored>, Error> {
        let senders = self.senders(events)?;
        let members = if filter.lazy_load_members { Members::Of(&senders) } else { Members::All };
        let mut state = self.state_events(root, members).await?;
        let mut allowed = Vec::with_capacity(state.len());
        for stored in &state {
            allowed.push(filter.allows_type(&Fields::of(&stored.json)?.kind));
        }
        let mut allowed = allowed.into_iter();
        state.retain(|_| allowed.next().unwrap_or_default());
        Ok(state)
    }
}
