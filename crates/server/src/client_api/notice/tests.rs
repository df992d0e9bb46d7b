//! Receipts, read markers and typing over HTTP.

use std::time::Duration;

use rooms::act::{NewRoom, Saying};
use rooms::notice::TypingNow;
use ruma::api::client::room::create_room;
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

/// A public room of `owner`'s, which the others have joined.
pub(crate) async fn room(app: &TestApp, owner: &TestUser, others: &[&TestUser]) -> OwnedRoomId {
    let mut request = create_room::v3::Request::new();
    request.preset = Some(create_room::v3::RoomPreset::PublicChat);
    let room = app.state.rooms.create(&NewRoom::new(owner.id.clone(), request)).await.unwrap();
    for other in others {
        let key = Some(other.id.to_string());
        send(app, other, &room, "m.room.member", key, json!({ "membership": "join" })).await;
    }
    room
}

async fn send(
    app: &TestApp,
    who: &TestUser,
    room: &RoomId,
    kind: &str,
    state_key: Option<String>,
    content: Value,
) -> OwnedEventId {
    let content = serde_json::from_value(content).unwrap();
    let saying = Saying { sender: who.id.clone(), kind: kind.into(), state_key, content, sent_as: None };
    app.state.rooms.send(room, saying).await.unwrap()
}

pub(crate) async fn say(app: &TestApp, who: &TestUser, room: &RoomId, content: Value) -> OwnedEventId {
    send(app, who, room, "m.room.message", None, content).await
}

fn text(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

async fn fully_read(app: &TestApp, who: &TestUser, room: &RoomId) -> Option<String> {
    let data = app.state.accounts.account_data(&who.id, Some(room), "m.fully_read").await.unwrap()?;
    let data: Value = serde_json::from_str(data.get()).unwrap();
    data["event_id"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn receipts_and_markers_move_and_never_back() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = room(&app, &alice, &[&bob]).await;
    let (a, b) = (say(&app, &alice, &room, text("a")).await, say(&app, &alice, &room, text("b")).await);
    let base = format!("/_matrix/client/v3/rooms/{room}");
    let markers = json!({ "m.fully_read": b, "m.read": a, "m.read.private": b });
    app.post(&bob, &format!("{base}/read_markers"), markers).await.ok();
    assert_eq!(fully_read(&app, &bob, &room).await.as_deref(), Some(b.as_str()));
    app.post(&bob, &format!("{base}/receipt/m.fully_read/{a}"), json!({})).await.ok();
    assert_eq!(fully_read(&app, &bob, &room).await.as_deref(), Some(b.as_str()), "it does not go back");

    let number = app.state.rooms.read(&room).await.unwrap().unwrap().number();
    let head = app.state.store.watch(base::Partition(0)).unwrap().head();
    let seen_by = async |viewer: &TestUser| {
        let receipts = app.state.rooms.receipts(number, head, &viewer.id).await.unwrap();
        serde_json::to_value(receipts).unwrap()
    };
    let (by_alice, by_bob) = (seen_by(&alice).await, seen_by(&bob).await);
    assert!(by_alice[a.as_str()]["m.read"][bob.id.as_str()]["ts"].is_number(), "{by_alice}");
    assert!(by_alice.get(b.as_str()).is_none(), "{by_alice}");
    assert!(by_bob[b.as_str()]["m.read.private"][bob.id.as_str()].is_object(), "{by_bob}");
}

#[tokio::test]
async fn wrong_receipts_are_refused() {
    let app = TestApp::new().await;
    let (alice, eve) = (app.user("alice").await, app.user("eve").await);
    let room = room(&app, &alice, &[]).await;
    let a = say(&app, &alice, &room, text("a")).await;
    let path = |kind: &str, event: &str| format!("/_matrix/client/v3/rooms/{room}/receipt/{kind}/{event}");
    app.post(&nobody(), &path("m.read", a.as_str()), json!({})).await.refused(401, "M_MISSING_TOKEN");
    app.post(&eve, &path("m.read", a.as_str()), json!({})).await.refused(403, "M_FORBIDDEN");
    app.post(&eve, &path("m.fully_read", a.as_str()), json!({})).await.refused(403, "M_FORBIDDEN");
    app.post(&alice, &path("m.read", "$none"), json!({})).await.refused(404, "M_NOT_FOUND");
    app.post(&alice, &path("m.fully_read", "$none"), json!({})).await.refused(404, "M_NOT_FOUND");
    app.post(&alice, &path("m.heard", a.as_str()), json!({})).await.refused(400, "M_INVALID_PARAM");
    for (kind, thread) in [("m.read", json!("x")), ("m.read", json!("$other")), ("m.fully_read", json!("main"))] {
        let body = json!({ "thread_id": thread });
        app.post(&alice, &path(kind, a.as_str()), body).await.refused(400, "M_INVALID_PARAM");
    }
}

#[tokio::test(start_paused = true)]
async fn who_types_is_known_for_as_long_as_they_said() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = room(&app, &alice, &[&bob]).await;
    let number = app.state.rooms.read(&room).await.unwrap().unwrap().number();
    let path = |user: &TestUser| format!("/_matrix/client/v3/rooms/{room}/typing/{}", user.id);
    app.put(&alice, &path(&alice), json!({ "typing": true, "timeout": 10_000 })).await.ok();
    assert_eq!(app.state.rooms.typing().now(number).users, std::slice::from_ref(&alice.id));
    app.wait(Duration::from_secs(11)).await;
    let TypingNow { version, users } = app.state.rooms.typing().now(number);
    assert!(users.is_empty() && version == 2);
    app.put(&alice, &path(&bob), json!({ "typing": true, "timeout": 10_000 })).await.refused(403, "M_FORBIDDEN");
    let eve = app.user("eve").await;
    app.put(&eve, &path(&eve), json!({ "typing": true, "timeout": 10_000 })).await.refused(403, "M_FORBIDDEN");
}
