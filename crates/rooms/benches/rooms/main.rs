//! What it costs to say something and to come and go, in rooms of 10, 1,000 and 50,000 members, on the embedded engine with
//! durable writes; what it costs to resolve two forks in the largest, and to load it cold. `cargo bench -p rooms`. Nothing is
//! asserted: machines differ, and the figures that count are the ratios.
//!
//! Set by the environment: `HOLDFAST_BENCH_MEMBERS` (10,1000,50000), `HOLDFAST_BENCH_EVENTS` of each kind (2000),
//! `HOLDFAST_BENCH_PARTS` (append,fork,cold).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a figure that cannot be taken stops the benchmark"
)]

mod room;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rooms::act::{Change, MembershipChange, Profile, Saying};
use rooms::append::SentAs;
use rooms::{EncryptionPolicy, Rooms, RoomsOptions};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, RoomVersionId, UserId};
use storage::{EngineChoice, Store, StoreOptions};

fn variable(name: &str, default: &str) -> String {
    std::env::var(format!("HOLDFAST_BENCH_{name}")).unwrap_or_else(|_| default.to_owned())
}

/// Processor time of all threads so far, in µs.
fn cpu() -> f64 {
    let mut total = 0.0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let times = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
        total += times.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default();
    }
    total / 1e3
}

fn bytes_on_disk(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.blocks() * 512;
    }
    fs::read_dir(path).unwrap().map(|entry| bytes_on_disk(&entry.unwrap().path())).sum()
}

async fn open(path: &Path) -> Arc<Rooms> {
    let store = Store::open(StoreOptions::new(path, EngineChoice::Embedded)).await.unwrap();
    let options = RoomsOptions {
        server: "bench.example".try_into().unwrap(),
        default_version: RoomVersionId::V12,
        encryption: EncryptionPolicy::Optional,
    };
    Rooms::open(Arc::new(store), options).await.unwrap()
}

fn user(n: u32) -> ruma::OwnedUserId {
    UserId::parse(format!("@user{n}:bench.example")).unwrap()
}

/// An encrypted message of a usual size.
fn encrypted(n: u32) -> CanonicalJsonObject {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    CanonicalJsonObject::from([
        ("algorithm".to_owned(), text("m.megolm.v1.aes-sha2")),
        ("ciphertext".to_owned(), text(&format!("{n:08}{}", "AwgAEnACgAkLmt6qF84IK".repeat(20)))),
        ("device_id".to_owned(), text("RJYKSTBOIE")),
        ("sender_key".to_owned(), text("IlRMeOPX2e0MurIyfWEucYBRVOEEUMrOHqn/8mLqMjA")),
        ("session_id".to_owned(), text("X3lUlvLELLYxeTx4yOVu6UDpasGEVO0Jbu+QFnm0cKQ")),
    ])
}

async fn say(rooms: &Rooms, room: &OwnedRoomId, n: u32) {
    let txn = format!("t{n}");
    let saying = Saying {
        sender: user(0),
        kind: "m.room.encrypted".into(),
        state_key: None,
        content: encrypted(n),
        sent_as: Some(SentAs::new(&user(0), "DEVICE".into(), "send", room, (&*txn).into())),
    };
    rooms.send(room, saying).await.unwrap();
}

async fn rename(rooms: &Rooms, room: &OwnedRoomId, n: u32, members: u32) {
    let who = user(n.wrapping_mul(7_919) % members);
    let mut change = MembershipChange::new(&*who, &*who, Change::Join);
    change.profile = Profile { displayname: Some(format!("Name {n}")), avatar_url: None };
    rooms.set_membership(room, &change).await.unwrap();
}

async fn appends(rooms: &Rooms, path: &Path, room: &OwnedRoomId, members: u32, events: u32) {
    for warm in 0..100 {
        say(rooms, room, 1_000_000 + warm).await;
        rename(rooms, room, 1_000_000 + warm, members).await;
    }
    for (what, renames) in [("message", false), ("membership change", true)] {
        let (before, disk) = (cpu(), bytes_on_disk(path));
        for n in 0..events {
            match renames {
                true => rename(rooms, room, n, members).await,
                false => say(rooms, room, n).await,
            }
        }
        let (micros, grown) = ((cpu() - before) / f64::from(events), bytes_on_disk(path).saturating_sub(disk));
        println!(
            "{members:>6} members: {what:<18} {micros:>7.1} µs CPU, {:>6} bytes on disk",
            grown / u64::from(events)
        );
    }
}

async fn cold(path: &Path, room: &OwnedRoomId) {
    let rooms = open(path).await;
    let before = cpu();
    say(&rooms, room, 2_000_000).await;
    let first = cpu() - before;
    println!(
        "        cold: first message {first:>9.1} µs CPU; the room then takes {} bytes of memory",
        rooms.cache().bytes()
    );
    let number = rooms.number_of(room).await.unwrap();
    let before = cpu();
    let members = rooms::append::members(rooms.store(), number).await.unwrap();
    println!("        cold: {} memberships {:>9.1} µs CPU", members.len(), cpu() - before);
    rooms.store().close().await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let events: u32 = variable("EVENTS", "2000").parse().unwrap();
    let parts = variable("PARTS", "append,fork,cold");
    let part = |name: &str| parts.split(',').any(|part| part == name);
    for members in variable("MEMBERS", "10,1000,50000").split(',') {
        let members: u32 = members.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        runtime.block_on(async {
            let rooms = open(&path).await;
            let room = room::make(&rooms, members).await;
            if part("append") {
                appends(&rooms, &path, &room, members, events).await;
            }
            if part("fork") {
                room::forks(&rooms, &room, 100).await;
            }
            rooms.store().close().await;
            drop(rooms);
            if part("cold") {
                cold(&path, &room).await;
            }
        });
    }
}
