//! Which members a device was told of, so that it is not told again with every message (lazy loading of members). Kept in
//! bounded memory; what is forgotten is told once more, which harms nobody.
//!
//! A device was told only when it comes back with the token of the answer that told it: an answer that was lost tells nobody.

use std::sync::{Arc, Mutex, PoisonError};

use base::collections::HashMap;
use base::{Position, limits};
use moka::sync::Cache;
use rooms::{EventNumber, RoomNumber};
use ruma::UserId;

use crate::follow::UserKey;
use crate::handle::Viewer;

/// What a device was told of one room: of whom, by which event, and up to where the answer went that told it.
type Members = HashMap<UserKey, (EventNumber, Position)>;

/// What all devices were told.
#[derive(Debug)]
pub(crate) struct Told {
    devices: Cache<(Viewer, RoomNumber), Arc<Mutex<Members>>>,
}

impl Default for Told {
    fn default() -> Self {
        Self { devices: Cache::new(limits::SYNC_TOLD_ROOMS) }
    }
}

impl Told {
    /// Whether a device that comes with a token of `since` was told of `member` by `event`.
    pub(crate) fn was(
        &self,
        viewer: &Viewer,
        room: RoomNumber,
        member: &UserId,
        event: EventNumber,
        since: Position,
    ) -> bool {
        let Some(members) = self.devices.get(&(viewer.clone(), room)) else { return false };
        let members = members.lock().unwrap_or_else(PoisonError::into_inner);
        members.get(&UserKey::of(member)).is_some_and(|(told, until)| *told == event && *until <= since)
    }

    /// Whether a device that comes with a token of `since` was told of `member`, by whatever event.
    pub(crate) fn knows(&self, viewer: &Viewer, room: RoomNumber, member: &UserId, since: Position) -> bool {
        let Some(members) = self.devices.get(&(viewer.clone(), room)) else { return false };
        let members = members.lock().unwrap_or_else(PoisonError::into_inner);
        members.get(&UserKey::of(member)).is_some_and(|(_, until)| *until <= since)
    }

    /// Notes that an answer that goes up to `until` tells of `member` by `event`.
    pub(crate) fn note(&self, viewer: &Viewer, room: RoomNumber, member: &UserId, event: EventNumber, until: Position) {
        let members = self.devices.get_with((viewer.clone(), room), Arc::default);
        let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.len() >= limits::SYNC_TOLD_MEMBERS {
            members.clear();
        }
        members.insert(UserKey::of(member), (event, until));
    }

    /// Forgets what a device was told of a room: it begins anew.
    pub(crate) fn forget(&self, viewer: &Viewer, room: RoomNumber) {
        self.devices.invalidate(&(viewer.clone(), room));
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_device_id, owned_user_id, user_id};

    use super::*;

    #[test]
    fn only_who_comes_back_with_the_answers_token_was_told() {
        let told = Told::default();
        let viewer = Viewer { user: owned_user_id!("@alice:hs"), device: owned_device_id!("A") };
        let (room, bob, event) = (RoomNumber(7), user_id!("@bob:hs"), EventNumber(3));
        told.note(&viewer, room, bob, event, Position(10));
        assert!(!told.was(&viewer, room, bob, event, Position(9)), "the answer was lost");
        assert!(told.was(&viewer, room, bob, event, Position(10)));
        assert!(!told.was(&viewer, room, bob, EventNumber(4), Position(10)), "they are another now");
        told.forget(&viewer, room);
        assert!(!told.was(&viewer, room, bob, event, Position(10)));
    }
}
