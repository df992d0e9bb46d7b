//! The routes without a network: requests go straight into the router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use base::limits;
use ruma::api::client::account::whoami;
use ruma::api::client::tag::create_tag;
use serde_json::{Value, json};

use super::test_app::{TestApp, nobody};
use super::*;

async fn ask_app(app: App, method: &str, path: &str, body: Body) -> (StatusCode, HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(body).expect("a request");
    let response = app.answer(request).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn ask(method: &str, path: &str) -> (StatusCode, HeaderMap, Value) {
    let app = TestApp::new().await;
    ask_app(super::app(app.state.clone()), method, path, Body::empty()).await
}

#[tokio::test]
async fn the_versions_are_listed_and_browsers_may_read_them() {
    let (status, headers, body) = ask("GET", "/_matrix/client/versions").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(body["versions"].as_array().map(Vec::len), Some(19));
    assert_eq!(body["versions"][18], "v1.19");
    assert!(body["unstable_features"].is_object());
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_unrecognized() {
    let (status, headers, body) = ask("GET", "/_matrix/client/v3/nothing").await;
    assert_eq!((status, &body["errcode"]), (StatusCode::NOT_FOUND, &json!("M_UNRECOGNIZED")));
    assert!(body["error"].is_string());
    assert_eq!(headers["access-control-allow-origin"], "*", "a browser must be able to read errors");

    let (status, headers, body) = ask("DELETE", "/_matrix/client/versions").await;
    assert_eq!((status, &body["errcode"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("M_UNRECOGNIZED")));
    assert_eq!(headers["allow"], "GET,HEAD");

    let (status, headers, body) = ask("GET", "/nothing").await;
    assert_eq!((status, &body["errcode"]), (StatusCode::NOT_FOUND, &json!("M_UNRECOGNIZED")));
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_preflight_is_answered_on_any_path_of_clients_and_on_no_other() {
    let (status, headers, _) = ask("OPTIONS", "/_matrix/client/v3/rooms/x/send/y/z").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers["access-control-allow-methods"], "GET, POST, PUT, DELETE, OPTIONS");
    assert_eq!(headers["access-control-allow-headers"], "X-Requested-With, Content-Type, Authorization");

    let (status, _, _) = ask("OPTIONS", "/_matrix/federation/v1/version").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_panic_is_answered_as_a_fault() {
    let routes = Router::new().route("/_matrix/client/v3/panic", get(panic));
    let (status, headers, body) = ask_app(App::bare(routes), "GET", "/_matrix/client/v3/panic", Body::empty()).await;
    assert_eq!((status, &body["errcode"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("M_UNKNOWN")));
    assert!(!body.to_string().contains("secret"), "{body}");
    assert_eq!(headers["access-control-allow-origin"], "*");
}

async fn panic() -> &'static str {
    panic!("a secret of the handler")
}

#[tokio::test]
async fn the_health_is_told() {
    let (status, _, body) = ask("GET", "/health").await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "status": "ok" })));
}

/// A server with endpoints of our own beside those of all.
fn probe(state: AppState) -> App {
    let (router, list) = Routes::new()
        .add(async |Ruma { caller, .. }: Ruma<whoami::v3::Request>| {
            RumaResponse(whoami::v3::Response::new(caller.user_id.clone(), false))
        })
        .add(async |Ruma { body, caller }: Ruma<create_tag::v3::Request>| -> Result<_, Error> {
            caller.must_be(&body.user_id)?;
            Ok(axum::Json(json!({ "tag": body.tag, "order": body.tag_info.order })))
        })
        .at(
            Method::POST,
            &["/probe/{number}"],
            async |Path(number): Path<u8>, Query(query): Query<Wanted>, JsonBody(body): JsonBody<Vec<u8>>| {
                axum::Json(json!([number, query.wanted, body]))
            },
        )
        .at(Method::GET, &["/caller"], async |caller: Caller| caller.user_id.to_string())
        .at(Method::GET, &["/maybe"], async |MaybeCaller(caller): MaybeCaller| caller.is_some().to_string())
        .at(Method::GET, &["/fault"], async || -> Result<(), Error> {
            let secret = std::io::Error::other("a secret of the disk");
            Err(Error::from(storage::Error::Io { doing: "reading a secret".to_owned(), source: secret }))
        })
        .at(Method::GET, &["/away"], async || -> Result<(), Error> {
            Err(rooms::Error::Storage {
                doing: "reading",
                source: storage::Error::Unavailable { reason: "a secret".to_owned() },
            })?
        })
        .at(Method::GET, &["/wait"], async || Error::limit_exceeded(std::time::Duration::from_millis(1_500)))
        .into_parts();
    assert_eq!(list[0], routes::Route { method: "GET".to_owned(), path: "/_matrix/client/r0/account/whoami" });
    App::new(router, state)
}

#[derive(serde::Deserialize)]
struct Wanted {
    wanted: bool,
}

async fn probing() -> TestApp {
    let app = TestApp::new().await;
    let router = probe(app.state.clone());
    app.routed_by(router)
}

#[tokio::test]
async fn a_token_is_taken_from_the_header_or_the_query_and_must_be_known() {
    let app = probing().await;
    let alice = app.user("alice").await;
    let path = "/_matrix/client/v3/account/whoami";
    assert_eq!(app.get(&alice, path).await.ok()["user_id"], "@alice:localhost");
    assert_eq!(app.get(&alice, "/_matrix/client/r0/account/whoami").await.ok()["user_id"], "@alice:localhost");

    let by_query = app.get(&nobody(), &format!("{path}?a=b&access_token={}", alice.token)).await.ok();
    assert_eq!(by_query["user_id"], "@alice:localhost");
    let escaped: String = alice.token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(app.get(&nobody(), &format!("{path}?access_token={escaped}")).await.status, 200);

    app.get(&nobody(), path).await.refused(401, "M_MISSING_TOKEN");
    app.get(&nobody(), &format!("{path}?access_token=%2")).await.refused(401, "M_MISSING_TOKEN");
    let stranger = test_app::TestUser { token: "unheard-of".to_owned(), ..nobody() };
    let body = app.get(&stranger, path).await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(body["soft_logout"], false);

    assert_eq!(app.get(&alice, "/caller").await.bytes, "@alice:localhost");
    app.get(&nobody(), "/caller").await.refused(401, "M_MISSING_TOKEN");
    assert_eq!(app.get(&alice, "/maybe").await.bytes, "true");
    assert_eq!(app.get(&nobody(), "/maybe").await.bytes, "false");
    app.get(&stranger, "/maybe").await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn paths_queries_and_bodies_are_read_and_what_is_wrong_with_them_is_named() {
    let app = probing().await;
    let alice = app.user("alice").await;
    let tag = |user: &str| format!("/_matrix/client/v3/user/{user}/rooms/%21r%3Alocalhost/tags/u.a%2Fb");
    let body = app.put(&alice, &tag("@alice:localhost"), json!({ "order": 0.5 })).await.ok();
    assert_eq!(body, json!({ "tag": "u.a/b", "order": 0.5 }));
    app.put(&alice, &tag("@bob:localhost"), json!({})).await.refused(403, "M_FORBIDDEN");
    app.put(&alice, &tag("alice"), json!({})).await.refused(400, "M_INVALID_PARAM");
    app.put(&alice, &tag("%ff"), json!({})).await.refused(400, "M_INVALID_PARAM");

    for (text, code) in [
        ("{", "M_NOT_JSON"),
        ("no", "M_NOT_JSON"),
        (r#"{"order":"high"}"#, "M_BAD_JSON"),
        (r#"{"order":"high""#, "M_NOT_JSON"),
        ("[1,{}]", "M_BAD_JSON"),
    ] {
        app.raw(&alice, "PUT", &tag("@alice:localhost"), text).await.refused(400, code);
    }
    let deep = "[".repeat(100_000);
    app.raw(&alice, "PUT", &tag("@alice:localhost"), deep).await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn handlers_without_a_ruma_type_refuse_in_the_same_way() {
    let app = probing().await;
    assert_eq!(app.post(&nobody(), "/probe/7?wanted=true", json!([1, 2])).await.ok(), json!([7, true, [1, 2]]));
    app.post(&nobody(), "/probe/x?wanted=true", json!([])).await.refused(400, "M_INVALID_PARAM");
    app.post(&nobody(), "/probe/7?wanted=maybe", json!([])).await.refused(400, "M_INVALID_PARAM");
    app.post(&nobody(), "/probe/7", json!([])).await.refused(400, "M_MISSING_PARAM");
    app.post(&nobody(), "/probe/7?wanted=true", json!([300])).await.refused(400, "M_BAD_JSON");
    app.raw(&nobody(), "POST", "/probe/7?wanted=true", "[").await.refused(400, "M_NOT_JSON");
    app.raw(&nobody(), "POST", "/probe/7?wanted=true", "").await.refused(400, "M_BAD_JSON");
    let huge = vec![b' '; limits::REQUEST_BYTES + 1];
    app.raw(&nobody(), "POST", "/probe/7?wanted=true", huge).await.refused(413, "M_TOO_LARGE");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let app = probing().await;
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let answer = app.raw(&nobody(), "POST", "/probe/7?wanted=true", Body::from_stream(never)).await;
    answer.refused(400, "M_UNKNOWN");
}

#[tokio::test]
async fn faults_tell_nothing_and_what_may_work_later_says_when() {
    let app = probing().await;
    let fault = app.get(&nobody(), "/fault").await;
    assert!(!fault.body.to_string().contains("secret"), "{}", fault.body);
    fault.refused(500, "M_UNKNOWN");
    let away = app.get(&nobody(), "/away").await;
    assert!(!away.body.to_string().contains("secret"), "{}", away.body);
    assert_eq!(away.headers["retry-after"], "2");
    away.refused(503, "M_UNKNOWN");
    let wait = app.get(&nobody(), "/wait").await;
    assert_eq!(wait.headers["retry-after"], "2", "rounded up");
    assert_eq!(wait.refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"], 1_500);
}
