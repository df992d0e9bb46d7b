//! What is said of this server.

use serde_json::json;

use super::versions::FEATURES;
use crate::http::is_served;
use crate::http::test_app::{TestApp, nobody};

#[tokio::test]
async fn features_are_claimed_when_what_they_need_is_served() {
    let app = TestApp::new().await;
    let body = app.get(&nobody(), "/_matrix/client/versions").await.ok();
    for (name, path) in FEATURES {
        assert_eq!(body["unstable_features"][name] == true, is_served(path), "{name}");
    }
}

#[tokio::test]
async fn capabilities_have_all_room_versions_and_the_configured_default() {
    let app = TestApp::with(&[("HOLDFAST_DEFAULT_ROOM_VERSION", "11")]).await;
    let alice = app.user("alice").await;
    let path = "/_matrix/client/v3/capabilities";
    app.get(&nobody(), path).await.refused(401, "M_MISSING_TOKEN");
    let capabilities = &app.get(&alice, path).await.ok()["capabilities"];
    assert_eq!(capabilities["m.room_versions"]["default"], "11");
    let available = capabilities["m.room_versions"]["available"].as_object().unwrap();
    assert_eq!((available.len(), &available["12"]), (12, &json!("stable")));
    assert_eq!(capabilities["m.3pid_changes"]["enabled"], false);
    assert_eq!(capabilities["m.profile_fields"]["enabled"], true);
}

#[tokio::test]
async fn where_clients_find_the_server_and_who_helps_is_told_as_configured() {
    let silent = TestApp::new().await;
    silent.get(&nobody(), "/.well-known/matrix/client").await.refused(404, "M_NOT_FOUND");
    silent.get(&nobody(), "/.well-known/matrix/support").await.refused(404, "M_NOT_FOUND");

    let app = TestApp::with(&[
        ("HOLDFAST_WELL_KNOWN_CLIENT", "https://matrix.example.org/"),
        ("HOLDFAST_SUPPORT_PAGE", "https://example.org/help"),
        ("HOLDFAST_SUPPORT_CONTACTS", r#"[{ role = "m.role.admin", matrix_id = "@admin:example.net" }]"#),
    ])
    .await;
    let answer = app.get(&nobody(), "/.well-known/matrix/client").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.ok(), json!({ "m.homeserver": { "base_url": "https://matrix.example.org" } }));
    let support = app.get(&nobody(), "/.well-known/matrix/support").await.ok();
    assert_eq!(support["support_page"], "https://example.org/help");
    assert_eq!(support["contacts"], json!([{ "role": "m.role.admin", "matrix_id": "@admin:example.net" }]));
}
