//! What became of an event that somebody sent.

use std::collections::BTreeMap;

use ruma::OwnedEventId;

use crate::error::Refusal;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the room and shown.
    Accepted,
    /// It is in the room's graph, and neither shown nor followed
    /// (<https://spec.matrix.org/v1.19/server-server-api/#soft-failure>).
    SoftFailed,
    /// It is kept apart, and nothing may lean on it (<https://spec.matrix.org/v1.19/server-server-api/#rejection>).
    Rejected,
    /// It was there before.
    Known,
    /// It is kept outside the graph, because another leans on it.
    Outlier,
    /// It failed the first two checks, or is of another room: nothing of it is kept.
    Dropped(Refusal),
    /// What it follows or leans on is nowhere to be had; it may be sent again later.
    Lacking,
    /// The room does not let the server that sent it take part.
    Denied,
    /// It could not be worked on; it is set aside, for an admin to look at.
    SetAside,
}

impl Verdict {
    /// What the answer to a transaction says of the event; `None` for success, which rejection is too
    /// (<https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid>).
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Accepted | Self::SoftFailed | Self::Rejected | Self::Known | Self::Outlier => None,
            Self::Dropped(refusal) => Some(refusal.to_string()),
            Self::Lacking => Some("the events that it follows or leans on could not be fetched".to_owned()),
            Self::Denied => Some("the room's server ACL denies the sending server".to_owned()),
            Self::SetAside => Some("the event could not be processed here".to_owned()),
        }
    }
}

/// What became of what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events whose id is known, those fetched beside the ones sent included.
    pub events: BTreeMap<OwnedEventId, Verdict>,
    /// Those of what was sent that have no id, by their place in it.
    pub unnamed: BTreeMap<usize, Verdict>,
    /// The ids of what was sent, by place.
    pub ids: BTreeMap<usize, OwnedEventId>,
}

impl Report {
    /// What became of the event in that place of what was sent.
    pub fn of(&self, place: usize) -> Option<&Verdict> {
        self.unnamed.get(&place).or_else(|| self.events.get(self.ids.get(&place)?))
    }
}
