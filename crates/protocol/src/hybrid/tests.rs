//! The conversation in every order, what must be refused, the healing, and the bounds.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::ratchet::{RatchetSecret, RootKey};
use super::{
    CHAINS_MAX, FALLBACK_USES_MAX, GAP_MAX, HybridError, Identity, Message, ONE_TIME_KEYS_MAX, PreKeyMessage, PreKeys,
    RatchetMessage, SKIPPED_MAX, Session, Suite, SuiteError, choose,
};
use crate::bundle::{DeviceKeys, OneTimeKey, algorithm};
use crate::key::{Curve25519SecretKey, Ed25519SecretKey};
use crate::pickle::PickleKey;

const BOTH: &[&str] = &[algorithm::OLM, algorithm::HYBRID];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

struct Device {
    signing: Ed25519SecretKey,
    identity: Curve25519SecretKey,
    keys: DeviceKeys,
}

impl Device {
    fn new(user_id: &str, seed: u64, algorithms: &[&str]) -> Self {
        let mut rng = rng(seed);
        let signing = Ed25519SecretKey::generate(&mut rng);
        let identity = Curve25519SecretKey::generate(&mut rng);
        let keys = DeviceKeys::sign(user_id, "DEVICE", algorithms, &identity.public_key(), &signing).unwrap();
        Self { signing, identity, keys }
    }

    fn identity(&self) -> Identity<'_> {
        Identity::new(&self.keys, &self.identity).unwrap()
    }
}

fn alice() -> Device {
    Device::new("@alice:example.org", 1, BOTH)
}

fn bob() -> Device {
    Device::new("@bob:example.net", 2, BOTH)
}

fn prekeys(device: &Device, count: usize) -> (PreKeys, Vec<OneTimeKey>) {
    let mut prekeys = PreKeys::new();
    prekeys.generate(count, &mut rng(3));
    let published = prekeys.unpublished(&device.keys, &device.signing).unwrap();
    prekeys.mark_published();
    (prekeys, published)
}

/// Alice's session and the first message in it.
fn initiated(seed: u64, one_time_key: &OneTimeKey, plaintext: &[u8]) -> (Session, PreKeyMessage) {
    let mut rng = rng(seed);
    let mut session = Session::initiate(&alice().identity(), &bob().keys, one_time_key, &mut rng).unwrap();
    let Message::PreKey(message) = session.encrypt(plaintext, &mut rng).unwrap() else { panic!("the first message") };
    (session, message)
}

fn pair() -> (Session, Session) {
    let (mut keys, published) = prekeys(&bob(), 1);
    let (ours, message) = initiated(4, &published[0], b"hello");
    let (theirs, plaintext) = Session::accept(&bob().identity(), &alice().keys, &mut keys, &message).unwrap();
    assert_eq!(plaintext, b"hello");
    (ours, theirs)
}

/// A pair after a round trip.
fn settled() -> (Session, Session) {
    let (mut ours, mut theirs) = pair();
    let mut rng = rng(5);
    let reply = theirs.encrypt(b"reply", &mut rng).unwrap();
    assert_eq!(ours.decrypt(&reply).unwrap(), b"reply");
    (ours, theirs)
}

/// A copy, as a thief makes one.
fn copy(session: &Session) -> Session {
    let key = PickleKey::from_bytes(&[7; 32]);
    Session::unpickle(&session.pickle(&key, &mut rng(6)), &key).unwrap()
}

fn state(session: &Session) -> Vec<u8> {
    session.pickle(&PickleKey::from_bytes(&[7; 32]), &mut rng(6))
}

#[test]
fn a_conversation_goes_back_and_forth() {
    let (mut ours, mut theirs) = pair();
    assert_eq!(ours.session_id(), theirs.session_id());
    assert!(!ours.has_received_message() && theirs.has_received_message());
    let mut rng = rng(5);
    for turn in 0..6_u8 {
        for n in 0..3_u8 {
            let message = ours.encrypt(&[turn, n], &mut rng).unwrap();
            assert_eq!(matches!(message, Message::PreKey(_)), turn == 0);
            assert_eq!(theirs.decrypt(&Message::parse(&message.to_bytes()).unwrap()).unwrap(), [turn, n]);
        }
        let reply = theirs.encrypt(&[turn], &mut rng).unwrap();
        assert_eq!(ours.decrypt(&Message::parse(&reply.to_bytes()).unwrap()).unwrap(), [turn]);
    }
    assert_eq!((ours.skipped_keys(), theirs.skipped_keys()), (0, 0));
}

#[test]
fn messages_cost_what_the_documentation_says() {
    let (mut ours, mut theirs) = pair();
    let mut rng = rng(5);
    let first = ours.encrypt(b"", &mut rng).unwrap().to_bytes().len();
    assert_eq!(first, PreKeyMessage::OVERHEAD + RatchetMessage::OPENING_OVERHEAD);
    assert_eq!((PreKeyMessage::OVERHEAD, RatchetMessage::OPENING_OVERHEAD), (1186, 1242));
    let reply = theirs.encrypt(b"", &mut rng).unwrap().to_bytes().len();
    assert_eq!((reply, RatchetMessage::TURN_OVERHEAD), (2330, 2330));
    assert!(state(&ours).len() < 3_000 && state(&theirs).len() < 5_000);
}

#[test]
fn an_altered_byte_anywhere_is_refused_and_changes_nothing() {
    let (mut keys, published) = prekeys(&bob(), 1);
    let (_, first) = initiated(4, &published[0], b"hello");
    let bytes = Message::PreKey(first).to_bytes();
    // Every byte of the opening and of the short fields; of the two long ones, one in eleven.
    let sampled = |at: usize| !(98..1186).contains(&at) && !(1220..2404).contains(&at) || at.is_multiple_of(11);
    for at in (0..bytes.len()).filter(|at| sampled(*at)) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        if let Ok(Message::PreKey(message)) = Message::parse(&altered) {
            let accepted = Session::accept(&bob().identity(), &alice().keys, &mut keys, &message);
            assert!(accepted.is_err(), "byte {at}");
        }
        assert_eq!(keys.len(), 1);
    }

    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let bytes = ours.encrypt(b"a turn", &mut rng).unwrap().to_bytes();
    let before = state(&theirs);
    for at in (0..bytes.len()).filter(|at| !(34..2306).contains(at) || at.is_multiple_of(11)) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let decrypted = Message::parse(&altered).and_then(|message| theirs.decrypt(&message));
        assert!(decrypted.is_err(), "byte {at}");
    }
    assert_eq!(state(&theirs), before);
    assert_eq!(theirs.decrypt(&Message::parse(&bytes).unwrap()).unwrap(), b"a turn");
    for end in (0..bytes.len()).step_by(13) {
        assert!(Message::parse(&bytes[..end]).and_then(|message| theirs.decrypt(&message)).is_err());
    }
}

#[test]
fn a_message_is_decrypted_once() {
    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let messages: Vec<Message> = (0..5).map(|n| ours.encrypt(&[n], &mut rng).unwrap()).collect();
    for order in [4, 0, 2, 1, 3] {
        assert_eq!(theirs.decrypt(&messages[order]).unwrap(), [u8::try_from(order).unwrap()]);
        assert_eq!(theirs.decrypt(&messages[order]), Err(HybridError::KeyGone));
    }
    assert_eq!(theirs.skipped_keys(), 0);
}

#[test]
fn messages_of_an_old_turn_still_arrive() {
    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let late: Vec<Message> = (0..3).map(|n| ours.encrypt(&[n], &mut rng).unwrap()).collect();
    assert!(theirs.decrypt(&late[0]).is_ok());
    for turn in 0..CHAINS_MAX - 1 {
        let reply = theirs.encrypt(b"reply", &mut rng).unwrap();
        ours.decrypt(&reply).unwrap();
        let next = ours.encrypt(b"next", &mut rng).unwrap();
        theirs.decrypt(&next).unwrap();
        assert_eq!(theirs.skipped_keys(), 2, "after {turn} turns");
    }
    assert_eq!(theirs.decrypt(&late[2]).unwrap(), [2]);
    let reply = theirs.encrypt(b"reply", &mut rng).unwrap();
    ours.decrypt(&reply).unwrap();
    theirs.decrypt(&ours.encrypt(b"next", &mut rng).unwrap()).unwrap();
    // Too many turns ago: given up, and refused.
    assert_eq!(theirs.skipped_keys(), 0);
    assert!(theirs.decrypt(&late[1]).is_err());
}

#[test]
fn missing_messages_are_made_up_for_within_bounds() {
    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let messages: Vec<Message> = (0..=GAP_MAX + 1).map(|_| ours.encrypt(b"x", &mut rng).unwrap()).collect();
    let at = |index: u32| &messages[usize::try_from(index).unwrap()];
    let before = state(&theirs);
    assert_eq!(theirs.decrypt(at(GAP_MAX + 1)), Err(HybridError::TooFarAhead));
    assert_eq!(state(&theirs), before);
    assert!(theirs.decrypt(at(GAP_MAX)).is_ok());
    assert_eq!(theirs.skipped_keys(), usize::try_from(GAP_MAX).unwrap());
    // Many gaps: the keys stay bounded, and the oldest go first.
    for _ in 0..4 {
        for _ in 0..GAP_MAX {
            ours.encrypt(b"x", &mut rng).unwrap();
        }
        let last = ours.encrypt(b"x", &mut rng).unwrap();
        if let Err(error) = theirs.decrypt(&last) {
            // The one message that was too far ahead before is missing too.
            assert_eq!(error, HybridError::TooFarAhead);
            theirs.decrypt(at(GAP_MAX + 1)).unwrap();
            theirs.decrypt(&last).unwrap();
        }
        assert!(theirs.skipped_keys() <= SKIPPED_MAX);
    }
    assert_eq!(theirs.skipped_keys(), SKIPPED_MAX);
    assert_eq!(theirs.decrypt(at(0)), Err(HybridError::KeyGone));
    let state = state(&theirs).len();
    assert!(state < 40_000, "{state} bytes");
}

#[test]
fn a_stolen_state_heals_after_a_round_trip() {
    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let mut thief = copy(&ours);
    // What comes to the stolen state can be read with it, once.
    let reply = theirs.encrypt(b"seen", &mut rng).unwrap();
    assert_eq!(thief.decrypt(&reply).unwrap(), b"seen");
    ours.decrypt(&reply).unwrap();
    // Our answer brings keys of our own that the thief does not have.
    let answer = ours.encrypt(b"unseen", &mut rng).unwrap();
    assert!(thief.decrypt(&answer).is_err());
    theirs.decrypt(&answer).unwrap();
    let reply = theirs.encrypt(b"unseen too", &mut rng).unwrap();
    assert!(thief.decrypt(&reply).is_err());
    assert_eq!(ours.decrypt(&reply).unwrap(), b"unseen too");
    // Nor does what the thief sends pass for ours any more.
    let forged = thief.encrypt(b"forged", &mut rng).unwrap();
    assert!(theirs.decrypt(&forged).is_err());
}

#[test]
fn what_was_read_before_a_theft_stays_unread() {
    let (mut ours, mut theirs) = settled();
    let mut rng = rng(8);
    let before = ours.encrypt(b"before", &mut rng).unwrap();
    theirs.decrypt(&before).unwrap();
    assert!(copy(&theirs).decrypt(&before).is_err());
    assert!(copy(&ours).decrypt(&before).is_err());
}

#[test]
fn a_one_time_key_begins_one_session() {
    let (mut keys, published) = prekeys(&bob(), 2);
    let (_, first) = initiated(4, &published[0], b"one");
    let (_, second) = initiated(5, &published[0], b"two");
    let accept =
        |keys: &mut PreKeys, message| Session::accept(&bob().identity(), &alice().keys, keys, message).map(|_| ());
    assert_eq!(accept(&mut keys, &first), Ok(()));
    assert_eq!(keys.len(), 1);
    assert_eq!(accept(&mut keys, &first), Err(HybridError::UnknownPreKey));
    assert_eq!(accept(&mut keys, &second), Err(HybridError::UnknownPreKey));
}

#[test]
fn a_fallback_key_begins_many_sessions_and_none_twice() {
    let mut keys = PreKeys::new();
    keys.generate_fallback(&mut rng(3));
    let published = keys.unpublished(&bob().keys, &bob().signing).unwrap();
    assert!(published[0].is_fallback());
    keys.mark_published();
    let accept =
        |keys: &mut PreKeys, message| Session::accept(&bob().identity(), &alice().keys, keys, message).map(|_| ());
    let (_, first) = initiated(4, &published[0], b"one");
    let (_, second) = initiated(5, &published[0], b"two");
    assert!(!keys.fallback_was_used());
    assert_eq!(accept(&mut keys, &first), Ok(()));
    assert!(keys.fallback_was_used());
    assert_eq!(accept(&mut keys, &first), Err(HybridError::Replayed));
    keys.generate_fallback(&mut rng(4));
    let pickle_key = PickleKey::from_bytes(&[7; 32]);
    let mut keys = PreKeys::unpickle(&keys.pickle(&pickle_key, &mut rng(6)), &pickle_key).unwrap();
    assert_eq!(accept(&mut keys, &first), Err(HybridError::Replayed));
    assert_eq!(accept(&mut keys, &second), Ok(()));
    keys.forget_previous_fallback();
    let (_, third) = initiated(6, &published[0], b"three");
    assert_eq!(accept(&mut keys, &third), Err(HybridError::UnknownPreKey));
}

#[test]
fn a_fallback_key_wears_out_before_it_forgets() {
    let mut keys = PreKeys::new();
    keys.generate_fallback(&mut rng(3));
    let published = keys.unpublished(&bob().keys, &bob().signing).unwrap();
    let (_, message) = initiated(4, &published[0], b"one");
    for seed in 0..FALLBACK_USES_MAX as u64 {
        let base_key = Curve25519SecretKey::generate(&mut rng(1000 + seed)).public_key();
        keys.use_up(&message.opening.prekey, &base_key);
    }
    let accepted = Session::accept(&bob().identity(), &alice().keys, &mut keys, &message);
    assert_eq!(accepted.unwrap_err(), HybridError::WornOut);
}

#[test]
fn one_time_keys_are_bounded_and_published_once() {
    let (mut keys, published) = prekeys(&bob(), 3);
    assert_eq!(published.len(), 3);
    assert!(keys.unpublished(&bob().keys, &bob().signing).unwrap().is_empty());
    keys.generate(usize::MAX, &mut rng(9));
    assert_eq!(keys.len(), ONE_TIME_KEYS_MAX);
    keys.generate(5, &mut rng(10));
    assert_eq!(keys.len(), ONE_TIME_KEYS_MAX);
}

#[test]
fn the_better_suite_is_chosen_and_none_in_between_can_worsen_it() {
    let olm = Device::new("@bob:example.net", 2, &[algorithm::OLM]);
    let neither = Device::new("@bob:example.net", 2, &[algorithm::MEGOLM]);
    assert_eq!(choose(&alice().keys, &bob().keys, None), Ok(Suite::Hybrid));
    assert_eq!(choose(&alice().keys, &olm.keys, None), Ok(Suite::Olm));
    assert_eq!(choose(&olm.keys, &bob().keys, None), Ok(Suite::Olm));
    assert_eq!(choose(&alice().keys, &neither.keys, None), Err(SuiteError::NoneInCommon));
    // A bundle from before the device had the hybrid, played back by a server.
    assert_eq!(choose(&alice().keys, &olm.keys, Some(Suite::Hybrid)), Err(SuiteError::Downgrade));
    // Taking the offer out of the bundle breaks its signature.
    let stripped = bob().keys.as_object().clone().with("algorithms", vec![algorithm::OLM]);
    assert!(DeviceKeys::verify(stripped, "@bob:example.net", "DEVICE").is_err());
}

#[test]
fn both_sides_must_have_seen_the_same_offers() {
    // Bob is shown a bundle of Alice that offers only the hybrid; Alice's own offers Olm as well.
    let (mut keys, published) = prekeys(&bob(), 1);
    let (_, message) = initiated(4, &published[0], b"hello");
    let shown = Device::new("@alice:example.org", 1, &[algorithm::HYBRID]);
    let accepted = Session::accept(&bob().identity(), &shown.keys, &mut keys, &message);
    assert_eq!(accepted.unwrap_err(), HybridError::Altered);
    let olm = Device::new("@alice:example.org", 1, &[algorithm::OLM]);
    let accepted = Session::accept(&bob().identity(), &olm.keys, &mut keys, &message);
    assert_eq!(accepted.unwrap_err(), HybridError::NotOffered);
    assert_eq!(keys.len(), 1);
}

#[test]
fn sessions_are_refused_with_anybody_else() {
    let (mut keys, published) = prekeys(&bob(), 1);
    let (_, message) = initiated(4, &published[0], b"hello");
    let mallory = Device::new("@mallory:example.com", 9, BOTH);
    let accepted = Session::accept(&bob().identity(), &mallory.keys, &mut keys, &message);
    assert_eq!(accepted.unwrap_err(), HybridError::OtherIdentity);
    // Mallory publishes Alice's identity key as her own: unknown key share.
    let posing =
        DeviceKeys::sign("@mallory:example.com", "DEVICE", BOTH, &alice().identity.public_key(), &mallory.signing);
    let accepted = Session::accept(&bob().identity(), &posing.unwrap(), &mut keys, &message);
    assert_eq!(accepted.unwrap_err(), HybridError::Altered);
    // A key that is not the device's, or not for the hybrid.
    let initiate = |theirs: &DeviceKeys, key: &OneTimeKey| {
        Session::initiate(&alice().identity(), theirs, key, &mut rng(4)).map(|_| ()).unwrap_err()
    };
    assert_eq!(initiate(&mallory.keys, &published[0]), HybridError::WrongPreKey);
    let curve = Curve25519SecretKey::generate(&mut rng(5)).public_key();
    let for_olm =
        OneTimeKey::sign_curve25519("A", &curve, crate::bundle::Fallback::No, &bob().keys, &bob().signing).unwrap();
    assert_eq!(initiate(&bob().keys, &for_olm), HybridError::WrongPreKey);
    let olm = Device::new("@bob:example.net", 2, &[algorithm::OLM]);
    assert_eq!(initiate(&olm.keys, &published[0]), HybridError::NotOffered);
    assert_eq!(Identity::new(&bob().keys, &alice().identity).unwrap_err(), HybridError::OtherIdentity);
}

#[test]
fn a_message_of_another_session_is_refused() {
    let (mut keys, published) = prekeys(&bob(), 2);
    let (_, first) = initiated(4, &published[0], b"one");
    let (_, second) = initiated(5, &published[1], b"two");
    let (mut session, _) = Session::accept(&bob().identity(), &alice().keys, &mut keys, &first).unwrap();
    assert!(session.matches(&first) && !session.matches(&second));
    assert_eq!(session.decrypt(&Message::PreKey(second.clone())), Err(HybridError::OtherSession));
    assert!(session.decrypt(&Message::Ratchet(second.message)).is_err());
    // One's own message, sent back.
    let (mut ours, _) = settled();
    let message = ours.encrypt(b"x", &mut rng(8)).unwrap();
    assert!(ours.decrypt(&message).is_err());
}

#[test]
fn both_halves_of_a_turn_are_needed() {
    let (ours, theirs) = (RatchetSecret::generate(&mut rng(1)), RatchetSecret::generate(&mut rng(2)));
    let (ciphertext, _) = theirs.public().kem.encapsulate(&mut rng(3)).unwrap();
    let chain = |root: u8, classical: u8, post_quantum: u8| {
        let root = RootKey([root; 32]);
        root.step(&[classical; 32], &[post_quantum; 32], &ours.public(), &ciphertext, &theirs.public()).1.0
    };
    let right = chain(1, 2, 3);
    assert_eq!(right, chain(1, 2, 3));
    assert!(right != chain(9, 2, 3) && right != chain(1, 9, 3) && right != chain(1, 2, 9));
}

#[test]
fn halves_of_two_turns_do_not_go_together() {
    let (ours, theirs) = settled();
    // The same turn twice, with other randomness: neither half of one fits the other.
    let (mut one, mut other) = (copy(&ours), copy(&ours));
    let Message::Ratchet(one) = one.encrypt(b"x", &mut rng(8)).unwrap() else { panic!("a turn") };
    let Message::Ratchet(other) = other.encrypt(b"x", &mut rng(9)).unwrap() else { panic!("a turn") };
    let refused = |message: RatchetMessage| copy(&theirs).decrypt(&Message::Ratchet(message)).unwrap_err();
    let keys = |curve: &RatchetMessage, kem: &RatchetMessage| {
        let mut message = one.clone();
        message.keys.curve25519 = curve.keys.curve25519;
        message.ciphertext = kem.ciphertext.clone();
        message
    };
    assert_eq!(refused(keys(&one, &other)), HybridError::Altered);
    assert_eq!(refused(keys(&other, &one)), HybridError::Altered);
    assert!(copy(&theirs).decrypt(&Message::Ratchet(one)).is_ok());
}

#[test]
fn debug_shows_no_key() {
    let (ours, theirs) = settled();
    assert_eq!(format!("{ours:?}"), format!("hybrid::Session {{ session_id: {:?}, .. }}", theirs.session_id()));
    assert_eq!(format!("{:?}", prekeys(&bob(), 2).0), "PreKeys { one_time: 2, .. }");
}

/// One thing that happens: which side, and what.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(bool),
    Deliver(bool, prop::sample::Index),
    Again(bool, prop::sample::Index),
    Store(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(Step::Send),
        4 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(side, which)| Step::Deliver(side, which)),
        1 => (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(side, which)| Step::Again(side, which)),
        1 => any::<bool>().prop_map(Step::Store),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_message_is_decrypted_once_and_only_once_in_any_order(steps in prop::collection::vec(any_step(), 1..40)) {
        let (one, other) = pair();
        let mut sessions = [one, other];
        let (mut under_way, mut arrived) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        // A chain that is older than what is remembered is given up; few enough turns that this does not happen.
        let mut rng = rng(8);
        let mut sent = 0_u32;
        for step in steps {
            match step {
                Step::Send(side) => {
                    let plaintext = sent.to_be_bytes();
                    sent += 1;
                    let message = sessions[usize::from(side)].encrypt(&plaintext, &mut rng).unwrap();
                    under_way[usize::from(!side)].push((plaintext, message));
                }
                Step::Deliver(side, which) => {
                    let side = usize::from(side);
                    if !under_way[side].is_empty() {
                        let at = which.index(under_way[side].len());
                        let (plaintext, message): (_, Message) = under_way[side].swap_remove(at);
                        match sessions[side].decrypt(&message) {
                            Ok(decrypted) => prop_assert_eq!(decrypted, plaintext),
                            Err(error) => prop_assert!(is_given_up(&message, &arrived[side]), "{}", error),
                        }
                        arrived[side].push(message);
                    }
                }
                Step::Again(side, which) => {
                    let side = usize::from(side);
                    if !arrived[side].is_empty() {
                        let message: &Message = &arrived[side][which.index(arrived[side].len())];
                        prop_assert!(sessions[side].decrypt(message).is_err());
                    }
                }
                Step::Store(side) => {
                    let side = usize::from(side);
                    sessions[side] = copy(&sessions[side]);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2600), kind in 0_u8..3) {
        let bytes = [&[1, kind], bytes.as_slice()].concat();
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }
}

/// Whether more turns than are remembered have arrived since this message's.
fn is_given_up(message: &Message, arrived: &[Message]) -> bool {
    let turn = |message: &Message| match message {
        Message::PreKey(message) => message.message.keys.curve25519,
        Message::Ratchet(message) => message.keys.curve25519,
    };
    let mut turns: Vec<_> = arrived.iter().map(turn).collect();
    turns.sort_unstable();
    turns.dedup();
    turns.len() >= CHAINS_MAX && !turns.contains(&turn(message)) || turns.len() > CHAINS_MAX
}
