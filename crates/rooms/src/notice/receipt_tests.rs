//! Receipts in a store: who is told of which, forward only, in threads as the specification's examples have them.

use base::{Partition, Position};
use ruma::events::receipt::{ReceiptEventContent, ReceiptThread, ReceiptType};
use ruma::{OwnedEventId, UserId};
use storage::{MemoryDisk, Record};

use crate::error::{Error, Refusal};
use crate::event::RoomVersion;
use crate::event::fixture::{ALICE, BOB};
use crate::notice::fixture::{CAROL, Stage};
use crate::notice::{RECEIPT_MOVED, ReceiptKind, ReceiptLog, Thread};

async fn head(stage: &Stage) -> Position {
    stage.rooms.store().watch(Partition(0)).unwrap().head()
}

/// The receipts that `viewer` is told of, as lines.
fn lines(content: &ReceiptEventContent, names: &[(&str, &OwnedEventId)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (event, by_type) in content.iter() {
        let name = names.iter().find(|(_, id)| *id == event).map_or("?", |(name, _)| name);
        for (kind, by_user) in by_type {
            for (user, receipt) in by_user {
                let thread = match &receipt.thread {
                    ReceiptThread::Unthreaded => "all".to_owned(),
                    ReceiptThread::Thread(root) => {
                        names.iter().find(|(_, id)| *id == root).map_or("?", |(name, _)| name).to_owned()
                    }
                    other => other.as_str().unwrap().to_owned(),
                };
                assert!(receipt.ts.is_some());
                lines.push(format!("{name} {kind} {user} {thread}"));
            }
        }
    }
    lines.sort();
    lines
}

async fn told(stage: &Stage, viewer: &str, since: Position, names: &[(&str, &OwnedEventId)]) -> Vec<String> {
    let viewer = <&UserId>::try_from(viewer).unwrap();
    let until = head(stage).await;
    let content = stage.rooms.receipts_since(stage.room, [since, until], viewer).await.unwrap();
    lines(&content, names)
}

#[tokio::test]
async fn a_receipt_moves_forward_only_and_each_move_is_one_entry_of_the_log() {
    let mut stage = Stage::set().await;
    let (a, b) = (stage.say(ALICE, "a").await, stage.say(ALICE, "b").await);
    let names = [("a", &a), ("b", &b)];
    let before = head(&stage).await;
    assert!(stage.read(BOB, &b, Thread::Unthreaded).await.unwrap());
    assert!(!stage.read(BOB, &b, Thread::Unthreaded).await.unwrap(), "it is there already");
    assert!(!stage.read(BOB, &a, Thread::Unthreaded).await.unwrap(), "it would go back");
    assert_eq!(told(&stage, ALICE, Position::START, &names).await, ["b m.read @bob:two all"]);
    let entries = stage.rooms.store().log_entries(Partition(0), before, Position(1_000), 100).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].kind, RECEIPT_MOVED);
    let log = ReceiptLog::decode(&entries[0].payload).unwrap();
    let bob = UserId::parse(BOB).unwrap();
    assert_eq!(log, ReceiptLog { room: stage.room, user: bob, kind: ReceiptKind::Read });
}

#[tokio::test]
async fn a_reader_is_told_of_what_moved_since_and_of_nothing_twice() {
    let mut stage = Stage::set().await;
    let (a, b) = (stage.say(ALICE, "a").await, stage.say(ALICE, "b").await);
    let names = [("a", &a), ("b", &b)];
    stage.read(BOB, &a, Thread::Unthreaded).await.unwrap();
    let middle = head(&stage).await;
    assert_eq!(told(&stage, ALICE, middle, &names).await, [] as [&str; 0]);
    stage.read(CAROL, &b, Thread::Unthreaded).await.unwrap();
    assert_eq!(told(&stage, ALICE, middle, &names).await, ["b m.read @carol:two all"]);
    stage.read(BOB, &b, Thread::Unthreaded).await.unwrap();
    let all = ["b m.read @bob:two all", "b m.read @carol:two all"];
    assert_eq!(told(&stage, ALICE, middle, &names).await, all);
    assert_eq!(told(&stage, ALICE, Position::START, &names).await, all, "a receipt is at one event only");
    let until = stage.rooms.receipts(stage.room, middle, <&UserId>::try_from(ALICE).unwrap()).await.unwrap();
    assert!(until.is_empty(), "what moved later is told later");
}

#[tokio::test]
async fn a_private_receipt_is_told_to_its_own_user_only() {
    let mut stage = Stage::set().await;
    let (a, b) = (stage.say(ALICE, "a").await, stage.say(ALICE, "b").await);
    let names = [("a", &a), ("b", &b)];
    stage.mark(BOB, ReceiptKind::Private, &b, Thread::Unthreaded).await.unwrap();
    stage.read(BOB, &a, Thread::Unthreaded).await.unwrap();
    assert_eq!(told(&stage, ALICE, Position::START, &names).await, ["a m.read @bob:two all"]);
    let own = ["a m.read @bob:two all", "b m.read.private @bob:two all"];
    assert_eq!(told(&stage, BOB, Position::START, &names).await, own);
}

#[tokio::test]
async fn of_several_receipts_of_one_event_the_unthreaded_one_is_told() {
    let mut stage = Stage::set().await;
    let a = stage.say(ALICE, "a").await;
    let b = stage.relate(ALICE, "b", "m.thread", &a).await;
    let names = [("a", &a), ("b", &b)];
    stage.read(ALICE, &b, Thread::Unthreaded).await.unwrap();
    stage.read(ALICE, &b, Thread::Root(a.clone())).await.unwrap();
    assert_eq!(told(&stage, BOB, Position::START, &names).await, ["b m.read @alice:one all"]);
    stage.read(BOB, &b, Thread::Root(a.clone())).await.unwrap();
    let both = ["b m.read @alice:one all", "b m.read @bob:two a"];
    assert_eq!(told(&stage, BOB, Position::START, &names).await, both);
}

#[tokio::test]
async fn a_threaded_receipt_must_have_to_do_with_its_thread() {
    let mut stage = Stage::set().await;
    let a = stage.say(ALICE, "root").await;
    let b = stage.relate(ALICE, "in the thread", "m.thread", &a).await;
    let c = stage.relate(ALICE, "about the thread's", "m.annotation", &b).await;
    let d = stage.relate(ALICE, "about the root", "m.reference", &a).await;
    let e = stage.relate(ALICE, "about that", "m.annotation", &d).await;
    let other = stage.say(ALICE, "something else").await;
    let root = Thread::Root(a.clone());
    for event in [&a, &b, &c, &d, &e] {
        assert!(stage.read(BOB, event, root.clone()).await.is_ok());
    }
    for event in [&a, &d, &e, &other] {
        assert!(stage.read(BOB, event, Thread::Main).await.is_ok());
    }
    for (event, thread) in [(&b, Thread::Main), (&c, Thread::Main), (&other, root)] {
        let refused = stage.read(BOB, event, thread).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::InvalidParam { .. })), "{refused}");
    }
}

#[tokio::test]
async fn who_is_not_in_the_room_and_what_is_not_in_it_are_refused() {
    let mut stage = Stage::set().await;
    let a = stage.say(ALICE, "a").await;
    let refused = stage.read("@eve:one", &a, Thread::Unthreaded).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::NotJoined)), "{refused}");
    let unknown = OwnedEventId::try_from("$unknown").unwrap();
    for thread in [Thread::Unthreaded, Thread::Main] {
        let refused = stage.read(BOB, &unknown, thread).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::NoSuchEvent)), "{refused}");
    }
}

#[tokio::test]
async fn marks_of_more_threads_than_are_kept_push_out_the_furthest_back() {
    let mut stage = Stage::set().await;
    let mut roots = Vec::new();
    for n in 0..base::limits::RECEIPT_THREADS + 3 {
        let root = stage.say(ALICE, &n.to_string()).await;
        stage.read(BOB, &root, Thread::Root(root.clone())).await.unwrap();
        roots.push(root);
    }
    let bob = <&UserId>::try_from(BOB).unwrap();
    let content = stage.rooms.receipts(stage.room, head(&stage).await, bob).await.unwrap();
    assert_eq!(content.len(), base::limits::RECEIPT_THREADS);
    assert!(!content.contains_key(&roots[2]) && content.contains_key(&roots[3]));
}

#[tokio::test]
async fn receipts_of_every_room_version_survive_a_crash() {
    for version in RoomVersion::all() {
        let disk = MemoryDisk::new();
        let mut stage = Stage::of(version, &disk).await;
        let a = stage.say(ALICE, "a").await;
        stage.read(BOB, &a, Thread::Main).await.unwrap();
        let until = head(&stage).await;
        let room = stage.room;
        drop(stage);
        disk.crash();
        let rooms = crate::notice::fixture::rooms(crate::graph::fixture::open(&disk).await).await;
        let content = rooms.receipts(room, until, <&UserId>::try_from(ALICE).unwrap()).await.unwrap();
        let receipts = &content[&a][&ReceiptType::Read];
        assert_eq!(receipts.len(), 1, "version {}", version.id());
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_who_mark_at_once_for_one_user_the_furthest_stays() {
    let mut stage = Stage::set().await;
    let mut events = Vec::new();
    for n in 0..6 {
        events.push(stage.say(ALICE, &n.to_string()).await);
    }
    let reads = events.iter().map(|event| stage.read(BOB, event, Thread::Unthreaded));
    for outcome in futures_util::future::join_all(reads).await {
        outcome.unwrap();
    }
    let names = [("last", events.last().unwrap())];
    assert_eq!(told(&stage, ALICE, Position::START, &names).await, ["last m.read @bob:two all"]);
}
