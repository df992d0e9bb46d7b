//! Logging in and out by requests.

use std::time::Duration;

use base::{Secret, limits};
use serde_json::{Value, json};

use crate::http::test_app::{Answer, TestApp, TestUser, nobody};

async fn app() -> (TestApp, TestUser) {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    app.state.accounts.set_password(&alice.id, &Secret::new("superuser".to_owned())).await.unwrap();
    (app, alice)
}

async fn login(app: &TestApp, body: Value) -> Answer {
    app.post(&nobody(), "/_matrix/client/v3/login", body).await
}

fn password(user: &str, password: &str) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password })
}

fn session(body: &Value) -> TestUser {
    TestUser {
        id: body["user_id"].as_str().unwrap().try_into().unwrap(),
        device: body["device_id"].as_str().unwrap().into(),
        token: body["access_token"].as_str().unwrap().to_owned(),
    }
}

async fn whoami(app: &TestApp, user: &TestUser) -> Answer {
    app.get(user, "/_matrix/client/v3/account/whoami").await
}

#[tokio::test]
async fn the_ways_to_log_in_are_told() {
    let (app, _) = app().await;
    let flows = app.get(&nobody(), "/_matrix/client/v3/login").await.ok();
    let expected = json!([{ "type": "m.login.password" }, { "type": "m.login.token", "get_login_token": true }]);
    assert_eq!(flows["flows"], expected);
}

#[tokio::test]
async fn clients_that_ask_for_oauth_are_told_that_there_is_none() {
    let (app, _) = app().await;
    for path in ["/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"] {
        app.get(&nobody(), path).await.refused(404, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn a_user_logs_in_by_id_by_name_in_any_case_and_in_the_old_form() {
    let (app, alice) = app().await;
    let old = json!({ "type": "m.login.password", "user": "alice", "password": "superuser" });
    for body in [
        password("@alice:localhost", "superuser"),
        password("alice", "superuser"),
        password("@ALICE:localhost", "superuser"),
        old,
    ] {
        let made = login(&app, body).await.ok();
        assert_eq!(
            (made["user_id"].as_str(), made["home_server"].as_str()),
            (Some("@alice:localhost"), Some("localhost"))
        );
        assert_eq!(whoami(&app, &session(&made)).await.ok()["user_id"], alice.id.as_str());
    }
    let mut body = password("alice", "superuser");
    body["device_id"] = json!("test_device_id");
    assert_eq!(login(&app, body).await.ok()["device_id"], "test_device_id");
}

#[tokio::test]
async fn wrong_logins_are_refused() {
    let (app, _) = app().await;
    let third = |kind: &str| json!({ "type": "m.login.password", "identifier": { "type": kind }, "password": "x" });
    for (body, status, code) in [
        (password("alice", "wrong"), 403, "M_FORBIDDEN"),
        (password("nobody", "superuser"), 403, "M_FORBIDDEN"),
        (password("@alice:elsewhere.org", "superuser"), 403, "M_FORBIDDEN"),
        (third("m.id.thirdparty"), 403, "M_FORBIDDEN"),
        (third("m.id.phone"), 403, "M_FORBIDDEN"),
        (third("m.id.nose"), 400, "M_UNKNOWN"),
        (json!({ "type": "m.login.nose" }), 400, "M_UNKNOWN"),
        (json!({ "type": "m.login.token", "token": "nonsense" }), 403, "M_FORBIDDEN"),
        (json!({ "type": "m.login.token" }), 400, "M_MISSING_PARAM"),
        (json!({ "type": "m.login.password", "user": "alice" }), 400, "M_MISSING_PARAM"),
        (json!({ "type": "m.login.password", "password": "superuser" }), 400, "M_MISSING_PARAM"),
        (json!({ "type": "m.login.application_service" }), 401, "M_MISSING_TOKEN"),
        (json!({}), 400, "M_MISSING_PARAM"),
        (json!({ "type": 7 }), 400, "M_BAD_JSON"),
        (json!([]), 400, "M_BAD_JSON"),
    ] {
        login(&app, body).await.refused(status, code);
    }
    app.raw(&nobody(), "POST", "/_matrix/client/v3/login", "nonsense").await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn a_session_ends_with_its_logout_and_all_end_at_once() {
    let (app, alice) = app().await;
    let [one, other] = [app.user("alice").await, app.user("alice").await];
    assert_eq!(app.post(&one, "/_matrix/client/v3/logout", json!({})).await.ok(), json!({}));
    let refused = whoami(&app, &one).await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(refused["soft_logout"], false);
    whoami(&app, &other).await.ok();
    app.post(&one, "/_matrix/client/v3/logout", json!({})).await.refused(401, "M_UNKNOWN_TOKEN");
    app.post(&nobody(), "/_matrix/client/v3/logout", json!({})).await.refused(401, "M_MISSING_TOKEN");
    app.post(&other, "/_matrix/client/v3/logout/all", json!({})).await.ok();
    for user in [&alice, &other] {
        whoami(&app, user).await.refused(401, "M_UNKNOWN_TOKEN");
    }
}

#[tokio::test(start_paused = true)]
async fn an_access_token_expires_softly_and_is_renewed() {
    let (app, _) = app().await;
    let mut body = password("alice", "superuser");
    body["refresh_token"] = json!(true);
    let made = login(&app, body).await.ok();
    let lifetime = u64::try_from(limits::REFRESHABLE_TOKEN_LIFETIME.as_millis()).unwrap();
    assert_eq!(made["expires_in_ms"], lifetime);
    app.wait(limits::REFRESHABLE_TOKEN_LIFETIME + Duration::from_secs(1)).await;
    let expired = whoami(&app, &session(&made)).await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(expired["soft_logout"], true);

    let refresh = |token: Value| {
        let app = &app;
        async move { app.post(&nobody(), "/_matrix/client/v3/refresh", json!({ "refresh_token": token })).await }
    };
    let new = refresh(made["refresh_token"].clone()).await.ok();
    let renewed = TestUser { token: new["access_token"].as_str().unwrap().to_owned(), ..session(&made) };
    whoami(&app, &renewed).await.ok();
    assert_eq!(new["expires_in_ms"], lifetime);
    refresh(made["refresh_token"].clone()).await.refused(401, "M_UNKNOWN_TOKEN");
    refresh(json!("nonsense")).await.refused(401, "M_UNKNOWN_TOKEN");
    refresh(json!(7)).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn who_proves_the_password_logs_in_another_device_by_a_token() {
    let (app, alice) = app().await;
    let path = "/_matrix/client/v1/login/get_token";
    let asked = app.post(&alice, path, json!({})).await;
    assert_eq!((asked.status, &asked.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    let mut auth = password("alice", "superuser");
    auth["session"] = asked.body["session"].clone();
    let given = app.post(&alice, path, json!({ "auth": auth })).await.ok();
    assert_eq!(given["expires_in_ms"], 120_000);
    let body = json!({ "type": "m.login.token", "token": given["login_token"] });
    assert_eq!(login(&app, body.clone()).await.ok()["user_id"], "@alice:localhost");
    login(&app, body).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test(start_paused = true)]
async fn passwords_of_one_account_are_not_tried_without_end_however_its_name_is_written() {
    let app = TestApp::with(&[("HOLDFAST_LIMITS_ENABLED", "true")]).await;
    let _ = app.user("alice").await;
    let path = "/_matrix/client/v3/login";
    let names = ["alice", "@alice:localhost", "ALICE"];
    for name in names.iter().cycle().take(20) {
        app.post(&nobody(), path, password(name, "guessed")).await.refused(403, "M_FORBIDDEN");
    }
    app.post(&nobody(), path, password("alice", "guessed")).await.refused(429, "M_LIMIT_EXCEEDED");
    app.post(&nobody(), path, password("bob", "guessed")).await.refused(403, "M_FORBIDDEN");
}
