//! Olm and Megolm side by side with vodozemac: `cargo bench -p protocol --bench ratchets`.
//!
//! Each module is one operation, each function in it one implementation, over the same work: the same lengths, the same
//! places in the chain, decoded messages in, plaintext out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on stops")]

use divan::{Bencher, black_box};
use protocol::megolm::{GroupSession, InboundGroupSession, MegolmMessage};
use protocol::olm::{Account, OlmMessage, PreKeyMessage, Session};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use vodozemac::{megolm as their_megolm, olm as theirs};

/// The length of a plaintext: about that of a room key event, or a long chat message.
const LENGTH: usize = 1024;
/// How many messages a client reads when it opens a long conversation.
const CONVERSATION: u32 = 10_000;

const CONFIG: protocol::olm::SessionConfig = protocol::olm::SessionConfig::V1;
const GROUP_CONFIG: protocol::megolm::SessionConfig = protocol::megolm::SessionConfig::V1;

fn main() {
    divan::main();
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn their_config() -> theirs::SessionConfig {
    theirs::SessionConfig::version_1()
}

fn begin(rng: &mut ChaCha20Rng) -> (Account, Account, Session) {
    let (alice, mut bob) = (Account::new(rng), Account::new(rng));
    let key = bob.generate_one_time_keys(1, rng).created[0];
    let session = alice.create_outbound_session(CONFIG, &bob.identity_keys().curve25519, &key, rng).unwrap();
    (alice, bob, session)
}

fn begin_theirs() -> (theirs::Account, theirs::Account, theirs::Session) {
    let (alice, mut bob) = (theirs::Account::new(), theirs::Account::new());
    let key = bob.generate_one_time_keys(1).created[0];
    let session = alice.create_outbound_session(their_config(), bob.curve25519_key(), key).unwrap();
    (alice, bob, session)
}

fn pre_key(message: OlmMessage) -> PreKeyMessage {
    match message {
        OlmMessage::PreKey(message) => message,
        OlmMessage::Normal(_) => panic!("a pre-key message"),
    }
}

fn their_pre_key(message: theirs::OlmMessage) -> theirs::PreKeyMessage {
    match message {
        theirs::OlmMessage::PreKey(message) => message,
        theirs::OlmMessage::Normal(_) => panic!("a pre-key message"),
    }
}

fn pair(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (alice, mut bob, mut session) = begin(rng);
    let message = pre_key(session.encrypt(b"first", rng).unwrap());
    let inbound = bob.create_inbound_session(CONFIG, &alice.identity_keys().curve25519, &message).unwrap();
    (session, inbound.session)
}

fn their_pair() -> (theirs::Session, theirs::Session) {
    let (alice, mut bob, mut session) = begin_theirs();
    let message = their_pre_key(session.encrypt(b"first").unwrap());
    let inbound = bob.create_inbound_session(their_config(), alice.curve25519_key(), &message).unwrap();
    (session, inbound.session)
}

mod olm_1_create_outbound {
    use super::{Bencher, CONFIG, begin, begin_theirs, black_box, rng, their_config};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let (alice, mut bob, _) = begin(&mut rng);
        let (identity, key) = (bob.identity_keys().curve25519, bob.generate_one_time_keys(1, &mut rng).created[0]);
        bencher.bench_local(|| alice.create_outbound_session(CONFIG, black_box(&identity), &key, &mut rng).unwrap());
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let (alice, mut bob, _) = begin_theirs();
        let (identity, key) = (bob.curve25519_key(), bob.generate_one_time_keys(1).created[0]);
        bencher.bench_local(|| alice.create_outbound_session(their_config(), black_box(identity), key).unwrap());
    }
}

mod olm_2_create_inbound {
    use super::{Bencher, CONFIG, LENGTH, begin, begin_theirs, pre_key, rng, their_config, their_pre_key};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        bencher
            .with_inputs(|| {
                let (alice, bob, mut session) = begin(&mut rng);
                let message = pre_key(session.encrypt(&[0; LENGTH], &mut rng).unwrap());
                (bob, alice.identity_keys().curve25519, message)
            })
            .bench_local_refs(|(bob, identity, message)| {
                bob.create_inbound_session(CONFIG, identity, message).unwrap()
            });
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| {
                let (alice, bob, mut session) = begin_theirs();
                let message = their_pre_key(session.encrypt([0; LENGTH]).unwrap());
                (bob, alice.curve25519_key(), message)
            })
            .bench_local_refs(|(bob, identity, message)| {
                bob.create_inbound_session(their_config(), *identity, message).unwrap()
            });
    }
}

mod olm_3_encrypt {
    use super::{Bencher, LENGTH, black_box, pair, rng, their_pair};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let (mut alice, _) = pair(&mut rng);
        bencher.bench_local(|| alice.encrypt(black_box(&[0; LENGTH]), &mut rng).unwrap());
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let (mut alice, _) = their_pair();
        bencher.bench_local(|| alice.encrypt(black_box(&[0; LENGTH])).unwrap());
    }
}

mod olm_4_decrypt {
    use super::{Bencher, LENGTH, pair, rng, their_pair};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let (mut alice, mut bob) = pair(&mut rng);
        bencher
            .with_inputs(|| alice.encrypt(&[0; LENGTH], &mut rng).unwrap())
            .bench_local_refs(|message| bob.decrypt(message).unwrap());
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let (mut alice, mut bob) = their_pair();
        bencher
            .with_inputs(|| alice.encrypt([0; LENGTH]).unwrap())
            .bench_local_refs(|message| bob.decrypt(message).unwrap());
    }
}

mod olm_5_round_trip_with_new_ratchet_keys {
    use super::{Bencher, LENGTH, pair, rng, their_pair};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let (mut alice, mut bob) = pair(&mut rng);
        bencher.bench_local(|| {
            let message = bob.encrypt(&[0; LENGTH], &mut rng).unwrap();
            alice.decrypt(&message).unwrap();
            let message = alice.encrypt(&[0; LENGTH], &mut rng).unwrap();
            bob.decrypt(&message).unwrap()
        });
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let (mut alice, mut bob) = their_pair();
        bencher.bench_local(|| {
            let message = bob.encrypt([0; LENGTH]).unwrap();
            alice.decrypt(&message).unwrap();
            let message = alice.encrypt([0; LENGTH]).unwrap();
            bob.decrypt(&message).unwrap()
        });
    }
}

mod olm_6_decode_and_encode_a_message {
    use super::{Bencher, LENGTH, OlmMessage, black_box, pair, rng, their_pair, theirs};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut rng = rng();
        let text = pair(&mut rng).1.encrypt(&[0; LENGTH], &mut rng).unwrap().to_base64();
        bencher.bench_local(|| OlmMessage::from_base64(1, black_box(&text)).unwrap().to_base64());
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let (_, bytes) = their_pair().1.encrypt([0; LENGTH]).unwrap().to_parts();
        let text = vodozemac::base64_encode(bytes);
        bencher.bench_local(|| theirs::Message::from_base64(black_box(&text)).unwrap().to_base64());
    }
}

mod megolm_1_encrypt {
    use super::{Bencher, GROUP_CONFIG, GroupSession, LENGTH, black_box, rng, their_megolm};

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut session = GroupSession::new(GROUP_CONFIG, &mut rng());
        bencher.bench_local(|| session.encrypt(black_box(&[0; LENGTH])).unwrap());
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let mut session = their_megolm::GroupSession::new(their_megolm::SessionConfig::version_1());
        bencher.bench_local(|| session.encrypt(black_box([0; LENGTH])));
    }
}

/// A conversation read from its first message to its last: as many samples as messages, so that the median is that of one
/// message whatever else the machine does.
mod megolm_2_decode_and_decrypt_10_000_messages {
    use super::{
        Bencher, CONVERSATION, GROUP_CONFIG, GroupSession, InboundGroupSession, LENGTH, MegolmMessage, rng,
        their_megolm,
    };

    #[divan::bench(sample_count = CONVERSATION, sample_size = 1)]
    fn ours(bencher: Bencher<'_, '_>) {
        let mut session = GroupSession::new(GROUP_CONFIG, &mut rng());
        let mut reader = InboundGroupSession::from(&session);
        bencher
            .with_inputs(|| session.encrypt(&[0; LENGTH]).unwrap().to_base64())
            .bench_local_refs(|text| reader.decrypt(&MegolmMessage::from_base64(text).unwrap()).unwrap());
    }

    #[divan::bench(sample_count = CONVERSATION, sample_size = 1)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let config = their_megolm::SessionConfig::version_1();
        let mut session = their_megolm::GroupSession::new(config);
        let mut reader = their_megolm::InboundGroupSession::from(&session);
        bencher.with_inputs(|| session.encrypt([0; LENGTH]).to_base64()).bench_local_refs(|text| {
            let message = their_megolm::MegolmMessage::from_base64(text).unwrap();
            reader.decrypt(&message).unwrap()
        });
    }
}

mod megolm_3_wind_far {
    use super::{Bencher, GROUP_CONFIG, GroupSession, InboundGroupSession, black_box, rng, their_megolm};

    const FAR: u32 = 0x00ff_ffff;

    #[divan::bench(sample_count = 1000)]
    fn ours(bencher: Bencher<'_, '_>) {
        let reader = InboundGroupSession::from(&GroupSession::new(GROUP_CONFIG, &mut rng()));
        bencher.bench_local(|| reader.export_at(black_box(FAR)));
    }

    #[divan::bench(sample_count = 1000)]
    fn vodozemac(bencher: Bencher<'_, '_>) {
        let config = their_megolm::SessionConfig::version_1();
        let key = their_megolm::GroupSession::new(config).session_key();
        bencher
            .with_inputs(|| their_megolm::InboundGroupSession::new(&key, config))
            .bench_local_refs(|reader| reader.export_at(black_box(FAR)));
    }
}
