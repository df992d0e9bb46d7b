//! How fast it is, for whoever changes the writer: `cargo test --release -p storage --test it -- --ignored speed --nocapture`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::{Clock, Partition, task};
use storage::table::TEST;
use storage::{Batch, Key, KeyWriter, Store, Template};

use crate::fixture::{Fixture, KIND};

/// Twelve operations and 1.7 KB, as one event makes them.
fn event(number: u64) -> Batch {
    let mut batch = Batch::new();
    let room = number % 20;
    let partition = Partition(u16::try_from(room % 16).unwrap());
    let stamp = batch.append(partition, KIND, vec![b'x'; 1_200]);
    let id = Key::of(TEST, &(1u8, number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    batch.require_absent(&id);
    batch.put_template(Template::plain(id.to_bytes()), Template::with_stamp("", stamp));
    for user in 0..5u64 {
        batch.put_template(
            KeyWriter::new(TEST).part(&(2u8, room * 5 + user)).stamp(stamp).template(),
            Template::plain("ref"),
        );
    }
    batch.put_template(KeyWriter::new(TEST).part(&(3u8, room)).stamp(stamp).template(), Template::plain(vec![1; 120]));
    batch.put(&Key::of(TEST, &(4u8, number)), "transaction");
    batch.put(&Key::of(TEST, &(5u8, room)), number.to_be_bytes().to_vec());
    batch.put(&Key::of(TEST, &(6u8, number)), room.to_be_bytes().to_vec());
    batch.delete(&Key::of(TEST, &(6u8, number.wrapping_sub(1_000))));
    batch
}

/// Hundredths of a second that this process and the server's have used.
fn cpu() -> (u64, u64) {
    let ticks = |stat: &str| -> u64 {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(11..13).map_or(0, |times| times.iter().filter_map(|time| time.parse::<u64>().ok()).sum())
    };
    let own = ticks(&fs::read_to_string("/proc/self/stat").unwrap_or_default());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    (own, stats.filter(|stat| stat.contains("(postgres)")).map(|stat| ticks(&stat)).sum())
}

async fn run(store: &Arc<Store>, producers: u64, next: &Arc<AtomicU64>) {
    let (clock, length) = (Clock::system(), Duration::from_secs(6));
    let (started, before, first) = (clock.monotonic(), cpu(), next.load(Ordering::Relaxed));
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let (store, next, clock) = (Arc::clone(store), Arc::clone(next), clock.clone());
            task::spawn(async move {
                while clock.monotonic().since(started) < length {
                    store.commit(event(next.fetch_add(1, Ordering::Relaxed))).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (seconds, after) = (clock.monotonic().since(started).as_secs_f64(), cpu());
    let events = next.load(Ordering::Relaxed) - first;
    let per_event = |ticks: u64| ticks * 10_000 / events;
    println!(
        "{producers:>4} producers: {:>6.0} events/s, CPU per event {} µs here, {} µs in the server",
        f64::from(u32::try_from(events).unwrap()) / seconds,
        per_event(after.0 - before.0),
        per_event(after.1.saturating_sub(before.1)),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for half a minute"]
async fn speed() {
    let Some(mut fixture) = Fixture::postgres() else { return };
    fixture.options.partitions = 16;
    let (store, next) = (Arc::new(fixture.open().await), Arc::new(AtomicU64::new(0)));
    for producers in [1, 8, 64, 256] {
        run(&store, producers, &next).await;
    }
    for (name, size) in store.engine().stat().await.unwrap().details {
        println!("{name}: {size}");
    }
}
