//! `/sync` over rooms in memory: what is told, to whom, and that nothing is told twice or never.

use std::time::Duration;

use serde_json::{Value, json};

use crate::classic::WhichState;
use crate::fixture::{ALICE, BOB, CAROL, House, Made, names};

fn joined<'a>(answer: &'a Value, room: &Made) -> &'a Value {
    &answer["rooms"]["join"][room.id.as_str()]
}

fn left<'a>(answer: &'a Value, room: &Made) -> &'a Value {
    &answer["rooms"]["leave"][room.id.as_str()]
}

#[tokio::test]
async fn a_first_sync_tells_all_and_the_next_one_what_is_new() {
    let house = House::new().await;
    let room = house.room().await;
    house.send(&room, ALICE, "one").await;
    let mut alice = house.client(ALICE);
    let answer = alice.sync(&house).await;
    let of_room = joined(&answer, &room);
    let timeline =
        ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.history_visibility"];
    assert_eq!(names(&of_room["timeline"]["events"]), [&timeline[..], &["one"]].concat());
    assert_eq!(of_room["timeline"]["limited"], false);
    assert_eq!(of_room["state"]["events"], json!([]));
    assert_eq!(of_room["summary"]["m.joined_member_count"], 1);

    let answer = alice.sync(&house).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");
    house.send(&room, ALICE, "two").await;
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "Room" })).await;
    let answer = alice.sync(&house).await;
    let of_room = joined(&answer, &room);
    assert_eq!(names(&of_room["timeline"]["events"]), ["two", "m.room.name"]);
    assert_eq!(of_room["timeline"]["limited"], false);
    assert_eq!(of_room["state"]["events"], json!([]));
}

#[tokio::test]
async fn a_gap_is_marked_and_the_state_in_it_is_told() {
    let house = House::new().await;
    let room = house.room().await;
    let mut alice = house.client(ALICE);
    alice.filter = json!({ "room": { "timeline": { "limit": 2 } } });
    alice.sync(&house).await;
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "first" })).await;
    house.set(&room, ALICE, "m.room.topic", "", json!({ "topic": "in the gap" })).await;
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "second" })).await;
    house.send(&room, ALICE, "last").await;
    let mut other = alice.clone();
    let answer = alice.sync(&house).await;
    let of_room = joined(&answer, &room);
    assert_eq!(names(&of_room["timeline"]["events"]), ["m.room.name", "last"]);
    assert_eq!(of_room["timeline"]["limited"], true);
    let state = of_room["state"]["events"].as_array().unwrap();
    assert_eq!(names(&of_room["state"]["events"]), ["m.room.name", "m.room.topic"]);
    assert_eq!(state[0]["content"]["name"], "first", "before the timeline it was this");

    other.state = WhichState::After;
    let answer = other.sync(&house).await;
    let of_room = joined(&answer, &room);
    assert_eq!(of_room.get("state"), None);
    let state = of_room["state_after"]["events"].as_array().unwrap();
    assert_eq!(names(&of_room["state_after"]["events"]), ["m.room.topic", "m.room.name"]);
    assert_eq!(state[1]["content"]["name"], "second", "after the timeline it is this");
}

#[tokio::test]
async fn a_state_event_that_the_filter_keeps_out_of_the_timeline_is_told_as_state() {
    let house = House::new().await;
    let room = house.room().await;
    let mut alice = house.client(ALICE);
    alice.filter = json!({ "room": { "timeline": { "types": ["m.room.message"] } } });
    alice.sync(&house).await;
    house.send(&room, ALICE, "one").await;
    house.set(&room, ALICE, "m.room.topic", "", json!({ "topic": "x" })).await;
    let answer = alice.sync(&house).await;
    assert_eq!(names(&joined(&answer, &room)["timeline"]["events"]), ["one"]);
    assert_eq!(names(&joined(&answer, &room)["state"]["events"]), ["m.room.topic"]);
}

#[tokio::test]
async fn a_room_joined_since_is_told_whole() {
    let house = House::new().await;
    let room = house.room().await;
    let mut bob = house.client(BOB);
    bob.filter = json!({ "room": { "timeline": { "limit": 2 } } });
    assert_eq!(bob.sync(&house).await.get("rooms"), None);
    house.send(&room, ALICE, "before").await;
    house.join(&room, BOB).await;
    let answer = bob.sync(&house).await;
    let of_room = joined(&answer, &room);
    assert_eq!(names(&of_room["timeline"]["events"]), ["before", "m.room.member"]);
    assert_eq!(of_room["timeline"]["limited"], true);
    assert_eq!(of_room["state"]["events"].as_array().unwrap().len(), 5);
    assert_eq!(answer["device_lists"]["changed"], json!([ALICE]));
    assert_eq!(of_room["summary"]["m.heroes"], json!([ALICE]));
    assert_eq!(bob.sync(&house).await.get("rooms"), None);
}

#[tokio::test]
async fn who_left_is_told_what_they_saw_until_then_and_nothing_after() {
    let house = House::new().await;
    let room = house.room_with("joined").await;
    house.join(&room, BOB).await;
    let mut bob = house.client(BOB);
    bob.sync(&house).await;
    house.send(&room, ALICE, "seen").await;
    house.member(&room, ALICE, BOB, "ban").await;
    house.send(&room, ALICE, "unseen").await;
    house.set(&room, ALICE, "m.room.topic", "", json!({ "topic": "unseen" })).await;
    let answer = bob.sync(&house).await;
    assert_eq!(answer["rooms"].get("join"), None);
    assert_eq!(names(&left(&answer, &room)["timeline"]["events"]), ["seen", "m.room.member"]);
    assert_eq!(left(&answer, &room)["state"]["events"], json!([]));
    assert_eq!(answer["device_lists"]["left"], json!([ALICE]));
    house.send(&room, ALICE, "still unseen").await;
    assert_eq!(bob.sync(&house).await.get("rooms"), None, "a room that was left before is not told of again");

    let mut anew = house.client(BOB);
    assert_eq!(anew.sync(&house).await.get("rooms"), None);
    let mut anew = house.client(BOB);
    anew.filter = json!({ "room": { "include_leave": true, "timeline": { "limit": 0 } } });
    let answer = anew.sync(&house).await;
    assert_eq!(left(&answer, &room)["timeline"]["events"], json!([]));
    let state = names(&left(&answer, &room)["state"]["events"]);
    assert!(!state.contains(&"m.room.topic".to_owned()), "{state:?}");
    assert_eq!(state.iter().filter(|kind| *kind == "m.room.member").count(), 2);
}

#[tokio::test]
async fn a_room_that_was_forgotten_is_not_told_of_although_it_was_just_now() {
    let house = House::new().await;
    let room = house.room().await;
    house.join(&room, BOB).await;
    house.leave(&room, BOB).await;
    let mut bob = house.client(BOB);
    bob.filter = json!({ "room": { "include_leave": true } });
    assert!(left(&bob.clone().sync(&house).await, &room).is_object());
    house.rooms.forget(&room.id, BOB.try_into().unwrap()).await.unwrap();
    house.send(&room, ALICE, "nobody's business").await;
    assert_eq!(bob.sync(&house).await.get("rooms"), None);
}

#[tokio::test]
async fn joining_and_leaving_and_joining_between_two_syncs_is_joining() {
    let house = House::new().await;
    let room = house.room().await;
    let mut bob = house.client(BOB);
    bob.sync(&house).await;
    house.join(&room, BOB).await;
    house.leave(&room, BOB).await;
    let mut later = bob.clone();
    let answer = bob.sync(&house).await;
    assert_eq!(names(&left(&answer, &room)["timeline"]["events"]).pop().unwrap(), "m.room.member");
    house.join(&room, BOB).await;
    let answer = later.sync(&house).await;
    assert_eq!(answer["rooms"].get("leave"), None);
    assert!(joined(&answer, &room).is_object());
}

#[tokio::test]
async fn an_invitation_is_told_once_and_so_is_that_it_was_declined() {
    let house = House::new().await;
    let room = house.room_with("joined").await;
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "Room" })).await;
    let mut bob = house.client(BOB);
    bob.sync(&house).await;
    house.member(&room, ALICE, BOB, "invite").await;
    let answer = bob.sync(&house).await;
    let state = &answer["rooms"]["invite"][room.id.as_str()]["invite_state"]["events"];
    let kinds = names(state);
    for kind in ["m.room.create", "m.room.join_rules", "m.room.name", "m.room.member"] {
        assert!(kinds.contains(&kind.to_owned()), "{kinds:?}");
    }
    assert!(state[0].get("event_id").is_none(), "it is stripped");
    house.send(&room, ALICE, "not for Bob").await;
    assert_eq!(bob.sync(&house).await.get("rooms"), None);
    house.leave(&room, BOB).await;
    let answer = bob.sync(&house).await;
    assert_eq!(names(&left(&answer, &room)["timeline"]["events"]), ["m.room.member"]);
    assert_eq!(left(&answer, &room)["state"]["events"], json!([]));
    assert_eq!(bob.sync(&house).await.get("rooms"), None);
}

#[tokio::test]
async fn of_members_only_those_who_speak_are_told_and_each_once() {
    let house = House::new().await;
    let room = house.room().await;
    for member in [BOB, CAROL] {
        house.join(&room, member).await;
    }
    let told = |answer: &Value| -> Vec<String> {
        let state = joined(answer, &room)["state"]["events"].as_array().unwrap().clone();
        let members = state.into_iter().filter(|event| event["type"] == "m.room.member");
        members.map(|event| event["state_key"].as_str().unwrap().to_owned()).collect()
    };
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "Room" })).await;
    house.send(&room, BOB, "hello").await;
    let mut alice = house.client(ALICE);
    alice.filter = json!({ "room": { "timeline": { "limit": 1 }, "state": { "lazy_load_members": true } } });
    assert_eq!(told(&alice.sync(&house).await), [ALICE, BOB]);
    house.send(&room, BOB, "again").await;
    house.send(&room, CAROL, "me too").await;
    let lost = alice.clone();
    alice.filter = json!({ "room": { "state": { "lazy_load_members": true } } });
    assert_eq!(told(&alice.sync(&house).await), [CAROL]);
    house.send(&room, CAROL, "and again").await;
    assert!(told(&alice.sync(&house).await).is_empty());
    // The same token again: whoever was told by an answer that was lost is told again.
    let mut lost = lost;
    lost.filter = alice.filter.clone();
    assert_eq!(told(&lost.sync(&house).await), [CAROL]);
    lost.filter["room"]["state"]["include_redundant_members"] = json!(true);
    house.send(&room, BOB, "once more").await;
    assert_eq!(told(&lost.sync(&house).await), [BOB]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_by_what_concerns_them_and_by_nothing_else() {
    let house = House::new().await;
    let (room, other) = (house.room().await, house.room().await);
    house.join(&room, BOB).await;
    let mut bob = house.client(BOB);
    bob.sync(&house).await;
    let started = house.clock().monotonic();
    let (answer, ()) = tokio::join!(bob.wait(&house, Duration::from_secs(30)), async {
        house.clock().sleep(Duration::from_secs(3)).await;
        house.send(&other, ALICE, "not for Bob").await;
        house.clock().sleep(Duration::from_secs(3)).await;
        house.send(&room, ALICE, "for Bob").await;
    });
    assert_eq!(house.clock().monotonic().since(started), Duration::from_secs(6));
    assert_eq!(names(&joined(&answer, &room)["timeline"]["events"]), ["for Bob"]);
    let started = house.clock().monotonic();
    let answer = bob.wait(&house, Duration::from_secs(30)).await;
    assert_eq!(house.clock().monotonic().since(started), Duration::from_secs(30));
    assert_eq!(answer.get("rooms"), None);
}

#[tokio::test]
async fn a_token_from_before_a_restart_goes_on_without_gap_or_repeat() {
    let house = House::new().await;
    let (room, quiet) = (house.room().await, house.room().await);
    let mut alice = house.client(ALICE);
    alice.sync(&house).await;
    house.send(&room, ALICE, "before").await;
    let house = house.restarted().await;
    house.send(&room, ALICE, "after").await;
    let answer = alice.sync(&house).await;
    assert_eq!(names(&joined(&answer, &room)["timeline"]["events"]), ["before", "after"]);
    assert_eq!(answer["rooms"]["join"].get(quiet.id.as_str()), None);
    assert_eq!(alice.sync(&house).await.get("rooms"), None);
}

#[tokio::test]
async fn full_state_tells_the_state_of_every_room_and_the_timeline_since() {
    let house = House::new().await;
    let (room, quiet) = (house.room().await, house.room().await);
    let mut alice = house.client(ALICE);
    alice.sync(&house).await;
    house.send(&room, ALICE, "new").await;
    alice.full_state = true;
    let answer = alice.wait(&house, Duration::from_secs(30)).await;
    assert_eq!(names(&joined(&answer, &room)["timeline"]["events"]), ["new"]);
    for room in [&room, &quiet] {
        assert_eq!(joined(&answer, room)["state"]["events"].as_array().unwrap().len(), 5);
    }
    assert_eq!(joined(&answer, &quiet)["timeline"]["events"], json!([]));
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_and_one_from_the_future_is_the_present() {
    let house = House::new().await;
    let room = house.room().await;
    let mut alice = house.client(ALICE);
    alice.since = Some("nonsense".to_owned());
    let refused = house.syncer.sync(alice.viewer.clone(), alice.request(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(*refused, crate::Error::Refused(crate::Refusal::UnknownToken)), "{refused}");
    alice.since = Some("s99999".to_owned());
    assert_eq!(alice.sync(&house).await.get("rooms"), None);
    house.send(&room, ALICE, "new").await;
    assert_eq!(names(&joined(&alice.sync(&house).await, &room)["timeline"]["events"]), ["new"]);
}

#[tokio::test]
async fn only_the_rooms_and_fields_asked_for_are_told() {
    let house = House::new().await;
    let (room, other) = (house.room().await, house.room().await);
    house.send(&room, ALICE, "hello").await;
    let mut alice = house.client(ALICE);
    alice.filter =
        json!({ "room": { "not_rooms": [other.id], "timeline": { "limit": 1 } }, "event_fields": ["content.body"] });
    let answer = alice.sync(&house).await;
    assert_eq!(answer["rooms"]["join"].as_object().unwrap().len(), 1);
    assert_eq!(joined(&answer, &room)["timeline"]["events"], json!([{ "content": { "body": "hello" } }]));
}

#[tokio::test(start_paused = true)]
async fn who_types_is_told_and_that_they_stopped_also_after_a_restart() {
    let house = House::new().await;
    let room = house.room().await;
    house.join(&room, BOB).await;
    let mut alice = house.client(ALICE);
    alice.sync(&house).await;
    let typing = |answer: &Value| joined(answer, &room)["ephemeral"]["events"][0]["content"]["user_ids"].clone();
    let bob = crate::fixture::user(BOB);
    let (answer, ()) = tokio::join!(alice.wait(&house, Duration::from_secs(30)), async {
        house.clock().sleep(Duration::from_secs(1)).await;
        house.rooms.types(&room.id, &bob, Some(Duration::from_secs(10))).await.unwrap();
    });
    assert_eq!(typing(&answer), json!([BOB]));
    let mut other = alice.clone();
    let answer = alice.wait(&house, Duration::from_secs(30)).await;
    assert_eq!(typing(&answer), json!([]), "their time was over");
    assert_eq!(alice.sync(&house).await.get("rooms"), None);
    let house = house.restarted().await;
    assert_eq!(typing(&other.sync(&house).await), json!([]));
    assert_eq!(alice.sync(&house).await.get("rooms"), None);
}

#[tokio::test]
async fn receipts_and_account_data_are_told_when_they_change() {
    let house = House::new().await;
    let room = house.room().await;
    house.join(&room, BOB).await;
    let event = house.send(&room, ALICE, "read me").await;
    let (mut alice, mut bob) = (house.client(ALICE), house.client(BOB));
    alice.sync(&house).await;
    bob.sync(&house).await;
    let receipt = rooms::notice::NewReceipt {
        user: crate::fixture::user(BOB),
        kind: rooms::notice::ReceiptKind::Private,
        thread: rooms::notice::Thread::Unthreaded,
        event: event.clone(),
        at: house.clock().now(),
    };
    house.rooms.read_up_to(&room.id, receipt.clone()).await.unwrap();
    assert_eq!(alice.sync(&house).await.get("rooms"), None, "it is private");
    let answer = bob.sync(&house).await;
    let content = &joined(&answer, &room)["ephemeral"]["events"][0]["content"];
    assert!(content[event.as_str()]["m.read.private"][BOB].is_object(), "{content}");
    house
        .rooms
        .read_up_to(&room.id, rooms::notice::NewReceipt { kind: rooms::notice::ReceiptKind::Read, ..receipt })
        .await
        .unwrap();
    let answer = alice.sync(&house).await;
    let content = &joined(&answer, &room)["ephemeral"]["events"][0]["content"];
    assert!(content[event.as_str()]["m.read"][BOB].is_object(), "{content}");
    assert_eq!(joined(&answer, &room)["timeline"]["events"], json!([]));

    let raw = |value: Value| serde_json::value::to_raw_value(&value).unwrap();
    let of_alice = crate::fixture::user(ALICE);
    house.accounts.set_account_data(&of_alice, None, "m.direct", &raw(json!({ "x": [] }))).await.unwrap();
    house.accounts.set_account_data(&of_alice, Some(&room.id), "m.tag", &raw(json!({ "tags": {} }))).await.unwrap();
    let answer = alice.sync(&house).await;
    assert_eq!(answer["account_data"]["events"], json!([{ "type": "m.direct", "content": { "x": [] } }]));
    let of_room = json!([{ "type": "m.tag", "content": { "tags": {} } }]);
    assert_eq!(joined(&answer, &room)["account_data"]["events"], of_room);
    assert_eq!(alice.sync(&house).await.get("rooms"), None);
    let mut anew = house.client(ALICE);
    let answer = anew.sync(&house).await;
    assert_eq!(names(&answer["account_data"]["events"]), ["m.direct"]);
    assert_eq!(joined(&answer, &room)["account_data"]["events"], of_room);
}

fn numbers(answer: &Value) -> Vec<u64> {
    let events = answer["to_device"]["events"].as_array().cloned().unwrap_or_default();
    events.iter().map(|event| event["content"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn messages_to_a_device_come_once_and_in_order_and_again_when_an_answer_was_lost() {
    let house = House::new().await;
    let mut alice = house.registered("alice").await;
    house.send_to_device(&alice.viewer, 0..3).await;
    let mut anew = alice.clone();
    assert_eq!(numbers(&alice.sync(&house).await), [0, 1, 2]);
    assert_eq!(numbers(&anew.sync(&house).await), [0, 1, 2], "nobody has shown to have them");
    house.send_to_device(&alice.viewer, 3..5).await;
    let lost = alice.clone();
    assert_eq!(numbers(&alice.sync(&house).await), [3, 4]);
    assert_eq!(numbers(&lost.clone().sync(&house).await), [3, 4]);
    assert!(numbers(&alice.sync(&house).await).is_empty());
    let house = house.restarted().await;
    assert!(numbers(&alice.sync(&house).await).is_empty());
    house.send_to_device(&alice.viewer, 5..6).await;
    assert_eq!(numbers(&alice.sync(&house).await), [5]);
    alice.since = None;
    assert_eq!(numbers(&alice.sync(&house).await), [5], "what was acknowledged is gone");
}

#[tokio::test(start_paused = true)]
async fn very_many_messages_to_a_device_come_in_several_answers_that_do_not_wait() {
    let house = House::new().await;
    let mut alice = house.registered("alice").await;
    alice.sync(&house).await;
    house.send_to_device(&alice.viewer, 0..250).await;
    let (mut all, started) = (Vec::new(), house.clock().monotonic());
    for count in [100, 100, 50] {
        let some = numbers(&alice.wait(&house, Duration::from_secs(30)).await);
        assert_eq!(some.len(), count);
        all.extend(some);
    }
    assert!(all.into_iter().eq(0..250));
    assert_eq!(house.clock().monotonic().since(started), Duration::ZERO);
    assert!(!alice.since.as_ref().unwrap().contains("-d"), "the token is plain again");
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_room_with_a_user_learns_of_the_users_new_devices() {
    let house = House::new().await;
    let (alice, bob, carol) =
        (house.registered("alice").await, house.registered("bob").await, house.registered("carol").await);
    let room = house.room().await;
    house.join(&room, BOB).await;
    let (mut alice, mut carol) = (alice, carol);
    alice.sync(&house).await;
    carol.sync(&house).await;
    let device = accounts::NewDevice { display_name: Some("new".to_owned()), ..Default::default() };
    let (answer, _) = tokio::join!(alice.wait(&house, Duration::from_secs(30)), async {
        house.clock().sleep(Duration::from_secs(1)).await;
        house.accounts.begin_session(&bob.viewer.user, device).await.unwrap();
    });
    assert_eq!(answer["device_lists"]["changed"], json!([BOB]));
    assert_eq!(carol.sync(&house).await.get("device_lists"), None);
    assert_eq!(alice.sync(&house).await.get("device_lists"), None);
}
