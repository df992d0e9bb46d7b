//! The handle on all that syncs. What it answers is in the folders beside this file, each with an `impl Syncer` of its own.

use std::fmt;
use std::sync::Arc;

use accounts::Accounts;
use base::shutdown::Shutdown;
use base::{Partition, Position, limits};
use moka::sync::Cache;
use rooms::{RoomNumber, Rooms};
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::filter::SyncFilter;
use crate::follow::{Follower, UserKey};
use crate::shared::InFlight;
use crate::sliding::connection::Connections;
use crate::sliding::lists::Bumped;
use crate::told::Told;
use crate::user_rooms::UserRooms;

/// Who syncs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Viewer {
    /// The user.
    pub user: OwnedUserId,
    /// The device.
    pub device: OwnedDeviceId,
}

/// What never changes of a room.
#[derive(Debug)]
pub(crate) struct RoomInfo {
    /// Its number.
    pub(crate) room: RoomNumber,
    /// Its id.
    pub(crate) id: OwnedRoomId,
    /// Its partition of the log.
    pub(crate) partition: Partition,
}

/// All that syncs: what it reads from, the follower of the log, and what is kept in bounded memory.
pub struct Syncer {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) infos: Cache<RoomNumber, Arc<RoomInfo>>,
    pub(crate) user_rooms: Cache<UserKey, Arc<UserRooms>>,
    pub(crate) filters: Cache<(UserKey, String), Arc<SyncFilter>>,
    pub(crate) told: Told,
    /// Up to where devices' messages were let go of.
    pub(crate) acknowledged: Cache<Viewer, Position>,
    /// What sliding sync has told its connections.
    pub(crate) connections: Connections,
    /// The last event of each room by which it moves to the front.
    pub(crate) bumped: Cache<RoomNumber, Bumped>,
    /// Answers that take long and that several ask for at once.
    pub(crate) in_flight: InFlight,
    /// Places for those.
    pub(crate) long: Semaphore,
    /// Drawn at the start: marks what of a token lives no longer than this process.
    pub(crate) boot: u32,
}

impl Syncer {
    /// A handle that follows the log from where it ends now, once it is [started](Self::start).
    ///
    /// # Errors
    /// When the store is closed.
    pub fn open(rooms: Arc<Rooms>, accounts: Arc<Accounts>) -> Result<Arc<Self>, Error> {
        let follower = Arc::new(Follower::new(Arc::clone(&rooms), Arc::clone(&accounts))?);
        let boot = u32::from_be_bytes(rooms.store().random().bytes());
        let weigh = |_: &UserKey, rooms: &Arc<UserRooms>| rooms.bytes();
        let user_rooms = Cache::builder().weigher(weigh).max_capacity(limits::SYNC_USER_ROOMS_BYTES).build();
        Ok(Arc::new(Self {
            rooms,
            accounts,
            follower,
            infos: Cache::new(limits::SYNC_ROOM_INFOS),
            user_rooms,
            filters: Cache::builder().weigher(weigh_filter).max_capacity(limits::SYNC_FILTER_BYTES).build(),
            told: Told::default(),
            acknowledged: Cache::new(limits::SYNC_ACKNOWLEDGED),
            connections: Connections::default(),
            bumped: Cache::new(limits::SYNC_ROOM_INFOS),
            in_flight: InFlight::default(),
            long: Semaphore::new(limits::SYNC_LONG_AT_ONCE),
            boot,
        }))
    }

    /// Follows the log until `stop`. Before this nobody who waits is ever woken.
    pub fn start(&self, stop: &Shutdown) -> Vec<JoinHandle<()>> {
        self.follower.start(stop)
    }

    /// What never changes of `room`; `None` when there is no such room any more.
    pub(crate) async fn room_info(&self, room: RoomNumber) -> Result<Option<Arc<RoomInfo>>, Error> {
        if let Some(info) = self.infos.get(&room) {
            return Ok(Some(info));
        }
        let Some(reading) = self.rooms.read_number(room).await? else { return Ok(None) };
        let id = reading.id().to_owned();
        let partition = self.rooms.store().partition_of(id.as_str());
        let info = Arc::new(RoomInfo { room, id, partition });
        self.infos.insert(room, Arc::clone(&info));
        Ok(Some(info))
    }
}

/// A filter takes about three times what it takes as JSON.
fn weigh_filter((_, json): &(UserKey, String), _: &Arc<SyncFilter>) -> u32 {
    u32::try_from(json.len().saturating_mul(4).saturating_add(1_000)).unwrap_or(u32::MAX)
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the syncs")
    }
}
