//! Making accounts by requests.

use serde_json::{Value, json};

use crate::http::test_app::{Answer, TestApp, TestUser, nobody};

const OPEN: &[(&str, &str)] = &[("HOLDFAST_REGISTRATION_MODE", "open")];
const PATH: &str = "/_matrix/client/v3/register";

async fn post(app: &TestApp, body: Value) -> Answer {
    app.post(&nobody(), PATH, body).await
}

fn dummy(name: &str) -> Value {
    json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": "sUp3rs3kr1t" })
}

#[tokio::test]
async fn one_request_without_a_session_makes_an_account_where_registration_is_open() {
    let app = TestApp::with(OPEN).await;
    let made = post(&app, dummy("user-UPPER")).await.ok();
    assert_eq!(
        (made["user_id"].as_str(), made["home_server"].as_str()),
        (Some("@user-upper:localhost"), Some("localhost"))
    );
    let alice = TestUser {
        id: "@user-upper:localhost".try_into().unwrap(),
        device: made["device_id"].as_str().unwrap().into(),
        token: made["access_token"].as_str().unwrap().to_owned(),
    };
    let who = app.get(&alice, "/_matrix/client/v3/account/whoami").await.ok();
    assert_eq!(who, json!({ "user_id": alice.id, "device_id": alice.device }));
    post(&app, dummy("user-upper")).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn the_flows_are_told_and_their_session_goes_on() {
    let app = TestApp::with(OPEN).await;
    let asked = post(&app, json!({})).await;
    assert_eq!(asked.status, 401);
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    assert_eq!(asked.body["params"], json!({}));
    let mut body = dummy("alice");
    body["auth"]["session"] = asked.body["session"].clone();
    body["device_id"] = json!("my_device");
    body["initial_device_display_name"] = json!("my phone");
    body["refresh_token"] = json!(true);
    let made = post(&app, body).await.ok();
    assert_eq!(made["device_id"], "my_device");
    assert!(made["refresh_token"].is_string() && made["expires_in_ms"].is_u64(), "{made}");
}

#[tokio::test]
async fn a_login_is_inhibited_where_the_client_asks_for_it() {
    let app = TestApp::with(OPEN).await;
    let mut body = dummy("alice");
    body["inhibit_login"] = json!(true);
    assert_eq!(post(&app, body).await.ok(), json!({ "user_id": "@alice:localhost", "home_server": "localhost" }));
}

#[tokio::test]
async fn odd_names_and_bodies_are_refused() {
    let app = TestApp::with(OPEN).await;
    for odd in ["!", "\"", ":", "?", "\\", "@", "[", "{", "|", "£", "é", "\n", "'", " "] {
        post(&app, dummy(&format!("user-{odd}-reject-please"))).await.refused(400, "M_INVALID_USERNAME");
    }
    for (body, code) in [
        (json!({ "auth": { "type": "m.login.dummy" }, "username": "bob" }), "M_MISSING_PARAM"),
        (json!({ "auth": { "type": "m.login.dummy" }, "username": "bob", "password": "" }), "M_WEAK_PASSWORD"),
        (json!({ "auth": 7, "username": "bob", "password": "x" }), "M_BAD_JSON"),
        (json!({ "username": 7 }), "M_BAD_JSON"),
        (json!([]), "M_BAD_JSON"),
    ] {
        post(&app, body).await.refused(400, code);
    }
    app.raw(&nobody(), "POST", PATH, "{").await.refused(400, "M_NOT_JSON");
    app.post(&nobody(), "/_matrix/client/v3/register?kind=robot", json!({})).await.refused(400, "M_INVALID_PARAM");
    app.post(&nobody(), "/_matrix/client/v3/register?kind=guest", json!({}))
        .await
        .refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    let service = json!({ "type": "m.login.application_service", "username": "bot" });
    post(&app, service).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn guests_look_around_where_they_are_welcome_and_do_not_do_more() {
    let app = TestApp::with(&[("HOLDFAST_REGISTRATION_GUESTS", "true")]).await;
    let body = json!({ "initial_device_display_name": "kiosk", "username": "passed-over" });
    let made = app.post(&nobody(), "/_matrix/client/v3/register?kind=guest", body).await.ok();
    let guest = TestUser {
        id: made["user_id"].as_str().unwrap().try_into().unwrap(),
        device: made["device_id"].as_str().unwrap().into(),
        token: made["access_token"].as_str().unwrap().to_owned(),
    };
    assert!(guest.id.localpart().bytes().all(|byte| byte.is_ascii_digit()), "{made}");
    assert_eq!(app.get(&guest, "/_matrix/client/v3/account/whoami").await.ok()["is_guest"], true);
    let profile = format!("/_matrix/client/v3/profile/{}", guest.id);
    app.put(&guest, &format!("{profile}/displayname"), json!({ "displayname": "Visitor" })).await.ok();
    app.put(&guest, &format!("{profile}/avatar_url"), json!({ "avatar_url": "mxc://localhost/a" }))
        .await
        .refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    app.post(&guest, "/_matrix/client/v3/user_directory/search", json!({ "search_term": "a" }))
        .await
        .refused(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test]
async fn nobody_is_let_in_where_registration_is_closed() {
    let app = TestApp::new().await;
    post(&app, dummy("alice")).await.refused(403, "M_FORBIDDEN");
    app.get(&nobody(), "/_matrix/client/v3/register/available?username=alice").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn names_are_available_or_not() {
    let app = TestApp::with(OPEN).await;
    app.user("taken").await;
    let ask = |name: &'static str| {
        let path = format!("/_matrix/client/v3/register/available?username={name}");
        let app = &app;
        async move { app.get(&nobody(), &path).await }
    };
    assert_eq!(ask("free").await.ok(), json!({ "available": true }));
    ask("taken").await.refused(400, "M_USER_IN_USE");
    ask("not,valid").await.refused(400, "M_INVALID_USERNAME");
    app.get(&nobody(), "/_matrix/client/v3/register/available").await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn a_token_of_the_configuration_opens_the_door() {
    let app =
        TestApp::with(&[("HOLDFAST_REGISTRATION_MODE", "token"), ("HOLDFAST_REGISTRATION_TOKENS", "[\"welcome\"]")])
            .await;
    let valid = |token: &'static str| {
        let path = format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}");
        let app = &app;
        async move { app.get(&nobody(), &path).await.ok()["valid"].as_bool() }
    };
    assert_eq!((valid("welcome").await, valid("nonsense").await), (Some(true), Some(false)));
    let with = |token: &str| {
        let auth = json!({ "type": "m.login.registration_token", "token": token });
        json!({ "auth": auth, "username": "alice", "password": "sUp3rs3kr1t" })
    };
    let wrong = post(&app, with("nonsense")).await.refused(401, "M_FORBIDDEN");
    assert_eq!(wrong["flows"], json!([{ "stages": ["m.login.registration_token"] }]));
    assert_eq!(post(&app, dummy("alice")).await.status, 401, "nothing else does");
    post(&app, with("welcome")).await.ok();
}
