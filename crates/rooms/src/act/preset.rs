//! What a new room begins with when its maker does not say otherwise.
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>

use ruma::api::client::room::Visibility;
use ruma::api::client::room::create_room::v3::RoomPreset;
use ruma::events::TimelineEventType;
use ruma::room_version_rules::AuthorizationRules;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, OwnedUserId, UserId};

use crate::act::content::set;

/// The level of who created a room, where levels say it.
const CREATOR: i64 = 100;

/// What a preset stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preset {
    pub(super) join_rule: &'static str,
    pub(super) guests: &'static str,
    /// Whether those who are invited at once are trusted as the creator is.
    pub(super) trusts: bool,
    /// Whether everybody may invite.
    invites: bool,
}

impl Preset {
    /// The preset asked for, or else the one that goes with the visibility.
    pub(super) fn of(asked: Option<&RoomPreset>, visibility: &Visibility) -> Self {
        match (asked, visibility) {
            (Some(RoomPreset::PublicChat), _) | (None, Visibility::Public) => {
                Self { join_rule: "public", guests: "forbidden", trusts: false, invites: false }
            }
            (Some(RoomPreset::TrustedPrivateChat), _) => {
                Self { join_rule: "invite", guests: "can_join", trusts: true, invites: true }
            }
            _ => Self { join_rule: "invite", guests: "can_join", trusts: false, invites: true },
        }
    }

    /// Whether only who is let in gets in.
    pub(super) fn is_private(self) -> bool {
        self.join_rule == "invite"
    }

    /// The power levels of a new room. Where the version knows creators, these have power without being named.
    pub(super) fn power_levels(
        self,
        rules: &AuthorizationRules,
        creator: &UserId,
        trusted: &[OwnedUserId],
    ) -> CanonicalJsonObject {
        let creators_are_known = rules.explicitly_privilege_room_creators;
        let mut levels = CanonicalJsonObject::new();
        let invite = if self.invites { 0 } else { 50 };
        let defaults = [("ban", 50), ("kick", 50), ("redact", 50), ("invite", invite), ("historical", 100)];
        let others = [("users_default", 0), ("events_default", 0), ("state_default", 50)];
        for (name, level) in defaults.into_iter().chain(others) {
            levels.insert(name.to_owned(), integer(level));
        }
        let tombstone = if creators_are_known { 150 } else { 100 };
        let of_events = [
            (TimelineEventType::RoomName, 50),
            (TimelineEventType::RoomAvatar, 50),
            (TimelineEventType::RoomCanonicalAlias, 50),
            (TimelineEventType::RoomPowerLevels, 100),
            (TimelineEventType::RoomHistoryVisibility, 100),
            (TimelineEventType::RoomServerAcl, 100),
            (TimelineEventType::RoomEncryption, 100),
            (TimelineEventType::RoomTombstone, tombstone),
        ];
        let events: CanonicalJsonObject =
            of_events.into_iter().map(|(kind, level)| (kind.to_string(), integer(level))).collect();
        levels.insert("events".to_owned(), CanonicalJsonValue::Object(events));
        let mut users = CanonicalJsonObject::new();
        if !creators_are_known {
            let trusted = trusted.iter().filter(|_| self.trusts).map(|user| &**user);
            users.extend(trusted.chain([creator]).map(|user| (user.to_string(), integer(CREATOR))));
        }
        levels.insert("users".to_owned(), CanonicalJsonValue::Object(users));
        levels
    }
}

/// A number in JSON.
pub(super) fn integer(number: i64) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(Int::new_saturating(number))
}

/// A content of one text.
pub(super) fn text(name: &str, value: impl Into<String>) -> CanonicalJsonObject {
    let mut content = CanonicalJsonObject::new();
    set(&mut content, name, value);
    content
}

/// The content of a topic that is plain text (<https://spec.matrix.org/v1.19/client-server-api/#mroomtopic>).
pub(super) fn topic(topic: &str) -> CanonicalJsonObject {
    let mut content = text("topic", topic);
    let plain = CanonicalJsonValue::Array(vec![CanonicalJsonValue::Object(text("body", topic))]);
    let block = CanonicalJsonObject::from([("m.text".to_owned(), plain)]);
    content.insert("m.topic".to_owned(), CanonicalJsonValue::Object(block));
    content
}
