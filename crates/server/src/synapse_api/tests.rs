//! Requests of Synapse's admin API.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::http::test_app::{Answer, TestApp, nobody};

const PATH: &str = "/_synapse/admin/v1/register";

async fn register(app: &TestApp, name: &str, admin: bool) -> Answer {
    let nonce = app.get(&nobody(), PATH).await.ok()["nonce"].as_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha1>::new_from_slice(b"complement").unwrap();
    mac.update([nonce.as_str(), name, "sUp3rs3kr1t", if admin { "admin" } else { "notadmin" }].join("\0").as_bytes());
    let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let body: Value =
        json!({ "nonce": nonce, "username": name, "password": "sUp3rs3kr1t", "mac": mac, "admin": admin });
    app.post(&nobody(), PATH, body).await
}

#[tokio::test]
async fn scripts_that_know_the_secret_make_users_and_administrators() {
    let app = TestApp::with(&[("HOLDFAST_REGISTRATION_SHARED_SECRET", "complement")]).await;
    let made = register(&app, "user-UPPER-shared-SECRET", false).await.ok();
    assert_eq!(made["user_id"], "@user-upper-shared-secret:localhost");
    assert!(made["access_token"].is_string() && made["device_id"].is_string());
    let admin = register(&app, "adminuser", true).await.ok();
    let token = admin["access_token"].as_str().unwrap();
    assert!(app.state.accounts.session_of_token(token).await.unwrap().unwrap().is_admin);
    register(&app, "us,er", false).await.refused(400, "M_INVALID_USERNAME");
    register(&app, "adminuser", true).await.refused(400, "M_USER_IN_USE");
    app.post(&nobody(), PATH, json!({ "nonce": "x" })).await.refused(400, "M_MISSING_PARAM");
    let wrong = json!({ "nonce": "x", "username": "a", "password": "b", "mac": "00" });
    app.post(&nobody(), PATH, wrong).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn without_a_secret_it_is_no_endpoint() {
    let app = TestApp::new().await;
    app.get(&nobody(), PATH).await.refused(404, "M_UNRECOGNIZED");
    let body = json!({ "nonce": "x", "username": "a", "password": "b", "mac": "00" });
    app.post(&nobody(), PATH, body).await.refused(404, "M_UNRECOGNIZED");
}
