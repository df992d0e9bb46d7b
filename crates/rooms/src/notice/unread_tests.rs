//! Unread counts: the specification's threads, and any history of messages, receipts, redactions and questions against a
//! model that keeps everything and remembers nothing.

use std::collections::BTreeMap;

use base::Random;
use proptest::prelude::*;
use ruma::OwnedEventId;
use serde_json::json;
use storage::MemoryDisk;

use crate::event::RoomVersion;
use crate::event::fixture::{ALICE, BOB};
use crate::notice::fixture::{CAROL, Rules, Stage};
use crate::notice::{Count, NotifiedQuery, ReceiptKind, Thread, UnreadCounts};

fn count(notifications: u64, highlights: u64) -> Count {
    Count { notifications, highlights }
}

fn counts(main: (u64, u64), threads: &[(&OwnedEventId, u64, u64)]) -> UnreadCounts {
    let threads = threads.iter().map(|(root, notifications, highlights)| {
        ((*root).clone(), Count { notifications: *notifications, highlights: *highlights })
    });
    UnreadCounts { main: count(main.0, main.1), threads: threads.collect() }
}

#[tokio::test]
async fn threads_are_counted_apart_and_read_apart() {
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    let a = stage.say(ALICE, "Hello world!").await;
    let b = stage.relate(ALICE, "Start thread!", "m.thread", &a).await;
    stage.relate(ALICE, &format!("Thread response {BOB}!"), "m.thread", &a).await;
    let d = stage.say(ALICE, &format!("Hello {BOB}!")).await;
    stage.relate(ALICE, "End thread", "m.thread", &a).await;
    let f = stage.relate(ALICE, "Reference!", "m.reference", &a).await;
    let relates = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": f, "key": "test" } });
    let g = stage.send(ALICE, "m.room.reaction", relates).await;

    let all = stage.unread(&rules).await;
    assert_eq!(all, counts((3, 1), &[(&a, 3, 1)]));
    assert_eq!(all.total(), count(6, 2));
    stage.read(BOB, &a, Thread::Main).await.unwrap();
    assert_eq!(stage.unread(&rules).await, counts((2, 1), &[(&a, 3, 1)]));
    stage.read(BOB, &b, Thread::Root(a.clone())).await.unwrap();
    assert_eq!(stage.unread(&rules).await, counts((2, 1), &[(&a, 2, 1)]));
    stage.read(BOB, &d, Thread::Unthreaded).await.unwrap();
    assert_eq!(stage.unread(&rules).await, counts((1, 0), &[(&a, 1, 0)]));
    stage.read(BOB, &g, Thread::Root(a.clone())).await.unwrap();
    assert_eq!(stage.unread(&rules).await, counts((1, 0), &[]));
}

/// The history of <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>: A and B are roots, C, E, G and H
/// are in the thread of A, D, F in that of B; I is in none.
#[tokio::test]
async fn the_examples_of_the_specification_hold() {
    for (read, expected) in [
        (None, [3, 4, 2]),
        (Some(("I", "main")), [0, 4, 2]),
        (Some(("E", "A")), [3, 2, 2]),
        (Some(("D", "")), [1, 3, 1]),
        (Some(("A", "main")), [2, 4, 2]),
    ] {
        let mut stage = Stage::set().await;
        let rules = Rules::of(BOB);
        let mut names: BTreeMap<&str, OwnedEventId> = BTreeMap::new();
        for (name, root) in [
            ("A", None),
            ("B", None),
            ("C", Some("A")),
            ("D", Some("B")),
            ("E", Some("A")),
            ("F", Some("B")),
            ("G", Some("A")),
            ("H", Some("A")),
            ("I", None),
        ] {
            let id = match root {
                Some(root) => stage.relate(ALICE, name, "m.thread", &names[root].clone()).await,
                None => stage.say(ALICE, name).await,
            };
            names.insert(name, id);
        }
        if let Some((event, thread)) = read {
            let thread = match thread {
                "" => Thread::Unthreaded,
                "main" => Thread::Main,
                root => Thread::Root(names[root].clone()),
            };
            stage.read(BOB, &names[event], thread).await.unwrap();
        }
        let unread = stage.unread(&rules).await;
        let of = |root: &str| unread.threads.get(&names[root]).map_or(0, |count| count.notifications);
        assert_eq!([unread.main.notifications, of("A"), of("B")], expected, "{read:?}");
    }
}

#[tokio::test]
async fn what_was_said_before_one_came_and_what_one_has_answered_is_read() {
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    stage.say(ALICE, "early").await;
    assert_eq!(stage.unread(&rules).await.total(), count(1, 0));
    stage.set_state(BOB, "m.room.member", BOB, json!({ "membership": "leave" })).await;
    stage.say(ALICE, "while he was away").await;
    stage.set_state(BOB, "m.room.member", BOB, json!({ "membership": "join" })).await;
    assert_eq!(stage.unread(&rules).await.total(), count(0, 0));
    let root = stage.say(ALICE, "root").await;
    stage.relate(ALICE, "in a thread", "m.thread", &root).await;
    assert_eq!(stage.unread(&rules).await, counts((1, 0), &[(&root, 1, 0)]));
    stage.say(BOB, "I am here").await;
    assert_eq!(stage.unread(&rules).await, counts((0, 0), &[(&root, 1, 0)]), "he has not answered in the thread");
    stage.relate(BOB, "here too", "m.thread", &root).await;
    assert_eq!(stage.unread(&rules).await, counts((0, 0), &[]));
}

#[tokio::test]
async fn the_further_of_the_public_and_the_private_receipt_decides() {
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    let mut said = Vec::new();
    for body in ["a", "b", "c", "d"] {
        said.push(stage.say(ALICE, body).await);
    }
    for (kind, event, left) in [
        (ReceiptKind::Read, 2, 1),
        (ReceiptKind::Private, 0, 1),
        (ReceiptKind::Private, 1, 1),
        (ReceiptKind::Private, 3, 0),
    ] {
        stage.mark(BOB, kind, &said[event], Thread::Unthreaded).await.unwrap();
        assert_eq!(stage.unread(&rules).await.total(), count(left, 0), "{kind:?} at {event}");
    }
}

#[tokio::test]
async fn what_was_redacted_counts_no_more() {
    for version in [10, 11] {
        let mut stage = Stage::of(&RoomVersion::all()[version], &MemoryDisk::ephemeral()).await;
        let rules = Rules::of(BOB);
        let said = stage.say(ALICE, "hello bob").await;
        stage.say(ALICE, "hello").await;
        assert_eq!(stage.unread(&rules).await.total(), count(2, 1));
        stage.redact(ALICE, &said).await;
        assert_eq!(stage.unread(&rules).await.total(), count(1, 0));
        let others = Rules::of(CAROL);
        assert_eq!(stage.unread(&others).await.total(), count(1, 0), "also for who asks later");
    }
}

#[tokio::test]
async fn changed_rules_count_anew() {
    let mut stage = Stage::set().await;
    let mut rules = Rules::of(BOB);
    stage.say(ALICE, "hello").await;
    assert_eq!(stage.unread(&rules).await.total(), count(1, 0));
    rules.ruleset.set_enabled(ruma::push::RuleKind::Override, ".m.rule.master", true).unwrap();
    rules.version += 1;
    assert_eq!(stage.unread(&rules).await.total(), count(0, 0));
}

#[tokio::test]
async fn a_room_that_was_never_read_counts_up_to_the_bound_and_goes_on_from_there() {
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    let mut last = None;
    for n in 0..base::limits::UNREAD_EVENTS + 20 {
        last = Some(stage.say(ALICE, &n.to_string()).await);
    }
    let most = base::limits::UNREAD_EVENTS as u64;
    assert_eq!(stage.unread(&rules).await.total(), count(most, 0));
    stage.say(ALICE, "one more").await;
    assert_eq!(stage.unread(&rules).await.total(), count(most, 0));
    stage.read(BOB, &last.unwrap(), Thread::Unthreaded).await.unwrap();
    assert_eq!(stage.unread(&rules).await.total(), count(1, 0));
}

#[tokio::test]
async fn the_list_of_what_one_was_notified_of_is_paged_newest_first() {
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    let mut said = Vec::new();
    for body in ["a", "b bob", "c", "d bob", "e"] {
        said.push(stage.say(ALICE, body).await);
        stage.say(BOB, "me").await;
    }
    stage.read(BOB, &said[2], Thread::Unthreaded).await.unwrap();
    let mut query = NotifiedQuery { before: None, highlights_only: false, limit: 2 };
    let (mut ids, mut read) = (Vec::new(), Vec::new());
    loop {
        let page = stage.rooms.notified(rules.reader(), &query).await.unwrap();
        assert!(page.events.len() <= 2);
        ids.extend(page.events.iter().map(|event| event.id.clone()));
        read.extend(page.events.iter().map(|event| event.read));
        match page.next {
            Some(next) => query.before = Some(next),
            None => break,
        }
    }
    said.reverse();
    assert_eq!(ids, said);
    assert_eq!(read, [false, false, true, true, true]);
    let query = NotifiedQuery { before: None, highlights_only: true, limit: 10 };
    let page = stage.rooms.notified(rules.reader(), &query).await.unwrap();
    assert_eq!(page.events.len(), 2);
}

/// What the model knows of an event.
#[derive(Clone)]
struct Said {
    id: OwnedEventId,
    sender: &'static str,
    root: Option<OwnedEventId>,
    highlights: bool,
    redacted: bool,
}

/// Bob's unread counts, computed from everything.
fn model(said: &[Said], marks: &[(usize, Thread)]) -> UnreadCounts {
    let mut counts = UnreadCounts::default();
    for (at, event) in said.iter().enumerate() {
        let is_read = marks.iter().any(|(up_to, thread)| {
            at <= *up_to
                && match thread {
                    Thread::Unthreaded => true,
                    Thread::Main => event.root.is_none(),
                    Thread::Root(root) => event.root.as_ref() == Some(root),
                }
        });
        let is_answered = said[at..].iter().any(|later| later.sender == BOB && later.root == event.root);
        if is_read || is_answered || event.redacted || event.sender == BOB {
            continue;
        }
        let count = match &event.root {
            Some(root) => counts.threads.entry(root.clone()).or_default(),
            None => &mut counts.main,
        };
        count.notifications += 1;
        count.highlights += u64::from(event.highlights);
    }
    counts
}

async fn run(seed: u64) {
    let random = Random::seeded(seed);
    let pick = |count: usize| usize::try_from(random.below(count as u64)).unwrap();
    let mut stage = Stage::set().await;
    let rules = Rules::of(BOB);
    let (mut said, mut marks): (Vec<Said>, Vec<(usize, Thread)>) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let sender = [ALICE, ALICE, CAROL, BOB][pick(4)];
        let body = ["hello", "hello bob"][pick(2)];
        let highlights = body.ends_with("bob");
        match pick(10) {
            0..=3 => {
                let id = stage.say(sender, body).await;
                said.push(Said { id, sender, root: None, highlights, redacted: false });
            }
            4 | 5 if !said.is_empty() => {
                let to = said[pick(said.len())].clone();
                let root = to.root.clone().unwrap_or(to.id.clone());
                let id = stage.relate(sender, body, "m.thread", &root).await;
                said.push(Said { id, sender, root: Some(root), highlights, redacted: false });
            }
            6 if !said.is_empty() => {
                // What is about something is where that is.
                let to = said[pick(said.len())].clone();
                if !to.redacted {
                    let id = stage.relate(sender, body, "m.reference", &to.id).await;
                    said.push(Said { id, sender, root: to.root, highlights, redacted: false });
                }
            }
            7 | 8 if !said.is_empty() => {
                let at = pick(said.len());
                let thread = match (pick(3), &said[at].root) {
                    (0, _) => Thread::Unthreaded,
                    (_, None) => Thread::Main,
                    (_, Some(root)) => Thread::Root(root.clone()),
                };
                let kind = [ReceiptKind::Read, ReceiptKind::Private][pick(2)];
                match stage.mark(BOB, kind, &said[at].id, thread.clone()).await {
                    Ok(_) => marks.push((at, thread)),
                    // The relation by which it was in its thread was redacted.
                    Err(error) => assert!(said.iter().any(|said| said.redacted), "{error}"),
                }
            }
            _ => {
                let expected = model(&said, &marks);
                assert_eq!(stage.unread(&rules).await, expected, "seed {seed}");
            }
        }
    }
    assert_eq!(stage.unread(&rules).await, model(&said, &marks), "seed {seed}");
    let fresh = Rules { version: 7, ..rules };
    assert_eq!(stage.unread(&fresh).await, model(&said, &marks), "seed {seed}, counted anew");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_and_read_the_counts_are_those_of_the_model(seed in any::<u64>()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(seed));
    }
}
