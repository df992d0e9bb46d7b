//! Readers: cursors, back-off, quarantine and replay, crashes of the process, leases. On virtual time, so that nothing waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base::shutdown::{self, ShutdownTrigger};
use base::{Clock, Position, Timestamp, task};
use storage::reader::quarantine::{self, Cause};
use storage::reader::{Activity, Begin, Handler, HandlerError, Reader, ReaderOptions, StatusWatch};
use storage::{Batch, Kind, Lease, LogEntry, Store};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, KIND, P0};

/// What a handler does with an entry, by its payload; a payload without a rule is done at once.
#[derive(Clone, Copy)]
enum Rule {
    Fail,
    FailTimes(u32),
    Panic,
    Hang,
    Away(u32),
}

/// Records what it was shown and follows its rules.
#[derive(Clone, Default)]
struct Script {
    rules: Arc<Mutex<BTreeMap<String, Rule>>>,
    done: Arc<Mutex<Vec<String>>>,
    calls: Arc<Mutex<u32>>,
}

impl Script {
    fn with(rules: &[(&str, Rule)]) -> Self {
        let script = Self::default();
        *script.rules.lock().unwrap() = rules.iter().map(|(payload, rule)| ((*payload).to_owned(), *rule)).collect();
        script
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn next_rule(&self, payload: &str) -> Option<Rule> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.get(payload).copied()?;
        match rule {
            Rule::FailTimes(0) | Rule::Away(0) => return None,
            Rule::FailTimes(left) => rules.insert(payload.to_owned(), Rule::FailTimes(left - 1)),
            Rule::Away(left) => rules.insert(payload.to_owned(), Rule::Away(left - 1)),
            _ => None,
        };
        Some(rule)
    }
}

#[async_trait]
impl Handler for Script {
    async fn handle(&mut self, entries: &[LogEntry]) -> Result<(), HandlerError> {
        *self.calls.lock().unwrap() += 1;
        for entry in entries {
            let payload = String::from_utf8(entry.payload.to_vec()).unwrap();
            let reason = format!("{payload} does not work");
            match self.next_rule(&payload) {
                None => self.done.lock().unwrap().push(payload),
                Some(Rule::Fail | Rule::FailTimes(_)) => {
                    return Err(HandlerError::Entry { position: entry.position, reason });
                }
                Some(Rule::Panic) => panic!("{reason}"),
                Some(Rule::Hang) => std::future::pending().await,
                Some(Rule::Away(_)) => return Err(HandlerError::Unavailable { reason }),
            }
        }
        Ok(())
    }
}

/// A memory store on virtual time with the entries `e1`, `e2`, ….
struct Stage {
    fixture: Fixture,
    store: Arc<Store>,
}

impl Stage {
    async fn with_entries(count: u64) -> Self {
        let mut fixture = Fixture::memory();
        fixture.options.clock = Clock::simulated(Timestamp(1_000_000));
        let store = Arc::new(fixture.open().await);
        let stage = Self { fixture, store };
        for number in 1..=count {
            stage.append(KIND, &format!("e{number}")).await;
        }
        stage
    }

    async fn append(&self, kind: Kind, payload: &str) {
        let mut batch = Batch::new();
        batch.append(P0, kind, payload.to_owned());
        self.store.commit(batch).await.unwrap();
    }

    fn start(&self, options: ReaderOptions, script: &Script) -> Running {
        let (reader, status) = Reader::new(Arc::clone(&self.store), options, script.clone());
        let (trigger, shutdown) = shutdown::channel();
        Running { task: task::spawn(reader.run(shutdown)), trigger, status }
    }

    fn reader(&self, script: &Script) -> Running {
        self.start(ReaderOptions::new("test", P0), script)
    }

    /// The process dies and starts again: tasks are gone in the middle of what they did, the disk stays.
    async fn crash(&mut self, running: Running) {
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
        self.store.close().await;
        self.store = Arc::new(self.fixture.open().await);
    }
}

struct Running {
    task: JoinHandle<()>,
    trigger: ShutdownTrigger,
    status: StatusWatch,
}

impl Running {
    async fn reaches(&mut self, position: u64) {
        self.status.wait_for(|status| status.cursor >= Position(position)).await.unwrap();
    }

    async fn stop(self) {
        self.trigger.start();
        self.task.await.unwrap();
        assert_eq!(self.status.borrow().activity, Activity::Stopped);
    }
}

fn names(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("e{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_everything_once_and_goes_on_where_it_was() {
    let stage = Stage::with_entries(2_500).await;
    let script = Script::default();
    let mut running = stage.reader(&script);
    running.reaches(2_500).await;
    assert_eq!(running.status.borrow().lag(), 0);
    running.stop().await;
    assert_eq!(script.done(), names(1..=2_500));
    assert!(*script.calls.lock().unwrap() <= 4, "entries come in batches");
    stage.append(KIND, "e2501").await;
    let mut running = stage.reader(&script);
    running.reaches(2_501).await;
    running.stop().await;
    assert_eq!(script.done(), names(1..=2_501));
}

#[tokio::test(start_paused = true)]
async fn a_filter_passes_entries_over_and_a_new_reader_may_begin_at_the_head() {
    let stage = Stage::with_entries(3).await;
    let script = Script::default();
    let mut options = ReaderOptions::new("choosy", P0);
    options.filter = Arc::new(|entry| entry.kind == Kind(99));
    options.begin = Begin::AtHead;
    let mut running = stage.start(options.clone(), &script);
    running.reaches(3).await;
    stage.append(Kind(99), "wanted").await;
    stage.append(KIND, "other").await;
    running.reaches(5).await;
    running.stop().await;
    assert_eq!(script.done(), ["wanted"]);
    let again = stage.start(options, &script);
    again.stop().await;
    assert_eq!(script.done(), ["wanted"], "what was passed over is stored when the reader stops");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_fails_three_times_is_set_aside_and_the_rest_goes_on() {
    let poisons = [("fails", Rule::Fail), ("panics", Rule::Panic), ("hangs", Rule::Hang)];
    for (what, rule) in poisons {
        let stage = Stage::with_entries(8).await;
        let script = Script::with(&[("e5", rule)]);
        let mut running = stage.reader(&script);
        running.reaches(8).await;
        running.stop().await;
        let done = script.done();
        assert!(names([6, 7, 8]).iter().all(|name| done.contains(name)), "{what}: {done:?}");
        assert!(!done.contains(&"e5".to_owned()));
        let aside = quarantine::list(&stage.store, 10).await.unwrap();
        assert_eq!(aside.len(), 1);
        assert_eq!((aside[0].reader.as_str(), aside[0].position), ("test", Position(5)));
        assert_eq!(aside[0].set_aside.cause, Cause::Failed { times: 3 });
        assert!(!aside[0].set_aside.reason.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_fails_twice_and_then_works_is_not_set_aside() {
    let stage = Stage::with_entries(4).await;
    let script = Script::with(&[("e2", Rule::FailTimes(2))]);
    let mut running = stage.reader(&script);
    running.reaches(4).await;
    running.stop().await;
    assert_eq!(script.done(), names(1..=4));
    assert!(quarantine::list(&stage.store, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_away_is_waited_for_with_growing_pauses_and_nothing_is_set_aside() {
    let stage = Stage::with_entries(3).await;
    let script = Script::with(&[("e1", Rule::Away(20))]);
    let before = stage.store.clock().monotonic();
    let mut running = stage.reader(&script);
    let status = running.status.wait_for(|status| status.failures >= 12).await.unwrap().clone();
    assert_eq!((&status.activity, status.lag()), (&Activity::BackingOff, 3));
    running.reaches(3).await;
    running.stop().await;
    assert_eq!(script.done(), names(1..=3));
    assert_eq!(*script.calls.lock().unwrap(), 21, "20 attempts and the one that worked");
    let waited = stage.store.clock().monotonic().since(before);
    assert!(waited > Duration::from_secs(300), "{waited:?}: pauses grow up to a minute");
}

#[tokio::test(start_paused = true)]
async fn a_replay_takes_an_entry_out_of_quarantine_once_it_works() {
    let stage = Stage::with_entries(3).await;
    let script = Script::with(&[("e2", Rule::Fail)]);
    let mut running = stage.reader(&script);
    running.reaches(3).await;
    assert!(quarantine::replay(&stage.store, "test", P0, Position(2)).await.unwrap());
    stage.store.clock().sleep(Duration::from_secs(1)).await;
    let aside = quarantine::list(&stage.store, 10).await.unwrap();
    assert_eq!((aside.len(), aside[0].set_aside.replay), (1, false), "it failed again and stays");
    script.rules.lock().unwrap().clear();
    assert!(quarantine::replay(&stage.store, "test", P0, Position(2)).await.unwrap());
    stage.store.clock().sleep(Duration::from_secs(1)).await;
    assert!(quarantine::list(&stage.store, 10).await.unwrap().is_empty());
    assert_eq!(script.done().last().unwrap(), "e2");
    assert!(!quarantine::replay(&stage.store, "test", P0, Position(1)).await.unwrap(), "nothing is there to replay");
    running.stop().await;
}

/// The entry takes the whole process down; the third start is back in service.
#[tokio::test(start_paused = true)]
async fn an_entry_in_flight_at_two_crashes_is_set_aside_at_the_third_start() {
    let mut stage = Stage::with_entries(9).await;
    let script = Script::with(&[("e4", Rule::Hang)]);
    for start in 1..=2 {
        let mut options = ReaderOptions::new("test", P0);
        options.deadline = Duration::from_secs(1_000_000);
        let mut running = stage.start(options, &script);
        if start == 2 {
            running.reaches(3).await;
        }
        stage.store.clock().sleep(Duration::from_secs(5)).await;
        assert!(running.status.borrow().cursor < Position(4));
        stage.crash(running).await;
    }
    let mut running = stage.reader(&script);
    running.reaches(9).await;
    running.stop().await;
    let aside = quarantine::list(&stage.store, 10).await.unwrap();
    assert_eq!((aside.len(), aside[0].position), (1, Position(4)));
    assert_eq!(aside[0].set_aside.cause, Cause::Crashed { times: 2 });
    let done = script.done();
    assert!(names([1, 2, 3, 5, 6, 7, 8, 9]).iter().all(|name| done.contains(name)), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_batches_accuses_nobody() {
    let mut stage = Stage::with_entries(5).await;
    let script = Script::default();
    for count in [5, 6, 7] {
        let mut running = stage.reader(&script);
        running.reaches(count).await;
        stage.crash(running).await;
        stage.append(KIND, &format!("e{}", count + 1)).await;
    }
    let mut running = stage.reader(&script);
    running.reaches(8).await;
    running.stop().await;
    assert_eq!(script.done(), names(1..=8));
    assert!(quarantine::list(&stage.store, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_out_a_store_that_fails() {
    let stage = Stage::with_entries(3).await;
    let storage::EngineChoice::Memory { disk } = &stage.fixture.options.engine else { unreachable!() };
    disk.set_faults(storage::Faults { read_fails: 500, ..storage::Faults::default() });
    let script = Script::default();
    let mut running = stage.reader(&script);
    running.reaches(3).await;
    running.stop().await;
    assert_eq!(script.done(), names(1..=3));
}

#[tokio::test(start_paused = true)]
async fn only_one_of_two_nodes_reads_and_the_other_takes_over() {
    let stage = Stage::with_entries(2).await;
    let (one, other) = (Script::default(), Script::default());
    let options = |holder: &str| ReaderOptions { holder: Some(holder.to_owned()), ..ReaderOptions::new("shared", P0) };
    let mut first = stage.start(options("node one"), &one);
    first.reaches(2).await;
    let mut second = stage.start(options("node two"), &other);
    stage.store.clock().sleep(Duration::from_secs(120)).await;
    assert_eq!(
        second.status.borrow().activity,
        Activity::Waiting,
        "the first renews its lease for as long as it lives"
    );
    first.task.abort();
    stage.append(KIND, "e3").await;
    second.reaches(3).await;
    second.stop().await;
    assert_eq!((one.done(), other.done()), (names(1..=2), names([3])));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_went_to_somebody_else_stops_its_old_holder_from_writing() {
    let stage = Stage::with_entries(0).await;
    let (store, ttl) = (&stage.store, Duration::from_secs(10));
    let mut old = Lease::take(store, "work", "node one", ttl).await.unwrap().expect("nobody holds it");
    assert!(Lease::take(store, "work", "node two", ttl).await.unwrap().is_none());
    store.clock().sleep(Duration::from_secs(9)).await;
    old.renew().await.unwrap();
    store.clock().sleep(Duration::from_secs(9)).await;
    assert!(Lease::take(store, "work", "node two", ttl).await.unwrap().is_none(), "it was renewed");
    store.clock().sleep(Duration::from_secs(2)).await;
    let new = Lease::take(store, "work", "node two", ttl).await.unwrap().expect("it ran out");
    assert!(new.fence() > old.fence());
    let write = |lease: &Lease| {
        let mut batch = Batch::new();
        lease.guard(&mut batch);
        batch.put(&crate::fixture::key(1), "written");
        batch
    };
    assert!(store.commit(write(&old)).await.unwrap_err().is_conflict());
    assert!(old.renew().await.unwrap_err().is_conflict());
    store.commit(write(&new)).await.unwrap();
    new.release().await.unwrap();
    assert!(Lease::take(store, "work", "node three", ttl).await.unwrap().is_some(), "a released lease is free at once");
}
