//! The process that is killed, or whose disk is: this test binary started again with a plan in its environment. It opens
//! the store and writes events through 64 producers, reporting each acknowledgement the moment it has it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base::task;
use serde::{Deserialize, Serialize};
use storage::{EngineChoice, Error, Store, StoreOptions};

use super::ledger::{Acknowledged, Ledger};
use super::workload::{Event, RUN_BITS, SMALL};

const PLAN: &str = "HOLDFAST_CRASH_PLAN";
const PRODUCERS: u16 = 64;
/// A body near the largest size an event may have.
const LARGE: u32 = 60_000;
/// Where the acknowledgements go when they are to go down a pipe.
pub(crate) const STDOUT: &str = "/proc/self/fd/1";

/// Which bodies the events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bodies {
    Small,
    /// One in ten near the largest size.
    Mixed,
    /// All of them.
    Large,
}

/// The engines that keep files of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Files {
    Embedded,
    Sled,
}

impl Files {
    fn choice(self) -> EngineChoice {
        match self {
            Self::Embedded => EngineChoice::Embedded,
            Self::Sled => EngineChoice::Sled,
        }
    }

    /// How the paths of the files end in which the engine keeps its log.
    pub(crate) fn log_suffix(self) -> &'static str {
        match self {
            Self::Embedded => ".jnl",
            Self::Sled => "/db",
        }
    }
}

/// What the child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) engine: Files,
    pub(crate) data_dir: PathBuf,
    /// Where acknowledgements are reported.
    pub(crate) reports: PathBuf,
    /// Numbers the runs on one store, so that no two write the same event.
    pub(crate) run: u32,
    /// Events in each session; the store is closed and opened again between two, and abandoned after the last.
    pub(crate) events: u32,
    pub(crate) sessions: u32,
    pub(crate) bodies: Bodies,
    pub(crate) memtable_bytes: u64,
}

impl Plan {
    /// Writes small events until killed, acknowledging on standard output.
    pub(crate) fn endless(engine: Files, data_dir: &Path) -> Self {
        Self {
            engine,
            data_dir: data_dir.to_owned(),
            reports: STDOUT.into(),
            run: 0,
            events: 1 << RUN_BITS,
            sessions: 1,
            bodies: Bodies::Small,
            memtable_bytes: 4 << 20,
        }
    }

    /// What the store is opened with, by the child and by whoever checks it.
    pub(crate) fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(&self.data_dir, self.engine.choice());
        options.tuning.disk_reserve_bytes = 0;
        options.tuning.cache_bytes = 16 << 20;
        options.tuning.memtable_bytes = self.memtable_bytes;
        options
    }

    /// The command that carries the plan out.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crash::child::carries_out_its_plan", "--ignored", "--nocapture", "--test-threads=1"])
            .env(PLAN, serde_json::to_string(self).unwrap())
            .stdout(Stdio::piped());
        command
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Child {
        self.command().spawn().unwrap()
    }
}

/// Not a test: what [`Plan::command`] runs.
#[test]
#[ignore = "it is started by the crash suites"]
fn carries_out_its_plan() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let plan: Plan = serde_json::from_str(&plan).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let reports = Arc::new(File::options().append(true).create(true).open(&plan.reports).unwrap());
        report(&reports, "\n");
        for session in 0..plan.sessions {
            let store = Arc::new(Store::open(plan.options()).await.unwrap());
            write_session(&plan, session, &store, &reports).await;
            if session + 1 == plan.sessions {
                // Nothing is closed: the disk must hold what it holds now.
                std::process::exit(0);
            }
            store.close().await;
        }
    });
}

fn report(reports: &File, line: &str) {
    // One call, so that a line is either reported or not. A parent that is gone needs no report.
    let _ = (&*reports).write_all(line.as_bytes());
}

async fn write_session(plan: &Plan, session: u32, store: &Arc<Store>, reports: &Arc<File>) {
    let left = Arc::new(AtomicU32::new(plan.events));
    let refused = Arc::new(AtomicBool::new(false));
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut producers = Vec::new();
    for producer in 0..PRODUCERS {
        let (store, reports, left) = (Arc::clone(store), Arc::clone(reports), Arc::clone(&left));
        let (refused, ledger) = (Arc::clone(&refused), Arc::clone(&ledger));
        let (bodies, first) = (plan.bodies, (plan.run + session) << RUN_BITS);
        producers.push(task::spawn(async move {
            let mut number = first;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let large = match bodies {
                    Bodies::Small => false,
                    Bodies::Mixed => (number + u32::from(producer)).is_multiple_of(10),
                    Bodies::Large => true,
                };
                let event = Event { producer, number, body_bytes: if large { LARGE } else { SMALL } };
                number += 1;
                match store.commit(event.batch()).await {
                    Ok(committed) => {
                        let position = committed.positions[0].0;
                        let acknowledged = Acknowledged { event, version: committed.version.0, position };
                        report(&reports, &acknowledged.to_line());
                        ledger.lock().unwrap().acknowledge(acknowledged);
                    }
                    Err(error) => {
                        refused.store(true, Ordering::Relaxed);
                        report(&reports, &format!("refused {} {error}\n", family(&error)));
                        break;
                    }
                }
            }
        }));
    }
    for producer in producers {
        producer.await.unwrap();
    }
    if refused.load(Ordering::Relaxed) {
        let ledger = Arc::into_inner(ledger).unwrap().into_inner().unwrap();
        after_a_refusal(store, ledger, reports).await;
    }
}

fn family(error: &Error) -> &'static str {
    match error {
        Error::Full { .. } => "full",
        Error::Fatal { .. } => "fatal",
        _ => "other",
    }
}

/// Tries once more, reads everything, and reports how that went and what the store says of its health.
async fn after_a_refusal(store: &Store, mut ledger: Ledger, reports: &File) {
    let last = ledger.write_one_more(store, 1).await;
    report(reports, &format!("again {}\n", last.map_or_else(|error| error, |()| "written".to_owned())));
    report(reports, &format!("health {:?}\n", store.health()));
    let reads = ledger.check_reads(store).await;
    report(reports, &format!("reads {}\n", reads.map_or_else(|error| error, |()| "whole".to_owned())));
}
