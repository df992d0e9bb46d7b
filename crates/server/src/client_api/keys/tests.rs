//! Keys over HTTP, in process, with keys as clients make them.

use protocol::bundle::{
    ClaimResponse, DeviceKeys, Fallback, KeysQueryResponse, MasterKey, OneTimeKey, SelfSigningKey, UserSigningKey,
    algorithm, signature,
};
use protocol::canonical::Object;
use protocol::key::Ed25519SecretKey;
use protocol::olm::Account;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rooms::act::{Change, MembershipChange, NewRoom};
use ruma::api::client::room::create_room::v3::{Request as CreateRoom, RoomPreset};
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

const UPLOAD: &str = "/_matrix/client/v3/keys/upload";
const QUERY: &str = "/_matrix/client/v3/keys/query";
const CLAIM: &str = "/_matrix/client/v3/keys/claim";
const CROSS_SIGNING: &str = "/_matrix/client/v3/keys/device_signing/upload";
const SIGNATURES: &str = "/_matrix/client/v3/keys/signatures/upload";

/// A device with its secrets.
struct Client {
    account: Account,
    keys: DeviceKeys,
    rng: ChaCha20Rng,
}

fn json_of(object: &Object) -> Value {
    serde_json::from_str(&object.to_canonical()).unwrap()
}

fn object_of(value: &Value) -> Object {
    Object::parse(value.to_string().as_bytes()).unwrap()
}

impl Client {
    fn new(of: &TestUser, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let account = Account::new(&mut rng);
        let curve25519 = account.identity_keys().curve25519;
        let algorithms = [algorithm::OLM, algorithm::MEGOLM];
        let keys = DeviceKeys::sign(of.id.as_str(), of.device.as_str(), &algorithms, &curve25519, &account).unwrap();
        Self { account, keys, rng }
    }

    fn device_keys(&self) -> Value {
        json_of(self.keys.as_object())
    }

    /// So many one-time keys, as an upload has them.
    fn one_time_keys(&mut self, count: usize) -> Value {
        self.account.generate_one_time_keys(count, &mut self.rng);
        let sign = |(id, public): (protocol::olm::KeyId, _)| {
            let (id, keys) = (id.to_base64(), &self.keys);
            let key = OneTimeKey::sign_curve25519(&id, &public, Fallback::No, keys, &self.account).unwrap();
            (key.name().to_owned(), json_of(key.value().as_object().unwrap()))
        };
        let keys = self.account.unpublished_one_time_keys().map(sign).collect::<serde_json::Map<_, _>>();
        self.account.mark_keys_as_published();
        keys.into()
    }

    fn fallback_key(&mut self) -> Value {
        self.account.generate_fallback_key(&mut self.rng);
        let (id, public) = self.account.unpublished_fallback_key().unwrap();
        let id = id.to_base64();
        let key = OneTimeKey::sign_curve25519(&id, &public, Fallback::Yes, &self.keys, &self.account).unwrap();
        json!({ key.name(): json_of(key.value().as_object().unwrap()) })
    }
}

#[tokio::test]
async fn keys_go_up_are_shown_and_given_out_to_a_client_that_checks_them() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let mut phone = Client::new(&alice, 1);
    let body = json!({
        "device_keys": phone.device_keys(), "one_time_keys": phone.one_time_keys(1), "fallback_keys": phone.fallback_key(),
    });
    for _ in 0..2 {
        let answer = app.post(&alice, UPLOAD, body.clone()).await.ok();
        assert_eq!(answer, json!({ "one_time_key_counts": { "signed_curve25519": 1 } }));
    }
    let answer = app.post(&bob, QUERY, json!({ "device_keys": { alice.id.as_str(): [] } })).await.ok();
    let seen = KeysQueryResponse::parse(object_of(&answer)).user(alice.id.as_str());
    assert_eq!((&seen.devices[..], seen.refused.len()), (&[phone.keys.clone()][..], 0));
    let named = json!({ "device_keys": { alice.id.as_str(): [alice.device.as_str(), "OTHER"], bob.id.as_str(): [] } });
    let answer = app.post(&bob, QUERY, named).await.ok();
    assert_eq!(answer["device_keys"][alice.id.as_str()].as_object().unwrap().len(), 1);
    assert_eq!(answer["device_keys"][bob.id.as_str()], json!({}), "who has no keys is named all the same");

    let wanted = json!({ "one_time_keys": { alice.id.as_str(): { alice.device.as_str(): "signed_curve25519" } } });
    let mut fallbacks = Vec::new();
    for _ in 0..3 {
        let answer = app.post(&bob, CLAIM, wanted.clone()).await.ok();
        let claimed = ClaimResponse::parse(&object_of(&answer)).unwrap();
        fallbacks.push(claimed.take(&seen.devices[0], algorithm::SIGNED_CURVE25519).unwrap().is_fallback());
    }
    assert_eq!(fallbacks, [false, true, true]);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_the_right_code() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    for path in [UPLOAD, QUERY, CLAIM, CROSS_SIGNING, SIGNATURES] {
        app.post(&nobody(), path, json!({})).await.refused(401, "M_MISSING_TOKEN");
        app.raw(&alice, "POST", path, b"{".as_slice()).await.refused(400, "M_NOT_JSON");
        app.raw(&alice, "POST", path, b"[1]".as_slice()).await.refused(400, "M_BAD_JSON");
    }
    let mut phone = Client::new(&alice, 1);
    let others = json!({ "device_keys": phone.device_keys() });
    app.post(&bob, UPLOAD, others).await.refused(400, "M_INVALID_PARAM");
    let incomplete = json!({ "device_keys": { "user_id": bob.id, "device_id": bob.device } });
    app.post(&bob, UPLOAD, incomplete).await.refused(400, "M_BAD_JSON");
    app.post(&alice, UPLOAD, json!({ "one_time_keys": phone.one_time_keys(1) })).await.refused(400, "M_MISSING_PARAM");
    let mut wrong = phone.device_keys();
    wrong["algorithms"] = json!(["other"]);
    app.post(&alice, UPLOAD, json!({ "device_keys": wrong })).await.refused(400, "M_INVALID_SIGNATURE");
    let odd = json!({ "device_keys": phone.device_keys(), "one_time_keys": { "nocolon": {} } });
    app.post(&alice, UPLOAD, odd).await.refused(400, "M_BAD_JSON");
    let far = json!({ "device_keys": { "@x:far.example": [] } });
    assert!(app.post(&alice, QUERY, far).await.ok()["failures"]["far.example"].is_object());
}

struct Identity {
    self_signing_key: Ed25519SecretKey,
    master: MasterKey,
    self_signing: SelfSigningKey,
    user_signing_key: Ed25519SecretKey,
    user_signing: UserSigningKey,
}

impl Identity {
    fn new(of: &TestUser, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let [master_key, self_signing_key, user_signing_key] = [(); 3].map(|()| Ed25519SecretKey::generate(&mut rng));
        let master = MasterKey::create(of.id.as_str(), &master_key).unwrap();
        let self_signing = SelfSigningKey::create(&self_signing_key.public_key(), &master, &master_key).unwrap();
        let user_signing = UserSigningKey::create(&user_signing_key.public_key(), &master, &master_key).unwrap();
        Self { self_signing_key, master, self_signing, user_signing_key, user_signing }
    }

    fn body(&self) -> Value {
        json!({
            "master_key": json_of(self.master.get().as_object()),
            "self_signing_key": json_of(self.self_signing.get().as_object()),
            "user_signing_key": json_of(self.user_signing.get().as_object()),
        })
    }
}

#[tokio::test]
async fn the_first_cross_signing_keys_are_taken_and_others_only_with_the_password() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let first = Identity::new(&alice, 1);
    app.post(&alice, CROSS_SIGNING, first.body()).await.ok();
    app.post(&alice, CROSS_SIGNING, first.body()).await.ok();
    let mut body = Identity::new(&alice, 2).body();
    let challenge = app.post(&alice, CROSS_SIGNING, body.clone()).await;
    assert_eq!(challenge.status, 401);
    assert_eq!(challenge.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    let identifier = json!({ "type": "m.id.user", "user": alice.id });
    let session = challenge.body["session"].clone();
    body["auth"] = json!({
        "type": "m.login.password", "identifier": identifier, "password": "wrong", "session": session,
    });
    let refused = app.post(&alice, CROSS_SIGNING, body.clone()).await;
    assert_eq!(refused.status, 401);
    let seen = app.post(&alice, QUERY, json!({ "device_keys": { alice.id.as_str(): [] } })).await.ok();
    assert_eq!(seen["master_keys"][alice.id.as_str()]["keys"], first.body()["master_key"]["keys"]);
    let mut unsigned = first.body();
    unsigned["self_signing_key"]["signatures"] = json!({});
    let other = app.user("bob").await;
    app.post(&other, CROSS_SIGNING, unsigned).await.refused(400, "M_INVALID_PARAM");
    app.post(&other, CROSS_SIGNING, json!({})).await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn signatures_are_taken_and_what_is_wrong_is_named() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let phone = Client::new(&alice, 1);
    app.post(&alice, UPLOAD, json!({ "device_keys": phone.device_keys() })).await.ok();
    let (hers, his) = (Identity::new(&alice, 2), Identity::new(&bob, 3));
    app.post(&alice, CROSS_SIGNING, hers.body()).await.ok();
    app.post(&bob, CROSS_SIGNING, his.body()).await.ok();
    let mut signed = phone.keys.as_object().clone();
    let key_id = hers.self_signing.get().key_id();
    signature::sign(&mut signed, alice.id.as_str(), &key_id, &hers.self_signing_key).unwrap();
    let body = json!({ alice.id.as_str(): { alice.device.as_str(): json_of(&signed), "OTHER": json_of(&signed) } });
    let answer = app.post(&alice, SIGNATURES, body).await.ok();
    assert_eq!(answer["failures"][alice.id.as_str()]["OTHER"]["errcode"], "M_NOT_FOUND");
    assert_eq!(answer["failures"][alice.id.as_str()].as_object().unwrap().len(), 1);
    let mut master = hers.master.get().as_object().clone();
    let key_id = his.user_signing.get().key_id();
    signature::sign(&mut master, bob.id.as_str(), &key_id, &his.user_signing_key).unwrap();
    let name = hers.master.get().key().to_base64();
    let answer = app.post(&bob, SIGNATURES, json!({ alice.id.as_str(): { name: json_of(&master) } })).await.ok();
    assert_eq!(answer, json!({}));
    let query = json!({ "device_keys": { alice.id.as_str(): [] } });
    let seen = app.post(&bob, QUERY, query.clone()).await.ok();
    let signatures = &seen["master_keys"][alice.id.as_str()]["signatures"];
    assert!(signatures[bob.id.as_str()][&key_id].is_string());
    let seen = app.post(&alice, QUERY, query).await.ok();
    assert!(seen["master_keys"][alice.id.as_str()]["signatures"][bob.id.as_str()].is_null());
    let device = &seen["device_keys"][alice.id.as_str()][alice.device.as_str()];
    assert_eq!(device["signatures"][alice.id.as_str()].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn changes_between_two_tokens_are_told() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let token =
        async || app.get(&alice, "/_matrix/client/v3/sync").await.ok()["next_batch"].as_str().unwrap().to_owned();
    let changes = async |from: &str| {
        let to = token().await;
        let path = format!("/_matrix/client/v3/keys/changes?from={from}&to={to}");
        app.get(&alice, &path).await.ok()
    };
    let start = token().await;
    assert_eq!(changes(&start).await, json!({ "changed": [], "left": [] }));
    let mut request = CreateRoom::new();
    request.preset = Some(RoomPreset::PublicChat);
    let room = app.state.rooms.create(&NewRoom::new(alice.id.clone(), request)).await.unwrap();
    let joining = MembershipChange::new(bob.id.clone(), bob.id.clone(), Change::Join);
    app.state.rooms.set_membership(&room, &joining).await.unwrap();
    assert_eq!(changes(&start).await["changed"], json!([bob.id]), "they share a room now");
    for (query, code) in [("from=s1", "M_MISSING_PARAM"), ("from=x&to=s1", "M_INVALID_PARAM")] {
        let path = format!("/_matrix/client/v3/keys/changes?{query}");
        app.get(&alice, &path).await.refused(400, code);
    }
}
