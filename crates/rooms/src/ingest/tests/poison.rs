//! Poison: events that panic, do not end, or take the process down, at each stage. Only they are affected, and after at most
//! two crashes the server is in service.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use storage::{EngineChoice, MemoryDisk, Store};

use super::bombs;
use super::world::{Keys, begin, beginning, latest, options, outcome, rooms_in, rooms_on, send};
use crate::event::Pdu;
use crate::event::fixture::{ALICE, Room};
use crate::graph::find_room;
use crate::ingest::{Cause, NoFetch, Replayed, Stage, Verdict};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

const SECRET: &str = "what nobody but the room may read";

fn bomb(room: &mut Room, what: &str) -> Pdu {
    let content = json!({ "body": SECRET, bombs::KEY: what });
    room.say(&Room::draft(ALICE, "m.room.message", None, content)).pdu
}

async fn heard(room: &Room) -> (Arc<Rooms>, RoomNumber) {
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let events = beginning(room);
    let number = begin(&rooms, &events[0]).await;
    send(&rooms, &events[1..], &Keys).await;
    (rooms, number)
}

#[tokio::test]
async fn a_panic_at_any_stage_sets_one_event_aside_and_nothing_else() {
    for stage in ["check", "verify", "judge", "append"] {
        let mut room = Room::new(latest());
        let (rooms, number) = heard(&room).await;
        let before = room.message(ALICE, "before").pdu;
        let mut side = room.clone();
        let bomb = bomb(&mut room, &format!("panic@{stage}"));
        let after = side.message(ALICE, "after").pdu;
        let report = send(&rooms, [&before, &bomb, &after], &Keys).await;
        let verdicts: Vec<_> = (0..3).map(|place| report.of(place).unwrap().clone()).collect();
        assert_eq!(verdicts, [Verdict::Accepted, Verdict::SetAside, Verdict::Accepted], "{stage}");
        let again = send(&rooms, [&bomb], &Keys).await;
        assert_eq!(again.of(0), Some(&Verdict::SetAside), "{stage}: it is skipped when it comes again");

        let aside = rooms.set_aside(10).await.unwrap();
        let [(digest, row)] = aside.as_slice() else { panic!("{stage}: {aside:?}") };
        assert_eq!((row.cause, row.reason.as_str()), (Cause::Panicked, "boom"), "{stage}");
        assert_eq!(row.stage, if stage == "check" || stage == "verify" { Stage::Check } else { Stage::Judge });
        assert_eq!(row.bytes, bomb.json().len() as u64);
        assert!(!format!("{row:?}").contains(SECRET), "{stage}: an admin is told nothing of what it says");
        assert_eq!(digest.to_string().parse(), Ok(*digest));
        if row.stage == Stage::Judge {
            assert_eq!(row.event.as_deref(), Some(bomb.id()));
            assert_eq!(row.sender.as_deref().map(ruma::UserId::as_str), Some(ALICE));
        }
        assert!(outcome(&rooms, number).await.shown.contains(after.id()));
    }
}

#[tokio::test]
async fn what_is_set_aside_is_tried_again_on_request_and_leaves_when_that_goes_well() {
    let mut room = Room::new(latest());
    let (rooms, number) = heard(&room).await;
    let bomb = bomb(&mut room, "panic@judge#defused-later");
    send(&rooms, [&bomb], &Keys).await;
    let (digest, _) = rooms.set_aside(10).await.unwrap().remove(0);
    let Replayed::Again(again) = rooms.replay(digest, &Keys).await.unwrap() else { panic!("it is as it was") };
    assert_eq!(again.replays, 1);
    bombs::defuse("defused-later");
    assert_eq!(rooms.replay(digest, &Keys).await.unwrap(), Replayed::Done(Verdict::Accepted));
    assert!(rooms.set_aside(10).await.unwrap().is_empty());
    assert!(outcome(&rooms, number).await.shown.contains(bomb.id()));
    assert_eq!(rooms.replay(digest, &NoFetch).await.unwrap(), Replayed::Unknown);
}

#[test]
fn work_that_does_not_end_is_left_to_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut room = Room::new(latest());
        let (rooms, number) = heard(&room).await;
        for stage in ["check", "judge"] {
            let mut side = room.clone();
            let bomb = bomb(&mut side, &format!("time@{stage}#never-ends"));
            let late = async {
                // Until the work is under way, by the clock on the wall.
                bombs::wait_for_the_fuse().await;
                tokio::time::advance(base::limits::INGEST_EVENT_TIME + Duration::from_secs(1)).await;
            };
            let (report, ()) = tokio::join!(send(&rooms, [&bomb], &Keys), late);
            assert_eq!(report.of(0), Some(&Verdict::SetAside), "{stage}");
            let said = room.message(ALICE, stage).pdu;
            assert_eq!(send(&rooms, [&said], &Keys).await.of(0), Some(&Verdict::Accepted), "{stage}");
            assert!(outcome(&rooms, number).await.shown.contains(said.id()));
        }
        let causes: Vec<_> = rooms.set_aside(10).await.unwrap().into_iter().map(|(_, row)| row.cause).collect();
        assert_eq!(causes, [Cause::TooSlow, Cause::TooSlow]);
    });
    bombs::defuse("never-ends");
    runtime.shutdown_background();
}

const PLAN: &str = "HOLDFAST_POISON_PLAN";

/// Not a test: a server that gets a bomb, in a process of its own.
#[test]
#[ignore = "it is started by the poison suite"]
fn takes_what_is_sent() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let (what, folder) = plan.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(options(EngineChoice::Embedded, Path::new(folder))).await.unwrap();
        let rooms = rooms_in(store).await;
        let mut room = Room::new(latest());
        let events = beginning(&room);
        if find_room(rooms.store(), events[0].room_id()).await.unwrap().is_none() {
            begin(&rooms, &events[0]).await;
            send(&rooms, &events[1..], &Keys).await;
        }
        let mut side = room.clone();
        let bomb = bomb(&mut room, what);
        let innocent = side.message(ALICE, "innocent").pdu;
        let report = send(&rooms, [&bomb], &Keys).await;
        println!("\nbomb {:?}", report.of(0).unwrap());
        let report = send(&rooms, [&innocent], &Keys).await;
        println!("innocent {:?}", report.of(0).unwrap());
        let aside = rooms.set_aside(10).await.unwrap();
        println!("aside {:?}", aside.iter().map(|(_, row)| row.cause).collect::<Vec<_>>());
        rooms.store().close().await;
    });
    std::process::exit(0);
}

fn start(what: &str, folder: &Path) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ingest::tests::poison::takes_what_is_sent", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PLAN, format!("{what} {}", folder.display()))
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn what_takes_the_process_down_is_set_aside_by_the_third_start() {
    for what in ["abort@check", "abort@judge", "stack@verify", "stack@judge"] {
        let folder = tempfile::tempdir().unwrap();
        let data: PathBuf = folder.path().join("data");
        for start_number in 1..=2 {
            let (ended_well, said) = start(what, &data);
            assert!(!ended_well, "{what}, start {start_number}: {said}");
        }
        let (ended_well, said) = start(what, &data);
        assert!(ended_well, "{what}: {said}");
        assert!(said.contains("innocent Accepted"), "{what}: {said}");
        assert!(said.contains("bomb SetAside"), "{what}: {said}");
        assert!(said.contains("Crashed { times: 2 }"), "{what}: {said}");
    }
}

#[test]
fn what_takes_the_process_down_when_it_is_in_the_room_is_in_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(!start("abort@append", &data).0);
    let (ended_well, said) = start("abort@append", &data);
    assert!(ended_well && said.contains("bomb Known") && said.contains("innocent Accepted"), "{said}");
    assert!(said.contains("aside []"), "it is not under suspicion any more: {said}");
}
