//! Push rules against ruma's own evaluation of them, and where ours must differ from none.

use proptest::prelude::*;
use ruma::push::{
    EventMatchConditionData, NewConditionalPushRule, NewPatternedPushRule, NewPushRule, NewSimplePushRule,
    PushConditionRoomCtx, RoomMemberCountConditionData, RoomMemberCountIs, Ruleset,
};
use ruma::serde::Raw;
use ruma::{RoomVersionId, UInt, UserId};
use serde_json::{Value, json, value::to_raw_value};

use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Pdu, RoomVersion};
use crate::notice::Seen;
use crate::notice::fixture::Rules;
use crate::notice::rules::{RoomFacts, highlights, notifies};

/// A room of three in which Alice alone may notify all.
fn room() -> (Room, RoomFacts) {
    let room = Room::new(RoomVersion::of(&RoomVersionId::V11).unwrap());
    let levels = serde_json::from_value::<ruma::events::room::power_levels::RoomPowerLevelsEventContent>(
        json!({ "users": { ALICE: 100 } }),
    );
    let rules = &RoomVersion::of(&RoomVersionId::V11).unwrap().rules().authorization;
    let power = ruma::events::room::power_levels::RoomPowerLevels::new(levels.unwrap().into(), rules, []);
    let facts = RoomFacts { id: room.room_id.clone().unwrap(), joined: 3, power: power.into() };
    (room, facts)
}

fn message(room: &mut Room, sender: &str, kind: &str, key: Option<&str>, content: Value) -> Pdu {
    room.build(&Room::draft(sender, kind, key, content)).pdu().clone()
}

/// What ruma makes of it, as JSON.
fn by_ruma(ruleset: &Ruleset, pdu: &Pdu, facts: &RoomFacts, name: &str) -> Value {
    let user = UserId::parse(BOB).unwrap();
    let context = PushConditionRoomCtx::new(facts.id.clone(), UInt::from(3u32), user, name.to_owned());
    let context = context.with_power_levels(facts.power.clone());
    let raw = Raw::<()>::from_json(serde_json::from_slice(pdu.json()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    serde_json::to_value(runtime.block_on(ruleset.get_actions(&raw, &context))).unwrap()
}

fn body(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

#[test]
fn the_default_rules_notify_and_highlight_as_the_specification_says() {
    let (mut room, facts) = room();
    let rules = Rules::of(BOB);
    let mention = json!({ "body": "hi", "m.mentions": { "user_ids": [BOB] } });
    let everybody = json!({ "body": "hi", "m.mentions": { "room": true } });
    let no_longer_by_name = json!({ "body": "hi bob", "m.mentions": {} });
    let edit = json!({ "body": "* hi", "m.relates_to": { "rel_type": "m.replace", "event_id": "$x" } });
    for (sender, kind, key, content, expected) in [
        (ALICE, "m.room.message", None, body("hi"), (true, false)),
        (BOB, "m.room.message", None, body("hi"), (false, false)),
        (ALICE, "m.room.encrypted", None, json!({ "ciphertext": "x" }), (true, false)),
        (ALICE, "m.room.message", None, json!({ "msgtype": "m.notice", "body": "bob" }), (false, false)),
        (ALICE, "m.room.message", None, mention, (true, true)),
        (ALICE, "m.room.message", None, everybody.clone(), (true, true)),
        ("@carol:two", "m.room.message", None, everybody, (true, false)),
        (ALICE, "m.room.message", None, body("hi bob!"), (true, true)),
        (ALICE, "m.room.message", None, no_longer_by_name, (true, false)),
        (ALICE, "m.room.message", None, edit, (false, false)),
        (ALICE, "m.reaction", None, json!({ "m.relates_to": {} }), (false, false)),
        (ALICE, "m.room.topic", Some(""), json!({ "topic": "bob" }), (false, false)),
        (ALICE, "m.room.tombstone", Some(""), json!({ "body": "x", "replacement_room": "!r:one" }), (true, true)),
        (ALICE, "m.room.member", Some(BOB), json!({ "membership": "invite" }), (true, false)),
        (ALICE, "m.room.member", Some(ALICE), json!({ "membership": "join" }), (false, false)),
    ] {
        let pdu = message(&mut room, sender, kind, key, content.clone());
        let actions = rules.reader().actions(&Seen::of(&pdu, false), &facts, Some("Bob"));
        assert_eq!((notifies(actions), highlights(actions)), expected, "{sender}: {kind} {content}");
    }
}

#[test]
fn nothing_of_an_ignored_user_is_notified() {
    let (mut room, facts) = room();
    let mut rules = Rules::of(BOB);
    let pdu = message(&mut room, ALICE, "m.room.message", None, body("bob"));
    assert!(notifies(rules.reader().actions(&Seen::of(&pdu, false), &facts, None)));
    rules.ignored.insert(UserId::parse(ALICE).unwrap());
    assert!(!notifies(rules.reader().actions(&Seen::of(&pdu, false), &facts, None)));
}

#[test]
fn what_a_user_is_called_is_found_as_it_is() {
    let (mut room, facts) = room();
    let mut rules = Rules::of(BOB);
    rules.ruleset.content.clear();
    let rule = json!({
        "rule_id": ".m.rule.contains_display_name", "default": true, "enabled": true,
        "conditions": [{ "kind": "contains_display_name" }], "actions": ["notify", { "set_tweak": "highlight" }],
    });
    rules.ruleset.override_.insert(serde_json::from_value(rule).unwrap());
    for (text, name, found) in
        [("ask B*b", "B*b", true), ("ask bob", "B*b", false), ("Robert!", "robert", true), ("x", "", false)]
    {
        let pdu = message(&mut room, ALICE, "m.room.message", None, body(text));
        let actions = rules.reader().actions(&Seen::of(&pdu, false), &facts, Some(name));
        assert_eq!(highlights(actions), found, "{name} in {text}");
    }
}

fn any_rule() -> impl Strategy<Value = NewPushRule> {
    // Not two wildcards in a row, nor wildcards at an end: ruma takes the second of "*?" for a question mark.
    let pattern = "[abo. ]{1,2}([*?][abo. ]{1,2})?";
    let field = prop::sample::select(vec!["content.body", "type", "content.msgtype", "sender", "room_id", "state_key"]);
    let actions = || vec![ruma::push::Action::Notify];
    let conditional = (field, pattern, 1u32..5).prop_map(move |(field, pattern, count)| {
        vec![
            EventMatchConditionData::new(field.to_owned(), pattern).into(),
            RoomMemberCountConditionData::new(RoomMemberCountIs::from(UInt::from(count)..)).into(),
        ]
    });
    prop_oneof![
        (conditional.clone(), 0..9u8).prop_map(move |(conditions, n)| {
            NewPushRule::Override(NewConditionalPushRule::new(format!("o{n}"), conditions, actions()))
        }),
        (conditional, 0..9u8).prop_map(move |(conditions, n)| {
            NewPushRule::Underride(NewConditionalPushRule::new(format!("u{n}"), conditions, vec![]))
        }),
        (pattern, 0..9u8).prop_map(move |(pattern, n)| {
            NewPushRule::Content(NewPatternedPushRule::new(format!("c{n}"), pattern, actions()))
        }),
        Just(NewPushRule::Sender(NewSimplePushRule::new(UserId::parse(ALICE).unwrap(), vec![]))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_mean_what_ruma_says_they_mean(
        rules in prop::collection::vec(any_rule(), 0..6),
        text in "[abo. _]{0,10}",
        sender in prop::sample::select(vec![ALICE, BOB, "@carol:two"]),
        name in "[abo]{1,3}",
        mentions in prop::sample::select(vec![json!(null), json!({}), json!({ "user_ids": [BOB] }), json!({ "room": true })]),
    ) {
        let (mut room, facts) = room();
        let mut with = Rules::of(BOB);
        for rule in rules {
            with.ruleset.insert(rule, None, None).unwrap();
        }
        let mut content = body(&text);
        if !mentions.is_null() {
            content["m.mentions"] = mentions;
        }
        let pdu = message(&mut room, sender, "m.room.message", None, content);
        let ours = with.reader().actions(&Seen::of(&pdu, false), &facts, Some(&name));
        let expected = by_ruma(&with.ruleset, &pdu, &facts, &name);
        prop_assert_eq!(serde_json::from_str::<Value>(to_raw_value(ours).unwrap().get()).unwrap(), expected);
    }
}
