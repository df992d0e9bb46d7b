//! Presence by requests.

use rooms::act::{Change, MembershipChange, NewRoom};
use ruma::api::client::room::create_room::v3::{Request, RoomPreset};
use serde_json::json;

use crate::http::test_app::{TestApp, TestUser, nobody};

fn path(user: &TestUser) -> String {
    format!("/_matrix/client/v3/presence/{}/status", user.id)
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_room_sees_who_is_here() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let status = json!({ "presence": "online", "status_msg": "making cupcakes" });
    assert_eq!(app.put(&alice, &path(&alice), status).await.ok(), json!({}));
    let own = app.get(&alice, &path(&alice)).await.ok();
    assert_eq!(
        own,
        json!({ "presence": "online", "status_msg": "making cupcakes", "last_active_ago": 0, "currently_active": true })
    );
    app.get(&bob, &path(&alice)).await.refused(403, "M_FORBIDDEN");

    let mut request = Request::new();
    request.preset = Some(RoomPreset::PublicChat);
    let room = app.state.rooms.create(&NewRoom::new(alice.id.clone(), request)).await.unwrap();
    let join = MembershipChange::new(bob.id.clone(), bob.id.clone(), Change::Join);
    app.state.rooms.set_membership(&room, &join).await.unwrap();
    assert_eq!(app.get(&bob, &path(&alice)).await.ok()["status_msg"], "making cupcakes");
    assert_eq!(app.get(&alice, &path(&bob)).await.ok()["presence"], "offline");
}

#[tokio::test]
async fn nobody_speaks_for_others_or_in_odd_ways() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.put(&bob, &path(&alice), json!({ "presence": "online" })).await.refused(403, "M_FORBIDDEN");
    app.put(&nobody(), &path(&alice), json!({ "presence": "online" })).await.refused(401, "M_MISSING_TOKEN");
    app.put(&alice, &path(&alice), json!({ "presence": "dancing" })).await.refused(400, "M_INVALID_PARAM");
    app.put(&alice, &path(&alice), json!({ "presence": 7 })).await.refused(400, "M_BAD_JSON");
    app.put(&alice, &path(&alice), json!({})).await.refused(400, "M_BAD_JSON");
    app.get(&alice, "/_matrix/client/v3/presence/@nobody:localhost/status").await.refused(403, "M_FORBIDDEN");
}
