//! Events of every room version on their whole way, what stops them, and the specification's own examples.

use base::{Random, Timestamp, limits};
use bytes::Bytes;
use proptest::prelude::*;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, ServerName};
use serde_json::json;

use crate::error::Refusal;
use crate::event::fixture::{ALICE, BOB, FOREVER, Room, key, object, ring};
use crate::event::{
    AuthState, Draft, Judged, KeyRing, Known, Pdu, Place, ReceivedPdu, Reference, RoomVersion, Standing, Verification,
    VerifiedPdu, authorise, build, may_redact, redact,
};

fn check(version: &'static RoomVersion, object: CanonicalJsonObject) -> Result<Pdu, Refusal> {
    ReceivedPdu::from_object(version, object).check().map(|event| event.pdu().clone())
}

fn verify(version: &'static RoomVersion, json: &[u8], ring: &KeyRing) -> Result<Verification, Refusal> {
    ReceivedPdu::read(version, json)?.check()?.verify(ring)
}

fn verified(version: &'static RoomVersion, json: &[u8], ring: &KeyRing) -> VerifiedPdu {
    match verify(version, json, ring) {
        Ok(Verification::Verified(event)) => event,
        other => panic!("{other:?}"),
    }
}

fn latest() -> &'static RoomVersion {
    RoomVersion::all().last().unwrap()
}

fn message(sender: &str) -> Draft {
    Room::draft(sender, "m.room.message", None, json!({ "body": "hello", "msgtype": "m.text" }))
}

#[test]
fn an_event_of_ours_passes_everybodys_checks_in_every_version() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
        let said = room.message(BOB, "hello");
        for known in room.state.values().chain([&said]) {
            let received = verified(version, known.pdu.json(), &ring(&["one", "two"], FOREVER));
            assert_eq!(received.pdu(), &known.pdu, "version {}", version.id());
            let stored = Pdu::read(version, known.pdu.id().to_owned(), known.pdu.json().clone()).unwrap();
            assert_eq!(stored.room_id(), known.pdu.room_id());
            assert_eq!(stored.prev_events(), known.pdu.prev_events());
        }
        assert_eq!(said.pdu.depth(), 6);
    }
}

#[test]
fn a_room_of_version_12_is_named_by_its_create_event_which_nobody_else_names() {
    let mut room = Room::new(latest());
    let create = room.auth_state().create().unwrap().pdu.clone();
    assert_eq!(create.room_id().strip_sigil(), create.id().as_str().trim_start_matches('$'));
    assert!(!create.object().unwrap().contains_key("room_id"));
    let said = room.message(ALICE, "hello").pdu;
    assert!(!said.auth_events().contains(&create.id().to_owned()));
    assert_eq!(said.create_event_id().as_deref(), Some(create.id()));

    let mut named = said.object().unwrap();
    let id = CanonicalJsonValue::String(create.id().to_string());
    named.insert("auth_events".to_owned(), CanonicalJsonValue::Array(vec![id]));
    assert!(matches!(check(latest(), named), Err(Refusal::Malformed { .. })));
    let mut without_room = said.object().unwrap();
    without_room.remove("room_id");
    assert!(matches!(check(latest(), without_room), Err(Refusal::Malformed { .. })));
    let mut with_room = create.object().unwrap();
    with_room.insert("room_id".to_owned(), CanonicalJsonValue::String(said.room_id().to_string()));
    assert!(matches!(check(latest(), with_room), Err(Refusal::Malformed { .. })));
}

#[test]
fn who_created_a_room_of_version_12_needs_no_power_level() {
    let mut room = Room::new(latest());
    room.set(ALICE, "m.room.topic", "", json!({ "topic": "power" }));
    let levels = Room::draft(ALICE, "m.room.power_levels", Some(""), json!({ "users": { ALICE: 100 } }));
    let event = room.build(&levels);
    assert!(matches!(room.judge(event), Judged::Rejected(_)), "no creator may stand in the power levels");
}

#[test]
fn changed_content_is_taken_away_and_the_id_stays() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let said = room.message(ALICE, "hello").pdu;
        let mut changed = said.object().unwrap();
        changed.insert("content".to_owned(), object(json!({ "body": "bye" })).into());
        let changed = serde_json::to_vec(&changed).unwrap();
        let event = verified(version, &changed, &ring(&["one"], FOREVER));
        assert_eq!(event.pdu().id(), said.id(), "version {}", version.id());
        assert_eq!(event.pdu().content().get(), "{}");
        assert_eq!(event.pdu(), &redact(&said).unwrap());
    }
}

#[test]
fn what_is_signed_wrongly_or_not_at_all_is_dropped() {
    let mut room = Room::new(latest());
    let said = room.message(ALICE, "hello").pdu;
    let mut changed = said.object().unwrap();
    changed.insert("depth".to_owned(), CanonicalJsonValue::Integer(9.into()));
    let changed = serde_json::to_vec(&changed).unwrap();
    let refused = verify(latest(), &changed, &ring(&["one"], FOREVER)).unwrap_err();
    assert!(matches!(refused, Refusal::BadSignature { .. }), "{refused}");
    assert_eq!(refused.code(), "M_FORBIDDEN");

    let mut unsigned = said.object().unwrap();
    unsigned.insert("signatures".to_owned(), object(json!({ "one": { "rot13:a": "x" } })).into());
    let unsigned = serde_json::to_vec(&unsigned).unwrap();
    let refused = verify(latest(), &unsigned, &ring(&["one"], FOREVER)).unwrap_err();
    assert!(matches!(refused, Refusal::BadSignature { .. }), "{refused}");
}

#[test]
fn a_key_that_is_missing_is_named_and_one_out_of_date_is_missing_since_version_5() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let said = room.message(ALICE, "hello").pdu;
        let at = Timestamp(said.origin_server_ts().get().into());
        let Ok(Verification::Need(needed, event)) = verify(version, said.json(), &KeyRing::new()) else {
            panic!("no key was given");
        };
        let [needed] = needed.as_slice() else { panic!("{needed:?}") };
        assert_eq!((needed.server.as_str(), needed.key_id.as_str(), needed.valid_at), ("one", "ed25519:a", at));
        assert!(matches!(event.verify(&ring(&["one"], at)), Ok(Verification::Verified(_))));
        let stale = verify(version, said.json(), &ring(&["one"], Timestamp(at.0 - 1)));
        let strict = version.rules().enforce_key_validity;
        assert_eq!(matches!(stale, Ok(Verification::Need(..))), strict, "version {}", version.id());
    }
}

#[test]
fn a_join_authorised_by_another_server_needs_its_signature_since_version_8() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let content = json!({ "membership": "join", "join_authorised_via_users_server": ALICE });
        let event = room.build(&Room::draft(BOB, "m.room.member", Some(BOB), content));
        let checked = verify(version, event.pdu().json(), &ring(&["one", "two"], FOREVER));
        let needs_both = version.rules().signatures.check_join_authorised_via_users_server;
        assert_eq!(matches!(checked, Err(Refusal::BadSignature { .. })), needs_both, "version {}", version.id());
    }
}

#[test]
fn an_event_of_65535_bytes_is_taken_and_one_more_is_not() {
    for version in RoomVersion::all() {
        let room = Room::new(version);
        let place = || Place {
            version,
            room_id: room.room_id.clone(),
            prev_events: room.last.clone(),
            auth_events: Vec::new(),
            at: room.now,
        };
        let say = |bytes: usize| {
            let draft = Room::draft(ALICE, "m.room.message", None, json!({ "body": "x".repeat(bytes) }));
            build(draft, place(), &key(<&ServerName>::try_from("one").unwrap()), &Random::seeded(2))
        };
        let around = say(0).unwrap().pdu().json().len();
        assert_eq!(say(limits::EVENT_BYTES - around).unwrap().pdu().json().len(), limits::EVENT_BYTES);
        assert_eq!(say(limits::EVENT_BYTES - around + 1).unwrap_err(), Refusal::TooLarge);
        assert_eq!(say(2 * limits::EVENT_BYTES).unwrap_err().code(), "M_TOO_LARGE");
    }
}

#[test]
fn what_lies_under_unsigned_is_dropped_and_does_not_count() {
    let mut room = Room::new(latest());
    let said = room.message(ALICE, "hello").pdu;
    let mut aged = said.object().unwrap();
    aged.insert("unsigned".to_owned(), object(json!({ "age": "x".repeat(limits::EVENT_BYTES) })).into());
    assert_eq!(check(latest(), aged).unwrap(), said);
}

#[test]
fn fields_of_the_wrong_form_are_refused() {
    let mut room = Room::new(latest());
    let said = room.message(ALICE, "hello").pdu.object().unwrap();
    let many = |count: usize| json!((0..count).map(|n| format!("${n:043}")).collect::<Vec<_>>());
    for (field, value) in [
        ("type", json!(5)),
        ("type", json!("x".repeat(256))),
        ("sender", json!("alice")),
        ("room_id", json!("room")),
        ("state_key", json!(null)),
        ("content", json!("text")),
        ("content", json!([1])),
        ("depth", json!(-1)),
        ("depth", json!("1")),
        ("prev_events", many(21)),
        ("auth_events", many(11)),
        ("prev_events", json!([["$a:one", { "sha256": "x" }]])),
        ("prev_events", json!("$a")),
        ("hashes", json!(7)),
        ("origin_server_ts", json!(-7)),
    ] {
        let mut wrong = said.clone();
        wrong.insert(field.to_owned(), serde_json::from_value(value.clone()).unwrap());
        let refused = ReceivedPdu::from_object(latest(), wrong).check();
        let refused = refused.and_then(|event| event.verify(&ring(&["one"], FOREVER)));
        assert!(matches!(refused, Err(Refusal::Malformed { .. })), "{field} = {value}: {refused:?}");
    }
    for field in ["type", "sender", "room_id", "content", "depth", "prev_events", "auth_events", "origin_server_ts"] {
        let mut wrong = said.clone();
        wrong.remove(field);
        assert!(matches!(check(latest(), wrong), Err(Refusal::Malformed { .. })), "{field}");
    }
    assert!(check(latest(), said).is_ok());
}

#[test]
fn json_without_a_canonical_form_is_refused() {
    for json in ["{\"a\":1.5}", "{\"a\":9007199254740992}", "{\"a\":-0}", "[]", "{", "\u{feff}{}", "nonsense"] {
        let refused = ReceivedPdu::read(latest(), json.as_bytes());
        assert!(matches!(refused, Err(Refusal::Malformed { .. })), "{json}");
    }
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "1");
    assert!(matches!(ReceivedPdu::read(latest(), deep.as_bytes()), Err(Refusal::Malformed { .. })));
    let huge = vec![b' '; limits::EVENT_WIRE_BYTES + 1];
    assert_eq!(ReceivedPdu::read(latest(), &huge).unwrap_err(), Refusal::TooLarge);
}

#[test]
fn an_unknown_room_version_is_refused_by_name() {
    let refused = RoomVersion::of(&"org.example.next".try_into().unwrap()).unwrap_err();
    assert_eq!(refused, Refusal::UnsupportedVersion { version: "org.example.next".to_owned() });
    assert_eq!(refused.code(), "M_UNSUPPORTED_ROOM_VERSION");
}

#[test]
fn an_event_that_leans_on_a_rejected_one_is_rejected() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let event = room.build(&message(ALICE));
        let whole = room.auth_state();
        let spoilt = room.state.values().cloned().map(|mut known| {
            if known.pdu.kind().to_string() == "m.room.power_levels" {
                known.standing = Standing::Rejected;
            }
            known
        });
        let judged = authorise(event, &AuthState::new(spoilt), &whole, &whole);
        let Judged::Rejected(rejected) = judged else { panic!("version {}: {judged:?}", version.id()) };
        assert!(rejected.why().contains("rejected"), "{}", rejected.why());
    }
}

#[test]
fn events_that_it_leans_on_are_named_when_they_are_not_given() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let event = room.build(&message(ALICE));
        let mut expected = event.pdu().auth_events().to_vec();
        expected.extend(event.pdu().create_event_id());
        let state = room.auth_state();
        let judged = authorise(event, &AuthState::default(), &state, &state);
        let Judged::Need(needed) = judged else { panic!("{judged:?}") };
        assert_eq!(needed, expected, "version {}", version.id());
    }
}

#[test]
fn who_was_banned_meanwhile_is_soft_failed_and_who_was_banned_before_is_rejected() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        room.set(BOB, "m.room.member", BOB, json!({ "membership": "join" }));
        let event = room.build(&message(BOB));
        let before = room.auth_state();
        room.set(ALICE, "m.room.member", BOB, json!({ "membership": "ban" }));
        let now = room.auth_state();
        let judged = authorise(event.clone(), &before, &before, &now);
        let Judged::Authorised(soft_failed) = judged else { panic!("{judged:?}") };
        assert_eq!(soft_failed.standing(), Standing::SoftFailed, "version {}", version.id());
        assert!(matches!(authorise(event.clone(), &before, &now, &now), Judged::Rejected(_)));
        assert!(matches!(authorise(event, &before, &before, &before), Judged::Authorised(_)));
    }
}

#[test]
fn redactions_take_away_where_the_rules_let_them() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        for user in [BOB, "@carol:two", "@dave:three"] {
            room.set(user, "m.room.member", user, json!({ "membership": "join" }));
        }
        let said = room.message(BOB, "hello").pdu;
        let state = room.auth_state();
        let mut redaction = |sender: &str, target: &Pdu| {
            let mut draft = Room::draft(sender, "m.room.redaction", None, json!({}));
            draft.redacts = Some(target.id().to_owned());
            room.build(&draft).pdu().clone()
        };
        let since_3 = !version.rules().authorization.special_case_room_redaction;
        for (sender, allowed) in [(BOB, true), ("@carol:two", true), (ALICE, true), ("@dave:three", !since_3)] {
            let redaction = redaction(sender, &said);
            assert_eq!(redaction.redacts(), Some(said.id()), "version {}", version.id());
            assert_eq!(may_redact(&redaction, &said, &state).is_ok(), allowed, "{sender} in {}", version.id());
        }
        let create = state.create().unwrap().pdu.clone();
        assert!(may_redact(&redaction(ALICE, &create), &create, &state).is_err());
        assert!(may_redact(&redaction(ALICE, &create), &said, &state).is_err(), "it is about another event");
    }
}

#[test]
fn redacting_keeps_the_id_and_what_the_rules_need_and_twice_is_once() {
    for version in RoomVersion::all() {
        let room = Room::new(version);
        for Known { pdu, .. } in room.state.values() {
            let redacted = redact(pdu).unwrap();
            assert_eq!(check(version, redacted.object().unwrap()).unwrap().id(), pdu.id());
            assert_eq!(redact(&redacted).unwrap(), redacted);
            let received = verified(version, redacted.json(), &ring(&["one"], FOREVER));
            assert_eq!(received.pdu(), &redacted, "signatures outlive the content");
        }
    }
}

#[test]
fn of_many_extremities_the_deepest_and_the_shallowest_are_named() {
    let room = Room::new(latest());
    let fork = |depth: u64| Reference { id: format!("${depth:043}").try_into().unwrap(), depth, sha256: None };
    let place = Place {
        version: latest(),
        room_id: room.room_id.clone(),
        prev_events: (1..=50).map(fork).collect(),
        auth_events: Vec::new(),
        at: room.now,
    };
    let key = key(<&ServerName>::try_from("one").unwrap());
    let event = build(message(ALICE), place.clone(), &key, &Random::seeded(3)).unwrap();
    let expected: Vec<_> = (41..=50).rev().chain((1..=10).rev()).map(|depth| fork(depth).id).collect();
    assert_eq!(event.pdu().prev_events(), expected);
    assert_eq!(event.pdu().depth(), 51);

    let deepest = Place { prev_events: vec![fork(limits::EVENT_DEPTH)], ..place };
    let event = build(message(ALICE), deepest, &key, &Random::seeded(3)).unwrap();
    assert_eq!(event.pdu().depth(), limits::EVENT_DEPTH);
}

#[test]
fn secrets_and_contents_are_not_printed() {
    let key = key(<&ServerName>::try_from("one").unwrap());
    assert_eq!(format!("{key:?}"), "ed25519:a of one");
    let mut room = Room::new(latest());
    assert!(!format!("{:?}", room.message(ALICE, "hello")).contains("hello"));
}

/// The key and signatures of <https://spec.matrix.org/v1.19/appendices/#signing-key> and `#event-signing`.
#[test]
fn the_specifications_example_is_signed_alike() {
    let secret =
        ruma::serde::Base64::<ruma::serde::base64::Standard>::parse("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1");
    let secret: [u8; 32] = secret.unwrap().into_inner().try_into().unwrap();
    let key = crate::event::SigningKey::new("domain".try_into().unwrap(), "1", &secret).unwrap();
    let mut event = object(json!({
        "room_id": "!x:domain", "sender": "@a:domain", "origin": "domain", "origin_server_ts": 1_000_000,
        "signatures": {}, "hashes": {}, "type": "X", "content": {}, "prev_events": [], "auth_events": [], "depth": 3,
        "unsigned": { "age_ts": 1_000_000 },
    }));
    key.sign(&mut event, RoomVersion::all().first().unwrap()).unwrap();
    assert_eq!(event["hashes"], object(json!({ "sha256": "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos" })));
    let signature = "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg";
    assert_eq!(event["signatures"], object(json!({ "domain": { "ed25519:1": signature } })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_comes_back_as_it_was_said(body in any::<String>(), kind in "[a-z.]{1,40}", version in 0usize..12) {
        let version = &RoomVersion::all()[version];
        let mut room = Room::new(version);
        let draft = Room::draft(ALICE, &kind, None, json!({ "body": body }));
        let event = room.build(&draft);
        let received = verified(version, event.pdu().json(), &ring(&["one"], FOREVER));
        prop_assert_eq!(received.pdu().json(), event.pdu().json());
        let content: serde_json::Value = serde_json::from_str(received.pdu().content().get()).unwrap();
        prop_assert_eq!(content["body"].as_str(), Some(body.as_str()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>(), version in 0usize..12) {
        let version = &RoomVersion::all()[version];
        let _ = ReceivedPdu::read(version, &bytes).and_then(ReceivedPdu::check);
        let _ = Pdu::read(version, "$a:one".try_into().unwrap(), Bytes::from(bytes));
    }

    /// One field of a good event replaced by some other JSON.
    #[test]
    fn a_field_of_any_form_never_panics(
        field in prop::sample::select(vec!["type", "sender", "room_id", "content", "depth", "prev_events",
            "auth_events", "hashes", "signatures", "state_key", "redacts", "event_id", "origin_server_ts"]),
        value in prop::sample::select(vec!["null", "0", "-1", "\"\"", "\"$\"", "\"@:\"", "[]", "[[]]", "{}", "true",
            "[\"$a:one\"]", "[[\"$a:one\",{}]]", "{\"one\":{\"ed25519:a\":1}}", "{\"sha256\":\"!\"}", "9007199254740991"]),
        version in 0usize..12,
    ) {
        let version = &RoomVersion::all()[version];
        let mut room = Room::new(version);
        let mut event = room.build(&message(ALICE)).pdu().object().unwrap();
        event.insert(field.to_owned(), serde_json::from_str(value).unwrap());
        if let Ok(event) = ReceivedPdu::from_object(version, event).check()
            && let Ok(Verification::Verified(event)) = event.verify(&ring(&["one"], FOREVER))
        {
            let _ = room.judge(event);
        }
    }
}
