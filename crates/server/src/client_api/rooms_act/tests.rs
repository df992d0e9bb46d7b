//! Rooms over HTTP: each endpoint's answers, and its refusals with status and code.

use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

const V3: &str = "/_matrix/client/v3";

async fn room(app: &TestApp, user: &TestUser, body: Value) -> String {
    let made = app.post(user, &format!("{V3}/createRoom"), body).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

async fn public(app: &TestApp, user: &TestUser) -> String {
    room(app, user, json!({ "preset": "public_chat" })).await
}

/// The event id of an answer.
fn id(answer: &Value) -> &str {
    answer["event_id"].as_str().unwrap()
}

#[tokio::test]
async fn rooms_are_made_and_what_cannot_be_made_is_refused() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let path = format!("{V3}/createRoom");
    let body = json!({ "name": "N", "room_alias_name": "here", "visibility": "public", "invite": [bob.id] });
    room(&app, &alice, body.clone()).await;
    app.post(&alice, &path, body).await.refused(400, "M_ROOM_IN_USE");
    app.post(&alice, &path, json!({ "room_version": 1 })).await.refused(400, "M_BAD_JSON");
    app.post(&alice, &path, json!({ "room_version": "x" })).await.refused(400, "M_UNSUPPORTED_ROOM_VERSION");
    app.post(&alice, &path, json!({ "room_alias_name": "a b" })).await.refused(400, "M_INVALID_PARAM");
    let levels = json!({ "room_version": "11", "power_level_content_override": { "events": { "m.room.name": 101 } }, "name": "N" });
    app.post(&alice, &path, levels).await.refused(400, "M_INVALID_ROOM_STATE");
    app.post(&nobody(), &path, json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn messages_are_said_once_under_one_transaction_id_of_one_device() {
    let app = TestApp::new().await;
    let (alice, phone, bob) = (app.user("alice").await, app.user("alice").await, app.user("bob").await);
    let [one, two] = [public(&app, &alice).await, public(&app, &alice).await];
    let send = async |user: &TestUser, room: &str, txn: &str, body: &str| {
        app.put(user, &format!("{V3}/rooms/{room}/send/m.room.message/{txn}"), json!({ "body": body })).await
    };
    let first = send(&alice, &one, "1", "a").await.ok();
    assert_eq!(send(&alice, &one, "1", "b").await.ok(), first);
    assert_ne!(send(&alice, &one, "2", "a").await.ok(), first);
    assert_ne!(send(&phone, &one, "1", "a").await.ok(), first);
    assert_ne!(send(&alice, &two, "1", "a").await.ok(), first);
    send(&bob, &one, "1", "a").await.refused(403, "M_FORBIDDEN");
    send(&alice, &one, "3", &"b".repeat(70_000)).await.refused(413, "M_TOO_LARGE");
    let path = format!("{V3}/rooms/{one}/send/m.room.message/4");
    app.put(&alice, &path, json!({ "n": 1.5 })).await.refused(400, "M_BAD_JSON");
    app.put(&alice, &path, json!([])).await.refused(400, "M_BAD_JSON");
    app.raw(&alice, "PUT", &path, "{ not json").await.refused(400, "M_NOT_JSON");
    app.put(&alice, &format!("{V3}/rooms/!no:localhost/send/m.room.message/1"), json!({}))
        .await
        .refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn state_is_set_with_and_without_a_key_and_once() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let room = public(&app, &alice).await;
    let set =
        async |path: &str, content: Value| app.put(&alice, &format!("{V3}/rooms/{room}/state/{path}"), content).await;
    let first = set("m.room.topic", json!({ "topic": "T" })).await.ok();
    assert_eq!(set("m.room.topic/", json!({ "topic": "T" })).await.ok(), first);
    assert_ne!(set("org.example/k%2Fx", json!({})).await.ok(), first);
    set("m.room.power_levels", json!({ "users": { "bob": 1 } })).await.refused(400, "M_BAD_JSON");
    set("m.room.canonical_alias", json!({ "alias": "#no:localhost" })).await.refused(400, "M_BAD_ALIAS");
    set("m.room.create", json!({ "a": 1 })).await.refused(400, "M_BAD_JSON");
    set("m.room.member/nobody", json!({ "membership": "invite" })).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn people_come_and_go() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = room(&app, &alice, json!({ "room_alias_name": "club" })).await;
    let act = async |user: &TestUser, what: &str, body: Value| {
        app.post(user, &format!("{V3}/rooms/{room}/{what}"), body).await
    };
    let bob_is = json!({ "user_id": bob.id, "reason": "so" });
    act(&bob, "join", json!({})).await.refused(403, "M_FORBIDDEN");
    act(&bob, "invite", json!({ "user_id": bob.id })).await.refused(403, "M_FORBIDDEN");
    act(&alice, "invite", bob_is.clone()).await.ok();
    let joined = app.post(&bob, &format!("{V3}/join/%23club:localhost"), json!({ "foo": "bar" })).await.ok();
    assert_eq!(joined["room_id"], room.as_str());
    act(&alice, "invite", bob_is.clone()).await.refused(403, "M_FORBIDDEN");
    act(&bob, "kick", json!({ "user_id": alice.id })).await.refused(403, "M_FORBIDDEN");
    act(&alice, "kick", bob_is.clone()).await.ok();
    act(&alice, "kick", bob_is.clone()).await.refused(403, "M_FORBIDDEN");
    act(&alice, "unban", bob_is.clone()).await.refused(400, "M_BAD_STATE");
    act(&alice, "ban", bob_is.clone()).await.ok();
    act(&bob, "join", json!({})).await.refused(403, "M_FORBIDDEN");
    act(&alice, "unban", bob_is.clone()).await.ok();
    act(&alice, "forget", json!({})).await.refused(400, "M_UNKNOWN");
    act(&bob, "forget", json!({})).await.ok();
    act(&alice, "leave", json!({})).await.ok();
    act(&alice, "leave", json!({ "reason": 1 })).await.refused(400, "M_BAD_JSON");
    app.post(&bob, &format!("{V3}/join/%23none:localhost"), json!({})).await.refused(404, "M_NOT_FOUND");
    app.post(&bob, &format!("{V3}/join/nonsense"), json!({})).await.refused(400, "M_INVALID_PARAM");
    app.post(&bob, &format!("{V3}/join/!none:elsewhere"), json!({})).await.refused(404, "M_NOT_FOUND");
    let by_mail = json!({ "id_server": "i", "id_access_token": "t", "medium": "email", "address": "a@b" });
    act(&alice, "invite", by_mail).await.refused(400, "M_SERVER_NOT_TRUSTED");
}

#[tokio::test]
async fn knocks_are_answered() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let rule = json!([{ "type": "m.room.join_rules", "content": { "join_rule": "knock" } }]);
    let open = room(&app, &alice, json!({ "initial_state": rule })).await;
    let closed = room(&app, &alice, json!({})).await;
    let answer = app.post(&bob, &format!("{V3}/knock/{open}"), json!({ "reason": "please" })).await.ok();
    assert_eq!(answer["room_id"], open.as_str());
    app.post(&bob, &format!("{V3}/knock/{closed}"), json!({})).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_profile_is_shown_by_who_joins() {
    let app = TestApp::new().await;
    let bob = app.user("bob").await;
    let name = serde_json::value::to_raw_value("Bob the Builder").unwrap();
    app.state.accounts.set_profile_field(&bob.id, "displayname", &name).await.unwrap();
    let room = public(&app, &bob).await;
    let number = app.state.rooms.number_of((&*room).try_into().unwrap()).await.unwrap();
    let events = rooms::timeline::entries(
        &app.state.store,
        number,
        [rooms::timeline::Order::START, rooms::timeline::Order::Live(base::Position(u64::MAX))],
        storage::Direction::Forward,
        2,
    );
    let member = events.await.unwrap()[1].event;
    let (head, _) = rooms::graph::head_of(&app.state.store, number).await.unwrap().unwrap();
    let version = rooms::event::RoomVersion::of(&head.version).unwrap();
    let graph = rooms::graph::Graph::new(&app.state.store, number, version);
    let known = graph.events(&[member]).await.unwrap().remove(0).unwrap();
    assert!(known.pdu.content().get().contains("Bob the Builder"), "{}", known.pdu.content());
}

#[tokio::test]
async fn words_are_taken_back() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    app.post(&bob, &format!("{V3}/join/{room}"), json!({})).await.ok();
    let said = app.put(&alice, &format!("{V3}/rooms/{room}/send/m.room.message/1"), json!({ "body": "b" })).await.ok();
    let redact = async |user: &TestUser, event: &str, txn: &str| {
        app.put(user, &format!("{V3}/rooms/{room}/redact/{event}/{txn}"), json!({ "reason": "r" })).await
    };
    redact(&bob, id(&said), "1").await.refused(403, "M_FORBIDDEN");
    let first = redact(&alice, id(&said), "1").await.ok();
    assert_eq!(redact(&alice, id(&said), "1").await.ok(), first);
    redact(&alice, "$0000000000000000000000000000000000000000000", "2").await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn rooms_are_upgraded_named_listed_and_reported() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let alias = format!("{V3}/directory/room/%23a:localhost");
    app.put(&bob, &alias, json!({ "room_id": room })).await.refused(403, "M_FORBIDDEN");
    app.put(&alice, &alias, json!({ "room_id": room })).await.ok();
    app.put(&alice, &alias, json!({ "room_id": room })).await.refused(409, "M_UNKNOWN");
    app.delete(&bob, &alias, json!({})).await.refused(403, "M_FORBIDDEN");
    let list = format!("{V3}/directory/list/room/{room}");
    assert_eq!(app.get(&nobody(), &list).await.ok()["visibility"], "private");
    app.put(&bob, &list, json!({ "visibility": "public" })).await.refused(403, "M_FORBIDDEN");
    app.put(&alice, &list, json!({ "visibility": "public" })).await.ok();
    assert_eq!(app.get(&nobody(), &list).await.ok()["visibility"], "public");
    let upgrade = format!("{V3}/rooms/{room}/upgrade");
    app.post(&bob, &upgrade, json!({ "new_version": "11" })).await.refused(403, "M_FORBIDDEN");
    app.post(&alice, &upgrade, json!({ "new_version": "x" })).await.refused(400, "M_UNSUPPORTED_ROOM_VERSION");
    let new = app.post(&alice, &upgrade, json!({ "new_version": "11" })).await.ok();
    assert!(new["replacement_room"].as_str().unwrap().starts_with('!'));
    app.delete(&alice, &alias, json!({})).await.ok();
    app.delete(&alice, &alias, json!({})).await.refused(404, "M_NOT_FOUND");
    let said = app.put(&alice, &format!("{V3}/rooms/{room}/send/m.room.message/1"), json!({ "body": "b" })).await.ok();
    let report = async |user: &TestUser, path: String| app.post(user, &path, json!({ "reason": "bad" })).await;
    report(&alice, format!("{V3}/rooms/{room}/report/{}", id(&said))).await.ok();
    report(&bob, format!("{V3}/rooms/{room}/report/{}", id(&said))).await.refused(404, "M_NOT_FOUND");
    report(&bob, format!("{V3}/rooms/{room}/report")).await.ok();
    report(&bob, format!("{V3}/users/{}/report", alice.id)).await.ok();
    assert_eq!(app.state.rooms.reports(10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn where_rooms_must_be_encrypted_nothing_is_told_in_the_clear() {
    let app = TestApp::with(&[("HOLDFAST_ROOMS_ENCRYPTION", "required")]).await;
    let alice = app.user("alice").await;
    let room = public(&app, &alice).await;
    let send =
        async |kind: &str| app.put(&alice, &format!("{V3}/rooms/{room}/send/{kind}/1"), json!({ "body": "b" })).await;
    send("m.room.message").await.refused(403, "M_FORBIDDEN");
    send("m.room.encrypted").await.ok();
    send("m.reaction").await.ok();
}
