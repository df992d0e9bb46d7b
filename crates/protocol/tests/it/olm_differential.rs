//! Olm against vodozemac, and both against a model of what must be read and what must be refused.
//!
//! A course of sends, deliveries, losses, duplicates and restarts is drawn at random. The model knows, from the ratchet key
//! and the index that each message shows, whether a receiver within the bounds still has its key. Every delivery must go as
//! the model says, whoever made the two ends; so ours and vodozemac agree at the bounds too, not only far from them.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::key::Curve25519PublicKey;
use protocol::olm::SessionConfig;
use protocol::olm::session::{MAX_MESSAGE_GAP, MAX_RECEIVER_CHAINS, MAX_SKIPPED_KEYS};

use crate::party::{Maker, Parcel, Party, pair};

/// What a receiver should still be able to read.
#[derive(Default)]
struct Model {
    /// Oldest first.
    chains: Vec<Chain>,
    seen: Vec<Curve25519PublicKey>,
}

struct Chain {
    key: Curve25519PublicKey,
    next: u64,
    skipped: Vec<u64>,
}

impl Model {
    /// Whether the message must be read; if so, it was.
    fn deliver(&mut self, key: Curve25519PublicKey, index: u64) -> bool {
        if !self.chains.iter().any(|chain| chain.key == key) {
            if self.seen.contains(&key) || index > MAX_MESSAGE_GAP {
                return false;
            }
            self.seen.push(key);
            if self.chains.len() == MAX_RECEIVER_CHAINS {
                self.chains.remove(0);
            }
            self.chains.push(Chain { key, next: 0, skipped: vec![] });
        }
        let chain = self.chains.iter_mut().find(|chain| chain.key == key).unwrap();
        if index < chain.next {
            let before = chain.skipped.len();
            chain.skipped.retain(|skipped| *skipped != index);
            return chain.skipped.len() < before;
        }
        if index - chain.next > MAX_MESSAGE_GAP {
            return false;
        }
        chain.skipped.extend(chain.next..index);
        let excess = chain.skipped.len().saturating_sub(MAX_SKIPPED_KEYS);
        chain.skipped.drain(..excess);
        chain.next = index + 1;
        true
    }
}

/// One step of a course; `usize` picks a side or a message, whatever there is.
#[derive(Debug, Clone)]
enum Step {
    Send { side: bool, length: usize },
    Burst { side: bool, count: usize },
    DeliverOldest { side: bool },
    Deliver { side: bool, which: usize },
    DeliverAgain { side: bool, which: usize },
    Lose { side: bool, which: usize },
    Restart { side: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 0usize..80).prop_map(|(side, length)| Step::Send { side, length }),
        1 => (any::<bool>(), 2usize..70).prop_map(|(side, count)| Step::Burst { side, count }),
        6 => any::<bool>().prop_map(|side| Step::DeliverOldest { side }),
        6 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::Deliver { side, which }),
        3 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::DeliverAgain { side, which }),
        1 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::Lose { side, which }),
        1 => any::<bool>().prop_map(|side| Step::Restart { side }),
    ]
}

/// A message and what it says.
type Sent = (Parcel, Vec<u8>);

/// One direction: who reads, what is on its way, what arrived before.
struct Lane {
    model: Model,
    waiting: Vec<Sent>,
    past: Vec<Sent>,
}

struct Course {
    parties: [Option<Party>; 2],
    lanes: [Lane; 2],
    sent: usize,
}

impl Course {
    fn new(parties: [Party; 2], first: (Curve25519PublicKey, u64)) -> Self {
        let lane = || Lane { model: Model::default(), waiting: vec![], past: vec![] };
        let mut course = Self { parties: parties.map(Some), lanes: [lane(), lane()], sent: 0 };
        assert!(course.lanes[0].model.deliver(first.0, first.1));
        course
    }

    /// `side` writes a message.
    fn send(&mut self, side: usize, length: usize) {
        self.sent += 1;
        let plaintext: Vec<u8> = self.sent.to_be_bytes().into_iter().cycle().take(length).collect();
        let parcel = self.parties[side].as_mut().unwrap().encrypt(&plaintext);
        self.lanes[side].waiting.push((parcel, plaintext));
    }

    /// What `side` wrote arrives at the other.
    fn arrive(&mut self, side: usize, (parcel, plaintext): Sent) {
        let (key, index) = parcel.place();
        let readable = self.lanes[side].model.deliver(key, index);
        let result = self.parties[1 - side].as_mut().unwrap().decrypt(&parcel);
        match result {
            Ok(read) => {
                assert!(readable, "message {index} was read, but must be refused");
                assert_eq!(read, plaintext);
            }
            Err(error) => assert!(!readable, "message {index} must be read: {error}"),
        }
        self.lanes[side].past.push((parcel, plaintext));
    }

    fn take(&mut self, side: usize, which: usize) -> Option<Sent> {
        let waiting = &mut self.lanes[side].waiting;
        if waiting.is_empty() { None } else { Some(waiting.remove(which % waiting.len())) }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Send { side, length } => self.send(side.into(), length),
            Step::Burst { side, count } => (0..count).for_each(|_| self.send(side.into(), 5)),
            Step::DeliverOldest { side } => {
                if let Some(sent) = self.take(side.into(), 0) {
                    self.arrive(side.into(), sent);
                }
            }
            Step::Deliver { side, which } => {
                if let Some(sent) = self.take(side.into(), which) {
                    self.arrive(side.into(), sent);
                }
            }
            Step::DeliverAgain { side, which } => {
                let past = &self.lanes[usize::from(side)].past;
                if !past.is_empty() {
                    let again = past[which % past.len()].clone();
                    self.arrive(side.into(), again);
                }
            }
            Step::Lose { side, which } => drop(self.take(side.into(), which)),
            Step::Restart { side } => {
                let party = &mut self.parties[usize::from(side)];
                *party = party.take().map(Party::restart);
            }
        }
    }

    /// Everything that is still on its way arrives, last first.
    fn finish(&mut self) {
        for side in [0, 1] {
            while let Some(sent) = self.lanes[side].waiting.pop() {
                self.arrive(side, sent);
            }
        }
    }
}

fn run(makers: [Maker; 2], config: SessionConfig, seed: u64, steps: &[Step]) {
    let [mut alice, bob] = pair(makers[0], makers[1], config, seed);
    let second = alice.encrypt(b"second");
    let (key, index) = second.place();
    let mut course = Course::new([alice, bob], (key, index - 1));
    course.lanes[0].waiting.push((second, b"second".to_vec()));
    for step in steps {
        course.run(step);
    }
    course.finish();
}

fn config() -> impl Strategy<Value = SessionConfig> {
    prop_oneof![Just(SessionConfig::V1), Just(SessionConfig::V2)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn any_course_goes_as_the_model_says_between_ours(config in config(), seed: u32, steps in vec(step(), 1..120)) {
        run([Maker::Ours, Maker::Ours], config, seed.into(), &steps);
    }

    #[test]
    fn any_course_goes_as_the_model_says_when_ours_begins(config in config(), seed: u32, steps in vec(step(), 1..120)) {
        run([Maker::Ours, Maker::Vodozemac], config, seed.into(), &steps);
    }

    #[test]
    fn any_course_goes_as_the_model_says_when_vodozemac_begins(config in config(), seed: u32, steps in vec(step(), 1..120)) {
        run([Maker::Vodozemac, Maker::Ours], config, seed.into(), &steps);
    }
}

#[test]
fn the_largest_gap_is_crossed_and_the_next_refused_by_both() {
    for makers in [[Maker::Ours, Maker::Vodozemac], [Maker::Vodozemac, Maker::Ours]] {
        for config in [SessionConfig::V1, SessionConfig::V2] {
            let [mut alice, mut bob] = pair(makers[0], makers[1], config, 1);
            let parcels: Vec<_> = (0..=MAX_MESSAGE_GAP + 1).map(|_| alice.encrypt(b"far")).collect();
            let (too_far, farthest) = (parcels.last().unwrap(), &parcels[parcels.len() - 2]);
            assert!(bob.decrypt(too_far).is_err());
            assert_eq!(bob.decrypt(farthest).unwrap(), b"far");
            assert_eq!(bob.decrypt(too_far).unwrap(), b"far");

            let kept = parcels.len() - 2 - MAX_SKIPPED_KEYS;
            assert!(bob.decrypt(&parcels[kept - 1]).is_err(), "its key is forgotten");
            assert_eq!(bob.decrypt(&parcels[kept]).unwrap(), b"far");
        }
    }
}
