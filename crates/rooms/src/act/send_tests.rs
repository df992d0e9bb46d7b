//! Saying things: once per transaction id, state once per content, checked and sized, and by nobody who may not.

use ruma::RoomId;
use serde_json::{Value, json};

use crate::act::fixture::{
    ALICE, BOB, change, code, content, latest, made, membership, public, rooms, send, state, user,
};
use crate::act::{Change, Saying};
use crate::append::SentAs;
use crate::event::RoomVersion;
use crate::event::fixture::object;

#[tokio::test]
async fn a_message_sent_twice_under_one_transaction_id_is_said_once() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let saying = |id: &str, body: &str| Saying {
        sender: user(ALICE).to_owned(),
        kind: "m.room.message".into(),
        state_key: None,
        content: object(json!({ "body": body })),
        sent_as: Some(SentAs::new(user(ALICE), "D".into(), "send", &room, id.into())),
    };
    let first = rooms.send(&room, saying("1", "a")).await.unwrap();
    assert_eq!(rooms.send(&room, saying("1", "b")).await.unwrap(), first);
    assert_ne!(rooms.send(&room, saying("2", "b")).await.unwrap(), first);
}

#[tokio::test]
async fn state_that_says_what_its_sender_has_said_is_not_said_again() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let topic = async |topic: &str| {
        send(&rooms, &room, ALICE, "m.room.topic", Some(""), json!({ "topic": topic })).await.unwrap()
    };
    let first = topic("a").await;
    assert_eq!(topic("a").await, first);
    let other = topic("b").await;
    assert_ne!(other, first);
    assert_ne!(topic("a").await, first, "it was not what the room had");
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_refused_with_its_code() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let cases: [(&str, Option<&str>, Value, &str); 10] = [
        ("m.room.power_levels", Some(""), json!({ "users": { "nobody": 100 } }), "M_BAD_JSON"),
        ("m.room.power_levels", Some(""), json!({ "users": [] }), "M_BAD_JSON"),
        ("m.room.power_levels", Some(""), json!({ "ban": "50" }), "M_BAD_JSON"),
        ("m.room.power_levels", Some(""), json!({ "users": { ALICE: 100 } }), "M_BAD_JSON"),
        ("m.room.join_rules", Some(""), json!({}), "M_BAD_JSON"),
        ("m.room.member", Some(BOB), json!({ "membership": "gone" }), "M_BAD_JSON"),
        ("m.room.member", Some("bob"), json!({ "membership": "invite" }), "M_BAD_JSON"),
        ("m.room.member", Some(BOB), json!({}), "M_BAD_JSON"),
        ("m.room.message", None, json!({ "body": "b".repeat(66_000) }), "M_TOO_LARGE"),
        ("m.room.create", Some(""), json!({ "entropy": 1 }), "M_BAD_JSON"),
    ];
    for (kind, key, content, expected) in cases {
        let outcome = send(&rooms, &room, ALICE, kind, key, content).await;
        assert_eq!(code(outcome), expected, "{kind}");
    }
    let nowhere = <&RoomId>::try_from("!nowhere:one").unwrap();
    assert_eq!(code(send(&rooms, nowhere, ALICE, "m.room.message", None, json!({})).await), "M_FORBIDDEN");
    for (kind, key) in [("m.room.message", None), ("m.room.topic", Some(""))] {
        assert_eq!(code(send(&rooms, &room, BOB, kind, key, json!({})).await), "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn memberships_written_as_state_follow_the_same_rules() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let put = async |sender: &str, target: &str, membership: &str| {
        send(&rooms, &room, sender, "m.room.member", Some(target), json!({ "membership": membership, "foo": "bar" }))
            .await
    };
    put(BOB, BOB, "join").await.unwrap();
    assert_eq!(content(&rooms, &room, "m.room.member", BOB).await.unwrap()["foo"], "bar");
    assert_eq!(code(put(BOB, ALICE, "ban").await), "M_FORBIDDEN");
    put(ALICE, BOB, "ban").await.unwrap();
    assert_eq!(membership(&rooms, &room, BOB).await.as_deref(), Some("ban"));
    put(ALICE, BOB, "leave").await.unwrap();
    assert_eq!(code(put(ALICE, BOB, "leave").await), "M_FORBIDDEN");
}

#[tokio::test]
async fn events_of_every_version_follow_each_other_and_name_what_allows_them() {
    let rooms = rooms().await;
    for version in RoomVersion::all() {
        let room = made(&rooms, version, json!({ "preset": "public_chat" })).await.unwrap();
        change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
        send(&rooms, &room, ALICE, "m.room.topic", Some(""), json!({ "topic": "T" })).await.unwrap();
        let state = state(&rooms, &room).await;
        let topic = state.values().find(|known| known.pdu.kind().to_string() == "m.room.topic").unwrap();
        let joined = state.values().find(|known| known.pdu.state_key() == Some(BOB)).unwrap();
        assert_eq!(topic.pdu.prev_events(), [joined.pdu.id().to_owned()], "version {}", version.id());
        assert_eq!(topic.pdu.depth(), joined.pdu.depth() + 1);
        let mut named: Vec<String> = Vec::new();
        for id in topic.pdu.auth_events() {
            named.extend(state.values().find(|known| known.pdu.id() == id).map(|known| known.pdu.kind().to_string()));
        }
        named.sort();
        let expected: &[&str] = match version.has_hashed_room_id() {
            true => &["m.room.member", "m.room.power_levels"],
            false => &["m.room.create", "m.room.member", "m.room.power_levels"],
        };
        assert_eq!(named, expected, "version {}", version.id());
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_banned_while_speaking_is_either_heard_before_or_not_at_all() {
    let rooms = rooms().await;
    for _ in 0..10 {
        let room = public(&rooms).await;
        change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
        let speaking = send(&rooms, &room, BOB, "m.room.topic.x", None, json!({}));
        let (said, banned) = tokio::join!(speaking, change(&rooms, &room, ALICE, BOB, Change::Ban));
        banned.unwrap();
        if said.is_err() {
            assert_eq!(code(said), "M_FORBIDDEN");
        }
        assert_eq!(membership(&rooms, &room, BOB).await.as_deref(), Some("ban"));
        assert_eq!(code(send(&rooms, &room, BOB, "m.room.message", None, json!({})).await), "M_FORBIDDEN");
    }
    let _ = latest();
}
