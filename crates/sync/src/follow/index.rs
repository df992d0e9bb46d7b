//! What the follower remembers of the log: when something last happened to each room and user, and where that is not known
//! any more. One for all partitions; a room or user is in one partition only, so positions of different ones never meet.

use base::collections::HashMap;
use base::{Partition, Position, limits};
use rooms::RoomNumber;
use rooms::state::StateRoot;

use crate::follow::UserKey;
use crate::follow::latest::{Latest, Moved};

/// What is asked of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomStream {
    /// Events.
    Events,
    /// Changes of the state.
    State,
    /// Receipts.
    Receipts,
}

/// What is asked of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserStream {
    /// Account data, global and of rooms.
    AccountData,
    /// Messages to the user's devices.
    ToDevice,
}

/// What is remembered of one partition.
#[derive(Debug)]
struct Part {
    events: Latest<RoomNumber>,
    states: Latest<RoomNumber>,
    receipts: Latest<RoomNumber>,
    account_data: Latest<UserKey>,
    to_device: Latest<UserKey>,
    /// When a user's membership of a room last changed.
    memberships: Latest<(UserKey, RoomNumber)>,
    /// The state that a room had when the follower last saw it.
    roots: HashMap<RoomNumber, StateRoot>,
}

impl Part {
    fn new(floor: Position) -> Self {
        Self {
            events: Latest::new(floor, limits::SYNC_INDEXED),
            states: Latest::new(floor, limits::SYNC_INDEXED),
            receipts: Latest::new(floor, limits::SYNC_INDEXED),
            account_data: Latest::new(floor, limits::SYNC_INDEXED),
            to_device: Latest::new(floor, limits::SYNC_INDEXED),
            memberships: Latest::new(floor, limits::SYNC_INDEXED),
            roots: HashMap::default(),
        }
    }
}

/// What is remembered of all partitions.
#[derive(Debug)]
pub(crate) struct Index {
    parts: Vec<Part>,
    /// How often a user's memberships have changed; what is not there, no more often than `versions_floor`.
    versions: HashMap<UserKey, u64>,
    versions_floor: u64,
    version: u64,
}

impl Index {
    /// Knows what comes after these positions.
    pub(crate) fn new(floors: &[Position]) -> Self {
        let parts = floors.iter().map(|floor| Part::new(*floor)).collect();
        Self { parts, versions: HashMap::default(), versions_floor: 0, version: 0 }
    }

    fn part(&self, partition: Partition) -> Option<&Part> {
        self.parts.get(usize::from(partition.0))
    }

    fn part_mut(&mut self, partition: Partition) -> Option<&mut Part> {
        self.parts.get_mut(usize::from(partition.0))
    }

    /// Notes that something happened in a room.
    pub(crate) fn note_room(&mut self, of: RoomStream, partition: Partition, room: RoomNumber, position: Position) {
        let Some(part) = self.part_mut(partition) else { return };
        match of {
            RoomStream::Events => part.events.note(room, position),
            RoomStream::State => part.states.note(room, position),
            RoomStream::Receipts => part.receipts.note(room, position),
        }
    }

    /// Whether something happened in a room after `since`.
    pub(crate) fn room_moved(&self, of: RoomStream, partition: Partition, room: RoomNumber, since: Position) -> Moved {
        let Some(part) = self.part(partition) else { return Moved::Unknown };
        match of {
            RoomStream::Events => part.events.moved(&room, since),
            RoomStream::State => part.states.moved(&room, since),
            RoomStream::Receipts => part.receipts.moved(&room, since),
        }
    }

    /// When something last happened in a room, if that is known.
    pub(crate) fn room_last(&self, of: RoomStream, partition: Partition, room: RoomNumber) -> Option<Position> {
        let part = self.part(partition)?;
        match of {
            RoomStream::Events => part.events.last(&room),
            RoomStream::State => part.states.last(&room),
            RoomStream::Receipts => part.receipts.last(&room),
        }
    }

    /// Notes that something happened to a user.
    pub(crate) fn note_user(&mut self, of: UserStream, partition: Partition, user: UserKey, position: Position) {
        let Some(part) = self.part_mut(partition) else { return };
        match of {
            UserStream::AccountData => part.account_data.note(user, position),
            UserStream::ToDevice => part.to_device.note(user, position),
        }
    }

    /// Whether something happened to a user after `since`.
    pub(crate) fn user_moved(&self, of: UserStream, partition: Partition, user: &UserKey, since: Position) -> Moved {
        let Some(part) = self.part(partition) else { return Moved::Unknown };
        match of {
            UserStream::AccountData => part.account_data.moved(user, since),
            UserStream::ToDevice => part.to_device.moved(user, since),
        }
    }

    /// When something last happened to a user, if that is known.
    pub(crate) fn user_last(&self, of: UserStream, partition: Partition, user: &UserKey) -> Option<Position> {
        let part = self.part(partition)?;
        match of {
            UserStream::AccountData => part.account_data.last(user),
            UserStream::ToDevice => part.to_device.last(user),
        }
    }

    /// Notes that a user's membership of a room changed.
    pub(crate) fn note_membership(
        &mut self,
        partition: Partition,
        user: UserKey,
        room: RoomNumber,
        position: Position,
    ) {
        if let Some(part) = self.part_mut(partition) {
            part.memberships.note((user, room), position);
        }
        self.note_other_memberships(user);
    }

    /// Notes that what is remembered of a user's memberships is not what is stored any more.
    pub(crate) fn note_other_memberships(&mut self, user: UserKey) {
        self.version += 1;
        self.versions.insert(user, self.version);
        if self.versions.len() > limits::SYNC_INDEXED {
            // Whoever is let go of looks as if they had changed just now: what is remembered of them is read again.
            self.versions.clear();
            self.versions_floor = self.version;
        }
    }

    /// When a user's membership of a room last changed, if the follower saw it.
    pub(crate) fn membership_changed(&self, partition: Partition, user: UserKey, room: RoomNumber) -> Option<Position> {
        self.part(partition)?.memberships.last(&(user, room))
    }

    /// A number that is another one after any of a user's memberships has changed.
    pub(crate) fn memberships_version(&self, user: &UserKey) -> u64 {
        self.versions.get(user).copied().unwrap_or(self.versions_floor)
    }

    /// The state that a room had when the follower last saw it.
    pub(crate) fn root(&self, partition: Partition, room: RoomNumber) -> Option<StateRoot> {
        self.part(partition)?.roots.get(&room).copied()
    }

    /// Notes the state that a room has now.
    pub(crate) fn note_root(&mut self, partition: Partition, room: RoomNumber, root: StateRoot) {
        let Some(part) = self.part_mut(partition) else { return };
        if part.roots.len() >= limits::SYNC_INDEXED && !part.roots.contains_key(&room) {
            part.roots.clear();
        }
        part.roots.insert(room, root);
    }
}
