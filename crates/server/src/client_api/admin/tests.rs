//! Administering by requests.

use serde_json::json;

use crate::http::test_app::{TestApp, TestUser, nobody};

async fn app() -> (TestApp, TestUser, TestUser) {
    let app = TestApp::new().await;
    let (root, alice) = (app.user("root").await, app.user("alice").await);
    app.state.accounts.set_admin(&root.id, true).await.unwrap();
    (app, root, alice)
}

#[tokio::test]
async fn a_locked_user_is_refused_softly_and_may_log_out() {
    let (app, root, alice) = app().await;
    let path = format!("/_matrix/client/v1/admin/lock/{}", alice.id);
    assert_eq!(app.get(&root, &path).await.ok(), json!({ "locked": false }));
    assert_eq!(app.put(&root, &path, json!({ "locked": true })).await.ok(), json!({ "locked": true }));
    assert_eq!(app.get(&root, &path).await.ok(), json!({ "locked": true }));
    let refused = app.get(&alice, "/_matrix/client/v3/account/whoami").await.refused(401, "M_USER_LOCKED");
    assert_eq!(refused["soft_logout"], true);
    app.put(&root, &path, json!({ "locked": false })).await.ok();
    app.get(&alice, "/_matrix/client/v3/account/whoami").await.ok();
    app.put(&root, &path, json!({ "locked": true })).await.ok();
    app.post(&alice, "/_matrix/client/v3/logout", json!({})).await.ok();
}

#[tokio::test]
async fn a_path_that_ends_like_a_logout_is_none() {
    let (app, root, alice) = app().await;
    let lock = format!("/_matrix/client/v1/admin/lock/{}", alice.id);
    app.put(&root, &lock, json!({ "locked": true })).await.ok();
    let path = format!("/_matrix/client/v3/user/{}/account_data/logout", alice.id);
    app.put(&alice, &path, json!({})).await.refused(401, "M_USER_LOCKED");
}

#[tokio::test]
async fn a_suspended_user_reads_and_does_not_act() {
    let (app, root, alice) = app().await;
    let path = format!("/_matrix/client/v1/admin/suspend/{}", alice.id);
    assert_eq!(app.put(&root, &path, json!({ "suspended": true })).await.ok(), json!({ "suspended": true }));
    assert_eq!(app.get(&root, &path).await.ok(), json!({ "suspended": true }));
    app.get(&alice, "/_matrix/client/v3/account/whoami").await.ok();
    let name = format!("/_matrix/client/v3/profile/{}/displayname", alice.id);
    app.put(&alice, &name, json!({ "displayname": "x" })).await.refused(403, "M_USER_SUSPENDED");
    let status = format!("/_matrix/client/v3/presence/{}/status", alice.id);
    app.put(&alice, &status, json!({ "presence": "online" })).await.refused(403, "M_USER_SUSPENDED");
}

#[tokio::test]
async fn only_administrators_do_it_and_only_to_users_of_this_server() {
    let (app, root, alice) = app().await;
    for (what, body) in [("lock", json!({ "locked": true })), ("suspend", json!({ "suspended": true }))] {
        let path = |user: &str| format!("/_matrix/client/v1/admin/{what}/{user}");
        app.put(&alice, &path("@nobody:localhost"), body.clone()).await.refused(403, "M_FORBIDDEN");
        app.get(&alice, &path("@nobody:localhost")).await.refused(403, "M_FORBIDDEN");
        app.put(&root, &path("@nobody:localhost"), body.clone()).await.refused(404, "M_NOT_FOUND");
        app.get(&root, &path("@nobody:localhost")).await.refused(404, "M_NOT_FOUND");
        app.put(&root, &path("@a:elsewhere.org"), body.clone()).await.refused(400, "M_INVALID_PARAM");
        app.put(&root, &path(root.id.as_str()), body.clone()).await.refused(403, "M_FORBIDDEN");
        app.put(&root, &path(alice.id.as_str()), json!({})).await.refused(400, "M_BAD_JSON");
        app.put(&nobody(), &path(alice.id.as_str()), body).await.refused(401, "M_MISSING_TOKEN");
    }
}

#[tokio::test]
async fn users_see_from_where_they_are_here_and_administrators_see_all() {
    let (app, root, alice) = app().await;
    let path = |user: &TestUser| format!("/_matrix/client/v3/admin/whois/{}", user.id);
    let own = app.get(&alice, &path(&alice)).await.ok();
    assert_eq!(own["user_id"], alice.id.as_str());
    assert!(own["devices"][alice.device.as_str()]["sessions"][0]["connections"].is_array(), "{own}");
    app.get(&root, &path(&alice)).await.ok();
    app.get(&alice, &path(&root)).await.refused(403, "M_FORBIDDEN");
    app.get(&root, "/_matrix/client/v3/admin/whois/@nobody:localhost").await.refused(404, "M_NOT_FOUND");
}
