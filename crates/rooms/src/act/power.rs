//! Who has which power in a room, where the authorisation rules are not asked: in the directory, and when one of several is
//! to be chosen.

use ruma::events::{StateEventType, TimelineEventType};
use ruma::room_version_rules::AuthorizationRules;
use ruma::state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField};
use ruma::{Int, OwnedUserId, UserId};

use crate::error::{Error, Refusal};
use crate::event::{AuthState, Known, StateKey};

/// The state that says it.
pub(super) fn keys() -> [StateKey; 2] {
    [StateEventType::RoomCreate, StateEventType::RoomPowerLevels].map(|kind| StateKey::new(kind, ""))
}

/// The powers of a room's members.
pub(super) struct Powers<'a> {
    rules: &'a AuthorizationRules,
    creators: Vec<OwnedUserId>,
    levels: Option<RoomPowerLevelsEvent<&'a Known>>,
}

impl<'a> Powers<'a> {
    /// As `state` has them.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the room's levels cannot be read: nobody has any power then.
    pub(super) fn of(state: &'a AuthState) -> Result<Self, Error> {
        let create = state.create().ok_or_else(|| Error::damaged("the room has no create event"))?;
        let rules = &create.pdu.version().rules().authorization;
        let creators = RoomCreateEvent::new(create).creators(rules).map_err(forbidden)?;
        let creators = creators.into_iter().collect();
        Ok(Self { rules, creators, levels: state.get("m.room.power_levels", "").map(RoomPowerLevelsEvent::new) })
    }

    /// Those who created the room.
    pub(super) fn creators(&self) -> &[OwnedUserId] {
        &self.creators
    }

    /// The level of `user`.
    pub(super) fn level(&self, user: &UserId) -> Result<Int, Refusal> {
        let is_creator = self.creators.iter().any(|creator| creator == user);
        match &self.levels {
            _ if is_creator && self.rules.explicitly_privilege_room_creators => Ok(Int::MAX),
            Some(levels) => levels.user_power_level(user, self.rules).map_err(forbidden),
            None => Ok(Int::from(if is_creator { 100 } else { 0 })),
        }
    }

    /// The level that inviting takes.
    pub(super) fn to_invite(&self) -> Result<Int, Refusal> {
        match &self.levels {
            Some(levels) => {
                levels.get_as_int_or_default(RoomPowerLevelsIntField::Invite, self.rules).map_err(forbidden)
            }
            None => Ok(RoomPowerLevelsIntField::Invite.default_value()),
        }
    }

    /// Whether `user` has the power to set state of `kind`.
    pub(super) fn may_set(&self, user: &UserId, kind: &TimelineEventType) -> Result<bool, Refusal> {
        let needed = match &self.levels {
            Some(levels) => levels.event_power_level(kind, Some(""), self.rules).map_err(forbidden)?,
            None => Int::from(0),
        };
        Ok(self.level(user)? >= needed)
    }
}

fn forbidden(why: String) -> Refusal {
    Refusal::Forbidden { why }
}
