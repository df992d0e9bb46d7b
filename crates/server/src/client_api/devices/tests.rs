//! Devices by requests.

use base::Secret;
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

async fn app() -> (TestApp, TestUser) {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    app.state.accounts.set_password(&alice.id, &Secret::new("superuser".to_owned())).await.unwrap();
    (app, alice)
}

fn auth(user: &str, password: &str, session: &Value) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password, "session": session })
}

fn path(device: &TestUser) -> String {
    format!("/_matrix/client/v3/devices/{}", device.device)
}

#[tokio::test]
async fn devices_are_listed_shown_and_renamed() {
    let (app, alice) = app().await;
    let phone = app.user("alice").await;
    let listed = app.get(&alice, "/_matrix/client/v3/devices").await.ok();
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(2));
    assert_eq!(app.put(&alice, &path(&phone), json!({ "display_name": "phone" })).await.ok(), json!({}));
    let shown = app.get(&alice, &path(&phone)).await.ok();
    assert_eq!((&shown["device_id"], &shown["display_name"]), (&json!(phone.device), &json!("phone")));
    app.put(&alice, &path(&phone), json!({})).await.ok();
    assert_eq!(app.get(&alice, &path(&phone)).await.ok()["display_name"], "phone");

    let nowhere = "/_matrix/client/v3/devices/NOWHERE";
    app.get(&alice, nowhere).await.refused(404, "M_NOT_FOUND");
    app.put(&alice, nowhere, json!({ "display_name": "x" })).await.refused(404, "M_NOT_FOUND");
    app.put(&alice, &path(&phone), json!({ "display_name": "x".repeat(1_000) })).await.refused(400, "M_INVALID_PARAM");
    app.put(&alice, &path(&phone), json!({ "display_name": 7 })).await.refused(400, "M_BAD_JSON");
    app.get(&nobody(), "/_matrix/client/v3/devices").await.refused(401, "M_MISSING_TOKEN");
    let bob = app.user("bob").await;
    app.get(&bob, &path(&phone)).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_device_is_deleted_by_who_proves_the_owners_password_for_it() {
    let (app, alice) = app().await;
    let (phone, tablet) = (app.user("alice").await, app.user("alice").await);
    let bob = app.user("bob").await;
    app.state.accounts.set_password(&bob.id, &Secret::new("bobspassword".to_owned())).await.unwrap();
    let asked = app.delete(&alice, &path(&phone), json!({})).await;
    assert_eq!((asked.status, &asked.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let session = &asked.body["session"];

    let wrong = json!({ "auth": auth("@alice:localhost", "wrong", session) });
    assert_eq!(app.delete(&alice, &path(&phone), wrong).await.refused(401, "M_FORBIDDEN")["session"], *session);
    let others = json!({ "auth": auth("@bob:localhost", "bobspassword", session) });
    app.delete(&alice, &path(&phone), others).await.refused(403, "M_FORBIDDEN");
    let right = json!({ "auth": auth("@alice:localhost", "superuser", session) });
    app.delete(&alice, &path(&tablet), right.clone()).await.refused(403, "M_FORBIDDEN");
    assert_eq!(app.delete(&alice, &path(&phone), right).await.ok(), json!({}));
    app.get(&alice, &path(&phone)).await.refused(404, "M_NOT_FOUND");
    app.get(&phone, "/_matrix/client/v3/devices").await.refused(401, "M_UNKNOWN_TOKEN");
    app.get(&tablet, "/_matrix/client/v3/devices").await.ok();
    let bare = app.raw(&alice, "DELETE", &path(&tablet), axum::body::Body::empty()).await;
    assert_eq!(bare.status, 401);
    assert!(bare.body["flows"].is_array(), "no body is no proof yet");
}

#[tokio::test]
async fn several_devices_are_deleted_at_once() {
    let (app, alice) = app().await;
    let (phone, tablet) = (app.user("alice").await, app.user("alice").await);
    let many = "/_matrix/client/v3/delete_devices";
    let devices = json!([phone.device, "NOWHERE", tablet.device]);
    let asked = app.post(&alice, many, json!({ "devices": devices })).await;
    assert_eq!(asked.status, 401);
    let auth = auth("alice", "superuser", &asked.body["session"]);
    app.post(&alice, many, json!({ "devices": [phone.device], "auth": auth })).await.refused(403, "M_FORBIDDEN");
    assert_eq!(app.post(&alice, many, json!({ "devices": devices, "auth": auth })).await.ok(), json!({}));
    let listed = app.get(&alice, "/_matrix/client/v3/devices").await.ok();
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(1));
    app.post(&alice, many, json!({ "auth": auth })).await.refused(400, "M_MISSING_PARAM");
    app.post(&alice, many, json!({ "devices": "all" })).await.refused(400, "M_BAD_JSON");
}
