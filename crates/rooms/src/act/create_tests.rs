//! Rooms being made: what they begin with by preset and version, what is refused, and that they are there whole or not at all.

use ruma::api::client::room::create_room::v3::RoomPreset;
use ruma::events::TimelineEventType;
use serde_json::{Value, json};
use storage::MemoryDisk;

use crate::act::fixture::{
    ALICE, BOB, CAROL, change, code, content, latest, made, membership, request, rooms, rooms_on, send, state, user,
};
use crate::act::{Change, NewRoom, Profile, aliases_of, find_alias, is_listed, listed};
use crate::event::RoomVersion;
use crate::rooms::EncryptionPolicy;

#[tokio::test]
async fn every_preset_makes_a_room_of_every_version_as_the_specification_has_it() {
    let rooms = rooms().await;
    for version in RoomVersion::all() {
        for (preset, join_rule, guests) in [
            (RoomPreset::PrivateChat, "invite", "can_join"),
            (RoomPreset::PublicChat, "public", "forbidden"),
            (RoomPreset::TrustedPrivateChat, "invite", "can_join"),
        ] {
            let body = json!({ "preset": preset.as_str(), "invite": [BOB], "name": "N", "topic": "T" });
            let room = made(&rooms, version, body).await.unwrap();
            let what = format!("{preset:?} of version {}", version.id());
            let has = async |kind: &str, field: &str| content(&rooms, &room, kind, "").await.unwrap()[field].clone();
            assert_eq!(has("m.room.join_rules", "join_rule").await, join_rule, "{what}");
            assert_eq!(has("m.room.guest_access", "guest_access").await, guests, "{what}");
            assert_eq!(has("m.room.history_visibility", "history_visibility").await, "shared", "{what}");
            assert_eq!(has("m.room.name", "name").await, "N", "{what}");
            assert_eq!(has("m.room.topic", "topic").await, "T", "{what}");
            assert_eq!(has("m.room.topic", "m.topic").await["m.text"][0]["body"], "T", "{what}");
            assert_eq!(has("m.room.create", "room_version").await, version.id().as_str(), "{what}");
            assert_eq!(membership(&rooms, &room, ALICE).await.as_deref(), Some("join"), "{what}");
            assert_eq!(membership(&rooms, &room, BOB).await.as_deref(), Some("invite"), "{what}");
            // Whom the preset trusts may do what only the creator may.
            change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
            let levels = has("m.room.power_levels", "events").await;
            let levels = json!({ "users": {}, "events": levels, "ban": 51 });
            let levels = send(&rooms, &room, BOB, "m.room.power_levels", Some(""), levels).await;
            assert_eq!(
                levels.is_ok(),
                preset == RoomPreset::TrustedPrivateChat && version.id().as_str() == "12",
                "{what}"
            );
            let name = send(&rooms, &room, BOB, "m.room.encryption", Some(""), json!({ "algorithm": "A" })).await;
            assert_eq!(name.is_ok(), preset == RoomPreset::TrustedPrivateChat, "{what}");
        }
    }
}

#[tokio::test]
async fn in_version_12_creators_are_in_the_create_event_and_the_room_is_named_by_it() {
    let rooms = rooms().await;
    let body = json!({
        "preset": "trusted_private_chat",
        "invite": [BOB],
        "creation_content": { "additional_creators": [CAROL], "m.federate": false, "creator": "@eve:one" },
        "power_level_content_override": { "events": { "m.room.name": 10 } },
    });
    let room = made(&rooms, latest(), body).await.unwrap();
    let create = content(&rooms, &room, "m.room.create", "").await.unwrap();
    assert_eq!(create["additional_creators"], json!([CAROL, BOB]));
    assert_eq!((&create["m.federate"], &create["creator"]), (&json!(false), &Value::Null));
    let levels = content(&rooms, &room, "m.room.power_levels", "").await.unwrap();
    assert_eq!((&levels["users"], &levels["events"]["m.room.tombstone"]), (&json!({}), &json!(150)));
    assert_eq!(levels["events"]["m.room.name"], 10);
    let state = state(&rooms, &room).await;
    let create = state.values().find(|known| known.pdu.is_create()).unwrap();
    assert_eq!(room.strip_sigil(), create.pdu.id().as_str().trim_start_matches('$'));
}

#[tokio::test]
async fn what_the_maker_gives_wins_over_the_preset_and_names_over_what_they_give() {
    let rooms = rooms().await;
    let body = json!({
        "preset": "public_chat",
        "initial_state": [
            { "type": "m.room.join_rules", "content": { "join_rule": "knock" } },
            { "type": "m.room.topic", "state_key": "", "content": { "topic": "given" } },
            { "type": "m.room.name", "state_key": "", "content": { "name": "given" } },
            { "type": "org.example", "state_key": "k", "content": { "a": 1 } },
        ],
        "name": "asked",
        "is_direct": true,
        "invite": [BOB, BOB, ALICE],
    });
    let room = made(&rooms, latest(), body).await.unwrap();
    assert_eq!(content(&rooms, &room, "m.room.join_rules", "").await.unwrap()["join_rule"], "knock");
    assert_eq!(content(&rooms, &room, "m.room.topic", "").await.unwrap(), json!({ "topic": "given" }));
    assert_eq!(content(&rooms, &room, "m.room.name", "").await.unwrap()["name"], "asked");
    assert_eq!(content(&rooms, &room, "org.example", "k").await.unwrap()["a"], 1);
    let invite = content(&rooms, &room, "m.room.member", BOB).await.unwrap();
    assert_eq!(invite, json!({ "membership": "invite", "is_direct": true }));
}

#[tokio::test]
async fn profiles_are_shown_in_memberships() {
    let rooms = rooms().await;
    let mut new = NewRoom::new(user(ALICE), request(&json!({ "invite": [BOB] })));
    for (id, name) in [(ALICE, "Alice"), (BOB, "Bob")] {
        let profile = Profile { displayname: Some(name.to_owned()), avatar_url: Some("mxc://one/a".to_owned()) };
        new.profiles.insert(user(id).to_owned(), profile);
    }
    let room = rooms.create(&new).await.unwrap();
    for (id, name) in [(ALICE, "Alice"), (BOB, "Bob")] {
        let member = content(&rooms, &room, "m.room.member", id).await.unwrap();
        assert_eq!((&member["displayname"], &member["avatar_url"]), (&json!(name), &json!("mxc://one/a")));
    }
}

#[tokio::test]
async fn an_alias_and_the_directory_come_with_the_room_and_a_taken_alias_leaves_no_room() {
    let rooms = rooms().await;
    let body = json!({ "visibility": "public", "room_alias_name": "here" });
    let room = made(&rooms, latest(), body.clone()).await.unwrap();
    let number = rooms.number_of(&room).await.unwrap();
    let alias = <&ruma::RoomAliasId>::try_from("#here:one").unwrap();
    assert_eq!(find_alias(rooms.store(), alias).await.unwrap().unwrap().room_id, room);
    assert_eq!(aliases_of(rooms.store(), number).await.unwrap().len(), 1);
    assert_eq!(content(&rooms, &room, "m.room.canonical_alias", "").await.unwrap()["alias"], "#here:one");
    assert!(is_listed(rooms.store(), number).await.unwrap());
    let before = crate::append::rooms_of_user(rooms.store(), user(ALICE)).await.unwrap().len();
    assert_eq!(code(made(&rooms, latest(), body).await), "M_ROOM_IN_USE");
    assert_eq!(crate::append::rooms_of_user(rooms.store(), user(ALICE)).await.unwrap().len(), before);
    assert_eq!(listed(rooms.store()).await.unwrap(), [number]);
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_its_code() {
    let rooms = rooms().await;
    for (body, expected) in [
        (json!({ "room_alias_name": "a b" }), "M_INVALID_PARAM"),
        (json!({ "room_alias_name": "a:b" }), "M_INVALID_PARAM"),
        (json!({ "power_level_content_override": { "users": "none" } }), "M_BAD_JSON"),
        (json!({ "power_level_content_override": { "users": { "nobody": 1 } } }), "M_BAD_JSON"),
        (json!({ "power_level_content_override": { "ban": 1.5 } }), "M_BAD_JSON"),
        (json!({ "power_level_content_override": { "users": { ALICE: 100 } } }), "M_BAD_JSON"),
        (
            json!({ "power_level_content_override": { "events": { "m.room.name": 101 } }, "name": "N", "room_version": "11" }),
            "M_INVALID_ROOM_STATE",
        ),
        (json!({ "creation_content": { "additional_creators": "me" } }), "M_INVALID_ROOM_STATE"),
        (json!({ "initial_state": [{ "type": "m.room.create", "content": {} }] }), "M_BAD_JSON"),
        (json!({ "initial_state": [{ "content": {} }] }), "M_BAD_JSON"),
        (json!({ "invite": ["@far:away"] }), "M_NOT_FOUND"),
        (
            json!({ "invite_3pid": [{ "id_server": "i", "id_access_token": "t", "medium": "email", "address": "a@b" }] }),
            "M_SERVER_NOT_TRUSTED",
        ),
        (json!({ "name": "n".repeat(70_000) }), "M_TOO_LARGE"),
    ] {
        let outcome = rooms.create(&NewRoom::new(user(ALICE), request(&body))).await;
        assert_eq!(code(outcome), expected, "{body}");
    }
    let mut unknown = request(&json!({}));
    unknown.room_version = Some("org.example.new".try_into().unwrap());
    assert_eq!(code(rooms.create(&NewRoom::new(user(ALICE), unknown)).await), "M_UNSUPPORTED_ROOM_VERSION");
    let many: Vec<String> = (0..300).map(|n| format!("@u{n}:one")).collect();
    assert_eq!(code(made(&rooms, latest(), json!({ "invite": many })).await), "M_TOO_LARGE");
    assert!(crate::append::rooms_of_user(rooms.store(), user(ALICE)).await.unwrap().is_empty(), "nothing was made");
}

#[tokio::test]
async fn the_operator_decides_which_rooms_are_encrypted() {
    let unless = json!([{ "type": "m.room.encryption", "state_key": "", "content": {} }]);
    let cases = [
        (EncryptionPolicy::Default, json!({}), true),
        (EncryptionPolicy::Default, json!({ "preset": "trusted_private_chat" }), true),
        (EncryptionPolicy::Default, json!({ "preset": "public_chat" }), false),
        (EncryptionPolicy::Default, json!({ "preset": "private_chat", "visibility": "public" }), false),
        (EncryptionPolicy::Default, json!({ "initial_state": unless }), false),
        (EncryptionPolicy::Default, json!({ "creation_content": { "type": "m.space" } }), false),
        (EncryptionPolicy::Required, json!({ "preset": "public_chat" }), true),
        (EncryptionPolicy::Optional, json!({}), false),
    ];
    for (policy, body, encrypted) in cases {
        let rooms = rooms_on(&MemoryDisk::ephemeral(), policy).await;
        let room = made(&rooms, latest(), body.clone()).await.unwrap();
        let algorithm = content(&rooms, &room, "m.room.encryption", "").await;
        assert_eq!(algorithm.is_some(), encrypted, "{policy:?} {body}");
        let said = send(&rooms, &room, ALICE, "m.room.message", None, json!({ "body": "hello" })).await;
        let hidden = send(&rooms, &room, ALICE, "m.room.encrypted", None, json!({ "ciphertext": "…" })).await;
        assert!(hidden.is_ok());
        if policy == EncryptionPolicy::Required {
            assert_eq!(code(said), "M_FORBIDDEN");
            assert_eq!(code(made(&rooms, latest(), json!({ "initial_state": unless })).await), "M_FORBIDDEN");
        } else {
            said.unwrap();
        }
    }
}

#[tokio::test]
async fn a_room_is_one_commit_so_that_a_crash_leaves_all_of_it_or_nothing() {
    let disk = MemoryDisk::new();
    for round in 0..40u32 {
        let rooms = rooms_on(&disk, EncryptionPolicy::Optional).await;
        let new = NewRoom::new(user(ALICE), request(&json!({ "name": "N", "topic": "T", "invite": [BOB] })));
        let mut making = Box::pin(rooms.create(&new));
        for _ in 0..round {
            if futures_util::poll!(&mut making).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(making);
        disk.crash();
        let rooms = rooms_on(&disk, EncryptionPolicy::Optional).await;
        let mine = crate::append::rooms_of_user(rooms.store(), user(ALICE)).await.unwrap();
        let invited = crate::append::rooms_of_user(rooms.store(), user(BOB)).await.unwrap();
        assert_eq!(mine.len(), invited.len(), "who is invited sees what the maker sees");
        for there in mine {
            let (head, _) = crate::graph::head_of(rooms.store(), there.room).await.unwrap().unwrap();
            let kinds: Vec<TimelineEventType> =
                state(&rooms, &head.room_id).await.values().map(|known| known.pdu.kind().clone()).collect();
            assert_eq!(kinds.len(), 9, "{kinds:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_made_alike_in_one_moment_are_several() {
    let rooms = rooms().await;
    let both = tokio::join!(made(&rooms, latest(), json!({})), made(&rooms, latest(), json!({})));
    assert_ne!(both.0.unwrap(), both.1.unwrap());
}
