//! Anything at all, thrown at every route: no answer is a fault, no handler panics or waits for ever, and every refusal is a
//! Matrix error that tells nothing of the inside.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use super::routes::Route;
use super::test_app::{Answer, TestApp, TestUser};
use super::{AppState, all_routes};

/// Cases of a run, and requests in each; together some for every route.
const CASES: u32 = 48;
const REQUESTS: usize = 60;

/// Longer than any endpoint waits, on a clock that jumps: who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Names that bodies and queries have somewhere in Matrix, so that what is thrown gets past the first look.
const NAMES: [&str; 66] = [
    "access_token",
    "action",
    "actions",
    "algorithm",
    "alias",
    "append",
    "auth",
    "auth_data",
    "avatar_url",
    "body",
    "complete",
    "conditions",
    "content",
    "creation_content",
    "default",
    "device_id",
    "device_keys",
    "devices",
    "dir",
    "displayname",
    "enabled",
    "event_id",
    "event_type",
    "events",
    "fallback_keys",
    "filter",
    "from",
    "full_state",
    "generic_search_term",
    "identifier",
    "include",
    "initial_state",
    "invite",
    "is_direct",
    "key",
    "kind",
    "limit",
    "lists",
    "lock",
    "m.fully_read",
    "m.read",
    "master_key",
    "membership",
    "messages",
    "method",
    "name",
    "new_password",
    "one_time_keys",
    "order",
    "password",
    "preset",
    "presence",
    "reason",
    "room_alias_name",
    "room_id",
    "room_version",
    "rooms",
    "search_categories",
    "search_term",
    "sessions",
    "since",
    "timeout",
    "to",
    "ts",
    "type",
    "user_id",
];

/// Texts that mean something, and texts that should not.
const TEXTS: [&str; 34] = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "18446744073709551616",
    "true",
    "null",
    "b",
    "f",
    "m.room.message",
    "m.room.member",
    "m.room.power_levels",
    "m.room.create",
    "m.room.canonical_alias",
    "m.login.password",
    "public_chat",
    "join",
    "12",
    "999",
    "@alice:localhost",
    "@bob:localhost",
    "@:",
    "!nothing:localhost",
    "!a:example.org",
    "#alias:localhost",
    "$event",
    "s0",
    "s1_2_3",
    "m.read.private",
    "\u{0}",
    "\u{202e}\u{1f600}",
    "../../etc/passwd",
    "signed_curve25519",
];

/// One thing that is thrown.
#[derive(Clone, Debug)]
struct Thrown {
    route: usize,
    path: Vec<Piece>,
    query: Vec<(String, Piece)>,
    body: Vec<u8>,
    is_known: bool,
}

/// What stands in the place of a parameter.
#[derive(Clone, Debug)]
enum Piece {
    Room,
    Event,
    Text(String),
    /// Not even percent-encoded as it should be.
    Raw(&'static str),
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        6 => prop::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        1 => ".{0,20}",
        1 => Just("x".repeat(300)),
    ]
    .boxed()
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => Just(Piece::Room),
        1 => Just(Piece::Event),
        5 => text().prop_map(Piece::Text),
        1 => prop::sample::select(vec!["%ff", "%00", "%", "%zz", "a%2Fb"]).prop_map(Piece::Raw),
    ]
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        6 => text().prop_map(Value::String),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        2 => (0..5_u8).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        2 => Just(json!("ROOM")),
        1 => Just(json!("EVENT")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![5 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => text()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..7)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..8);
    let object = object.prop_map(|pairs| {
        let map: Map<_, _> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(map).to_string().into_bytes()
    });
    prop_oneof![
        8 => object,
        2 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just("[".repeat(20_000).into_bytes()),
        1 => Just([b"{\"content\":".repeat(5_000), b"1".to_vec(), b"}".repeat(5_000)].concat()),
        1 => Just(Vec::new()),
    ]
}

fn thrown(routes: usize) -> impl Strategy<Value = Thrown> {
    let query = prop::collection::vec((prop::sample::select(&NAMES[..]).prop_map(str::to_owned), piece()), 0..4);
    let path = prop::collection::vec(piece(), 5);
    (0..routes, path, query, body(), prop::bool::weighted(0.9))
        .prop_map(|(route, path, query, body, is_known)| Thrown { route, path, query, body, is_known })
}

/// A server with somebody and a room on it.
struct Target {
    app: TestApp,
    alice: TestUser,
    room: String,
    event: String,
}

impl Target {
    async fn new() -> Self {
        let app = TestApp::new().await;
        let alice = app.user("alice").await;
        app.user("bob").await;
        let made = app.post(&alice, "/_matrix/client/v3/createRoom", json!({ "preset": "public_chat" })).await;
        let room = made.body["room_id"].as_str().unwrap_or("!nothing:localhost").to_owned();
        let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", escaped(&room));
        let sent = app.put(&alice, &path, json!({ "msgtype": "m.text", "body": "x" })).await;
        let event = sent.body["event_id"].as_str().unwrap_or("$nothing").to_owned();
        Self { app, alice, room, event }
    }

    fn spelt(&self, piece: &Piece) -> String {
        match piece {
            Piece::Room => escaped(&self.room),
            Piece::Event => escaped(&self.event),
            Piece::Text(text) => escaped(text),
            Piece::Raw(text) => (*text).to_owned(),
        }
    }

    fn uri(&self, route: &Route, thrown: &Thrown) -> String {
        let mut pieces = thrown.path.iter().map(|piece| self.spelt(piece));
        let parts = route.path.split('/').map(|part| match part.starts_with('{') {
            // An empty part is another path.
            true => pieces.next().filter(|piece| !piece.is_empty()).unwrap_or_else(|| "x".to_owned()),
            false => part.to_owned(),
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let query: Vec<_> = thrown.query.iter().map(|(name, piece)| format!("{name}={}", self.spelt(piece))).collect();
        format!("{path}?{}", query.join("&"))
    }

    /// What is wrong with how the server takes it.
    async fn throw(&self, route: &Route, thrown: &Thrown) -> Result<(), String> {
        let uri = self.uri(route, thrown);
        let body = replaced(&thrown.body, &self.room, &self.event);
        let mut request = Request::builder().method(route.method.as_str()).uri(&uri);
        if thrown.is_known {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.alice.token));
        }
        let Ok(request) = request.body(body.into()) else { return Ok(()) };
        let clock = self.app.state.store.clock();
        let Some(answer) = clock.timeout(PATIENCE, self.app.ask(request)).await else {
            return Err(format!("{} {uri} is never answered", route.method));
        };
        wrong_with(&self.app.state, &answer).map_or(Ok(()), |what| {
            Err(format!("{} {uri} {}: {what}: {} {}", route.method, show(&thrown.body), answer.status, answer.body))
        })
    }
}

fn replaced(body: &[u8], room: &str, event: &str) -> Vec<u8> {
    match str::from_utf8(body) {
        Ok(text) => {
            text.replace("\"ROOM\"", &format!("\"{room}\"")).replace("\"EVENT\"", &format!("\"{event}\"")).into()
        }
        Err(_) => body.to_vec(),
    }
}

fn show(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(1_000).collect()
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

/// What is wrong with an answer to nonsense.
fn wrong_with(state: &AppState, answer: &Answer) -> Option<String> {
    // A store in memory has no folder for media.
    let is_away = answer.status == 503 && state.store.data_dir().is_none();
    if answer.status >= 500 && answer.status != 504 && !is_away {
        return Some("a fault".to_owned());
    }
    if answer.status >= 400 {
        let is_interactive = answer.status == 401 && answer.body["flows"].is_array();
        let is_error = answer.body["errcode"].is_string() && answer.body["error"].is_string();
        if !is_error && !is_interactive {
            return Some("no Matrix error".to_owned());
        }
        let error = answer.body["error"].as_str().unwrap_or_default();
        let inside = ["src/", "Error {", "storage", "panicked", ".rs:", "unwrap"];
        if let Some(inside) = inside.iter().find(|inside| error.contains(**inside)) {
            return Some(format!("it tells of the inside ({inside})"));
        }
    }
    None
}

fn in_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

#[test]
fn anything_thrown_at_any_route_is_answered_with_sense() {
    let (_, routes) = all_routes().into_parts();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = prop::collection::vec(thrown(routes.len()), REQUESTS);
    let outcome = runner.run(&strategy, |all| {
        in_time(async {
            let target = Target::new().await;
            for thrown in &all {
                let outcome = target.throw(&routes[thrown.route], thrown).await;
                outcome.map_err(proptest::test_runner::TestCaseError::fail)?;
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_same_nonsense_at_every_route_is_refused_or_passed_by() {
    let (_, routes) = all_routes().into_parts();
    let bodies: [&[u8]; 12] = [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b"\"x\"",
        b"{",
        b"\xff\xfe",
        b"{\"type\":1,\"content\":[],\"user_id\":{},\"room_id\":7}",
        b"{\"content\":{\"a\":1e999}}",
        b"{\"a\":1,\"a\":2}",
        b"{\"limit\":-9223372036854775808,\"ts\":99999999999999999999,\"timeout\":1.5}",
    ];
    let pieces = [Piece::Room, Piece::Text("x".to_owned()), Piece::Text("\u{0}".to_owned()), Piece::Raw("%ff")];
    in_time(async {
        let target = Target::new().await;
        let mut wrong = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            for (body, is_known) in bodies.iter().flat_map(|body| [(body, true), (body, false)]) {
                for piece in &pieces {
                    let (path, body) = (vec![piece.clone(); 5], body.to_vec());
                    let thrown = Thrown { route: number, path, query: Vec::new(), body, is_known };
                    // A logout ends the session that the others are thrown with.
                    if !route.path.contains("/logout") && !route.path.ends_with("/deactivate") {
                        wrong.extend(target.throw(route, &thrown).await.err());
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} answers make no sense:\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_noticed() {
    let app = TestApp::new().await;
    let body = |error: &str| json!({ "errcode": "M_UNKNOWN", "error": error });
    for (status, body, wrong) in [
        (200, json!({}), false),
        (400, body("no"), false),
        (401, json!({ "flows": [] }), false),
        (500, body("no"), true),
        (400, json!({ "error": "no" }), true),
        (403, json!({ "flows": [] }), true),
        (400, body("crates/server/src/main.rs"), true),
    ] {
        let answer = Answer { status, headers: HeaderMap::default(), bytes: bytes::Bytes::new(), body };
        assert_eq!(wrong_with(&app.state, &answer).is_some(), wrong, "{answer:?}");
    }
}
