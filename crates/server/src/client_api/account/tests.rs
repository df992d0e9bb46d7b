//! A user's own account by requests.

use base::Secret;
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

async fn app() -> (TestApp, TestUser) {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    app.state.accounts.set_password(&alice.id, &Secret::new("superuser".to_owned())).await.unwrap();
    (app, alice)
}

fn auth(password: &str) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": "@alice:localhost" });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password })
}

#[tokio::test]
async fn a_new_password_logs_out_the_others_unless_told_not_to() {
    let (app, alice) = app().await;
    let path = "/_matrix/client/v3/account/password";
    let other = app.user("alice").await;
    let body = json!({ "auth": auth("superuser"), "new_password": "second" });
    assert_eq!(app.post(&alice, path, body).await.ok(), json!({}));
    app.get(&alice, "/_matrix/client/v3/account/whoami").await.ok();
    app.get(&other, "/_matrix/client/v3/account/whoami").await.refused(401, "M_UNKNOWN_TOKEN");

    let third = app.user("alice").await;
    let body = json!({ "auth": auth("superuser"), "new_password": "third" });
    app.post(&alice, path, body).await.refused(401, "M_FORBIDDEN");
    let body = json!({ "auth": auth("second"), "new_password": "third", "logout_devices": false });
    app.post(&alice, path, body).await.ok();
    app.get(&third, "/_matrix/client/v3/account/whoami").await.ok();
    app.post(&alice, path, json!({ "auth": auth("third") })).await.refused(400, "M_MISSING_PARAM");
    let body = json!({ "auth": auth("third"), "new_password": "" });
    app.post(&alice, path, body).await.refused(400, "M_WEAK_PASSWORD");
    app.post(&nobody(), path, json!({ "new_password": "x" })).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_deactivated_account_is_gone_for_good() {
    let (app, alice) = app().await;
    let path = "/_matrix/client/v3/account/deactivate";
    let asked = app.post(&alice, path, json!({})).await;
    assert_eq!((asked.status, &asked.body["flows"]), (401, &json!([{ "stages": ["m.login.password"] }])));
    app.post(&alice, path, json!({ "auth": auth("wrong") })).await.refused(401, "M_FORBIDDEN");
    let done = app.post(&alice, path, json!({ "auth": auth("superuser"), "erase": true })).await.ok();
    assert_eq!(done, json!({ "id_server_unbind_result": "success" }));
    app.get(&alice, "/_matrix/client/v3/account/whoami").await.refused(401, "M_UNKNOWN_TOKEN");
    app.post(&nobody(), "/_matrix/client/v3/login", auth("superuser")).await.refused(403, "M_USER_DEACTIVATED");
    assert!(app.state.accounts.is_erased(&alice.id).await.unwrap());
}

#[tokio::test]
async fn an_openid_token_tells_others_who_one_is() {
    let (app, alice) = app().await;
    let path = format!("/_matrix/client/v3/user/{}/openid/request_token", alice.id);
    let given = app.post(&alice, &path, json!({})).await.ok();
    assert_eq!((&given["token_type"], &given["matrix_server_name"]), (&json!("Bearer"), &json!("localhost")));
    assert_eq!(given["expires_in"], 3600);
    let token = given["access_token"].as_str().unwrap();
    let info = format!("/_matrix/federation/v1/openid/userinfo?access_token={token}");
    assert_eq!(app.get(&nobody(), &info).await.ok(), json!({ "sub": "@alice:localhost" }));
    let bob = app.user("bob").await;
    app.post(&bob, &path, json!({})).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn there_are_no_addresses_and_none_can_be_added() {
    let (app, alice) = app().await;
    let account = "/_matrix/client/v3/account";
    assert_eq!(app.get(&alice, &format!("{account}/3pid")).await.ok(), json!({ "threepids": [] }));
    app.get(&nobody(), &format!("{account}/3pid")).await.refused(401, "M_MISSING_TOKEN");
    let mail = json!({ "client_secret": "abc", "email": "a@example.org", "send_attempt": 1 });
    let message = json!({ "client_secret": "abc", "country": "GB", "phone_number": "07700900001", "send_attempt": 1 });
    for base in [account, "/_matrix/client/v3/register", "/_matrix/client/v3/account/password"] {
        let base = if base == account { format!("{account}/3pid") } else { base.to_owned() };
        app.post(&nobody(), &format!("{base}/email/requestToken"), mail.clone())
            .await
            .refused(403, "M_THREEPID_DENIED");
        app.post(&nobody(), &format!("{base}/msisdn/requestToken"), message.clone())
            .await
            .refused(403, "M_THREEPID_DENIED");
    }
    let add = json!({ "client_secret": "abc", "sid": "123" });
    app.post(&alice, &format!("{account}/3pid/add"), add).await.refused(403, "M_THREEPID_DENIED");
    app.post(&alice, &format!("{account}/3pid"), json!({})).await.refused(403, "M_THREEPID_DENIED");
    let bind = json!({ "client_secret": "abc", "sid": "123", "id_server": "id.example.org", "id_access_token": "x" });
    app.post(&alice, &format!("{account}/3pid/bind"), bind).await.refused(403, "M_THREEPID_DENIED");
    let address = json!({ "medium": "email", "address": "a@example.org" });
    for end in ["delete", "unbind"] {
        let done = app.post(&alice, &format!("{account}/3pid/{end}"), address.clone()).await.ok();
        assert_eq!(done, json!({ "id_server_unbind_result": "no-support" }));
    }
}
