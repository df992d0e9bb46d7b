//! Messages to devices over HTTP, in process.

use base::{Partition, Position};
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

async fn inbox(app: &TestApp, of: &TestUser) -> Vec<Value> {
    let head = app.state.store.watch(Partition(0)).unwrap().head();
    let found = app.state.accounts.to_device(&of.id, &of.device, [Position::START, head], 100).await.unwrap();
    found.messages.iter().map(|message| serde_json::from_str(message.get()).unwrap()).collect()
}

#[tokio::test]
async fn a_message_is_left_once_however_often_it_is_sent() {
    let app = TestApp::new().await;
    let (alice, bob, laptop) = (app.user("alice").await, app.user("bob").await, app.user("bob").await);
    let body = json!({ "messages": { bob.id.as_str(): { "*": { "n": 1 } }, "@nobody:localhost": { "X": {} } } });
    for _ in 0..2 {
        let answer = app.put(&alice, "/_matrix/client/v3/sendToDevice/m.test/1", body.clone()).await.ok();
        assert_eq!(answer, json!({}));
    }
    let expected = json!({ "type": "m.test", "sender": alice.id, "content": { "n": 1 } });
    for device in [&bob, &laptop] {
        assert_eq!(inbox(&app, device).await, std::slice::from_ref(&expected));
    }
    app.put(&alice, "/_matrix/client/r0/sendToDevice/m.test/2", body).await.ok();
    assert_eq!(inbox(&app, &bob).await.len(), 2);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let path = "/_matrix/client/v3/sendToDevice/m.test/1";
    app.put(&nobody(), path, json!({ "messages": {} })).await.refused(401, "M_MISSING_TOKEN");
    app.put(&alice, path, json!({})).await.refused(400, "M_BAD_JSON");
    app.put(&alice, path, json!({ "messages": { "nobody": {} } })).await.refused(400, "M_BAD_JSON");
    let list = json!({ "messages": { alice.id.as_str(): { "*": [] } } });
    app.put(&alice, path, list).await.refused(400, "M_BAD_JSON");
    let large = json!({ "messages": { alice.id.as_str(): { "*": { "a": "x".repeat(70_000) } } } });
    app.put(&alice, path, large).await.refused(413, "M_TOO_LARGE");
    app.put(&alice, path, json!({ "messages": {} })).await.ok();
}
