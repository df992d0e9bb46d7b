//! Dehydrated devices over HTTP, in process.

use protocol::bundle::{DeviceKeys, algorithm};
use protocol::olm::Account;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

const DEVICE: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

fn sleeping(of: &TestUser) -> Value {
    let account = Account::new(&mut ChaCha20Rng::seed_from_u64(1));
    let curve25519 = account.identity_keys().curve25519;
    let keys = DeviceKeys::sign(of.id.as_str(), "SLEEPER", &[algorithm::OLM], &curve25519, &account).unwrap();
    let keys: Value = serde_json::from_str(&keys.as_object().to_canonical()).unwrap();
    let data = json!({ "algorithm": "org.matrix.msc3814.v2", "device_pickle": "p", "nonce": "n" });
    json!({ "device_id": "SLEEPER", "initial_device_display_name": "Asleep", "device_data": data, "device_keys": keys })
}

#[tokio::test]
async fn a_dehydrated_device_is_stored_shown_read_and_removed() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.get(&nobody(), DEVICE).await.refused(401, "M_MISSING_TOKEN");
    app.get(&alice, DEVICE).await.refused(404, "M_NOT_FOUND");
    app.delete(&alice, DEVICE, json!({})).await.refused(404, "M_NOT_FOUND");
    let body = sleeping(&alice);
    assert_eq!(app.put(&alice, DEVICE, body.clone()).await.ok(), json!({ "device_id": "SLEEPER" }));
    let found = app.get(&alice, DEVICE).await.ok();
    assert_eq!(found, json!({ "device_id": "SLEEPER", "device_data": body["device_data"] }));

    let messages = json!({ "messages": { alice.id.as_str(): { "SLEEPER": { "n": 1 } } } });
    app.put(&bob, "/_matrix/client/v3/sendToDevice/m.test/1", messages).await.ok();
    let events = format!("{DEVICE}/SLEEPER/events");
    let first = app.post(&alice, &events, json!({})).await.ok();
    assert_eq!(first["events"], json!([{ "type": "m.test", "sender": bob.id, "content": { "n": 1 } }]));
    let next = json!({ "next_batch": first["next_batch"] });
    assert_eq!(app.post(&alice, &events, next).await.ok()["events"], json!([]));
    app.post(&alice, &events, json!({ "next_batch": "x" })).await.refused(400, "M_INVALID_PARAM");
    app.post(&alice, &format!("{DEVICE}/OTHER/events"), json!({})).await.refused(404, "M_NOT_FOUND");
    app.post(&bob, &events, json!({})).await.refused(404, "M_NOT_FOUND");
    assert_eq!(app.delete(&alice, DEVICE, json!({})).await.ok(), json!({ "device_id": "SLEEPER" }));
    app.get(&alice, DEVICE).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn one_without_keys_or_with_wrong_ones_is_refused() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let mut body = sleeping(&alice);
    app.put(&bob, DEVICE, body.clone()).await.refused(400, "M_INVALID_PARAM");
    body["device_keys"]["algorithms"] = json!(["other"]);
    app.put(&alice, DEVICE, body.clone()).await.refused(400, "M_INVALID_SIGNATURE");
    body.as_object_mut().unwrap().remove("device_keys");
    app.put(&alice, DEVICE, body).await.refused(400, "M_BAD_JSON");
    let mut taken = sleeping(&alice);
    taken["device_id"] = json!(alice.device);
    app.put(&alice, DEVICE, taken).await.refused(400, "M_INVALID_PARAM");
}
