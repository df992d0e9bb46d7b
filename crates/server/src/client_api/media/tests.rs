//! The content repository over HTTP, on a disk.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use base::{Clock, Random};
use serde_json::{Value, json};
use storage::{EngineChoice, Store, StoreOptions};
use tempfile::TempDir;

use crate::http::test_app::{Answer, BEGINNING, TestApp, TestUser, nobody};

const UPLOAD: &str = "/_matrix/media/v3/upload";

async fn app(variables: &[(&str, &str)]) -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(folder.path(), EngineChoice::Embedded);
    options.clock = Clock::simulated(BEGINNING);
    options.random = Random::seeded(1);
    (TestApp::on(Arc::new(Store::open(options).await.unwrap()), variables).await, folder)
}

/// The part of a content's name after the scheme: server and id.
fn place(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

fn download(place: &str) -> String {
    format!("/_matrix/client/v1/media/download/{place}")
}

async fn get_with(app: &TestApp, user: &TestUser, path: &str, name: header::HeaderName, value: &str) -> Answer {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {}", user.token));
    app.ask(request.header(name, value).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn what_was_uploaded_is_given_back_with_headers_that_keep_browsers_from_running_it() {
    let (app, _folder) = app(&[]).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.raw(&nobody(), "POST", UPLOAD, "x").await.refused(401, "M_MISSING_TOKEN");
    let request = Request::post(format!("{UPLOAD}?filename=a%20page.html"))
        .header(header::AUTHORIZATION, format!("Bearer {}", alice.token))
        .header(header::CONTENT_TYPE, "text/html");
    let place = place(&app.ask(request.body("<p>0123456789".into()).unwrap()).await.ok(), "content_uri");

    let answer = app.get(&bob, &download(&place)).await;
    assert_eq!((answer.status, answer.bytes.as_ref()), (200, b"<p>0123456789".as_slice()));
    assert_eq!(answer.headers["content-type"], "text/html");
    assert_eq!(answer.headers["content-length"], "13");
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"a page.html\"");
    assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("sandbox; default-src 'none'"));
    assert_eq!(answer.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let named = app.get(&bob, &format!("{}/other.txt", download(&place))).await;
    assert_eq!(named.headers["content-disposition"], "attachment; filename=other.txt");
    app.get(&nobody(), &download(&place)).await.refused(401, "M_MISSING_TOKEN");

    let part = get_with(&app, &bob, &download(&place), header::RANGE, "bytes=3-5").await;
    assert_eq!((part.status, part.bytes.as_ref()), (206, b"012".as_slice()));
    assert_eq!(part.headers["content-range"], "bytes 3-5/13");
    let beyond = get_with(&app, &bob, &download(&place), header::RANGE, "bytes=13-").await;
    assert_eq!((beyond.status, &beyond.headers["content-range"]), (416, &"bytes */13".parse().unwrap()));
    let tag = answer.headers["etag"].to_str().unwrap();
    let known = get_with(&app, &bob, &download(&place), header::IF_NONE_MATCH, tag).await;
    assert_eq!((known.status, known.bytes.len()), (304, 0));
}

#[tokio::test]
async fn the_largest_size_is_told_and_kept() {
    let (app, _folder) = app(&[("HOLDFAST_MEDIA_MAX_UPLOAD_BYTES", "1000")]).await;
    let alice = app.user("alice").await;
    for path in ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config"] {
        assert_eq!(app.get(&alice, path).await.ok(), json!({ "m.upload.size": 1000 }));
        app.get(&nobody(), path).await.refused(401, "M_MISSING_TOKEN");
    }
    app.raw(&alice, "POST", UPLOAD, vec![0; 1_000]).await.ok();
    app.raw(&alice, "POST", UPLOAD, vec![0; 1_001]).await.refused(413, "M_TOO_LARGE");
    let pieces = (0..11).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 100])));
    let unannounced = Body::from_stream(futures_util::stream::iter(pieces));
    app.raw(&alice, "POST", UPLOAD, unannounced).await.refused(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn media_that_was_created_is_filled_by_its_creator_once() {
    let (app, _folder) = app(&[]).await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let created = app.post(&alice, "/_matrix/media/v1/create", json!({})).await.ok();
    let until = created["unused_expires_at"].as_u64().unwrap();
    assert!(until >= BEGINNING.as_millis() + 24 * 60 * 60 * 1_000, "{until}");
    let place = place(&created, "content_uri");
    let path = format!("{UPLOAD}/{place}");
    app.get(&bob, &format!("{}?timeout_ms=1", download(&place))).await.refused(504, "M_NOT_YET_UPLOADED");
    app.raw(&bob, "PUT", &path, "x").await.refused(403, "M_FORBIDDEN");
    app.raw(&alice, "PUT", &path, "x").await.ok();
    app.raw(&alice, "PUT", &path, "y").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    assert_eq!(app.get(&bob, &download(&place)).await.bytes, "x");
    app.raw(&alice, "PUT", &format!("{UPLOAD}/localhost/AAAA"), "x").await.refused(404, "M_NOT_FOUND");
    app.raw(&alice, "PUT", &format!("{UPLOAD}/example.org/AAAA"), "x").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn thumbnails_are_made_of_images_and_of_nothing_else() {
    let (app, _folder) = app(&[]).await;
    let alice = app.user("alice").await;
    let upload = async |bytes: Vec<u8>| place(&app.raw(&alice, "POST", UPLOAD, bytes).await.ok(), "content_uri");
    let text = upload(b"no image".to_vec()).await;
    let thumbnail = |place: &str, query: &str| format!("/_matrix/client/v1/media/thumbnail/{place}?{query}");
    app.get(&alice, &thumbnail(&text, "width=32&height=32")).await.refused(400, "M_UNKNOWN");
    app.get(&alice, &thumbnail(&text, "width=0&height=32")).await.refused(400, "M_UNKNOWN");
    app.get(&alice, &thumbnail(&text, "width=32")).await.refused(400, "M_MISSING_PARAM");
    app.get(&alice, &thumbnail(&text, "width=32&height=-1")).await.refused(400, "M_INVALID_PARAM");
    app.get(&alice, &thumbnail("localhost/AAAA", "width=32&height=32")).await.refused(404, "M_NOT_FOUND");
    app.get(&alice, &thumbnail("example.org/AAAA", "width=32&height=32")).await.refused(404, "M_NOT_FOUND");

    let gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
    let image = upload(gif.to_vec()).await;
    let answer = app.get(&alice, &thumbnail(&image, "width=96&height=96&method=crop&animated=true")).await;
    assert_eq!((answer.status, answer.bytes.as_ref()), (200, gif.as_slice()), "small enough as it is");
}

#[tokio::test]
async fn paths_without_a_token_are_frozen() {
    let (app, _folder) = app(&[]).await;
    let alice = app.user("alice").await;
    let place = place(&app.raw(&alice, "POST", UPLOAD, "x").await.ok(), "content_uri");
    for path in ["download", "thumbnail"] {
        let path = format!("/_matrix/media/v3/{path}/{place}?width=32&height=32");
        app.get(&nobody(), &path).await.refused(404, "M_NOT_FOUND");
        app.get(&alice, &path).await.refused(404, "M_NOT_FOUND");
    }
    app.get(&alice, &download("example.org/AAAA")).await.refused(404, "M_NOT_FOUND");
    app.get(&alice, &download("localhost/AAAA")).await.refused(404, "M_NOT_FOUND");
}
