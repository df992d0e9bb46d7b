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
    assert_eq!(body["device_one_time_keys_count"], json!({}));
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
