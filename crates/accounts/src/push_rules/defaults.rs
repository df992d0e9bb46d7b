//! The rules that everybody has (<https://spec.matrix.org/v1.19/client-server-api/#predefined-rules>), and those that older
//! clients still count on to be notified of their names.

use ruma::UserId;
use ruma::push::{
    Action, ConditionalPushRule, ConditionalPushRuleInit, EventMatchConditionData, HighlightTweakValue,
    PatternedPushRule, PatternedPushRuleInit, PushCondition, Ruleset, SenderNotificationPermissionConditionData,
    SoundTweakValue, Tweak,
};

/// The rule after which the older ones of its kind are looked at.
const MENTION: &str = ".m.rule.is_user_mention";

/// The rules of a user who has changed nothing.
pub fn server_default(user: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user);
    // They do not apply to events that say whom they mention, so nobody is notified twice or by mistake of a name.
    let place = rules.override_.get_index_of(MENTION).map_or(rules.override_.len(), |place| place + 1);
    rules.override_.shift_insert(place, contains_display_name());
    rules.override_.shift_insert(place + 1, room_notif());
    rules.content.insert(contains_user_name(user));
    rules
}

fn loudly() -> Vec<Action> {
    let sound = Action::SetTweak(Tweak::Sound(SoundTweakValue::Default));
    vec![Action::Notify, sound, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))]
}

fn default_rule(id: &str, conditions: Vec<PushCondition>, actions: Vec<Action>) -> ConditionalPushRule {
    ConditionalPushRuleInit { actions, default: true, enabled: true, rule_id: id.to_owned(), conditions }.into()
}

/// The message has what the user is called in the room.
#[expect(deprecated, reason = "clients that do not say whom they mention are notified by it")]
fn contains_display_name() -> ConditionalPushRule {
    default_rule(".m.rule.contains_display_name", vec![PushCondition::ContainsDisplayName], loudly())
}

/// The message has `@room`, of somebody who may.
fn room_notif() -> ConditionalPushRule {
    let conditions = vec![
        EventMatchConditionData::new("content.body".to_owned(), "@room".to_owned()).into(),
        SenderNotificationPermissionConditionData::new("room".into()).into(),
    ];
    let highlight = Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes));
    default_rule(".m.rule.roomnotif", conditions, vec![Action::Notify, highlight])
}

/// The message has the name in the user's id.
fn contains_user_name(user: &UserId) -> PatternedPushRule {
    PatternedPushRuleInit {
        actions: loudly(),
        default: true,
        enabled: true,
        rule_id: ".m.rule.contains_user_name".to_owned(),
        pattern: user.localpart().to_owned(),
    }
    .into()
}
