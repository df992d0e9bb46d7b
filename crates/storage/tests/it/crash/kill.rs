//! SIGKILL at random moments, again and again on one growing store. It proves nothing about fsync (the page cache
//! survives the process); that is what [`super::power`] is for.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use base::{Clock, Random, task};
use storage::Store;
use tokio::sync::mpsc;

use super::child::{Files, Plan};
use super::ledger::{Acknowledged, Checked, Ledger};
use super::{from_environment, random};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_loses_nothing_when_killed() {
    loses_nothing_when_killed(Files::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_loses_nothing_when_killed() {
    loses_nothing_when_killed(Files::Sled).await;
}

async fn loses_nothing_when_killed(engine: Files) {
    let rounds = u32::try_from(from_environment("HOLDFAST_KILL_ROUNDS", 6)).unwrap();
    let random = random("kill");
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::endless(engine, &folder.path().join("data"));
    let mut ledger = Ledger::default();
    let mut checked = Checked::default();
    for round in 0..rounds {
        plan.run = round;
        for acknowledged in write_and_kill(&plan, &random).await {
            ledger.acknowledge(acknowledged);
        }
        let store = Store::open(plan.options()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        checked = ledger.check(&store).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        ledger.write_one_more(&store, round).await.unwrap();
        store.close().await;
    }
    let Checked { acknowledged, events, rows } = checked;
    assert!(acknowledged > 20 * rounds as usize, "hardly anything was written: {acknowledged}");
    println!("{engine:?}: {rounds} kills, {acknowledged} acknowledged of {events} events in {rows} rows, all whole");
}

/// Runs the plan, kills it at a random moment, and returns what was acknowledged.
async fn write_and_kill(plan: &Plan, random: &Random) -> Vec<Acknowledged> {
    let clock = Clock::system();
    let mut child = plan.start();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, mut acknowledged) = mpsc::unbounded_channel();
    let reading = task::blocking(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some(acknowledged) = Acknowledged::from_line(&line) {
                let _ = sender.send(acknowledged);
            }
        }
    });
    let mut seen = Vec::new();
    if random.chance(1, 8) {
        // While it starts, recovers what the last kill left, or has just begun.
        clock.sleep(Duration::from_millis(random.below(120))).await;
    } else {
        seen.extend(acknowledged.recv().await);
        clock.sleep(Duration::from_micros(random.below(400_000))).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reading.await.unwrap();
    while let Ok(acknowledged) = acknowledged.try_recv() {
        seen.push(acknowledged);
    }
    seen
}
