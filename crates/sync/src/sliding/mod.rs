//! Simplified sliding sync (<https://github.com/matrix-org/matrix-spec-proposals/pull/4186>): lists of rooms of which a
//! client sees a window, rooms that it subscribes to, and extensions for all that is not rooms.
//!
//! As `/sync` it follows from the log alone what is told; what is kept of a connection says which rooms it was told of.
//!
//! Where to go: `request` is what is asked, with `required` for state; `connection` what was told before; `lists` finds the
//! rooms, `room` puts one together, `extensions` the rest; `answer` is what comes of it and how it is written.

mod answer;
pub(crate) mod connection;
mod extensions;
pub(crate) mod lists;
mod request;
mod required;
mod room;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use ::rooms::read;
use accounts::account_data::ignored::Users;
use base::collections::SeededState;
use base::{Position, Positions, limits};
use bytes::Bytes;
use ruma::OwnedRoomId;

use crate::error::Error;
use crate::follow::{Interest as Rings, Ring, UserKey};
use crate::handle::{RoomInfo, Syncer, Viewer};
use crate::token::Token;
use crate::user_rooms::UserRooms;
use answer::Answer;
use connection::{Pos, RoomSent, Sent, State};
use lists::Interest;

pub use request::{Body, SlidingQuery, SlidingRequest};

/// One computation of an answer.
pub(crate) struct Ask<'a> {
    pub(crate) viewer: &'a Viewer,
    pub(crate) request: &'a SlidingRequest,
    /// Where the client is; `None` for one that begins.
    pub(crate) pos: Option<&'a Pos>,
    /// What it was told.
    pub(crate) was: Arc<State>,
    /// Up to where it is told.
    pub(crate) to: Positions,
    pub(crate) ignored: Users,
    /// The user's direct rooms.
    pub(crate) direct: Arc<BTreeSet<OwnedRoomId>>,
    /// The connection, as what was told of members is filed under.
    pub(crate) told_as: Viewer,
}

impl Ask<'_> {
    /// What the client has seen of a room's partition; `None` when it has seen nothing.
    pub(crate) fn since_in(&self, info: &RoomInfo) -> Option<Position> {
        self.pos.map(|pos| pos.token.positions.of(info.partition))
    }

    pub(crate) fn reader(&self) -> read::Viewer<'_> {
        read::Viewer { user: &self.viewer.user, device: Some(&self.viewer.device), ignored: &self.ignored }
    }
}

impl Syncer {
    /// Answers sliding sync: the body of the answer, as JSON.
    ///
    /// # Errors
    /// [`Error::Refused`]; as every read.
    pub async fn sliding(&self, viewer: Viewer, request: SlidingRequest) -> Result<Bytes, Error> {
        let pos = request.pos.as_deref().map(Pos::parse).transpose()?;
        let id = request.body.conn_id.clone().unwrap_or_default();
        let number = pos.as_ref().map_or(0, |pos| pos.state);
        let was = self.connections.at(&viewer, &id, number)?;
        self.note_presence(&viewer.user, &request.set_presence, request.timeout);
        Box::pin(self.acknowledge_sliding(&viewer, &request)).await?;
        let clock = self.rooms.store().clock().clone();
        let deadline = clock.monotonic().after(request.timeout.min(limits::SYNC_TIMEOUT));
        // Listened for before looking, so that nothing falls between.
        let mut listener = self.follower.bells().listen(UserKey::of(&viewer.user), rings(&request));
        loop {
            let answer = Box::pin(self.compute_sliding(&viewer, &request, pos.as_ref(), &was)).await?;
            let left = deadline.since(clock.monotonic());
            let is_told = pos.is_none() || left.is_zero() || !answer.is_empty();
            if is_told || clock.timeout(left, listener.rung()).await.is_none() {
                return Box::pin(self.finish_sliding(&viewer, &request, pos.as_ref(), &was, answer)).await;
            }
        }
    }

    async fn compute_sliding(
        &self,
        viewer: &Viewer,
        request: &SlidingRequest,
        pos: Option<&Pos>,
        was: &Arc<State>,
    ) -> Result<Answer, Error> {
        let to = self.follower.up_to_date().await?;
        let bounded = pos.map(|pos| {
            let token = Token { positions: to.min(&pos.token.positions), ..pos.token.clone() };
            Pos { state: pos.state, token }
        });
        let conn = request.body.conn_id.as_deref().unwrap_or_default();
        // No device id has a zero byte in it.
        let told_as = Viewer { user: viewer.user.clone(), device: format!("{}\0{conn}", viewer.device).into() };
        let ask = Ask {
            viewer,
            request,
            pos: bounded.as_ref(),
            was: Arc::clone(was),
            ignored: self.ignored_by(&viewer.user).await?,
            direct: self.direct_rooms(&viewer.user).await?,
            to,
            told_as,
        };
        let all = self.rooms_of(&viewer.user).await?;
        let volatile = self.volatile(&all);
        let interest = self.interest(&ask, &all).await?;
        let mut answer = Answer { state: Arc::clone(was), ..Answer::default() };
        for wanted in interest.rooms.values() {
            let told = self.sliding_room(&ask, wanted).await?;
            answer.rooms.extend(told.map(|told| (wanted.room.info.id.clone(), told)));
            let config = was.rooms.get(&wanted.room.info.room).map(|sent| &sent.config);
            let config = config.filter(|config| ***config == wanted.config).cloned();
            let config = config.unwrap_or_else(|| Arc::new(wanted.config.clone()));
            let sent = RoomSent { events: Sent::Live, config };
            if was.rooms.get(&wanted.room.info.room) != Some(&sent) {
                Arc::make_mut(&mut answer.state).rooms.insert(wanted.room.info.room, sent);
            }
            if pos.is_none() {
                tokio::task::yield_now().await;
            }
        }
        self.note_unsent(&ask, &all, &interest, &mut answer).await?;
        self.add_extensions(&ask, &all, &interest, &mut answer).await?;
        self.add_lists(&ask, interest, &mut answer);
        answer.token = Some(Token { volatile: Some(volatile), ..Token::at(ask.to.clone()) });
        Ok(answer)
    }

    /// Notes the rooms that the client knows and is not told of now, although something has happened in them.
    async fn note_unsent(
        &self,
        ask: &Ask<'_>,
        all: &UserRooms,
        interest: &Interest,
        answer: &mut Answer,
    ) -> Result<(), Error> {
        for room in &all.rooms {
            let (info, number) = (&room.info, room.info.room);
            let (Some(since), Some(sent)) = (ask.since_in(info), ask.was.rooms.get(&number)) else { continue };
            if sent.events == Sent::Live
                && !interest.rooms.contains_key(&number)
                && self.has_moved(info, since, ask.to.of(info.partition)).await?
            {
                let sent = RoomSent { events: Sent::Until(since), config: Arc::clone(&sent.config) };
                Arc::make_mut(&mut answer.state).rooms.insert(number, sent);
            }
        }
        Ok(())
    }

    fn add_lists(&self, ask: &Ask<'_>, interest: Interest, answer: &mut Answer) {
        for (name, listed) in interest.lists {
            let window = SeededState::default().hash_one(&listed.window);
            let is_new = ask.was.windows.get(&name) != Some(&window);
            if is_new {
                Arc::make_mut(&mut answer.state).windows.insert(name.clone(), window);
            }
            answer.lists.push((name, listed, answer::Window::of(ask.pos.is_none() || is_new)));
        }
    }

    async fn finish_sliding(
        &self,
        viewer: &Viewer,
        request: &SlidingRequest,
        pos: Option<&Pos>,
        was: &Arc<State>,
        mut answer: Answer,
    ) -> Result<Bytes, Error> {
        let id = request.body.conn_id.clone().unwrap_or_default();
        let number = pos.map_or(0, |pos| pos.state);
        let state = self.connections.put(viewer, &id, number, was, Arc::clone(&answer.state));
        if let Some(e2ee) = &mut answer.extensions.e2ee {
            e2ee.keys = self.keys_left(viewer).await?;
        }
        let token = answer.token.take().ok_or_else(|| Error::damaged("an answer without a position"))?;
        Ok(answer.write(request, &Pos { state, token }).into())
    }
}

/// What a client waits for.
fn rings(request: &SlidingRequest) -> Rings {
    let extensions = &request.body.extensions;
    let body = &request.body;
    let has_rooms = !body.lists.is_empty() || !body.room_subscriptions.is_empty();
    let mut rings = Rings::NONE;
    let wanted = [
        // Who comes and goes is of interest to encryption, too.
        (has_rooms || extensions.e2ee.is_enabled(), Ring::Room),
        (extensions.receipts.is_enabled(), Ring::Receipt),
        (extensions.typing.is_enabled(), Ring::Typing),
        (extensions.account_data.is_enabled() || has_rooms, Ring::AccountData),
        (extensions.to_device.is_enabled(), Ring::ToDevice),
        (extensions.e2ee.is_enabled(), Ring::Devices),
        (extensions.presence.is_enabled(), Ring::Presence),
    ];
    for (is_wanted, ring) in wanted {
        if is_wanted {
            rings = rings.and(ring);
        }
    }
    rings
}
