//! Coming and going: by whom, where and when, for every rule of joining.

use serde_json::json;

use crate::act::fixture::{
    ALICE, BOB, CAROL, change, code, content, latest, made, membership, public, rooms, send, user,
};
use crate::act::{Change, MembershipChange, Profile};
use crate::event::RoomVersion;

async fn by_rule(rooms: &crate::Rooms, version: &RoomVersion, rule: serde_json::Value) -> ruma::OwnedRoomId {
    let rules = json!([{ "type": "m.room.join_rules", "state_key": "", "content": rule }]);
    made(rooms, version, json!({ "initial_state": rules })).await.unwrap()
}

#[tokio::test]
async fn who_is_invited_may_join_decline_and_be_uninvited() {
    let rooms = rooms().await;
    let room = made(&rooms, latest(), json!({})).await.unwrap();
    assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Join).await), "M_FORBIDDEN");
    change(&rooms, &room, ALICE, BOB, Change::Invite).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Leave).await.unwrap();
    assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Join).await), "M_FORBIDDEN", "the invite is gone");
    change(&rooms, &room, ALICE, BOB, Change::Invite).await.unwrap();
    change(&rooms, &room, ALICE, BOB, Change::Kick).await.unwrap();
    assert_eq!(membership(&rooms, &room, BOB).await.as_deref(), Some("leave"));
    change(&rooms, &room, ALICE, BOB, Change::Invite).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    assert_eq!(code(change(&rooms, &room, ALICE, BOB, Change::Invite).await), "M_FORBIDDEN", "he is in");
    assert_eq!(code(change(&rooms, &room, CAROL, BOB, Change::Invite).await), "M_FORBIDDEN", "she is not");
}

#[tokio::test]
async fn bans_kicks_and_unbans_take_power_and_a_target() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    for user in [BOB, CAROL] {
        change(&rooms, &room, user, user, Change::Join).await.unwrap();
    }
    for what in [Change::Kick, Change::Ban] {
        assert_eq!(code(change(&rooms, &room, BOB, CAROL, what).await), "M_FORBIDDEN");
    }
    assert_eq!(code(change(&rooms, &room, ALICE, "@dave:one", Change::Kick).await), "M_FORBIDDEN", "he is not there");
    change(&rooms, &room, ALICE, "@dave:one", Change::Ban).await.unwrap();
    assert_eq!(code(change(&rooms, &room, "@dave:one", "@dave:one", Change::Join).await), "M_FORBIDDEN");
    assert_eq!(code(change(&rooms, &room, ALICE, CAROL, Change::Unban).await), "M_BAD_STATE");
    assert_eq!(code(change(&rooms, &room, BOB, "@dave:one", Change::Unban).await), "M_FORBIDDEN");
    assert_eq!(code(change(&rooms, &room, ALICE, "@dave:one", Change::Invite).await), "M_FORBIDDEN");
    change(&rooms, &room, ALICE, "@dave:one", Change::Unban).await.unwrap();
    change(&rooms, &room, "@dave:one", "@dave:one", Change::Join).await.unwrap();
    let mut kick = MembershipChange::new(user(ALICE), user(BOB), Change::Kick);
    kick.reason = Some("noise".to_owned());
    rooms.set_membership(&room, &kick).await.unwrap();
    let member = content(&rooms, &room, "m.room.member", BOB).await.unwrap();
    assert_eq!(member, json!({ "membership": "leave", "reason": "noise" }));
    assert_eq!(code(change(&rooms, &room, ALICE, BOB, Change::Kick).await), "M_FORBIDDEN", "he is gone already");
    assert_eq!(code(change(&rooms, &room, "@eve:one", "@eve:one", Change::Leave).await), "M_FORBIDDEN");
}

#[tokio::test]
async fn joining_twice_is_joining_once_unless_the_profile_is_new() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let mut join = MembershipChange::new(user(BOB), user(BOB), Change::Join);
    let first = rooms.set_membership(&room, &join).await.unwrap();
    assert_eq!(rooms.set_membership(&room, &join).await.unwrap(), first);
    join.profile = Profile { displayname: Some("Bob".to_owned()), avatar_url: None };
    let second = rooms.set_membership(&room, &join).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(rooms.set_membership(&room, &join).await.unwrap(), second);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_join_at_once_both_get_in() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let (bob, carol) =
        tokio::join!(change(&rooms, &room, BOB, BOB, Change::Join), change(&rooms, &room, CAROL, CAROL, Change::Join));
    bob.unwrap();
    carol.unwrap();
    for user in [BOB, CAROL] {
        assert_eq!(membership(&rooms, &room, user).await.as_deref(), Some("join"));
    }
}

#[tokio::test]
async fn knocking_is_for_rooms_that_allow_it() {
    let rooms = rooms().await;
    for version in RoomVersion::all() {
        let rules = &version.rules().authorization;
        let room = by_rule(&rooms, version, json!({ "join_rule": "knock" })).await;
        let knocked = change(&rooms, &room, BOB, BOB, Change::Knock).await;
        if !rules.knocking {
            assert_eq!(code(knocked), "M_FORBIDDEN", "version {}", version.id());
            continue;
        }
        knocked.unwrap();
        assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Join).await), "M_FORBIDDEN");
        change(&rooms, &room, ALICE, BOB, Change::Kick).await.unwrap();
        change(&rooms, &room, BOB, BOB, Change::Knock).await.unwrap();
        change(&rooms, &room, ALICE, BOB, Change::Invite).await.unwrap();
        change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
        assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Knock).await), "M_FORBIDDEN", "he is in");
        let invite_only = made(&rooms, version, json!({})).await.unwrap();
        assert_eq!(code(change(&rooms, &invite_only, BOB, BOB, Change::Knock).await), "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn members_of_a_named_room_may_join_a_restricted_one() {
    let rooms = rooms().await;
    let space = public(&rooms).await;
    let allow = json!([
        { "type": "org.example.unknown" },
        "nonsense",
        { "type": "m.room_membership", "room_id": "!elsewhere:two" },
        { "type": "m.room_membership", "room_id": space },
    ]);
    for (rule, since) in [("restricted", 8), ("knock_restricted", 10)] {
        for version in &RoomVersion::all()[since - 1..] {
            let room = by_rule(&rooms, version, json!({ "join_rule": rule, "allow": allow })).await;
            assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Join).await), "M_FORBIDDEN", "{rule}");
            change(&rooms, &space, BOB, BOB, Change::Join).await.unwrap();
            change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
            let member = content(&rooms, &room, "m.room.member", BOB).await.unwrap();
            assert_eq!(member["join_authorised_via_users_server"], ALICE);
            change(&rooms, &space, BOB, BOB, Change::Leave).await.unwrap();
            change(&rooms, &room, ALICE, CAROL, Change::Invite).await.unwrap();
            change(&rooms, &room, CAROL, CAROL, Change::Join).await.unwrap();
            let member = content(&rooms, &room, "m.room.member", CAROL).await.unwrap();
            assert_eq!(member, json!({ "membership": "join" }), "who is invited needs nobody else");
            if rule == "knock_restricted" {
                change(&rooms, &room, "@dave:one", "@dave:one", Change::Knock).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_restricted_join_names_who_may_invite_and_nobody_joins_when_nobody_may() {
    let rooms = rooms().await;
    let space = public(&rooms).await;
    change(&rooms, &space, BOB, BOB, Change::Join).await.unwrap();
    let allow = json!([{ "type": "m.room_membership", "room_id": space }]);
    let version = &RoomVersion::all()[9];
    let room = by_rule(&rooms, version, json!({ "join_rule": "restricted", "allow": allow })).await;
    let levels = json!({ "users": { ALICE: 100, CAROL: 60 }, "invite": 60 });
    send(&rooms, &room, ALICE, "m.room.power_levels", Some(""), levels).await.unwrap();
    change(&rooms, &room, ALICE, CAROL, Change::Invite).await.unwrap();
    change(&rooms, &room, CAROL, CAROL, Change::Join).await.unwrap();
    change(&rooms, &room, ALICE, ALICE, Change::Leave).await.unwrap();
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    let member = content(&rooms, &room, "m.room.member", BOB).await.unwrap();
    assert_eq!(member["join_authorised_via_users_server"], CAROL);
    change(&rooms, &room, BOB, BOB, Change::Leave).await.unwrap();
    change(&rooms, &room, CAROL, CAROL, Change::Leave).await.unwrap();
    assert_eq!(code(change(&rooms, &room, BOB, BOB, Change::Join).await), "M_UNABLE_TO_GRANT_JOIN");
}

#[tokio::test]
async fn guests_join_only_where_guests_may() {
    let rooms = rooms().await;
    let mut join = MembershipChange::new(user(BOB), user(BOB), Change::Join);
    join.guest = true;
    let closed = public(&rooms).await;
    assert_eq!(code(rooms.set_membership(&closed, &join).await), "M_GUEST_ACCESS_FORBIDDEN");
    let guests = json!([{ "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "can_join" } }]);
    let open = made(&rooms, latest(), json!({ "preset": "public_chat", "initial_state": guests })).await.unwrap();
    rooms.set_membership(&open, &join).await.unwrap();
}
