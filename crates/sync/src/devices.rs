//! Whose devices a client must look at anew, and whose no more
//! (<https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>): of those with whom its user
//! shares a room.

use std::collections::BTreeSet;

use base::collections::HashSet;
use base::limits;
use rooms::RoomNumber;
use ruma::{OwnedUserId, UserId};

use crate::classic::Ask;
use crate::classic::answer::{Answer, Devices};
use crate::error::Error;
use crate::handle::Syncer;
use crate::user_rooms::UserRooms;

/// What happened to the members of a user's rooms between two points.
#[derive(Clone, Debug, Default)]
pub(crate) struct Movement {
    /// Who joined a room of the user, or was in a room that the user joined.
    pub(crate) came: BTreeSet<OwnedUserId>,
    /// Who left a room of the user.
    pub(crate) went: BTreeSet<OwnedUserId>,
    /// Rooms that the user left.
    pub(crate) left_rooms: Vec<RoomNumber>,
    /// Whether anybody's membership of anything is another.
    pub(crate) is_any: bool,
}

impl Movement {
    /// And what happened in another room.
    pub(crate) fn add(&mut self, other: Self) {
        self.came.extend(other.came);
        self.went.extend(other.went);
        self.left_rooms.extend(other.left_rooms);
        self.is_any |= other.is_any;
    }
}

impl Syncer {
    /// Adds whose devices have changed, and with whom the user shares no room any more.
    pub(crate) async fn add_devices(
        &self,
        ask: &Ask<'_>,
        all: &UserRooms,
        movement: Movement,
        answer: &mut Answer,
    ) -> Result<(), Error> {
        let Some(since) = ask.since else { return Ok(()) };
        answer.devices = self.devices_changed(&ask.viewer.user, [&since.positions, ask.to], all, movement).await?;
        Ok(())
    }

    /// Whose devices have changed between two points, with what happened to the members of the user's rooms.
    pub(crate) async fn devices_changed(
        &self,
        user: &UserId,
        [since, to]: [&base::Positions; 2],
        all: &UserRooms,
        movement: Movement,
    ) -> Result<Devices, Error> {
        let Movement { mut came, mut went, left_rooms, .. } = movement;
        for room in left_rooms {
            let members = rooms::append::members(self.rooms.store(), room).await?;
            went.extend(members.into_iter().filter(|member| member.membership == "join").map(|member| member.user));
        }
        came.remove(user);
        for changed in self.device_changes(since, to).await? {
            if changed == *user || self.share_a_room(all, &changed).await? {
                came.insert(changed);
            }
        }
        went.remove(user);
        let gone = self.without_shared_room(all, went).await?;
        came.retain(|user| !gone.contains(user));
        Ok(Devices { changed: came.into_iter().collect(), left: gone.into_iter().collect() })
    }

    /// Those of `users` who are in no room of `all` any more.
    async fn without_shared_room(
        &self,
        all: &UserRooms,
        mut users: BTreeSet<OwnedUserId>,
    ) -> Result<BTreeSet<OwnedUserId>, Error> {
        if users.len() <= limits::SYNC_SHARED_ONE_BY_ONE {
            let mut without = BTreeSet::new();
            for user in users {
                if !self.share_a_room(all, &user).await? {
                    without.insert(user);
                }
            }
            return Ok(without);
        }
        for room in all.joined() {
            for member in rooms::append::members(self.rooms.store(), room.info.room).await? {
                if member.membership == "join" {
                    users.remove(&member.user);
                }
            }
        }
        Ok(users)
    }

    /// Whether `other` is in a room of `all`.
    pub(crate) async fn share_a_room(&self, all: &UserRooms, other: &UserId) -> Result<bool, Error> {
        let mine: HashSet<RoomNumber> = all.joined().map(|room| room.info.room).collect();
        let theirs = self.rooms_of(other).await?;
        Ok(theirs.joined().any(|room| mine.contains(&room.info.room)))
    }
}
