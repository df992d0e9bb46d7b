//! From an account to a session, by way of a server that checks everything and knows nothing.

use protocol::bundle::upload::{KeysUpload, Uploader};
use protocol::bundle::{ClaimResponse, DeviceKeys, Fallback, KeyContent, OneTimeKey, algorithm};
use protocol::canonical::Object;
use protocol::hybrid::{self, Identity, PreKeys, Suite, choose};
use protocol::olm::{Account, OlmMessage, SessionConfig};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const ALGORITHMS: &[&str] = &[algorithm::OLM, algorithm::MEGOLM, algorithm::HYBRID];

struct Client {
    account: Account,
    prekeys: PreKeys,
    device: DeviceKeys,
}

impl Client {
    fn new(user_id: &str, rng: &mut ChaCha20Rng) -> Self {
        let account = Account::new(rng);
        let curve25519 = account.identity_keys().curve25519;
        let device = DeviceKeys::sign(user_id, "DEVICE", ALGORITHMS, &curve25519, &account).unwrap();
        Self { account, prekeys: PreKeys::new(), device }
    }

    /// What the client uploads, as the server has checked it.
    fn upload(&mut self, rng: &mut ChaCha20Rng) -> KeysUpload {
        self.account.generate_one_time_keys(2, rng);
        self.prekeys.generate(2, rng);
        self.prekeys.generate_fallback(rng);
        let for_olm = self.account.unpublished_one_time_keys().map(|(id, public)| {
            OneTimeKey::sign_curve25519(&id.to_base64(), &public, Fallback::No, &self.device, &self.account).unwrap()
        });
        let hybrid = self.prekeys.unpublished(&self.device, &self.account).unwrap();
        let (fallback_keys, one_time_keys): (Vec<_>, Vec<_>) = for_olm.chain(hybrid).partition(OneTimeKey::is_fallback);
        let upload = KeysUpload {
            device_keys: Some(self.device.clone()),
            unsigned_device_keys: None,
            one_time_keys,
            fallback_keys,
        };
        let body = Object::parse(upload.to_body().to_canonical().as_bytes()).unwrap();
        self.account.mark_keys_as_published();
        self.prekeys.mark_published();
        let user_id = self.device.user_id();
        let uploader = Uploader { user_id, device_id: "DEVICE", device: None, cross_signing_keys: &[] };
        let checked = KeysUpload::check(&body, &uploader).unwrap();
        assert_eq!(checked.to_body(), body);
        checked
    }
}

/// What the server answers to a claim.
fn claim(upload: &KeysUpload, algorithm: &str) -> ClaimResponse {
    let key = upload.one_time_keys.iter().find(|key| key.algorithm() == algorithm).unwrap();
    let mut response = ClaimResponse::default();
    let device = upload.device_keys.as_ref().unwrap();
    response.add(device.user_id(), device.device_id(), key.name(), key.value().clone());
    ClaimResponse::parse(&response.to_body()).unwrap()
}

#[test]
fn two_accounts_meet_by_hybrid_because_both_offer_it() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let alice = Client::new("@alice:example.org", &mut rng);
    let mut bob = Client::new("@bob:example.net", &mut rng);
    let upload = bob.upload(&mut rng);
    let theirs = upload.device_keys.as_ref().unwrap();
    assert_eq!(choose(&alice.device, theirs, None), Ok(Suite::Hybrid));
    let key = claim(&upload, algorithm::SIGNED_HYBRID).take(theirs, algorithm::SIGNED_HYBRID).unwrap();

    let ours = Identity::of_account(&alice.device, &alice.account).unwrap();
    let mut session = hybrid::Session::initiate(&ours, theirs, &key, &mut rng).unwrap();
    let message = session.encrypt(b"hello", &mut rng).unwrap();
    let hybrid::Message::PreKey(message) = hybrid::Message::parse(&message.to_bytes()).unwrap() else {
        panic!("the first message brings its keys")
    };
    let bobs = Identity::of_account(&bob.device, &bob.account).unwrap();
    let (mut answering, plaintext) = hybrid::Session::accept(&bobs, &alice.device, &mut bob.prekeys, &message).unwrap();
    assert_eq!(plaintext, b"hello");
    let reply = answering.encrypt(b"hello yourself", &mut rng).unwrap();
    assert_eq!(session.decrypt(&reply).unwrap(), b"hello yourself");
}

#[test]
fn two_accounts_meet_by_olm_through_the_same_bundles() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let alice = Client::new("@alice:example.org", &mut rng);
    let mut bob = Client::new("@bob:example.net", &mut rng);
    let upload = bob.upload(&mut rng);
    let theirs = upload.device_keys.as_ref().unwrap();
    let key = claim(&upload, algorithm::SIGNED_CURVE25519).take(theirs, algorithm::SIGNED_CURVE25519).unwrap();
    let KeyContent::SignedCurve25519(one_time_key) = key.content() else { panic!("a key for Olm") };
    let config = SessionConfig::V1;
    let identity = theirs.curve25519().unwrap();
    let mut session = alice.account.create_outbound_session(config, identity, one_time_key, &mut rng).unwrap();
    let OlmMessage::PreKey(message) = session.encrypt(b"hello", &mut rng).unwrap() else {
        panic!("the first message brings its keys")
    };
    let identity = alice.device.curve25519().unwrap();
    let inbound = bob.account.create_inbound_session(config, identity, &message).unwrap();
    assert_eq!(inbound.plaintext, b"hello");
}
