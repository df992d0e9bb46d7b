//! Sealed envelopes by size, and hybrid sessions beside Olm: `cargo bench -p protocol --bench envelopes`.
//!
//! Prints first what each costs in bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on stops")]

use divan::{Bencher, black_box};
use protocol::bundle::{DeviceKeys, OneTimeKey, algorithm};
use protocol::envelope::{
    EnvelopeKey, EnvelopeSecretKey, HEADER_LENGTH, SealedEnvelope, Sender, padded_length, seal, sealed_length,
};
use protocol::hybrid::{self, Identity, PreKeys};
use protocol::key::{Curve25519SecretKey, Ed25519SecretKey};
use protocol::olm::{Account, OlmMessage, Session, SessionConfig};
use protocol::pickle::PickleKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// The length of a plaintext: about that of a room key event.
const LENGTH: usize = 1024;
const PAYLOADS: [usize; 5] = [0, 1_000, 10_000, 100_000, 1_000_000];
const NOW_MS: u64 = 1_790_000_000_000;

fn main() {
    print_sizes();
    divan::main();
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn signing_key() -> Ed25519SecretKey {
    Ed25519SecretKey::from_bytes(&[1; 32])
}

fn recipient() -> (EnvelopeSecretKey, EnvelopeKey) {
    let secret = EnvelopeSecretKey::generate(&mut rng());
    let public = secret.publish("b.example", NOW_MS..NOW_MS + 1, "ed25519:b", &signing_key()).unwrap();
    (secret, public)
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn print_sizes() {
    let key = signing_key();
    let sender = Sender { server_name: "a.example", key_id: "ed25519:a", key: &key };
    println!("envelope: {HEADER_LENGTH} bytes of header, classes from {} bytes", padded_length(0));
    for payload in PAYLOADS {
        let sealed = sealed_length(&sender, payload);
        println!("  {payload:>9} bytes become {sealed:>9}: {:>6} more", sealed - payload);
    }
    let (mut rng, key) = (rng(), PickleKey::from_bytes(&[0; 32]));
    let ((mut ours, mut theirs), (mut alice, mut bob)) = (hybrid_pair(), olm_pair());
    let turn = theirs.encrypt(&[0; LENGTH], &mut rng).unwrap();
    ours.decrypt(&turn).unwrap();
    let olm_turn = bob.encrypt(&[0; LENGTH], &mut rng).unwrap();
    alice.decrypt(&olm_turn).unwrap();
    let more = |bytes: usize| bytes - LENGTH;
    let first = more(first_hybrid().1.to_bytes().len());
    println!("hybrid: first message {first} bytes more, later ones {}", more(turn.to_bytes().len()));
    println!("  state: {} and {}", ours.pickle(&key, &mut rng).len(), theirs.pickle(&key, &mut rng).len());
    let first = more(first_olm().1.to_bytes().len());
    println!("Olm: first message {first} bytes more, later ones {}", more(olm_turn.to_bytes().len()));
    println!("  state: {} and {}", alice.pickle(&key, &mut rng).len(), bob.pickle(&key, &mut rng).len());
}

struct Device {
    signing: Ed25519SecretKey,
    secret: Curve25519SecretKey,
    keys: DeviceKeys,
}

impl Device {
    fn new(user_id: &str, seed: u8) -> Self {
        let signing = Ed25519SecretKey::from_bytes(&[seed; 32]);
        let secret = Curve25519SecretKey::from_bytes(&[seed; 32]);
        let keys = DeviceKeys::sign(user_id, "DEVICE", &[algorithm::HYBRID], &secret.public_key(), &signing).unwrap();
        Self { signing, secret, keys }
    }

    fn identity(&self) -> Identity<'_> {
        Identity::new(&self.keys, &self.secret).unwrap()
    }
}

fn devices() -> (Device, Device, PreKeys, OneTimeKey) {
    let (alice, bob) = (Device::new("@alice:a.example", 1), Device::new("@bob:b.example", 2));
    let mut prekeys = PreKeys::new();
    prekeys.generate(1, &mut rng());
    let published = prekeys.unpublished(&bob.keys, &bob.signing).unwrap().remove(0);
    (alice, bob, prekeys, published)
}

fn first_hybrid() -> (hybrid::Session, hybrid::Message) {
    let (alice, bob, _, published) = devices();
    let mut session = hybrid::Session::initiate(&alice.identity(), &bob.keys, &published, &mut rng()).unwrap();
    let message = session.encrypt(&[0; LENGTH], &mut rng()).unwrap();
    (session, message)
}

fn accept(message: &hybrid::Message) -> hybrid::Session {
    let (alice, bob, mut prekeys, _) = devices();
    let hybrid::Message::PreKey(message) = message else { panic!("the first message brings its keys") };
    hybrid::Session::accept(&bob.identity(), &alice.keys, &mut prekeys, message).unwrap().0
}

fn hybrid_pair() -> (hybrid::Session, hybrid::Session) {
    let (session, message) = first_hybrid();
    let answering = accept(&message);
    (session, answering)
}

fn first_olm() -> ((Account, Account, Session), OlmMessage) {
    let mut rng = rng();
    let (alice, mut bob) = (Account::new(&mut rng), Account::new(&mut rng));
    let key = bob.generate_one_time_keys(1, &mut rng).created[0];
    let identity = bob.identity_keys().curve25519;
    let mut session = alice.create_outbound_session(SessionConfig::V1, &identity, &key, &mut rng).unwrap();
    let message = session.encrypt(&[0; LENGTH], &mut rng).unwrap();
    ((alice, bob, session), message)
}

fn olm_pair() -> (Session, Session) {
    let ((alice, mut bob, session), message) = first_olm();
    let OlmMessage::PreKey(message) = message else { panic!("the first message brings its keys") };
    let identity = alice.identity_keys().curve25519;
    let inbound = bob.create_inbound_session(SessionConfig::V1, &identity, &message).unwrap();
    (session, inbound.session)
}

mod envelope {
    use super::{Bencher, NOW_MS, PAYLOADS, SealedEnvelope, Sender, black_box, recipient, rng, seal, signing_key};

    #[divan::bench(args = PAYLOADS)]
    fn seal_it(bencher: Bencher<'_, '_>, payload: usize) {
        let ((_, public), key, payload) = (recipient(), signing_key(), vec![0; payload]);
        let sender = Sender { server_name: "a.example", key_id: "ed25519:a", key: &key };
        let mut rng = rng();
        bencher.bench_local(|| seal(black_box(&payload), &sender, &public, NOW_MS, &mut rng).unwrap());
    }

    #[divan::bench(args = PAYLOADS)]
    fn open_it(bencher: Bencher<'_, '_>, payload: usize) {
        let ((secret, public), key, payload) = (recipient(), signing_key(), vec![0; payload]);
        let sender = Sender { server_name: "a.example", key_id: "ed25519:a", key: &key };
        let bytes = seal(&payload, &sender, &public, NOW_MS, &mut rng()).unwrap();
        bencher.bench_local(|| {
            let letter = SealedEnvelope::parse(black_box(&bytes)).unwrap().decrypt("b.example", &secret).unwrap();
            letter.verify(&key.public_key()).unwrap()
        });
    }
}

mod session_1_begin {
    use super::{Account, Bencher, SessionConfig, devices, hybrid, rng};

    #[divan::bench]
    fn hybrid(bencher: Bencher<'_, '_>) {
        let ((alice, bob, _, published), mut rng) = (devices(), rng());
        let ours = alice.identity();
        bencher.bench_local(|| hybrid::Session::initiate(&ours, &bob.keys, &published, &mut rng).unwrap());
    }

    #[divan::bench]
    fn olm(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let (alice, mut bob) = (Account::new(&mut rng), Account::new(&mut rng));
        let key = bob.generate_one_time_keys(1, &mut rng).created[0];
        let identity = bob.identity_keys().curve25519;
        bencher.bench_local(|| alice.create_outbound_session(SessionConfig::V1, &identity, &key, &mut rng).unwrap());
    }
}

mod session_2_encrypt {
    use super::{Bencher, LENGTH, black_box, hybrid_pair, olm_pair, rng};

    #[divan::bench]
    fn hybrid(bencher: Bencher<'_, '_>) {
        let ((mut session, _), mut rng) = (hybrid_pair(), rng());
        bencher.bench_local(|| session.encrypt(black_box(&[0; LENGTH]), &mut rng).unwrap());
    }

    #[divan::bench]
    fn olm(bencher: Bencher<'_, '_>) {
        let ((mut session, _), mut rng) = (olm_pair(), rng());
        bencher.bench_local(|| session.encrypt(black_box(&[0; LENGTH]), &mut rng).unwrap());
    }
}

mod session_3_decrypt {
    use super::{Bencher, LENGTH, hybrid_pair, olm_pair, rng};

    #[divan::bench]
    fn hybrid(bencher: Bencher<'_, '_>) {
        let ((mut ours, mut theirs), mut rng) = (hybrid_pair(), rng());
        bencher
            .with_inputs(|| ours.encrypt(&[0; LENGTH], &mut rng).unwrap())
            .bench_local_refs(|message| theirs.decrypt(message).unwrap());
    }

    #[divan::bench]
    fn olm(bencher: Bencher<'_, '_>) {
        let ((mut ours, mut theirs), mut rng) = (olm_pair(), rng());
        bencher
            .with_inputs(|| ours.encrypt(&[0; LENGTH], &mut rng).unwrap())
            .bench_local_refs(|message| theirs.decrypt(message).unwrap());
    }
}

mod session_4_round_trip_with_new_ratchet_keys {
    use super::{Bencher, LENGTH, hybrid_pair, olm_pair, rng};

    #[divan::bench]
    fn hybrid(bencher: Bencher<'_, '_>) {
        let ((mut ours, mut theirs), mut rng) = (hybrid_pair(), rng());
        bencher.bench_local(|| {
            let reply = theirs.encrypt(&[0; LENGTH], &mut rng).unwrap();
            ours.decrypt(&reply).unwrap();
            let answer = ours.encrypt(&[0; LENGTH], &mut rng).unwrap();
            theirs.decrypt(&answer).unwrap()
        });
    }

    #[divan::bench]
    fn olm(bencher: Bencher<'_, '_>) {
        let ((mut ours, mut theirs), mut rng) = (olm_pair(), rng());
        bencher.bench_local(|| {
            let reply = theirs.encrypt(&[0; LENGTH], &mut rng).unwrap();
            ours.decrypt(&reply).unwrap();
            let answer = ours.encrypt(&[0; LENGTH], &mut rng).unwrap();
            theirs.decrypt(&answer).unwrap()
        });
    }
}
