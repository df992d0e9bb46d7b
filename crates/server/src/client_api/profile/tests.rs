//! Profiles by requests.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::test_app::{TestApp, nobody};

#[tokio::test]
async fn fields_are_set_by_their_user_and_read_by_all() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let path = format!("/_matrix/client/v3/profile/{}", alice.id);
    assert_eq!(app.get(&nobody(), &path).await.ok(), json!({}));
    app.get(&nobody(), &format!("{path}/displayname")).await.refused(404, "M_NOT_FOUND");
    for (field, value) in [
        ("displayname", json!("Alice")),
        ("avatar_url", json!("LemurLover")),
        ("m.tz", json!("Europe/London")),
        ("org.example.job", json!({ "title": ["cook", null] })),
    ] {
        let one = format!("{path}/{field}");
        assert_eq!(app.put(&alice, &one, json!({ field: value })).await.ok(), json!({}));
        assert_eq!(app.get(&nobody(), &one).await.ok(), json!({ field: value }));
    }
    let whole = app.get(&nobody(), &path).await.ok();
    assert_eq!(whole.as_object().map(serde_json::Map::len), Some(4));

    let job = format!("{path}/org.example.job");
    app.delete(&alice, &job, json!({})).await.ok();
    app.delete(&alice, &job, json!({})).await.ok();
    app.get(&nobody(), &job).await.refused(404, "M_NOT_FOUND");
    let unstable = format!("/_matrix/client/unstable/uk.tcpip.msc4133/profile/{}/org.example.job", alice.id);
    app.put(&alice, &unstable, json!({ "org.example.job": 1 })).await.ok();
    assert_eq!(app.get(&nobody(), &unstable).await.ok()["org.example.job"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_name_is_shown_in_the_rooms_where_one_is() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let made = app.post(&alice, "/_matrix/client/v3/createRoom", json!({ "preset": "public_chat" })).await.ok();
    let room = made["room_id"].as_str().unwrap();
    for (field, value) in [("displayname", "LemurLover"), ("avatar_url", "LemurLover")] {
        let path = format!("/_matrix/client/v3/profile/{}/{field}", alice.id);
        app.put(&alice, &path, json!({ field: value })).await.ok();
        app.wait(Duration::from_secs(2)).await;
        let member = format!("/_matrix/client/v3/rooms/{room}/state/m.room.member/{}", alice.id);
        let shown = app.get(&alice, &member).await.ok();
        assert_eq!((&shown["membership"], &shown[field]), (&json!("join"), &json!(value)));
    }
}

#[tokio::test]
async fn others_profiles_and_odd_fields_are_refused() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let path = format!("/_matrix/client/v3/profile/{}", alice.id);
    let name = format!("{path}/displayname");
    app.put(&bob, &name, json!({ "displayname": "Eve" })).await.refused(403, "M_FORBIDDEN");
    app.delete(&bob, &name, json!({})).await.refused(403, "M_FORBIDDEN");
    app.put(&nobody(), &name, json!({ "displayname": "Eve" })).await.refused(401, "M_MISSING_TOKEN");
    let long = format!("org.{}", "x".repeat(300));
    let cases: [(&str, Value, u16, &str); 7] = [
        ("displayname", json!({}), 400, "M_MISSING_PARAM"),
        ("displayname", json!({ "displayname": 7 }), 400, "M_BAD_JSON"),
        ("displayname", json!([]), 400, "M_BAD_JSON"),
        ("displayname", json!({ "displayname": "x".repeat(300) }), 400, "M_INVALID_PARAM"),
        ("Odd", json!({ "Odd": 1 }), 400, "M_INVALID_PARAM"),
        (&long, json!({ &long: 1 }), 400, "M_KEY_TOO_LARGE"),
        ("org.large", json!({ "org.large": "x".repeat(65_536) }), 400, "M_PROFILE_TOO_LARGE"),
    ];
    for (field, body, status, code) in cases {
        app.put(&alice, &format!("{path}/{field}"), body).await.refused(status, code);
    }
    app.raw(&alice, "PUT", &name, "{").await.refused(400, "M_NOT_JSON");
    app.get(&nobody(), "/_matrix/client/v3/profile/@nobody:localhost").await.refused(404, "M_NOT_FOUND");
    app.get(&nobody(), "/_matrix/client/v3/profile/@a:elsewhere.org").await.refused(404, "M_NOT_FOUND");
    app.get(&nobody(), "/_matrix/client/v3/profile/nonsense").await.refused(400, "M_INVALID_PARAM");
}
