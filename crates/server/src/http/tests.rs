//! The routes without a network: requests go straight into the router.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;

async fn ask_router(router: Router, method: &str, path: &str, body: Body) -> (StatusCode, HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(body).expect("a request");
    let response = TowerToHyperService::new(router).call(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn ask(method: &str, path: &str) -> (StatusCode, HeaderMap, Value) {
    ask_router(router(state(storage::Health::Serving)), method, path, Body::empty()).await
}

fn state(health: storage::Health) -> AppState {
    let (_store, watch) = watch::channel(health);
    AppState { health: HealthWatch::following(watch) }
}

#[tokio::test]
async fn the_versions_are_listed_and_browsers_may_read_them() {
    let (status, headers, body) = ask("GET", "/_matrix/client/versions").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(body["versions"].as_array().map(Vec::len), Some(19));
    assert_eq!(body["versions"][18], "v1.19");
    assert_eq!(body["unstable_features"], json!({}));
}

#[tokio::test]
async fn the_health_is_that_of_the_store() {
    let reason = || "a reason for operators".to_owned();
    for (health, status, body) in [
        (storage::Health::Serving, StatusCode::OK, json!({ "status": "ok" })),
        (storage::Health::ReadOnly { reason: reason() }, StatusCode::OK, json!({ "status": "read_only" })),
        (storage::Health::Failed { reason: reason() }, StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "failed" })),
    ] {
        let answer = ask_router(router(state(health)), "GET", "/health", Body::empty()).await;
        assert_eq!((answer.0, answer.2), (status, body));
    }
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
    let (status, headers, body) =
        ask_router(with_layers(routes), "GET", "/_matrix/client/v3/panic", Body::empty()).await;
    assert_eq!((status, &body["errcode"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("M_UNKNOWN")));
    assert!(!body.to_string().contains("secret"), "{body}");
    assert_eq!(headers["access-control-allow-origin"], "*");
}

async fn panic() -> &'static str {
    panic!("a secret of the handler")
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let routes = || Router::new().route("/", post(async |body: axum::body::Bytes| body.len().to_string()));
    let fits = Body::from(vec![0; limits::REQUEST_BYTES]);
    assert_eq!(ask_router(with_layers(routes()), "POST", "/", fits).await.0, StatusCode::OK);
    let too_large = Body::from(vec![0; limits::REQUEST_BYTES + 1]);
    assert_eq!(ask_router(with_layers(routes()), "POST", "/", too_large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}
