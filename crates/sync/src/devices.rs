//! Whose devices a client must look at anew, and whose no more
//! (<https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>): of those with whom its user
//! shares a room.

use std::collections::BTreeSet;

use accounts::keys::KeyChanges;
use base::collections::HashSet;
use base::{Positions, limits};
use rooms::RoomNumber;
use rooms::timeline::Order;
use ruma::{OwnedUserId, UserId};

use crate::classic::Ask;
use crate::classic::answer::{Answer, Devices};
use crate::error::Error;
use crate::follow::{Moved, RoomStream, membership_changes};
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
        [since, to]: [&Positions; 2],
        all: &UserRooms,
        movement: Movement,
    ) -> Result<Devices, Error> {
        let Movement { mut came, mut went, left_rooms, .. } = movement;
        for room in left_rooms {
            let members = rooms::append::members(self.rooms.store(), room).await?;
            went.extend(members.into_iter().filter(|member| member.membership == "join").map(|member| member.user));
        }
        came.remove(user);
        let KeyChanges { devices, signed } = self.accounts.device_list_changes(user, since, to).await?;
        for changed in devices {
            if changed == *user || self.share_a_room(all, &changed).await? {
                came.insert(changed);
            }
        }
        went.remove(user);
        let gone = self.without_shared_room(all, went).await?;
        came.retain(|user| !gone.contains(user));
        came.extend(signed);
        Ok(Devices { changed: came.into_iter().collect(), left: gone.into_iter().collect() })
    }

    /// What happened to the members of all rooms of `user` between two points.
    pub(crate) async fn movement(
        &self,
        user: &UserId,
        all: &UserRooms,
        [since, to]: [&Positions; 2],
    ) -> Result<Movement, Error> {
        let mut movement = Movement::default();
        for room in &all.rooms {
            let (info, partition) = (&room.info, room.info.partition);
            let (since, to) = (since.of(partition), to.of(partition));
            let moved = self.follower.ask(|index| index.room_moved(RoomStream::State, partition, info.room, since));
            if moved == Moved::No || !self.has_moved(info, since, to).await? {
                continue;
            }
            let Some(reading) = self.rooms.read_number(info.room).await? else { continue };
            let roots =
                [reading.state_at(Order::Live(since.next())).await?, reading.state_at(Order::Live(to.next())).await?];
            let mut of_room = Movement::default();
            let (mut joined, mut left) = (false, false);
            for change in membership_changes(&self.rooms, info.room, roots).await? {
                let is_me = change.user == *user;
                match [&change.before, &change.after].map(|membership| membership.as_deref() == Some("join")) {
                    [false, true] if is_me => joined = true,
                    [true, false] if is_me => left = true,
                    [false, true] => drop(of_room.came.insert(change.user)),
                    [true, false] => drop(of_room.went.insert(change.user)),
                    _ => {}
                }
            }
            if joined {
                let members = rooms::append::members(self.rooms.store(), info.room).await?;
                let members = members.into_iter().filter(|member| member.membership == "join");
                of_room.came.extend(members.map(|member| member.user));
            }
            if left {
                movement.left_rooms.push(info.room);
            } else if joined || room.membership.membership == "join" {
                movement.add(of_room);
            }
        }
        Ok(movement)
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
