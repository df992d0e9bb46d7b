//! Push rules: those that everybody has, those that users make, and who is told of a change.

use base::{Position, limits};
use ruma::push::{
    Action, EventMatchConditionData, NewConditionalPushRule, NewPatternedPushRule, NewPushRule, NewSimplePushRule,
    RuleKind,
};
use ruma::{UserId, room_id};
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, user};
use crate::push_rules::{Enabled, TYPE};

fn content_rule(name: &str) -> NewPushRule {
    NewPushRule::Content(NewPatternedPushRule::new(name.to_owned(), "cake".to_owned(), vec![Action::Notify]))
}

async fn rules(accounts: &Accounts, of: &UserId) -> Value {
    serde_json::from_str(accounts.push_rules_json(of).await.unwrap().get()).unwrap()
}

async fn names(accounts: &Accounts, of: &UserId, kind: &str) -> Vec<String> {
    let rules = rules(accounts, of).await;
    let names = rules["global"][kind].as_array().unwrap().iter();
    names.map(|rule| rule["rule_id"].as_str().unwrap().to_owned()).collect()
}

fn refusal(outcome: Result<(), Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everybody_has_the_servers_rules_of_every_kind_without_a_row() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    let all = rules(&accounts, &alice).await;
    for kind in ["override", "content", "room", "sender", "underride"] {
        assert!(all["global"][kind].is_array(), "{kind}");
    }
    let overrides = names(&accounts, &alice, "override").await;
    assert_eq!(overrides.first().map(String::as_str), Some(".m.rule.master"));
    let place = |name: &str| overrides.iter().position(|rule| rule == name).unwrap();
    assert!(place(".m.rule.is_user_mention") < place(".m.rule.contains_display_name"));
    assert_eq!(names(&accounts, &alice, "content").await, [".m.rule.contains_user_name"]);
    assert_eq!(all["global"]["content"][0]["pattern"], "alice");

    let stored = accounts.account_data(&alice, None, TYPE).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(stored.get()).unwrap(), all);
    let first = accounts.account_data_since(&alice, Position::START).await.unwrap();
    assert_eq!(first.iter().filter(|data| data.kind == TYPE).count(), 1, "a first sync has them");
}

#[tokio::test]
async fn rules_are_added_moved_changed_switched_and_removed_and_each_change_is_told() {
    let accounts = accounts().await;
    let alice = &user(&accounts, "alice").await.user_id;
    let mut seen = Position::START;
    let mut told = async || {
        let changed = accounts.account_data_since(alice, seen).await.unwrap();
        let changed: Vec<_> = changed.into_iter().filter(|data| data.kind == TYPE && data.position > seen).collect();
        seen = changed.last().map_or(seen, |data| data.position);
        changed.len()
    };
    accounts.put_push_rule(alice, content_rule("a"), None, None).await.unwrap();
    accounts.put_push_rule(alice, content_rule("b"), None, None).await.unwrap();
    accounts.put_push_rule(alice, content_rule("c"), Some("b"), None).await.unwrap();
    assert_eq!(names(&accounts, alice, "content").await, ["b", "c", "a", ".m.rule.contains_user_name"]);
    assert_eq!(told().await, 1);
    accounts.put_push_rule(alice, content_rule("a"), None, Some("b")).await.unwrap();
    assert_eq!(names(&accounts, alice, "content").await[..3], ["a", "b", "c"]);
    assert_eq!(told().await, 1);

    accounts.enable_push_rule(alice, RuleKind::Content, "a", Enabled::No).await.unwrap();
    accounts.set_push_rule_actions(alice, RuleKind::Content, "a", vec![]).await.unwrap();
    let rule = accounts.push_rule(alice, RuleKind::Content, "a").await.unwrap();
    assert!(!rule.enabled() && rule.actions().is_empty() && !rule.is_server_default());
    assert_eq!(told().await, 1);
    accounts.enable_push_rule(alice, RuleKind::Content, "a", Enabled::No).await.unwrap();
    assert_eq!(told().await, 0, "nothing has changed");

    accounts.remove_push_rule(alice, RuleKind::Content, "a").await.unwrap();
    assert_eq!(names(&accounts, alice, "content").await[..2], ["b", "c"]);
    assert_eq!(told().await, 1);
    accounts.enable_push_rule(alice, RuleKind::Override, ".m.rule.master", Enabled::Yes).await.unwrap();
    assert!(accounts.push_rule(alice, RuleKind::Override, ".m.rule.master").await.unwrap().enabled());
}

#[tokio::test]
async fn an_action_of_former_times_is_kept_as_it_came() {
    let accounts = accounts().await;
    let alice = &user(&accounts, "alice").await.user_id;
    let actions: Vec<Action> = serde_json::from_value(json!(["dont_notify"])).unwrap();
    let rule = NewPushRule::Sender(NewSimplePushRule::new(alice.clone(), actions));
    accounts.put_push_rule(alice, rule, None, None).await.unwrap();
    for _ in 0..2 {
        assert_eq!(rules(&accounts, alice).await["global"]["sender"][0]["actions"][0], "dont_notify");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let accounts = accounts().await;
    let alice = &user(&accounts, "alice").await.user_id;
    let kind = RuleKind::Content;
    let invalid = |refusal: &Refusal| matches!(refusal, Refusal::InvalidParam { .. });
    let missing = |refusal: &Refusal| matches!(refusal, Refusal::NotFound { .. });
    for name in ["", ".mine", "a/b", "a\\b", &"x".repeat(256)] {
        let refused = refusal(accounts.put_push_rule(alice, content_rule(name), None, None).await);
        assert!(invalid(&refused), "{name}: {refused}");
    }
    for beside in ["nowhere", ".m.rule.contains_user_name"] {
        let refused = refusal(accounts.put_push_rule(alice, content_rule("a"), Some(beside), None).await);
        assert!(invalid(&refused), "{beside}: {refused}");
    }
    assert!(missing(&refusal(accounts.remove_push_rule(alice, kind.clone(), "a").await)));
    assert!(missing(&refusal(accounts.enable_push_rule(alice, kind.clone(), "a", Enabled::Yes).await)));
    assert!(missing(&refusal(accounts.set_push_rule_actions(alice, kind.clone(), "a", vec![]).await)));
    let unknown = RuleKind::from("io.element.msc4306.postcontent");
    assert!(missing(&refusal(accounts.enable_push_rule(alice, unknown.clone(), "a", Enabled::Yes).await)));
    assert!(missing(&refusal(accounts.push_rule(alice, unknown, "a").await.map(drop))));
    let servers = accounts.remove_push_rule(alice, kind.clone(), ".m.rule.contains_user_name").await;
    assert!(invalid(&refusal(servers)));
    let long = NewPatternedPushRule::new("a".to_owned(), "?".repeat(limits::PUSH_PATTERN_BYTES + 1), vec![]);
    let long = refusal(accounts.put_push_rule(alice, NewPushRule::Content(long), None, None).await);
    assert!(matches!(long, Refusal::TooLarge { .. }), "{long}");
    let condition = EventMatchConditionData::new("type".to_owned(), "x".to_owned());
    let conditions = vec![condition.into(); limits::PUSH_CONDITIONS + 1];
    let many = NewPushRule::Override(NewConditionalPushRule::new("a".to_owned(), conditions, vec![]));
    let many = refusal(accounts.put_push_rule(alice, many, None, None).await);
    assert!(matches!(many, Refusal::TooMany { .. }), "{many}");
}

#[tokio::test]
async fn what_decides_is_another_version_whenever_rules_or_ignored_users_change() {
    let accounts = accounts().await;
    let alice = &user(&accounts, "alice").await.user_id;
    let first = accounts.push_settings(alice).await.unwrap();
    assert_eq!(accounts.push_settings(alice).await.unwrap().version, first.version);
    accounts.put_push_rule(alice, content_rule("a"), None, None).await.unwrap();
    let second = accounts.push_settings(alice).await.unwrap();
    assert_ne!(second.version, first.version);
    let list = serde_json::value::to_raw_value(&json!({ "ignored_users": { "@eve:two": {} } })).unwrap();
    accounts.set_account_data(alice, None, "m.ignored_user_list", &list).await.unwrap();
    let third = accounts.push_settings(alice).await.unwrap();
    assert_ne!(third.version, second.version);
    assert_eq!(third.ignored.len(), 1);
}

#[tokio::test]
async fn what_was_decided_about_a_room_goes_for_the_one_that_replaces_it() {
    let accounts = accounts().await;
    let alice = &user(&accounts, "alice").await.user_id;
    let (old, new) = (room_id!("!old:example.org"), room_id!("!new:example.org"));
    accounts.carry_push_rules_over(alice, old, new).await.unwrap();
    assert!(names(&accounts, alice, "room").await.is_empty());
    let rule = NewPushRule::Room(NewSimplePushRule::new(old.to_owned(), vec![]));
    accounts.put_push_rule(alice, rule, None, None).await.unwrap();
    accounts.carry_push_rules_over(alice, old, new).await.unwrap();
    assert_eq!(names(&accounts, alice, "room").await, [old.as_str(), new.as_str()]);
}
