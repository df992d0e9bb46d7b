//! `/sync` over HTTP: parameters and refusals. What is told is tested in the `sync` crate.

use serde_json::json;

use crate::http::test_app::{TestApp, nobody};

const SYNC: &str = "/_matrix/client/v3/sync";

#[tokio::test(start_paused = true)]
async fn a_sync_answers_with_a_token_from_which_the_next_one_goes_on() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let answer = app.get(&alice, SYNC).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let body = answer.ok();
    let next = body["next_batch"].as_str().unwrap();
    assert_eq!(body["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
    let before = app.state.store.clock().monotonic();
    app.get(&alice, &format!("{SYNC}?since={next}&timeout=30000")).await.ok();
    let waited = app.state.store.clock().monotonic().since(before);
    assert_eq!(waited.as_secs(), 30, "nothing happened for as long as the client would wait");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    app.get(&nobody(), SYNC).await.refused(401, "M_MISSING_TOKEN");
    app.get(&alice, &format!("{SYNC}?since=nonsense")).await.refused(400, "M_INVALID_PARAM");
    app.get(&alice, &format!("{SYNC}?filter=nothing")).await.refused(400, "M_INVALID_PARAM");
    app.get(&alice, &format!("{SYNC}?filter=%7B%22room%22:7%7D")).await.refused(400, "M_INVALID_PARAM");
    app.get(&alice, &format!("{SYNC}?timeout=soon")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_filter_may_be_stored_or_stand_in_the_query() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let filter = serde_json::value::to_raw_value(&json!({ "account_data": { "not_types": ["*"] } })).unwrap();
    let id = app.state.accounts.put_filter(&alice.id, &filter).await.unwrap();
    let content = serde_json::value::to_raw_value(&json!({ "a": 1 })).unwrap();
    app.state.accounts.set_account_data(&alice.id, None, "m.x", &content).await.unwrap();
    let all = app.get(&alice, SYNC).await.ok();
    assert!(
        all["account_data"]["events"].as_array().unwrap().contains(&json!({ "type": "m.x", "content": { "a": 1 } }))
    );
    for filter in [id.as_str(), "%7B%22account_data%22:%7B%22not_types%22:%5B%22*%22%5D%7D%7D"] {
        let some = app.get(&alice, &format!("{SYNC}?filter={filter}")).await.ok();
        assert_eq!(some.get("account_data"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn sliding_sync_answers_on_both_paths_and_goes_on_from_its_position() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    for path in ["/_matrix/client/v4/sync", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"] {
        let body = json!({
            "lists": { "all": { "ranges": [[0, 9]], "timeline_limit": 1, "required_state": [] } },
            "extensions": { "e2ee": { "enabled": true } },
        });
        let answer = app.post(&alice, path, body.clone()).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        let answer = answer.ok();
        assert_eq!(answer["lists"]["all"]["count"], 0);
        let pos = answer["pos"].as_str().unwrap();
        let before = app.state.store.clock().monotonic();
        app.post(&alice, &format!("{path}?pos={pos}&timeout=20000"), body).await.ok();
        assert_eq!(app.state.store.clock().monotonic().since(before).as_secs(), 20);
    }
    let path = "/_matrix/client/v4/sync";
    app.post(&alice, &format!("{path}?pos=7/s1"), json!({})).await.refused(400, "M_UNKNOWN_POS");
    let backwards = json!({ "lists": { "a": { "ranges": [[5, 1]], "timeline_limit": 1, "required_state": [] } } });
    app.post(&alice, path, backwards).await.refused(400, "M_INVALID_PARAM");
    app.post(&alice, path, json!({ "lists": 7 })).await.refused(400, "M_BAD_JSON");
    app.post(&nobody(), path, json!({})).await.refused(401, "M_MISSING_TOKEN");
}
