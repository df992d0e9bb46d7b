//! Push rules, pushers and notifications over HTTP.

use std::time::Duration;

use serde_json::json;

use crate::client_api::notice::tests::{room, say};
use crate::http::test_app::{TestApp, nobody};

const RULES: &str = "/_matrix/client/v3/pushrules";

#[tokio::test]
async fn rules_are_read_made_moved_switched_and_removed() {
    let app = TestApp::new().await;
    let alice = &app.user("alice").await;
    app.get(&nobody(), &format!("{RULES}/")).await.refused(401, "M_MISSING_TOKEN");
    let all = app.get(alice, &format!("{RULES}/")).await.ok();
    assert_eq!(app.get(alice, &format!("{RULES}/global/")).await.ok(), all["global"]);
    assert_eq!(all["global"]["room"], json!([]));

    let rule = |id: &str| format!("{RULES}/global/content/{id}");
    let cake = json!({ "pattern": "cake", "actions": ["notify", { "set_tweak": "sound", "value": "x" }] });
    app.put(alice, &rule("a"), cake.clone()).await.ok();
    app.put(alice, &format!("{}?before=a", rule("b")), cake.clone()).await.ok();
    app.put(alice, &format!("{}?after=a", rule("c")), cake.clone()).await.ok();
    let global = app.get(alice, &format!("{RULES}/global/")).await.ok();
    let ids: Vec<&str> =
        global["content"].as_array().unwrap().iter().map(|rule| rule["rule_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a", "c", ".m.rule.contains_user_name"]);
    let found = app.get(alice, &rule("a")).await.ok();
    assert_eq!(
        (&found["pattern"], &found["enabled"], &found["default"]),
        (&json!("cake"), &json!(true), &json!(false))
    );

    app.put(alice, &format!("{}/enabled", rule("a")), json!({ "enabled": false })).await.ok();
    assert_eq!(app.get(alice, &format!("{}/enabled", rule("a"))).await.ok(), json!({ "enabled": false }));
    app.put(alice, &format!("{}/actions", rule("a")), json!({ "actions": ["dont_notify"] })).await.ok();
    assert_eq!(app.get(alice, &format!("{}/actions", rule("a"))).await.ok(), json!({ "actions": ["dont_notify"] }));
    app.delete(alice, &rule("a"), json!({})).await.ok();
    app.get(alice, &rule("a")).await.refused(404, "M_NOT_FOUND");
    app.delete(alice, &rule("a"), json!({})).await.refused(404, "M_NOT_FOUND");
    app.put(alice, &format!("{}/enabled", rule("a")), json!({ "enabled": true })).await.refused(404, "M_NOT_FOUND");
    app.get(alice, &format!("{RULES}/global/postcontent/x")).await.refused(404, "M_NOT_FOUND");
    app.put(alice, &rule(".mine"), cake.clone()).await.refused(400, "M_INVALID_PARAM");
    app.put(alice, &format!("{}?before=none", rule("d")), cake).await.refused(400, "M_INVALID_PARAM");
    app.put(alice, &rule("d"), json!({ "actions": [] })).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn pushers_are_made_listed_and_removed() {
    let app = TestApp::new().await;
    let (alice, bob) = (&app.user("alice").await, &app.user("bob").await);
    let pusher = json!({
        "kind": "http", "app_id": "app", "pushkey": "key", "lang": "en", "app_display_name": "App",
        "device_display_name": "Phone", "profile_tag": "x",
        "data": { "url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only" },
    });
    let (list, set) = ("/_matrix/client/v3/pushers", "/_matrix/client/v3/pushers/set");
    app.post(alice, set, pusher.clone()).await.ok();
    assert_eq!(app.get(alice, list).await.ok(), json!({ "pushers": [pusher.clone()] }));
    assert_eq!(app.get(bob, list).await.ok(), json!({ "pushers": [] }));
    app.post(bob, set, pusher.clone()).await.ok();
    assert_eq!(app.get(alice, list).await.ok(), json!({ "pushers": [] }), "the device changed hands");
    app.post(bob, set, json!({ "kind": null, "app_id": "app", "pushkey": "key" })).await.ok();
    assert_eq!(app.get(bob, list).await.ok(), json!({ "pushers": [] }));
    let mut wrong = pusher;
    wrong["data"]["url"] = json!("https://push.example/elsewhere");
    app.post(alice, set, wrong).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test(start_paused = true)]
async fn what_one_was_notified_of_is_listed_in_pages() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = room(&app, &alice, &[&bob]).await;
    let mut said = Vec::new();
    for body in ["a", "hello bob", "c"] {
        app.wait(Duration::from_secs(1)).await;
        said.push(say(&app, &alice, &room, json!({ "msgtype": "m.text", "body": body })).await.to_string());
    }
    said.reverse();
    let path = "/_matrix/client/v3/notifications";
    let first = app.get(&bob, &format!("{path}?limit=2")).await.ok();
    let next = first["next_token"].as_str().unwrap();
    let second = app.get(&bob, &format!("{path}?limit=2&from={next}")).await.ok();
    assert!(second.get("next_token").is_none(), "{second}");
    let listed = first["notifications"].as_array().unwrap().iter().chain(second["notifications"].as_array().unwrap());
    let ids: Vec<&str> = listed.clone().map(|one| one["event"]["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, said);
    assert!(listed.clone().all(|one| one["read"] == json!(false) && one["room_id"] == room.as_str()));
    let only = app.get(&bob, &format!("{path}?only=highlight")).await.ok();
    assert_eq!(only["notifications"].as_array().unwrap().len(), 1);
    app.get(&bob, &format!("{path}?from=x")).await.refused(400, "M_INVALID_PARAM");
}
