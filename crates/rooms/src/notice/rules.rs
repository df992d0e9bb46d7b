//! Push rules over an event (<https://spec.matrix.org/v1.19/client-server-api/#push-rules>). The rules and their forms are
//! ruma's; the evaluation is ours, because an event is looked at once for all members of its room, and because of what
//! `pattern` says.
//!
//! Must do no I/O: the event and what is to be known of its room are arguments.

use std::ops::RangeBounds;

use base::collections::HashSet;
use ruma::push::{Action, AnyPushRuleRef, PushCondition, PushConditionPowerLevelsCtx, Ruleset};
use ruma::{OwnedRoomId, OwnedUserId, UInt, UserId};

use crate::notice::Seen;
use crate::notice::pattern::{matches, matches_words};

/// Rules that look for names in a text: they are not asked of an event that says whom it mentions
/// (<https://spec.matrix.org/v1.19/client-server-api/#user-and-room-mentions>).
const LEGACY_MENTIONS: [&str; 3] = [".m.rule.contains_display_name", ".m.rule.roomnotif", ".m.rule.contains_user_name"];

/// Somebody whom events may concern, with what decides whether they do.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Their push rules.
    pub ruleset: &'a Ruleset,
    /// Whose events do not exist for them.
    pub ignored: &'a HashSet<OwnedUserId>,
    /// Changes whenever the rules or the ignored users do: what was counted by others is not used again.
    pub version: [u64; 2],
}

/// What rules may ask of a room.
#[derive(Clone, Debug)]
pub struct RoomFacts {
    /// Its id.
    pub id: OwnedRoomId,
    /// How many are joined.
    pub joined: u64,
    /// Who may do what.
    pub power: PushConditionPowerLevelsCtx,
}

impl<'a> Reader<'a> {
    /// What is to be done for this user about `event`; nothing for their own and for those of users they ignore. `name` is
    /// what they are called in the room.
    pub fn actions(&self, event: &Seen, room: &RoomFacts, name: Option<&str>) -> &'a [Action] {
        if event.is_redacted || event.sender == self.user || self.ignored.contains(&event.sender) {
            return &[];
        }
        let asked = Asked { event, room, name };
        let rule = self.ruleset.iter().find(|rule| rule.enabled() && asked.matches(*rule));
        rule.map_or(&[], AnyPushRuleRef::actions)
    }
}

/// Whether `actions` say that the user is to be notified.
pub fn notifies(actions: &[Action]) -> bool {
    actions.iter().any(Action::should_notify)
}

/// Whether `actions` say that the event is to be highlighted.
pub fn highlights(actions: &[Action]) -> bool {
    actions.iter().any(Action::is_highlight)
}

/// What rules are asked of.
struct Asked<'a> {
    event: &'a Seen,
    room: &'a RoomFacts,
    name: Option<&'a str>,
}

impl Asked<'_> {
    fn matches(&self, rule: AnyPushRuleRef<'_>) -> bool {
        if self.event.has_mentions && LEGACY_MENTIONS.contains(&rule.rule_id()) {
            return false;
        }
        match rule {
            AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => {
                rule.conditions.iter().all(|condition| self.holds(condition))
            }
            AnyPushRuleRef::Content(rule) => self.field_matches("content.body", &rule.pattern),
            AnyPushRuleRef::Room(rule) => rule.rule_id == self.room.id,
            AnyPushRuleRef::Sender(rule) => rule.rule_id == self.event.sender,
            _ => false,
        }
    }

    #[expect(deprecated, reason = "clients have set rules with it, and the server's own older rules have it")]
    fn holds(&self, condition: &PushCondition) -> bool {
        let flat = &self.event.flat;
        match condition {
            PushCondition::EventMatch(data) => self.field_matches(&data.key, &data.pattern),
            PushCondition::ContainsDisplayName => {
                let body = flat.get_str("content.body");
                self.name.zip(body).is_some_and(|(name, body)| is_called(body, name))
            }
            PushCondition::RoomMemberCount(data) => {
                UInt::try_from(self.room.joined).is_ok_and(|n| data.is.contains(&n))
            }
            PushCondition::SenderNotificationPermission(data) => {
                self.room.power.has_sender_notification_permission(&self.event.sender, &data.key)
            }
            PushCondition::EventPropertyIs(data) => flat.get(&data.key).is_some_and(|value| data.value == *value),
            PushCondition::EventPropertyContains(data) => {
                flat.get(&data.key).and_then(|value| value.as_array()).is_some_and(|all| all.contains(&data.value))
            }
            _ => false,
        }
    }

    fn field_matches(&self, field: &str, pattern: &str) -> bool {
        match field {
            "room_id" => matches(self.room.id.as_str(), pattern),
            "content.body" => self.event.flat.get_str(field).is_some_and(|value| matches_words(value, pattern)),
            _ => self.event.flat.get_str(field).is_some_and(|value| matches(value, pattern)),
        }
    }
}

/// A name is no pattern, whatever is in it.
fn is_called(body: &str, name: &str) -> bool {
    !name.is_empty() && crate::notice::pattern::contains_name(body, name)
}
