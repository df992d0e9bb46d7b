//! The rooms of a user, as they stand now: read when somebody asks, remembered until the follower sees one of them change.

use std::borrow::Cow;
use std::sync::Arc;

use base::{Position, Positions};
use rooms::append::{Membership, rooms_of_user};
use rooms::timeline::{self, Order};
use ruma::UserId;
use ruma::events::StateEventType;

use crate::classic::membership;
use crate::error::Error;
use crate::follow::{Moved, RoomStream, UserKey, heads};
use crate::handle::{RoomInfo, Syncer};

/// A room in which a user is or was.
#[derive(Clone, Debug)]
pub(crate) struct UserRoom {
    pub(crate) info: Arc<RoomInfo>,
    pub(crate) membership: Membership,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct UserRooms {
    pub(crate) rooms: Vec<UserRoom>,
    /// Nothing that came after this is in them.
    until: Positions,
    version: u64,
}

impl UserRooms {
    pub(crate) fn bytes(&self) -> u32 {
        u32::try_from(self.rooms.len().saturating_mul(200).saturating_add(100)).unwrap_or(u32::MAX)
    }

    /// Those in which the user is.
    pub(crate) fn joined(&self) -> impl Iterator<Item = &UserRoom> {
        self.rooms.iter().filter(|room| room.membership.membership == "join")
    }
}

impl Syncer {
    /// The rooms in which `user` is or was.
    pub(crate) async fn rooms_of(&self, user: &UserId) -> Result<Arc<UserRooms>, Error> {
        let key = UserKey::of(user);
        // Before reading: what changes meanwhile makes another number.
        let version = self.follower.ask(|index| index.memberships_version(&key));
        if let Some(known) = self.user_rooms.get(&key).filter(|known| known.version == version) {
            return Ok(known);
        }
        let mut rooms = Vec::new();
        for membership in rooms_of_user(self.rooms.store(), user).await? {
            if let Some(info) = self.room_info(membership.room).await? {
                rooms.push(UserRoom { info, membership });
            }
        }
        let known = Arc::new(UserRooms { rooms, until: heads(&self.rooms)?, version });
        self.user_rooms.insert(key, Arc::clone(&known));
        Ok(known)
    }

    /// The membership of one of `all` as it was at `to`, if it had been one by then.
    pub(crate) async fn membership_at<'a>(
        &self,
        user: &UserId,
        all: &UserRooms,
        room: &'a UserRoom,
        to: &Positions,
    ) -> Result<Option<Cow<'a, UserRoom>>, Error> {
        let to_here = to.of(room.info.partition);
        if to_here >= all.until.of(room.info.partition) || self.changed_at(user, room).await? <= to_here {
            return Ok(Some(Cow::Borrowed(room)));
        }
        // It changed between the heads and the reading of the list, which is rare.
        let Some(mut reading) = self.rooms.read_number(room.info.room).await? else { return Ok(None) };
        let root = reading.state_at(Order::Live(to_here.next())).await?;
        let member = reading.state_event(root, StateEventType::RoomMember, user.as_str()).await?;
        let Some(member) = member else { return Ok(None) };
        let mut then = room.clone();
        then.membership.event = member.number;
        then.membership.membership = membership(&member)?.to_string();
        Ok(Some(Cow::Owned(then)))
    }

    /// When a user's membership of a room became what it is.
    pub(crate) async fn changed_at(&self, user: &UserId, room: &UserRoom) -> Result<Position, Error> {
        let info = &room.info;
        let key = UserKey::of(user);
        let seen = self.follower.ask(|index| index.membership_changed(info.partition, key, info.room));
        let orders = timeline::orders(self.rooms.store(), info.room, &[room.membership.event]).await?;
        Ok(match orders.into_iter().next().flatten() {
            Some(Order::Live(position)) => seen.unwrap_or_default().max(position),
            _ => seen.unwrap_or_default(),
        })
    }

    /// When something last happened in a room, as far as that lies behind `head`.
    pub(crate) async fn last_event(&self, info: &RoomInfo, head: Position) -> Result<Position, Error> {
        let (partition, room) = (info.partition, info.room);
        if let Some(last) = self.follower.ask(|index| index.room_last(RoomStream::Events, partition, room)) {
            return Ok(last);
        }
        let entry = timeline::last_until(self.rooms.store(), room, Order::Live(head)).await?;
        let last = match entry.map(|entry| entry.order) {
            Some(Order::Live(position) | Order::Filled(position, _)) => position,
            Some(Order::History(_)) | None => Position::START,
        };
        self.follower.ask(|index| index.note_room(RoomStream::Events, partition, room, last));
        Ok(last)
    }

    /// Whether an event came into a room after `since`.
    pub(crate) async fn has_moved(&self, info: &RoomInfo, since: Position, head: Position) -> Result<bool, Error> {
        let moved = self.follower.ask(|index| index.room_moved(RoomStream::Events, info.partition, info.room, since));
        match moved {
            Moved::Yes => Ok(true),
            Moved::No => Ok(false),
            Moved::Unknown => Ok(self.last_event(info, head).await? > since),
        }
    }
}
