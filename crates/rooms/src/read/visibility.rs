//! Who may see an event: the rules of <https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-5>, without I/O. What
//! they need of a state is a [`Moment`]; `sight` finds those.

use ruma::events::room::member::MembershipState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::timeline::Order;

/// Who may see the events of a room, as its state says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryVisibility {
    /// Everybody, in the room or not.
    WorldReadable,
    /// Whoever joins, all of them. So it is, too, when the state says nothing or nothing known.
    #[default]
    Shared,
    /// Members from when they were invited.
    Invited,
    /// Members from when they joined.
    Joined,
}

impl HistoryVisibility {
    /// What an event of this content says.
    pub(crate) fn of(content: &Value) -> Self {
        match content.get("history_visibility").and_then(Value::as_str) {
            Some("world_readable") => Self::WorldReadable,
            Some("invited") => Self::Invited,
            Some("joined") => Self::Joined,
            _ => Self::Shared,
        }
    }

    /// Its name in the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorldReadable => "world_readable",
            Self::Shared => "shared",
            Self::Invited => "invited",
            Self::Joined => "joined",
        }
    }
}

/// What of a state decides whether one user may see an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Who may see the room's history.
    pub history: HistoryVisibility,
    /// What the user is to the room; who has no membership has left.
    pub membership: MembershipState,
}

/// The last time that a user was joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Never.
    Never,
    /// Until the event in this place, by which they ceased to be.
    Until(Order),
    /// They are.
    Now,
}

impl Joined {
    /// Whether the user was joined at any point after the event at `order`.
    pub fn after(self, order: Order) -> bool {
        match self {
            Self::Never => false,
            Self::Until(left) => order < left,
            Self::Now => true,
        }
    }
}

/// Whether a user may see an event, by the states before and after it (which for most are the same): for a change of who may
/// see, and of the user's own membership, either may allow it; no other event changes what these say.
pub fn may_see(before: &Moment, after: &Moment, joined_later: bool) -> bool {
    [before, after].iter().any(|moment| match moment.history {
        HistoryVisibility::WorldReadable => true,
        HistoryVisibility::Shared => moment.membership == MembershipState::Join || joined_later,
        HistoryVisibility::Invited => matches!(moment.membership, MembershipState::Join | MembershipState::Invite),
        HistoryVisibility::Joined => moment.membership == MembershipState::Join,
    })
}
