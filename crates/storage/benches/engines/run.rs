//! One measurement, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base::clock::Monotonic;
use base::{Clock, Random, task};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::Key;
use storage::table::TEST;

use crate::Figures;
use crate::measure::{bytes_on_disk, cpu_micros, peak_memory, thread_seconds};
use crate::ours::Ours;
use crate::raw::Raw;
use crate::workload::{Event, SMALL};

/// The environment variable with the measurement to take.
pub(crate) const VARIABLE: &str = "HOLDFAST_BENCH_RUN";

const BUSY_ROOMS: u64 = 20;
const PAGE: usize = 50;

/// What to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) engine: String,
    /// `raw` or `ours`.
    pub(crate) through: String,
    pub(crate) producers: u16,
    /// How long to write, when it is writing that is measured.
    pub(crate) seconds: f64,
    /// What to write before anything is measured.
    pub(crate) events: u32,
    /// Whether to measure reads.
    pub(crate) read: bool,
    /// Bytes of the memtable, when it is not the default's.
    pub(crate) memtable_bytes: Option<u64>,
}

/// What is measured.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    async fn commit(&self, event: Event);
    async fn get(&self, key: &Key) -> Option<Bytes>;
    /// The ids of the last events of a room.
    async fn last(&self, room: u32, count: usize) -> Vec<Bytes>;
    async fn close(&self);
}

/// Takes the measurement and prints its figures.
pub(crate) fn carry_out(run: &Run) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let figures = runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let subject: Arc<dyn Subject> = match run.through.as_str() {
            "raw" => Arc::new(Raw::open(&run.engine, folder.path())),
            _ => Arc::new(Ours::open(run, folder.path()).await),
        };
        let mut figures = Figures::new();
        let per_producer = run.events / u32::from(run.producers);
        if run.events > 0 {
            write(&subject, run, 0, Until::Events(run.events)).await;
            // What is flushed and compacted in the background shall not be measured with what follows.
            Clock::system().sleep(Duration::from_secs(1)).await;
            let bytes = bytes_on_disk(folder.path());
            figures.insert("bytes on disk an event".to_owned(), bytes as f64 / f64::from(run.events));
        }
        if run.read {
            read(&*subject, run, per_producer, &mut figures).await;
        }
        let written = write(&subject, run, per_producer, Until::Seconds(run.seconds)).await;
        figures.insert("durable batches a second".to_owned(), written.events / written.seconds);
        figures.insert("µs of CPU a batch".to_owned(), written.cpu_micros / written.events);
        figures.insert("peak memory, MB".to_owned(), peak_memory());
        subject.close().await;
        figures
    });
    println!("{}", serde_json::to_string(&figures).unwrap());
}

#[derive(Clone, Copy)]
enum Until {
    Events(u32),
    Seconds(f64),
}

struct Written {
    events: f64,
    seconds: f64,
    cpu_micros: f64,
}

/// Writes from all producers at once, each with the next event as soon as its last one is durable.
async fn write(subject: &Arc<dyn Subject>, run: &Run, first: u32, until: Until) -> Written {
    let clock = Clock::system();
    let (started, cpu) = (clock.monotonic(), cpu_micros());
    let (most, end) = match until {
        Until::Events(events) => (events / u32::from(run.producers), Duration::MAX),
        Until::Seconds(seconds) => (u32::MAX - first, Duration::from_secs_f64(seconds)),
    };
    let written = Arc::new(AtomicU32::new(0));
    let producers: Vec<_> = (0..run.producers)
        .map(|producer| {
            let (subject, clock, written) = (Arc::clone(subject), clock.clone(), Arc::clone(&written));
            task::spawn(async move {
                for number in first..first + most {
                    subject.commit(Event { producer, number, body_bytes: SMALL }).await;
                    written.fetch_add(1, Ordering::Relaxed);
                    if clock.monotonic().since(started) > end {
                        break;
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    let events = f64::from(written.load(Ordering::Relaxed));
    Written { events, seconds: seconds_since(&clock, started), cpu_micros: cpu_micros() - cpu }
}

fn seconds_since(clock: &Clock, started: Monotonic) -> f64 {
    clock.monotonic().since(started).as_secs_f64()
}

/// Reads from one thread, each kind for a part of the time. The rates are by the second of that thread's processor time.
async fn read(subject: &dyn Subject, run: &Run, per_producer: u32, figures: &mut Figures) {
    let random = Random::seeded(7);
    let below = |bound: u64| u32::try_from(random.below(bound)).unwrap();
    let event = |number: u32| Event {
        producer: u16::try_from(number % u32::from(run.producers)).unwrap(),
        number: number / u32::from(run.producers) % per_producer,
        body_bytes: SMALL,
    };
    let total = u64::from(per_producer) * u64::from(run.producers);
    let bodies = draw(20_000, || event(below(total)).body_key());
    let hot = draw(20_000, || event(below(1_000)).body_key());
    let absent = draw(20_000, || Event { producer: 60_000, number: below(1 << 30), body_bytes: 0 }.body_key());
    let mut time = |name: &str, rate: f64| figures.insert(format!("{name}, a CPU second"), rate);
    time("get of a random body", gets(subject, run, &bodies, 1).await);
    time("get of 1,000 hot bodies", gets(subject, run, &hot, 1).await);
    time("get of an absent key", gets(subject, run, &absent, 0).await);
    let rooms = draw(1_000, || below(BUSY_ROOMS));
    time("last 50 of a room", pages(subject, run, &rooms, false).await);
    time("last 50 of a room with bodies", pages(subject, run, &rooms, true).await);
}

fn draw<T>(count: usize, mut one: impl FnMut() -> T) -> Vec<T> {
    (0..count).map(|_| one()).collect()
}

/// How many of `keys` are got a second; `present` of each must be there.
async fn gets(subject: &dyn Subject, run: &Run, keys: &[Key], present: usize) -> f64 {
    let (started, mut count) = (thread_seconds(), 0.0);
    loop {
        for chunk in keys.chunks(256) {
            for key in chunk {
                assert_eq!(usize::from(subject.get(key).await.is_some()), present);
            }
            count += chunk.len() as f64;
            let seconds = thread_seconds() - started;
            if seconds > run.seconds / 4.0 {
                return count / seconds;
            }
        }
    }
}

/// How many pages of a room's last events are read a second.
async fn pages(subject: &dyn Subject, run: &Run, rooms: &[u32], with_bodies: bool) -> f64 {
    let (started, mut count) = (thread_seconds(), 0.0);
    for room in rooms.iter().cycle() {
        let ids = subject.last(*room, PAGE).await;
        assert_eq!(ids.len(), PAGE);
        for id in ids.iter().filter(|_| with_bodies) {
            let id: [u8; 32] = id[..].try_into().unwrap();
            assert!(subject.get(&Key::of(TEST, &(b'e', id))).await.is_some());
        }
        count += 1.0;
        let seconds = thread_seconds() - started;
        if seconds > run.seconds / 4.0 {
            return count / seconds;
        }
    }
    0.0
}
