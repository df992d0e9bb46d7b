//! Key backups over HTTP, in process.

use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

const VERSION: &str = "/_matrix/client/v3/room_keys/version";
const KEYS: &str = "/_matrix/client/v3/room_keys/keys";

fn description() -> Value {
    json!({ "algorithm": "m.megolm_backup.v1", "auth_data": { "foo": "bar" } })
}

fn session(is_verified: bool, first: u32, forwarded: u32) -> Value {
    json!({
        "first_message_index": first, "forwarded_count": forwarded, "is_verified": is_verified,
        "session_data": { "a": "b" },
    })
}

async fn begin(app: &TestApp, user: &TestUser) -> String {
    app.post(user, VERSION, description()).await.ok()["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn versions_are_begun_shown_described_anew_and_removed() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.get(&nobody(), VERSION).await.refused(401, "M_MISSING_TOKEN");
    app.get(&alice, VERSION).await.refused(404, "M_NOT_FOUND");
    let version = begin(&app, &alice).await;
    let expected = json!({
        "algorithm": "m.megolm_backup.v1", "auth_data": { "foo": "bar" }, "count": 0, "etag": "0", "version": version,
    });
    let one = format!("{VERSION}/{version}");
    for path in [VERSION, &one] {
        assert_eq!(app.get(&alice, path).await.ok(), expected);
        app.get(&bob, path).await.refused(404, "M_NOT_FOUND");
    }
    let mut other = description();
    other["auth_data"] = json!({ "foo": "baz" });
    other["version"] = json!("7");
    app.put(&alice, &one, other.clone()).await.refused(400, "M_INVALID_PARAM");
    other["version"] = json!(version);
    app.put(&alice, &one, other.clone()).await.ok();
    assert_eq!(app.get(&alice, VERSION).await.ok()["auth_data"]["foo"], "baz");
    other["algorithm"] = json!("other");
    app.put(&alice, &one, other).await.refused(400, "M_INVALID_PARAM");
    app.put(&alice, &format!("{VERSION}/9"), description()).await.refused(404, "M_NOT_FOUND");
    app.post(&alice, VERSION, json!({ "algorithm": "x" })).await.refused(400, "M_BAD_JSON");
    app.post(&alice, VERSION, json!({ "algorithm": 1, "auth_data": {} })).await.refused(400, "M_BAD_JSON");
    app.delete(&alice, &one, json!({})).await.ok();
    app.delete(&alice, &one, json!({})).await.refused(404, "M_NOT_FOUND");
    app.get(&alice, VERSION).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn sessions_go_in_and_come_out_at_all_three_levels() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let version = begin(&app, &alice).await;
    let all = format!("{KEYS}?version={version}");
    let room = |room: &str| format!("{KEYS}/{room}?version={version}");
    let one = |room: &str, session: &str| format!("{KEYS}/{room}/{session}?version={version}");
    assert_eq!(app.get(&alice, &all).await.ok(), json!({ "rooms": {} }));
    assert_eq!(app.get(&alice, &room("!a:localhost")).await.ok(), json!({ "sessions": {} }));
    app.get(&alice, &one("!a:localhost", "s1")).await.refused(404, "M_NOT_FOUND");

    let put = app.put(&alice, &one("!a:localhost", "s1"), session(false, 10, 5)).await.ok();
    assert_eq!(put, json!({ "count": 1, "etag": "1" }));
    let body = json!({ "sessions": { "s2": session(true, 0, 0), "s \"3\"": session(true, 1, 0) } });
    assert_eq!(app.put(&alice, &room("!a:localhost"), body).await.ok()["count"], 3);
    let body = json!({ "rooms": { "!b:localhost": { "sessions": { "s1": session(true, 2, 0) } }, "!c:localhost": { "sessions": {} } } });
    assert_eq!(app.put(&alice, &all, body).await.ok()["count"], 4);

    let of_a = json!({ "s1": session(false, 10, 5), "s2": session(true, 0, 0), "s \"3\"": session(true, 1, 0) });
    assert_eq!(app.get(&alice, &room("!a:localhost")).await.ok(), json!({ "sessions": of_a }));
    let of_b = json!({ "s1": session(true, 2, 0) });
    let rooms = json!({ "!a:localhost": { "sessions": of_a }, "!b:localhost": { "sessions": of_b } });
    assert_eq!(app.get(&alice, &all).await.ok(), json!({ "rooms": rooms }));
    assert_eq!(app.get(&alice, &one("!b:localhost", "s1")).await.ok(), session(true, 2, 0));

    assert_eq!(app.delete(&alice, &one("!a:localhost", "s2"), json!({})).await.ok()["count"], 3);
    assert_eq!(app.delete(&alice, &room("!a:localhost"), json!({})).await.ok()["count"], 1);
    let emptied = app.delete(&alice, &all, json!({})).await.ok();
    assert_eq!(emptied["count"], 0);
    assert_eq!(app.get(&alice, VERSION).await.ok()["etag"], emptied["etag"]);
    assert_eq!(app.get(&alice, &all).await.ok(), json!({ "rooms": {} }));
}

#[tokio::test]
async fn a_session_is_replaced_by_a_better_one_only() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let version = begin(&app, &alice).await;
    let cases = [
        (session(false, 10, 5), vec![(false, 11, 5), (false, 10, 6), (false, 11, 6)]),
        (session(true, 10, 5), vec![(false, 11, 5), (false, 10, 6), (true, 11, 5), (true, 10, 6), (true, 11, 6)]),
    ];
    for (at, (kept, worse)) in cases.into_iter().enumerate() {
        let path = format!("{KEYS}/!a:localhost/s{at}?version={version}");
        app.put(&alice, &path, kept.clone()).await.ok();
        for (is_verified, first, forwarded) in worse {
            app.put(&alice, &path, session(is_verified, first, forwarded)).await.ok();
            assert_eq!(app.get(&alice, &path).await.ok(), kept);
        }
        app.put(&alice, &path, session(true, 1, 1)).await.ok();
        assert_eq!(app.get(&alice, &path).await.ok(), session(true, 1, 1));
    }
}

#[tokio::test]
async fn an_old_version_takes_nothing_and_names_the_current_one() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let (old, current) = (begin(&app, &alice).await, begin(&app, &alice).await);
    let body = json!({ "rooms": { "!a:localhost": { "sessions": { "s": session(true, 0, 0) } } } });
    let refused = app.put(&alice, &format!("{KEYS}?version={old}"), body.clone()).await;
    assert_eq!(refused.refused(403, "M_WRONG_ROOM_KEYS_VERSION")["current_version"], json!(current));
    app.put(&alice, &format!("{KEYS}?version=77"), body.clone()).await.refused(404, "M_NOT_FOUND");
    app.put(&alice, KEYS, body).await.refused(400, "M_MISSING_PARAM");
    for path in [format!("{KEYS}?version=77"), format!("{KEYS}/!a:localhost?version=77")] {
        app.get(&alice, &path).await.refused(404, "M_NOT_FOUND");
        app.delete(&alice, &path, json!({})).await.refused(404, "M_NOT_FOUND");
    }
    let odd = json!({ "first_message_index": "0" });
    let path = format!("{KEYS}/!a:localhost/s?version={current}");
    app.put(&alice, &path, odd).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn a_restore_of_many_pages_is_one_answer() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let version = begin(&app, &alice).await;
    let sessions =
        |count: usize| (0..count).map(|n| (format!("s{n}"), session(true, 1, 0))).collect::<serde_json::Map<_, _>>();
    let rooms = json!({
        "!a:localhost": { "sessions": sessions(1_500) }, "!b:localhost": { "sessions": sessions(1) },
        "!c:localhost": { "sessions": sessions(1_000) },
    });
    let all = format!("{KEYS}?version={version}");
    assert_eq!(app.put(&alice, &all, json!({ "rooms": rooms })).await.ok()["count"], 2_501);
    assert_eq!(app.get(&alice, &all).await.ok(), json!({ "rooms": rooms }));
    let of_c = app.get(&alice, &format!("{KEYS}/!c:localhost?version={version}")).await.ok();
    assert_eq!(of_c, rooms["!c:localhost"]);
}
