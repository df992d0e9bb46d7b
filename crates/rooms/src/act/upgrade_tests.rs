//! Upgrades between versions: what is carried over, who has which power, and that the old room ends in the same moment.

use ruma::{OwnedUserId, RoomId};
use serde_json::{Value, json};

use crate::Rooms;
use crate::act::fixture::{ALICE, BOB, CAROL, change, code, content, made, rooms, send, user};
use crate::act::{Change, Profile, Upgrade, find_alias, is_listed};
use crate::error::Error;
use crate::event::RoomVersion;

fn version(id: &str) -> &'static RoomVersion {
    RoomVersion::of(&id.try_into().unwrap()).unwrap()
}

async fn upgrade(rooms: &Rooms, room: &RoomId, by: &str, to: &str, also: &[&str]) -> Result<ruma::OwnedRoomId, Error> {
    let additional_creators: Vec<OwnedUserId> = also.iter().map(|id| user(id).to_owned()).collect();
    let upgrade = Upgrade {
        sender: user(by).to_owned(),
        version: to.try_into().unwrap(),
        additional_creators,
        profile: Profile::default(),
    };
    rooms.upgrade(room, &upgrade).await
}

#[tokio::test]
async fn the_new_room_has_what_the_old_one_had_and_each_leads_to_the_other() {
    let rooms = rooms().await;
    for (from, to) in [("1", "2"), ("9", "11"), ("11", "12"), ("12", "12"), ("12", "10")] {
        let body = json!({
            "preset": "public_chat",
            "visibility": "public",
            "room_alias_name": format!("a{from}-{to}"),
            "name": "N",
            "topic": "T",
            "creation_content": { "type": "m.space", "m.federate": false, "odd": 1 },
            "initial_state": [{ "type": "org.example", "content": { "a": 1 } }],
        });
        let old = made(&rooms, version(from), body).await.unwrap();
        let new = upgrade(&rooms, &old, ALICE, to, &[]).await.unwrap();
        let has = async |room: &RoomId, kind: &str| content(&rooms, room, kind, "").await;
        let (before, after) = (has(&old, "m.room.tombstone").await.unwrap(), has(&new, "m.room.create").await.unwrap());
        assert_eq!(before["replacement_room"], new.as_str());
        assert_eq!(after["predecessor"]["room_id"], old.as_str());
        assert_eq!(after["predecessor"]["event_id"].is_null(), to == "12", "{from} to {to}");
        assert_eq!((&after["room_version"], &after["type"]), (&json!(to), &json!("m.space")));
        assert_eq!((&after["m.federate"], &after["odd"]), (&json!(false), &Value::Null));
        for kind in ["m.room.name", "m.room.topic", "m.room.join_rules", "m.room.canonical_alias"] {
            assert_eq!(has(&new, kind).await, has(&old, kind).await, "{kind}, {from} to {to}");
        }
        assert_eq!(has(&new, "org.example").await, None, "what only its sender can say is not carried over");
        let alias = format!("#a{from}-{to}:one");
        assert_eq!(find_alias(rooms.store(), (&*alias).try_into().unwrap()).await.unwrap().unwrap().room_id, new);
        for (room, expected) in [(&old, false), (&new, true)] {
            let number = rooms.number_of(room).await.unwrap();
            assert_eq!(is_listed(rooms.store(), number).await.unwrap(), expected);
        }
        let silenced = has(&old, "m.room.power_levels").await.unwrap();
        assert_eq!((&silenced["events_default"], &silenced["invite"]), (&json!(50), &json!(50)));
        send(&rooms, &new, ALICE, "m.room.name", Some(""), json!({ "name": "M" })).await.unwrap();
    }
}

#[tokio::test]
async fn who_may_not_end_a_room_may_not_upgrade_it_and_nothing_is_changed() {
    let rooms = rooms().await;
    let old = made(&rooms, version("11"), json!({ "preset": "public_chat" })).await.unwrap();
    assert_eq!(code(upgrade(&rooms, &old, BOB, "12", &[]).await), "M_FORBIDDEN");
    change(&rooms, &old, BOB, BOB, Change::Join).await.unwrap();
    let before = crate::append::rooms_of_user(rooms.store(), user(BOB)).await.unwrap().len();
    for to in ["10", "12"] {
        assert_eq!(code(upgrade(&rooms, &old, BOB, to, &[]).await), "M_FORBIDDEN", "to {to}");
    }
    assert_eq!(crate::append::rooms_of_user(rooms.store(), user(BOB)).await.unwrap().len(), before);
    assert_eq!(content(&rooms, &old, "m.room.tombstone", "").await, None);
    let unknown = upgrade(&rooms, &old, ALICE, "org.example.new", &[]).await;
    assert_eq!(code(unknown), "M_UNSUPPORTED_ROOM_VERSION");
}

type Case<'a> = (&'a str, Value, &'a str, &'a [&'a str], &'a str, Value);

#[tokio::test]
async fn levels_of_creators_follow_the_versions() {
    let rooms = rooms().await;
    // Version and levels of the old room, who upgrades and names whom, the levels of the new room.
    let cases: [Case<'_>; 6] = [
        ("11", json!({ ALICE: 100, BOB: 100 }), BOB, &[], "12", json!({ ALICE: 100 })),
        ("11", json!({ BOB: 100, CAROL: 100 }), BOB, &[], "12", json!({ CAROL: 100 })),
        ("12", json!({ BOB: 150 }), BOB, &[CAROL], "12", json!({})),
        ("12", json!({ BOB: 150, CAROL: 50 }), BOB, &[CAROL], "12", json!({})),
        ("11", json!({ ALICE: 100, BOB: 100, CAROL: 50 }), ALICE, &[BOB], "12", json!({ CAROL: 50 })),
        ("12", json!({ BOB: 150 }), BOB, &[CAROL], "11", json!({ ALICE: 100, BOB: 150 })),
    ];
    for (from, levels, by, also, to, expected) in cases {
        let old = made(&rooms, version(from), json!({ "preset": "public_chat" })).await.unwrap();
        for id in [BOB, CAROL] {
            change(&rooms, &old, id, id, Change::Join).await.unwrap();
        }
        send(&rooms, &old, ALICE, "m.room.power_levels", Some(""), json!({ "users": levels })).await.unwrap();
        let new = upgrade(&rooms, &old, by, to, also).await.unwrap();
        let found = content(&rooms, &new, "m.room.power_levels", "").await.unwrap();
        assert_eq!(found["users"], expected, "{from} to {to} by {by} with {also:?}");
        let create = content(&rooms, &new, "m.room.create", "").await.unwrap();
        let named = if also.is_empty() || to != "12" { Value::Null } else { json!(also) };
        assert_eq!(create["additional_creators"], named);
        if to == "12" {
            assert_eq!(found["events"]["m.room.tombstone"], 150);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_while_others_speak_is_made_on_what_was_said() {
    let rooms = rooms().await;
    let old = made(&rooms, version("11"), json!({ "preset": "public_chat" })).await.unwrap();
    let speaking = send(&rooms, &old, ALICE, "m.room.name", Some(""), json!({ "name": "late" }));
    let (said, upgraded) = tokio::join!(speaking, upgrade(&rooms, &old, ALICE, "12", &[]));
    said.unwrap();
    let new = upgraded.unwrap();
    let tombstone = content(&rooms, &old, "m.room.tombstone", "").await.unwrap();
    assert_eq!(tombstone["replacement_room"], new.as_str());
}
