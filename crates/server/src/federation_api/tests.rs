//! Requests of the server-server API.

use crate::http::test_app::{TestApp, nobody};

#[tokio::test]
async fn an_openid_token_that_is_none_is_refused() {
    let app = TestApp::new().await;
    let path = "/_matrix/federation/v1/openid/userinfo";
    app.get(&nobody(), &format!("{path}?access_token=nonsense")).await.refused(401, "M_UNKNOWN_TOKEN");
    app.get(&nobody(), path).await.refused(400, "M_MISSING_PARAM");
    let alice = app.user("alice").await;
    let theirs = format!("{path}?access_token={}", alice.token);
    app.get(&nobody(), &theirs).await.refused(401, "M_UNKNOWN_TOKEN");
}
