//! Redactions, aliases, the directory, profiles and reports.

use base::limits;
use ruma::{EventId, RoomAliasId};
use serde_json::json;

use crate::act::fixture::{ALICE, BOB, CAROL, change, code, content, latest, made, public, rooms, send, user};
use crate::act::{Change, Profile, Reported, aliases_of, find_alias, is_listed};
use crate::event::RoomVersion;

#[tokio::test]
async fn own_words_are_taken_back_by_anybody_and_those_of_others_by_power() {
    let rooms = rooms().await;
    for version in RoomVersion::all() {
        let room = made(&rooms, version, json!({ "preset": "public_chat" })).await.unwrap();
        for id in [BOB, CAROL] {
            change(&rooms, &room, id, id, Change::Join).await.unwrap();
        }
        let said = send(&rooms, &room, BOB, "m.room.message", None, json!({ "body": "oh" })).await.unwrap();
        let by = async |sender: &str, target: &EventId| {
            rooms.redact(&room, user(sender), target, Some("no"), false, None).await
        };
        let what = format!("version {}", version.id());
        assert_eq!(code(by(CAROL, &said).await), "M_FORBIDDEN", "{what}");
        by(BOB, &said).await.unwrap();
        by(ALICE, &said).await.unwrap();
        let never = if version.has_given_ids() { "$never:one" } else { "$0000000000000000000000000000000000000000000" };
        assert_eq!(code(by(ALICE, never.try_into().unwrap()).await), "M_NOT_FOUND", "{what}");
        let content = json!({ "redacts": said });
        assert_eq!(code(send(&rooms, &room, CAROL, "m.room.redaction", None, content).await), "M_FORBIDDEN", "{what}");
        assert_eq!(code(send(&rooms, &room, CAROL, "m.room.redaction", None, json!({})).await), "M_BAD_JSON", "{what}");
    }
}

#[tokio::test]
async fn aliases_are_given_by_members_and_taken_by_who_gave_them_or_has_the_power() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let number = rooms.number_of(&room).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    change(&rooms, &room, CAROL, CAROL, Change::Join).await.unwrap();
    let alias = |name: &str| RoomAliasId::parse(format!("#{name}")).unwrap();
    let [a, b, far] = ["a:one", "b:one", "a:two"].map(alias);
    assert_eq!(code(rooms.set_alias(&a, &room, user("@dave:one")).await), "M_FORBIDDEN");
    assert_eq!(code(rooms.set_alias(&far, &room, user(BOB)).await), "M_INVALID_PARAM");
    rooms.set_alias(&a, &room, user(BOB)).await.unwrap();
    rooms.set_alias(&b, &room, user(BOB)).await.unwrap();
    assert_eq!(code(rooms.set_alias(&a, &room, user(CAROL)).await), "M_ROOM_IN_USE");
    assert_eq!(aliases_of(rooms.store(), number).await.unwrap().len(), 2);
    assert_eq!(code(rooms.delete_alias(&a, user(CAROL), false).await), "M_FORBIDDEN");
    rooms.delete_alias(&b, user(BOB), false).await.unwrap();
    assert_eq!(code(rooms.delete_alias(&b, user(BOB), false).await), "M_NOT_FOUND");
    let canonical = json!({ "alias": a, "alt_aliases": [a] });
    send(&rooms, &room, ALICE, "m.room.canonical_alias", Some(""), canonical).await.unwrap();
    rooms.delete_alias(&a, user(ALICE), false).await.unwrap();
    assert_eq!(find_alias(rooms.store(), &a).await.unwrap(), None);
    let left = content(&rooms, &room, "m.room.canonical_alias", "").await.unwrap();
    assert_eq!(left, json!({ "alt_aliases": [] }), "the room does not name what leads nowhere");
    rooms.set_alias(&a, &room, user(BOB)).await.unwrap();
    rooms.delete_alias(&a, user(CAROL), true).await.unwrap();
}

#[tokio::test]
async fn a_canonical_alias_leads_to_the_room() {
    let rooms = rooms().await;
    let (room, other) = (public(&rooms).await, public(&rooms).await);
    let [here, there] = ["#here:one", "#there:one"].map(|alias| <&RoomAliasId>::try_from(alias).unwrap());
    rooms.set_alias(here, &room, user(ALICE)).await.unwrap();
    rooms.set_alias(there, &other, user(ALICE)).await.unwrap();
    let set = async |content| send(&rooms, &room, ALICE, "m.room.canonical_alias", Some(""), content).await;
    for (content, expected) in [
        (json!({ "alias": "#nowhere:one" }), "M_BAD_ALIAS"),
        (json!({ "alias": there }), "M_BAD_ALIAS"),
        (json!({ "alias": here, "alt_aliases": ["#nowhere:one"] }), "M_BAD_ALIAS"),
        (json!({ "alias": "no alias" }), "M_INVALID_PARAM"),
        (json!({ "alt_aliases": ["no alias"] }), "M_INVALID_PARAM"),
        (json!({ "alt_aliases": "x" }), "M_BAD_JSON"),
        (json!({ "alias": 1 }), "M_BAD_JSON"),
    ] {
        assert_eq!(code(set(content.clone()).await), expected, "{content}");
    }
    set(json!({ "alias": here, "alt_aliases": [here] })).await.unwrap();
    rooms.delete_alias(here, user("@admin:one"), true).await.unwrap();
    set(json!({ "alias": here, "alt_aliases": [here], "x": 1 })).await.unwrap();
    set(json!({ "alias": "" })).await.unwrap();
    assert_eq!(code(set(json!({ "alias": here })).await), "M_BAD_ALIAS", "it is gone");
}

#[tokio::test]
async fn the_directory_is_changed_by_who_may_set_the_canonical_alias() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let number = rooms.number_of(&room).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    assert_eq!(code(rooms.set_listed(&room, user(BOB), false, true).await), "M_FORBIDDEN");
    rooms.set_listed(&room, user(ALICE), false, true).await.unwrap();
    assert!(is_listed(rooms.store(), number).await.unwrap());
    rooms.set_listed(&room, user(BOB), true, false).await.unwrap();
    assert!(!is_listed(rooms.store(), number).await.unwrap());
}

#[tokio::test]
async fn a_new_profile_is_shown_where_its_user_is_joined() {
    let rooms = rooms().await;
    let (joined, left, invited) =
        (public(&rooms).await, public(&rooms).await, made(&rooms, latest(), json!({ "invite": [BOB] })).await.unwrap());
    for room in [&joined, &left] {
        change(&rooms, room, BOB, BOB, Change::Join).await.unwrap();
    }
    change(&rooms, &left, BOB, BOB, Change::Leave).await.unwrap();
    let profile = Profile { displayname: Some("Bob".to_owned()), avatar_url: None };
    rooms.update_profile(user(BOB), &profile).await.unwrap();
    let shown = async |room| content(&rooms, room, "m.room.member", BOB).await.unwrap();
    assert_eq!(shown(&joined).await, json!({ "membership": "join", "displayname": "Bob" }));
    assert_eq!(shown(&left).await, json!({ "membership": "leave" }));
    assert_eq!(shown(&invited).await, json!({ "membership": "invite" }));
    let number = rooms.number_of(&joined).await.unwrap();
    let before = crate::graph::head_of(rooms.store(), number).await.unwrap();
    rooms.update_profile(user(BOB), &profile).await.unwrap();
    assert_eq!(crate::graph::head_of(rooms.store(), number).await.unwrap(), before, "it was shown already");
    rooms.update_profile(user(BOB), &Profile::default()).await.unwrap();
    assert_eq!(shown(&joined).await, json!({ "membership": "join" }));
}

#[tokio::test]
async fn reports_are_kept_in_order_and_cut_and_nobody_learns_of_events_they_cannot_see() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let said = send(&rooms, &room, ALICE, "m.room.message", None, json!({ "body": "boo" })).await.unwrap();
    assert_eq!(code(rooms.report_event(&room, &said, user(BOB), "").await), "M_NOT_FOUND");
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    rooms.report_event(&room, &said, user(BOB), "rude").await.unwrap();
    rooms.store().clock().jump(1_000);
    rooms.report_user(user(ALICE), user(BOB), &"ä".repeat(limits::REPORT_REASON_BYTES)).await.unwrap();
    let reports = rooms.reports(10).await.unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].what, Reported::User(user(ALICE).to_owned()));
    assert_eq!(reports[0].reason.len(), limits::REPORT_REASON_BYTES);
    assert_eq!(reports[1].what, Reported::Event(room.clone(), said));
    let never = "$0000000000000000000000000000000000000000000";
    assert_eq!(code(rooms.report_event(&room, never.try_into().unwrap(), user(BOB), "").await), "M_NOT_FOUND");
    assert_eq!(code(rooms.report_room("!x:one".try_into().unwrap(), user(BOB), "").await), "M_NOT_FOUND");
}

#[tokio::test]
async fn a_forgotten_room_is_none_of_the_users_until_they_are_invited_again() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let mine = async || {
        let there = crate::append::rooms_of_user(rooms.store(), user(BOB)).await.unwrap();
        there.into_iter().map(|there| there.membership).collect::<Vec<_>>()
    };
    rooms.forget(&room, user(BOB)).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    assert_eq!(code(rooms.forget(&room, user(BOB)).await), "M_UNKNOWN");
    change(&rooms, &room, BOB, BOB, Change::Leave).await.unwrap();
    assert_eq!(mine().await, ["leave"]);
    rooms.forget(&room, user(BOB)).await.unwrap();
    rooms.forget(&room, user(BOB)).await.unwrap();
    assert!(mine().await.is_empty());
    change(&rooms, &room, ALICE, BOB, Change::Ban).await.unwrap();
    change(&rooms, &room, ALICE, BOB, Change::Unban).await.unwrap();
    assert!(mine().await.is_empty(), "it stays forgotten whatever others do");
    change(&rooms, &room, ALICE, BOB, Change::Invite).await.unwrap();
    assert_eq!(mine().await, ["invite"]);
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    assert_eq!(mine().await, ["join"]);
}

#[tokio::test]
async fn who_may_not_act_takes_back_their_own_words_only() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    let [hers, his] =
        [ALICE, BOB].map(|sender| send(&rooms, &room, sender, "m.room.message", None, json!({ "body": "b" })));
    let (hers, his) = (hers.await.unwrap(), his.await.unwrap());
    let by_alice = async |target: &EventId| rooms.redact(&room, user(ALICE), target, None, true, None).await;
    assert_eq!(code(by_alice(&his).await), "M_FORBIDDEN");
    by_alice(&hers).await.unwrap();
}
