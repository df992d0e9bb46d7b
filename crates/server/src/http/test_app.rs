//! The whole router in process, on the memory engine: what HTTP tests of this crate are written with.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_tag_that_was_set_is_listed() {
//!     let app = TestApp::new().await;
//!     let alice = app.user("alice").await;
//!     let path = format!("/_matrix/client/v3/user/{}/rooms/!r:localhost/tags", alice.id);
//!     app.put(&alice, &format!("{path}/u.work"), json!({ "order": 0.5 })).await.ok();
//!     let tags = app.get(&alice, &path).await.ok();
//!     assert_eq!(tags["tags"]["u.work"]["order"], 0.5);
//!     app.get(&nobody(), &path).await.refused(401, "M_MISSING_TOKEN");
//! }
//! ```
//!
//! `ok()` gives the body of an answer that must be a success, `refused(status, code)` that of one that must be refused.
//! With `#[tokio::test(start_paused = true)]` the clock jumps to the next thing that is waited for, so that long polls and
//! expiries cost no time; `app.wait(duration)` moves it by hand.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use accounts::{NewAccount, NewDevice};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use base::{Clock, Random, Timestamp};
use bytes::Bytes;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde_json::Value;
use storage::{EngineChoice, MemoryDisk, Store, StoreOptions};

use super::{App, AppState, app};
use crate::config;

/// When tests begin: 2025-01-01, so that times look like times.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_735_689_600_000);

/// A server to ask.
pub(crate) struct TestApp {
    pub(crate) state: AppState,
    app: App,
}

/// Somebody who asks.
#[derive(Clone, Debug)]
pub(crate) struct TestUser {
    pub(crate) id: OwnedUserId,
    pub(crate) device: OwnedDeviceId,
    /// Empty: asks without a token.
    pub(crate) token: String,
}

/// Somebody without an account.
pub(crate) fn nobody() -> TestUser {
    TestUser { id: user_id("nobody"), device: "NOBODY".into(), token: String::new() }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    /// The body as JSON; `null` when it is none.
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// The body of an answer that must be refused like this.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["errcode"].as_str()), (status, Some(code)), "{}", self.body);
        self.body
    }
}

fn user_id(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:localhost")).unwrap()
}

impl TestApp {
    /// A server named `localhost` with low password cost, without limits.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with these variables set: `("HOLDFAST_REGISTRATION_MODE", "open")`.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let mut options = StoreOptions::new("", EngineChoice::Memory { disk: MemoryDisk::ephemeral() });
        options.clock = Clock::simulated(BEGINNING);
        options.random = Random::seeded(1);
        Self::on(Arc::new(Store::open(options).await.unwrap()), variables).await
    }

    /// The same on a store of your own.
    pub(crate) async fn on(store: Arc<Store>, variables: &[(&str, &str)]) -> Self {
        let usual = [("HOLDFAST_PASSWORDS_COST", "low"), ("HOLDFAST_LIMITS_ENABLED", "false")];
        let environment = usual.iter().filter(|(name, _)| variables.iter().all(|(other, _)| other != name));
        let environment =
            environment.chain(variables).map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let loaded = config::load(None, environment).unwrap();
        let state = AppState::open(Arc::new(loaded.config), store).await.unwrap();
        Self { app: app(state.clone()), state }
    }

    /// The same state behind other routes.
    pub(crate) fn routed_by(self, app: App) -> Self {
        Self { app, ..self }
    }

    /// An account and a session of it. The same name again gives another device of the same account.
    pub(crate) async fn user(&self, name: &str) -> TestUser {
        let id = user_id(name);
        let device = NewDevice::default();
        let accounts = &self.state.accounts;
        let session = if accounts.exists(&id).await.unwrap() {
            accounts.begin_session(&id, device).await.unwrap()
        } else {
            let username = Some(name.to_owned());
            let account = NewAccount { username, device: Some(device), ..NewAccount::default() };
            accounts.register(account).await.unwrap().session.unwrap()
        };
        TestUser { id, device: session.device_id, token: session.access_token }
    }

    /// Moves the clock, for tests with a paused one.
    pub(crate) async fn wait(&self, duration: Duration) {
        self.state.store.clock().sleep(duration).await;
    }

    /// Asks with anything.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        let response = self.app.answer(request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes, body }
    }

    /// Asks with a body of bytes.
    pub(crate) async fn raw(&self, user: &TestUser, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !user.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", user.token));
        }
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, user: &TestUser, path: &str) -> Answer {
        self.raw(user, "GET", path, Body::empty()).await
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post(&self, user: &TestUser, path: &str, body: Value) -> Answer {
        self.raw(user, "POST", path, body.to_string()).await
    }

    /// `PUT` with a JSON body.
    pub(crate) async fn put(&self, user: &TestUser, path: &str, body: Value) -> Answer {
        self.raw(user, "PUT", path, body.to_string()).await
    }

    /// `DELETE` with a JSON body.
    pub(crate) async fn delete(&self, user: &TestUser, path: &str, body: Value) -> Answer {
        self.raw(user, "DELETE", path, body.to_string()).await
    }
}
