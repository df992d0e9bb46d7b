//! Finding others by requests.

use rooms::act::{Change, MembershipChange, NewRoom};
use ruma::OwnedRoomId;
use ruma::api::client::room::create_room::v3::{Request, RoomPreset};
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

const PATH: &str = "/_matrix/client/v3/user_directory/search";

async fn room(app: &TestApp, maker: &TestUser, preset: RoomPreset) -> OwnedRoomId {
    let mut request = Request::new();
    request.preset = Some(preset);
    app.state.rooms.create(&NewRoom::new(maker.id.clone(), request)).await.unwrap()
}

async fn change(app: &TestApp, room: &OwnedRoomId, by: &TestUser, of: &TestUser, change: Change) {
    let change = MembershipChange::new(by.id.clone(), of.id.clone(), change);
    app.state.rooms.set_membership(room, &change).await.unwrap();
}

async fn search(app: &TestApp, user: &TestUser, term: &str) -> Value {
    app.post(user, PATH, json!({ "search_term": term })).await.ok()
}

async fn named(app: &TestApp, name: &str, display_name: &str) -> TestUser {
    let user = app.user(name).await;
    let path = format!("/_matrix/client/v3/profile/{}/displayname", user.id);
    app.put(&user, &path, json!({ "displayname": display_name })).await.ok();
    user
}

#[tokio::test]
async fn who_is_in_a_public_room_is_found_by_everybody_but_themselves() {
    let app = TestApp::new().await;
    let (alice, eve) = (named(&app, "user-1-alice", "Alice Cooper").await, app.user("user-2-eve").await);
    assert_eq!(search(&app, &eve, "Alice Cooper").await, json!({ "results": [], "limited": false }));
    room(&app, &alice, RoomPreset::PublicChat).await;
    let expected = json!([{ "user_id": alice.id, "display_name": "Alice Cooper" }]);
    for term in ["Alice Cooper", "coop", "@user"] {
        assert_eq!(search(&app, &eve, term).await["results"], expected, "{term}");
        assert_eq!(search(&app, &alice, term).await["results"], json!([]));
    }
}

#[tokio::test]
async fn who_shares_a_private_room_is_found_by_those_in_it() {
    let app = TestApp::new().await;
    let (alice, bob, eve) = (named(&app, "alice", "Alice").await, app.user("bob").await, app.user("eve").await);
    let private = room(&app, &bob, RoomPreset::PrivateChat).await;
    change(&app, &private, &bob, &alice, Change::Invite).await;
    assert_eq!(search(&app, &bob, "alice").await["results"], json!([]), "an invite is no sharing");
    change(&app, &private, &alice, &alice, Change::Join).await;
    assert_eq!(search(&app, &bob, "alice").await["results"][0]["user_id"], alice.id.as_str());
    assert_eq!(search(&app, &eve, "alice").await["results"], json!([]));
}

#[tokio::test]
async fn no_more_are_shown_than_asked_for() {
    let app = TestApp::new().await;
    let eve = app.user("eve").await;
    for name in ["anna", "anne", "anton"] {
        room(&app, &app.user(name).await, RoomPreset::PublicChat).await;
    }
    let found = app.post(&eve, PATH, json!({ "search_term": "an", "limit": 2 })).await.ok();
    assert_eq!((found["results"].as_array().map(Vec::len), &found["limited"]), (Some(2), &json!(true)));
    let found = app.post(&eve, PATH, json!({ "search_term": "an", "limit": 3 })).await.ok();
    assert_eq!((found["results"].as_array().map(Vec::len), &found["limited"]), (Some(3), &json!(false)));
    app.post(&eve, PATH, json!({})).await.refused(400, "M_BAD_JSON");
    app.post(&nobody(), PATH, json!({ "search_term": "an" })).await.refused(401, "M_MISSING_TOKEN");
}
