//! Account data, tags and filters by requests.

use serde_json::json;

use crate::http::test_app::{TestApp, nobody};

#[tokio::test]
async fn account_data_is_kept_globally_and_for_a_room() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let user = format!("/_matrix/client/v3/user/{}", alice.id);
    for path in [format!("{user}/account_data/test.key"), format!("{user}/rooms/!r:localhost/account_data/test.key")] {
        app.get(&alice, &path).await.refused(404, "M_NOT_FOUND");
        for value in ["first", "second"] {
            assert_eq!(app.put(&alice, &path, json!({ "value": value })).await.ok(), json!({}));
            assert_eq!(app.get(&alice, &path).await.ok(), json!({ "value": value }));
        }
        app.get(&bob, &path).await.refused(403, "M_FORBIDDEN");
        app.put(&bob, &path, json!({})).await.refused(403, "M_FORBIDDEN");
        app.get(&nobody(), &path).await.refused(401, "M_MISSING_TOKEN");
        app.put(&alice, &path, json!([])).await.refused(400, "M_BAD_JSON");
        app.put(&alice, &path, json!("text")).await.refused(400, "M_BAD_JSON");
        app.raw(&alice, "PUT", &path, "{").await.refused(400, "M_NOT_JSON");
        app.put(&alice, &path, json!({ "large": "x".repeat(1_100_000) })).await.refused(413, "M_TOO_LARGE");

        let unstable = path.replace("/v3/", "/unstable/org.matrix.msc3391/");
        app.delete(&bob, &unstable, json!({})).await.refused(403, "M_FORBIDDEN");
        assert_eq!(app.delete(&alice, &unstable, json!({})).await.ok(), json!({}));
        app.get(&alice, &path).await.refused(404, "M_NOT_FOUND");
    }
    let nonsense = format!("{user}/rooms/nonsense/account_data/a");
    app.put(&alice, &nonsense, json!({})).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_the_server_manages_is_not_written_here() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let user = format!("/_matrix/client/v3/user/{}", alice.id);
    for kind in ["m.fully_read", "m.push_rules"] {
        for path in [format!("{user}/account_data/{kind}"), format!("{user}/rooms/!r:localhost/account_data/{kind}")] {
            app.put(&alice, &path, json!({})).await.refused(405, "M_BAD_JSON");
        }
    }
}

#[tokio::test]
async fn tags_are_given_listed_and_taken_away() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let tags = format!("/_matrix/client/v3/user/{}/rooms/!r:localhost/tags", alice.id);
    assert_eq!(app.get(&alice, &tags).await.ok(), json!({ "tags": {} }));
    app.put(&alice, &format!("{tags}/u.work"), json!({ "order": 0.9 })).await.ok();
    app.put(&alice, &format!("{tags}/m.favourite"), json!({})).await.ok();
    let listed = app.get(&alice, &tags).await.ok();
    assert_eq!(listed["tags"]["u.work"], json!({ "order": 0.9 }));
    assert!(listed["tags"]["m.favourite"].is_object());
    app.delete(&alice, &format!("{tags}/u.work"), json!({})).await.ok();
    assert_eq!(app.get(&alice, &tags).await.ok()["tags"].as_object().map(serde_json::Map::len), Some(1));

    app.get(&bob, &tags).await.refused(403, "M_FORBIDDEN");
    app.put(&bob, &format!("{tags}/u.work"), json!({})).await.refused(403, "M_FORBIDDEN");
    app.delete(&bob, &format!("{tags}/u.work"), json!({})).await.refused(403, "M_FORBIDDEN");
    app.put(&alice, &format!("{tags}/u.work"), json!({ "order": [] })).await.refused(400, "M_BAD_JSON");
    app.put(&alice, &format!("{tags}/{}", "x".repeat(300)), json!({})).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_filter_is_kept_and_found_by_its_id() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let path = format!("/_matrix/client/v3/user/{}/filter", alice.id);
    let filter = json!({ "room": { "timeline": { "limit": 10 } }, "org.example.new": true });
    let made = app.post(&alice, &path, filter.clone()).await.ok();
    let id = made["filter_id"].as_str().unwrap();
    assert!(!id.starts_with('{'));
    assert_eq!(app.get(&alice, &format!("{path}/{id}")).await.ok(), filter);
    app.get(&alice, &format!("{path}/nonsense")).await.refused(404, "M_NOT_FOUND");
    app.get(&bob, &format!("{path}/{id}")).await.refused(403, "M_FORBIDDEN");
    app.post(&bob, &path, json!({})).await.refused(403, "M_FORBIDDEN");
    app.post(&alice, &path, json!({ "room": "odd" })).await.refused(400, "M_BAD_JSON");
    app.post(&alice, &path, json!({ "event_fields": ["x".repeat(40_000)] })).await.refused(413, "M_TOO_LARGE");
    app.raw(&alice, "POST", &path, "nonsense").await.refused(400, "M_NOT_JSON");
}
