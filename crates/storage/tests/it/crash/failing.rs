//! A disk that becomes full, and one whose fsync fails: the store refuses, says why, goes on answering reads, and after a
//! start with a sound disk everything acknowledged is there.

use std::fs;

use base::Random;
use storage::Store;

use super::child::{Files, Plan};
use super::disk::{Disk, Unsynced};
use super::ledger::{Acknowledged, Ledger};
use super::recording::Recorder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_answers_reads() {
    for engine in [Files::Embedded, Files::Sled] {
        for room in ["9000000", "9500001"] {
            let Some(run) = run_until_refused(engine, ("HOLDFAST_SHIM_ROOM", room)) else { return };
            assert!(run.line("health").starts_with("ReadOnly"), "{engine:?}: {}", run.line("health"));
            assert!(run.line("refused").contains("No space left"), "{engine:?}: {}", run.line("refused"));
            run.assert_refused();
            // Once sled's log meets the end of the disk, sled refuses also those reads that meet a page whose split it
            // had not finished; that is why writes stop while some room is left (`Tuning::disk_reserve_bytes`).
            let reads = run.line("reads");
            let excused = engine == Files::Sled && reads.contains("No space left");
            assert!(reads == "whole" || excused, "{engine:?}: {reads}");
            check(&run.plan, &run.acknowledged).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_is_fatal_and_takes_nothing_acknowledged_with_it() {
    for engine in [Files::Embedded, Files::Sled] {
        for sync in ["71"] {
            let Some(run) = run_until_refused(engine, ("HOLDFAST_SHIM_SYNC_FAILS", sync)) else { return };
            assert!(run.line("health").starts_with("Failed"), "{engine:?}: {}", run.line("health"));
            assert!(run.line("refused").contains("Input/output error"), "{engine:?}: {}", run.line("refused"));
            run.assert_refused();
            assert_eq!(run.line("reads"), "whole", "{engine:?}");
            // A restart of the process, and one of the machine: what was not synced is gone then.
            let mut disk = Disk::default();
            let recording = run.recorder.read();
            recording.happened.iter().for_each(|_| disk.play(&recording));
            check(&run.plan, &run.acknowledged).await;
            for unsynced in [Unsynced::Lost, Unsynced::CoinFlips, Unsynced::TornPrefix] {
                let folder = tempfile::tempdir_in(run.recorder.scratch()).unwrap();
                let data = folder.path().join("data");
                disk.cut(&recording, unsynced, &Random::seeded(1)).put("data", &data);
                check(&Plan { data_dir: data, ..run.plan.clone() }, &run.acknowledged).await;
            }
        }
    }
}

/// What a child reported that wrote until its disk failed.
struct Run {
    recorder: Recorder,
    plan: Plan,
    acknowledged: Vec<Acknowledged>,
    reports: String,
}

fn run_until_refused(engine: Files, fault: (&str, &str)) -> Option<Run> {
    let recorder = Recorder::new()?;
    let plan = Plan { reports: recorder.reports(), ..Plan::endless(engine, &recorder.data_dir()) };
    assert!(recorder.run(&plan, &[fault]).success(), "{engine:?}: the child did not outlive the fault");
    let reports = fs::read_to_string(recorder.reports()).unwrap();
    let acknowledged: Vec<Acknowledged> = reports.lines().filter_map(Acknowledged::from_line).collect();
    assert!(acknowledged.len() > 100, "{engine:?}: it failed before it wrote");
    Some(Run { recorder, plan, acknowledged, reports })
}

impl Run {
    /// The last line that begins with `word`.
    fn line(&self, word: &str) -> &str {
        let mut lines = self.reports.lines().rev();
        lines.find_map(|line| line.strip_prefix(word)).unwrap_or_default().trim_start()
    }

    fn assert_refused(&self) {
        let refused = self.reports.find("refused").unwrap();
        let after = self.reports[refused..].lines().filter_map(Acknowledged::from_line).count();
        // Members of the last good group may report after members of the refused one, never anything later.
        let groups: Vec<u64> = self.acknowledged.iter().map(|acknowledged| acknowledged.position).collect();
        assert!(after < 64 && groups.len() as u64 == *groups.iter().max().unwrap(), "{after} acknowledged after it");
        assert!(self.line("again").contains("nothing more is written until a restart"), "{}", self.line("again"));
    }
}

async fn check(plan: &Plan, acknowledged: &[Acknowledged]) {
    let store = Store::open(plan.options()).await.unwrap_or_else(|error| panic!("{plan:?}: {error}"));
    let mut ledger = Ledger::default();
    acknowledged.iter().for_each(|acknowledged| ledger.acknowledge(*acknowledged));
    ledger.check(&store).await.unwrap_or_else(|error| panic!("{plan:?}: {error}"));
    ledger.write_one_more(&store, 2).await.unwrap_or_else(|error| panic!("{plan:?}: {error}"));
    store.close().await;
}
