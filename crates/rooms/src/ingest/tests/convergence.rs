//! Servers that have the same events agree, in whatever order, in whatever parts, how often, and with whatever gaps in
//! between the events came to them.
//!
//! What a server soft-fails depends on what it knew when the event came, as the specification has it; so does, until later
//! events bring the ends together, its state now. Each story therefore ends with an event that follows all others. After
//! that, states, memberships and the graph must be equal to the last entry, and what is shown but for what was soft-failed.
//!
//! `HOLDFAST_CONVERGENCE_CASES` says how many stories of each room version are told.

use base::Random;
use storage::MemoryDisk;

use super::world::{Keys, Outcome, Peer, Story, begin, outcome, send, send_as};
use crate::event::{Pdu, RoomVersion};
use crate::ingest::{Fetch, Source, Verdict};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// How events come to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// Nothing can be asked for; what lacks something is sent again.
    Blind,
    /// The events in between can be asked for.
    Asking,
    /// Only states can be asked for: everything that comes early leaves a gap, which what comes later fills.
    Gaps,
    /// As before, and what is asked for as history.
    Backfill,
}

const DELIVERIES: [Delivery; 4] = [Delivery::Blind, Delivery::Asking, Delivery::Gaps, Delivery::Backfill];

fn shuffled(events: &[Pdu], random: &Random) -> Vec<Pdu> {
    let (mut open, mut order) = (events.to_vec(), Vec::new());
    while !open.is_empty() {
        let at = usize::try_from(random.below(open.len() as u64)).unwrap();
        order.push(open.swap_remove(at));
    }
    order
}

/// The story as a server has it to which it came in this way.
async fn told(story: &Story, delivery: Delivery, random: &Random) -> Outcome {
    let rooms = super::world::rooms_on(&MemoryDisk::ephemeral()).await;
    let room = begin(&rooms, &story.events[0]).await;
    let peer = Peer {
        rooms: story.peer.rooms.clone(),
        gives_missing: delivery == Delivery::Asking,
        random: random.clone(),
        version: story.peer.version,
        gives_states: true,
        loses: 0,
        room: story.peer.room,
    };
    let fetch: &dyn Fetch = if delivery == Delivery::Blind { &Keys } else { &peer };
    // The first events are those without which nothing can be said of a room.
    let (first, rest) = story.events.split_at(4);
    send(&rooms, &first[1..], fetch).await;
    let mut open = shuffled(rest, random);
    if random.chance(1, 2) {
        open.extend(shuffled(rest, random).into_iter().take(5));
    }
    let mut here: Vec<Pdu> = Vec::new();
    for _ in 0..100 {
        let mut lacking = Vec::new();
        while !open.is_empty() {
            let some = 1 + usize::try_from(random.below(6)).unwrap();
            let some: Vec<Pdu> = open.drain(..some.min(open.len())).collect();
            // History is what something that is here follows.
            let old = some.iter().all(|pdu| here.iter().any(|it| it.prev_events().contains(pdu.owned_id())));
            let source = if delivery == Delivery::Backfill && old { Source::History } else { Source::Live };
            let report = send_as(&rooms, &some, source, fetch).await;
            here.extend(some.iter().cloned());
            for (place, pdu) in some.into_iter().enumerate() {
                match report.of(place) {
                    Some(Verdict::Lacking) => lacking.push(pdu),
                    Some(Verdict::Accepted | Verdict::SoftFailed | Verdict::Rejected | Verdict::Known) => {}
                    other => panic!("{pdu:?}: {other:?}"),
                }
            }
        }
        if lacking.is_empty() {
            if delivery == Delivery::Backfill {
                // What came as history before anything here followed it gets its place now.
                send_as(&rooms, &story.events, Source::History, fetch).await;
            }
            return outcome(&rooms, room).await;
        }
        open = shuffled(&lacking, random);
    }
    panic!("some events never came in");
}

async fn agree(version: &'static RoomVersion, seed: u64, length: u64) {
    let random = Random::seeded(seed);
    let mut story = Story::new(version, random.clone()).await;
    for _ in 0..length {
        story.go_on().await;
    }
    let last = story.end().await;
    let expected = outcome(&story.peer.rooms, story.peer.room).await;
    assert_eq!(expected.extremities, [last.id().to_owned()].into(), "seed {seed}");
    for delivery in DELIVERIES {
        let found = told(&story, delivery, &random).await;
        let what = format!("version {}, seed {seed}, length {length}, {delivery:?}", version.id());
        for (id, states) in &expected.graph {
            assert_eq!(found.graph.get(id), Some(states), "{what}: {id}");
        }
        assert_eq!(found.graph.len(), expected.graph.len(), "{what}");
        assert_eq!(found.state, expected.state, "{what}");
        assert_eq!(found.members, expected.members, "{what}");
        let undecided: Vec<_> = found.soft_failed.union(&expected.soft_failed).cloned().collect();
        let decided =
            |outcome: &Outcome| outcome.shown.iter().filter(|id| !undecided.contains(id)).cloned().collect::<Vec<_>>();
        assert_eq!(decided(&found), decided(&expected), "{what}");
        if delivery != Delivery::Backfill {
            assert_eq!(found.extremities, expected.extremities, "{what}");
        }
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

#[test]
fn servers_with_the_same_events_agree() {
    let cases = from_environment("HOLDFAST_CONVERGENCE_CASES", 8);
    let seed = from_environment("HOLDFAST_CONVERGENCE_SEED", 1);
    for version in RoomVersion::all() {
        for case in 0..cases {
            block_on(agree(version, seed + case, 4 + (seed + case) % 20));
        }
    }
}
