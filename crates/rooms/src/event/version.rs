//! Room versions 1 to 12 as data: ruma's rules, each beside its name. No other file asks which version a room has; they
//! ask which rules.

use ruma::RoomVersionId;
use ruma::room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules};

use crate::error::Refusal;

/// A room version that we know (<https://spec.matrix.org/v1.19/rooms/>).
#[derive(Debug)]
pub struct RoomVersion {
    id: RoomVersionId,
    rules: RoomVersionRules,
}

const fn version(id: RoomVersionId, rules: RoomVersionRules) -> RoomVersion {
    RoomVersion { id, rules }
}

static VERSIONS: [RoomVersion; 12] = [
    version(RoomVersionId::V1, RoomVersionRules::V1),
    version(RoomVersionId::V2, RoomVersionRules::V2),
    version(RoomVersionId::V3, RoomVersionRules::V3),
    version(RoomVersionId::V4, RoomVersionRules::V4),
    version(RoomVersionId::V5, RoomVersionRules::V5),
    version(RoomVersionId::V6, RoomVersionRules::V6),
    version(RoomVersionId::V7, RoomVersionRules::V7),
    version(RoomVersionId::V8, RoomVersionRules::V8),
    version(RoomVersionId::V9, RoomVersionRules::V9),
    version(RoomVersionId::V10, RoomVersionRules::V10),
    version(RoomVersionId::V11, RoomVersionRules::V11),
    version(RoomVersionId::V12, RoomVersionRules::V12),
];

impl RoomVersion {
    /// The version called `id`.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedVersion`].
    pub fn of(id: &RoomVersionId) -> Result<&'static Self, Refusal> {
        let unsupported = || Refusal::UnsupportedVersion { version: id.to_string() };
        Self::all().iter().find(|version| version.id == *id).ok_or_else(unsupported)
    }

    /// All versions, oldest first.
    pub fn all() -> &'static [Self] {
        &VERSIONS
    }

    /// Its name.
    pub fn id(&self) -> &RoomVersionId {
        &self.id
    }

    /// Its rules.
    pub fn rules(&self) -> &RoomVersionRules {
        &self.rules
    }

    /// Whether events are named by `[id, {"sha256": hash}]`, as in versions 1 and 2, and carry their id.
    pub(crate) fn has_given_ids(&self) -> bool {
        self.rules.events_reference_format == EventsReferenceFormatVersion::V1
    }

    /// Whether the room's id is its create event's hash, as since version 12.
    pub(crate) fn has_hashed_room_id(&self) -> bool {
        self.rules.authorization.room_create_event_id_as_room_id
    }
}

impl PartialEq for RoomVersion {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
