//! Push from a message that is sent to a real gateway on loopback: one that answers, fails, hangs, rejects and comes back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base::task;
use ruma::OwnedRoomId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client_api::notice::tests::{room, say};
use crate::http::test_app::{TestApp, TestUser};

/// What a gateway does next.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Works,
    Fails,
    Hangs,
    Rejects,
}

#[derive(Clone)]
struct Desk {
    mood: Arc<Mutex<Mood>>,
    asked: mpsc::UnboundedSender<Value>,
}

/// A push gateway.
struct Gateway {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    asked: mpsc::UnboundedReceiver<Value>,
    server: JoinHandle<()>,
}

async fn notify(State(desk): State<Desk>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mood = *desk.mood.lock().unwrap();
    let key = body["notification"]["devices"][0]["pushkey"].clone();
    let _ = desk.asked.send(body["notification"].clone());
    match mood {
        Mood::Works => axum::Json(json!({ "rejected": [] })).into_response(),
        Mood::Rejects => axum::Json(json!({ "rejected": [key] })).into_response(),
        Mood::Fails => StatusCode::BAD_GATEWAY.into_response(),
        Mood::Hangs => std::future::pending().await,
    }
}

impl Gateway {
    async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let mood = Arc::new(Mutex::new(Mood::Works));
        let desk = Desk { mood: Arc::clone(&mood), asked: sender };
        let router = Router::new().route("/_matrix/push/v1/notify", post(notify)).with_state(desk);
        let server = task::spawn(async move { axum_serve(listener, router).await });
        Self { address, mood, asked, server }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The next thing that it was told.
    async fn told(&mut self) -> Value {
        let told = tokio::time::timeout(Duration::from_secs(20), self.asked.recv()).await;
        told.expect("the gateway was told nothing").unwrap()
    }

    /// The next event that it was told of.
    async fn told_of(&mut self) -> Value {
        loop {
            let told = self.told().await;
            if told.get("event_id").is_some() {
                return told;
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves without axum's own server, which the workspace builds without.
async fn axum_serve(listener: TcpListener, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        task::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

struct Stage {
    app: TestApp,
    alice: TestUser,
    bob: TestUser,
    room: OwnedRoomId,
}

impl Stage {
    async fn set() -> Self {
        let app = TestApp::with(&[("HOLDFAST_FEDERATION_ALLOW_PRIVATE_ADDRESSES", "true")]).await;
        let (alice, bob) = (app.user("alice").await, app.user("bob").await);
        let room = room(&app, &alice, &[&bob]).await;
        Self { app, alice, bob, room }
    }

    async fn push_to(&self, gateway: &Gateway, key: &str, format: Option<&str>) {
        let mut pusher = json!({
            "kind": "http", "app_id": "app", "pushkey": key, "lang": "en", "app_display_name": "App",
            "device_display_name": "Phone", "append": true,
            "data": { "url": format!("http://{}/_matrix/push/v1/notify", gateway.address), "brand": "x" },
        });
        if let Some(format) = format {
            pusher["data"]["format"] = json!(format);
        }
        self.app.post(&self.bob, "/_matrix/client/v3/pushers/set", pusher).await.ok();
    }

    async fn say(&self, body: &str) -> String {
        say(&self.app, &self.alice, &self.room, json!({ "msgtype": "m.text", "body": body })).await.to_string()
    }

    /// Waits until so many pushers are behind.
    async fn behind(&self, count: usize) {
        for _ in 0..400 {
            if self.app.state.push.troubles().len() == count {
                return;
            }
            self.app.wait(Duration::from_millis(50)).await;
        }
        panic!("{:?}", self.app.state.push.troubles());
    }
}

#[tokio::test]
async fn a_gateway_is_told_of_an_event_with_what_the_client_asked_for() {
    let stage = Stage::set().await;
    let (mut whole, mut bare) = (Gateway::open().await, Gateway::open().await);
    stage.push_to(&whole, "whole", None).await;
    stage.push_to(&bare, "bare", Some("event_id_only")).await;
    let id = stage.say("hello bob").await;

    let told = whole.told_of().await;
    assert_eq!((&told["event_id"], &told["room_id"]), (&json!(id), &json!(stage.room)));
    assert_eq!((&told["type"], &told["sender"]), (&json!("m.room.message"), &json!(stage.alice.id)));
    assert_eq!((&told["prio"], &told["counts"]), (&json!("high"), &json!({ "unread": 1 })));
    assert_eq!(told["content"]["body"], "hello bob");
    let device = &told["devices"][0];
    assert_eq!((&device["app_id"], &device["pushkey"]), (&json!("app"), &json!("whole")));
    assert_eq!(device["data"], json!({ "brand": "x" }), "the address is not part of it");
    assert_eq!(device["tweaks"], json!({ "sound": "default", "highlight": true }));

    let told = bare.told_of().await;
    let mut fields: Vec<&String> = told.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["counts", "devices", "event_id", "prio", "room_id"]);
    assert_eq!(told["devices"][0]["data"], json!({ "brand": "x", "format": "event_id_only" }));

    // What they said themselves, and what their rules do not want, is not told.
    say(&stage.app, &stage.bob, &stage.room, json!({ "msgtype": "m.text", "body": "me" })).await;
    say(&stage.app, &stage.alice, &stage.room, json!({ "msgtype": "m.notice", "body": "quiet" })).await;
    let last = stage.say("and again").await;
    assert_eq!(whole.told_of().await["event_id"], json!(last));
}

#[tokio::test]
async fn what_was_read_takes_the_number_off_the_app() {
    let stage = Stage::set().await;
    let mut gateway = Gateway::open().await;
    stage.push_to(&gateway, "a", Some("event_id_only")).await;
    let id = stage.say("one").await;
    assert_eq!(gateway.told_of().await["counts"]["unread"], 1);
    let path = format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{id}", stage.room);
    stage.app.post(&stage.bob, &path, json!({})).await.ok();
    let told = gateway.told().await;
    assert_eq!((told.get("event_id"), &told["counts"]), (None, &json!({ "unread": 0 })));
}

#[tokio::test]
async fn a_gateway_that_fails_or_hangs_delays_itself_only_and_is_told_of_all_when_it_is_back() {
    for mood in [Mood::Fails, Mood::Hangs] {
        let stage = Stage::set().await;
        let (mut good, mut bad) = (Gateway::open().await, Gateway::open().await);
        stage.push_to(&good, "good", None).await;
        stage.push_to(&bad, "bad", None).await;
        bad.is(mood);
        let first = stage.say("one").await;
        assert_eq!(good.told_of().await["event_id"], json!(first));
        stage.behind(1).await;
        let trouble = stage.app.state.push.troubles().remove(0);
        assert_eq!((trouble.user, trouble.app_id.as_str()), (stage.bob.id.clone(), "app"));
        assert!(!trouble.reason.is_empty());
        let second = stage.say("two").await;
        assert_eq!(good.told_of().await["event_id"], json!(second), "{mood:?}: the other goes on");

        bad.is(Mood::Works);
        stage.behind(0).await;
        let third = stage.say("three").await;
        let (mut told, mut last) = (Vec::new(), String::new());
        while last != third {
            last = bad.told_of().await["event_id"].as_str().unwrap().to_owned();
            told.push(last.clone());
        }
        // Attempts that failed were the first one's.
        told.dedup();
        assert_eq!(told, [first, second, third], "{mood:?}");
    }
}

#[tokio::test]
async fn a_rejected_pushkey_is_removed() {
    let stage = Stage::set().await;
    let mut gateway = Gateway::open().await;
    stage.push_to(&gateway, "a", None).await;
    gateway.is(Mood::Rejects);
    stage.say("one").await;
    gateway.told_of().await;
    for _ in 0..200 {
        let pushers = stage.app.get(&stage.bob, "/_matrix/client/v3/pushers").await.ok();
        if pushers == json!({ "pushers": [] }) {
            return;
        }
        stage.app.wait(Duration::from_millis(20)).await;
    }
    panic!("the pusher is still there");
}

#[tokio::test]
async fn a_gateway_inside_is_not_asked_unless_the_operator_wants_that() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = room(&app, &alice, &[&bob]).await;
    let mut gateway = Gateway::open().await;
    let stage = Stage { app, alice, bob, room };
    stage.push_to(&gateway, "a", None).await;
    stage.say("one").await;
    stage.behind(1).await;
    assert!(stage.app.state.push.troubles()[0].reason.contains("is not at an address"));
    assert!(gateway.asked.try_recv().is_err());
}
