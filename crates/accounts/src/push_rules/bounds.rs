//! What is too much of a push rule: every rule is looked at for every event that its user gets.

use base::limits;
use ruma::push::{Action, NewPushRule, PushCondition, Ruleset};

use crate::error::Refusal;

pub(super) fn check(rule: &NewPushRule) -> Result<(), Refusal> {
    if rule.rule_id().is_empty() || rule.rule_id().len() > limits::PUSH_RULE_NAME_BYTES {
        return Err(Refusal::invalid("a rule's name is not empty and not longer than 255 bytes"));
    }
    let (actions, conditions, pattern) = match rule {
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => (&rule.actions, rule.conditions.as_slice(), ""),
        NewPushRule::Content(rule) => (&rule.actions, [].as_slice(), rule.pattern.as_str()),
        NewPushRule::Room(rule) => (&rule.actions, [].as_slice(), ""),
        NewPushRule::Sender(rule) => (&rule.actions, [].as_slice(), ""),
        _ => return Err(Refusal::invalid("there are no rules of this kind")),
    };
    check_actions(actions)?;
    if conditions.len() > limits::PUSH_CONDITIONS {
        return Err(Refusal::TooMany { what: "conditions of a rule", most: limits::PUSH_CONDITIONS });
    }
    let patterns = conditions.iter().filter_map(|condition| match condition {
        PushCondition::EventMatch(data) => Some(data.pattern.as_str()),
        _ => None,
    });
    let is_long = |pattern: &str| pattern.len() > limits::PUSH_PATTERN_BYTES;
    if is_long(pattern) || patterns.into_iter().any(is_long) {
        return Err(Refusal::TooLarge { what: "a pattern", most: limits::PUSH_PATTERN_BYTES });
    }
    Ok(())
}

pub(super) fn check_actions(actions: &[Action]) -> Result<(), Refusal> {
    if actions.len() > limits::PUSH_ACTIONS {
        return Err(Refusal::TooMany { what: "actions of a rule", most: limits::PUSH_ACTIONS });
    }
    Ok(())
}

pub(super) fn check_count(rules: &Ruleset) -> Result<(), Refusal> {
    if rules.iter().count() > limits::PUSH_RULES {
        return Err(Refusal::TooMany { what: "push rules", most: limits::PUSH_RULES });
    }
    Ok(())
}
