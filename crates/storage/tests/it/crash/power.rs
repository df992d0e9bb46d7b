//! Power cuts: a child is recorded, and at random points of the recording disks are made as a cut would leave them. Each
//! must open and hold every event that was acknowledged before.

use std::path::Path;

use base::Random;
use storage::{OpenError, Store};

use super::child::{Bodies, Files, Plan};
use super::disk::{Disk, Unsynced};
use super::ledger::{Acknowledged, Ledger};
use super::recording::{Happened, Recorder, Recording};
use super::{from_environment, random};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_loses_nothing_when_the_power_goes() {
    loses_nothing(Files::Embedded, Bodies::Small).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_loses_no_large_values_when_the_power_goes() {
    loses_nothing(Files::Embedded, Bodies::Mixed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_loses_nothing_when_the_power_goes() {
    loses_nothing(Files::Sled, Bodies::Small).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_loses_no_large_values_when_the_power_goes() {
    loses_nothing(Files::Sled, Bodies::Mixed).await;
}

/// The suite must be able to fail: on a disk whose syncs of the log do nothing, it finds the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_about_syncing_is_found_out() {
    for engine in [Files::Embedded, Files::Sled] {
        let Some(recorder) = Recorder::new() else { return };
        let plan = plan(&recorder, engine, Bodies::Small);
        assert!(recorder.run(&plan, &[("HOLDFAST_SHIM_LIES", engine.log_suffix())]).success());
        let outcomes = cut_often(&recorder, &plan, points(), &random("lying disk")).await;
        let found = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Whole { .. })).count();
        println!("{engine:?} on a lying disk: {found} of {} cuts show a loss", outcomes.len());
        assert!(found > 0, "no loss was found: {outcomes:?}");
    }
}

/// Every step of the first start, until the first acknowledgement: nothing can be lost, but the store must open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_during_the_first_start_leaves_what_opens() {
    for engine in [Files::Embedded, Files::Sled] {
        let Some(recorder) = Recorder::new() else { return };
        let plan = Plan { events: 64, sessions: 1, ..plan(&recorder, engine, Bodies::Small) };
        assert!(recorder.run(&plan, &[]).success());
        let recording = recorder.read();
        let random = random("first start");
        let kinds: &[Unsynced] = if points() < 50 { &KINDS[..1] } else { &KINDS };
        let started = reports(&recording)[1];
        let cuts: Vec<Cut> =
            (0..=started).flat_map(|point| kinds.iter().map(move |kind| Cut { point, unsynced: *kind })).collect();
        for outcome in make_cuts(&recorder, &plan, &recording, &cuts, &random).await {
            assert!(matches!(outcome, Outcome::Whole { .. }), "{engine:?}: {outcome:?}");
        }
        println!("{engine:?}: {} power cuts during the first start", cuts.len());
    }
}

fn points() -> usize {
    usize::try_from(from_environment("HOLDFAST_POWER_POINTS", 4)).unwrap()
}

/// Two sessions, so that the files of an opened store are aged; memtables small enough to be flushed, compacted and to
/// change journals many times.
fn plan(recorder: &Recorder, engine: Files, bodies: Bodies) -> Plan {
    let (events, memtable_bytes) = match bodies {
        Bodies::Small => (1_500, 512 << 10),
        Bodies::Mixed | Bodies::Large => (500, 1 << 20),
    };
    // The long version writes past the 64 MB after which fjall begins a new journal.
    let factor = match bodies {
        _ if points() < 50 => 1,
        Bodies::Small => 4,
        Bodies::Mixed | Bodies::Large => 12,
    };
    Plan {
        reports: recorder.reports(),
        events: events * factor,
        sessions: 2,
        bodies,
        memtable_bytes,
        ..Plan::endless(engine, &recorder.data_dir())
    }
}

async fn loses_nothing(engine: Files, bodies: Bodies) {
    let Some(recorder) = Recorder::new() else { return };
    let plan = plan(&recorder, engine, bodies);
    assert!(recorder.run(&plan, &[]).success());
    assert_the_recording_is_complete(&recorder, &plan);
    let outcomes = cut_often(&recorder, &plan, points(), &random("power")).await;
    let mut held = 0;
    for outcome in &outcomes {
        match outcome {
            Outcome::Whole { acknowledged } => held += acknowledged,
            bad => panic!("{engine:?} {bodies:?}: {bad:?}"),
        }
    }
    println!("{engine:?} {bodies:?}: {} power cuts, {held} acknowledged events were there", outcomes.len());
}

/// A suite that records nothing would find nothing: what was recorded must come to the very files that are there, and
/// hold as many syncs as groups were acknowledged.
fn assert_the_recording_is_complete(recorder: &Recorder, plan: &Plan) {
    let recording = recorder.read();
    let mut disk = Disk::default();
    let mut acknowledged = 0;
    let (mut synced_since, mut groups) = (false, 0);
    for happened in &recording.happened {
        match happened {
            Happened::Sync { path } if path.ends_with(plan.engine.log_suffix()) => synced_since = true,
            Happened::Write { path, .. } if path == "reports" => {
                acknowledged += 1;
                groups += usize::from(std::mem::take(&mut synced_since));
            }
            _ => {}
        }
        disk.play(&recording);
    }
    disk.cut(&recording, Unsynced::Kept, &Random::seeded(0)).compare(&recorder.disk()).unwrap();
    assert!(acknowledged >= plan.events * plan.sessions, "{acknowledged} acknowledgements were recorded");
    assert!(groups > 5 && disk.syncs > groups && disk.renames > 0, "{groups} {} {}", disk.syncs, disk.renames);
}

#[derive(Debug)]
enum Outcome {
    Whole {
        acknowledged: usize,
    },
    /// The store says that something is missing.
    Refused {
        _at: Cut,
        _error: OpenError,
    },
    /// It opens but is not as it must be.
    Wrong {
        _at: Cut,
        _what: String,
    },
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    point: usize,
    unsynced: Unsynced,
}

const KINDS: [Unsynced; 3] = [Unsynced::Lost, Unsynced::TornPrefix, Unsynced::CoinFlips];

/// After which records acknowledgements were reported.
fn reports(recording: &Recording) -> Vec<usize> {
    let is_report = |happened: &Happened| matches!(happened, Happened::Write { path, .. } if path == "reports");
    let numbered = (1..).zip(&recording.happened);
    numbered.filter(|(_, happened)| is_report(happened)).map(|(number, _)| number).collect()
}

/// Random points: half right after an acknowledgement, one in eight during the first start.
fn choose(recording: &Recording, points: usize, random: &Random) -> Vec<Cut> {
    let reports = reports(recording);
    let below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    let mut cuts: Vec<Cut> = (0..points)
        .map(|number| {
            let point = match number % 8 {
                0 | 2 | 4 | 6 => reports[below(reports.len())],
                7 => below(reports[1]),
                _ => below(recording.happened.len()),
            };
            Cut { point, unsynced: KINDS[below(3)] }
        })
        .collect();
    cuts.sort_by_key(|cut| cut.point);
    cuts
}

async fn cut_often(recorder: &Recorder, plan: &Plan, points: usize, random: &Random) -> Vec<Outcome> {
    let recording = recorder.read();
    let cuts = choose(&recording, points, random);
    make_cuts(recorder, plan, &recording, &cuts, random).await
}

/// Makes the cuts, which are in order, and looks at what each leaves.
async fn make_cuts(
    recorder: &Recorder,
    plan: &Plan,
    recording: &Recording,
    cuts: &[Cut],
    random: &Random,
) -> Vec<Outcome> {
    let mut disk = Disk::default();
    let (mut played, mut reports, mut outcomes) = (0, Vec::new(), Vec::new());
    for &cut in cuts {
        for happened in &recording.happened[played..cut.point] {
            if let Happened::Write { path, bytes, .. } = happened
                && path == "reports"
            {
                let line = String::from_utf8_lossy(recording.bytes(bytes)).into_owned();
                reports.extend(Acknowledged::from_line(line.trim_end()));
            }
            disk.play(recording);
        }
        played = cut.point;
        let folder = tempfile::tempdir_in(recorder.scratch()).unwrap();
        let data = folder.path().join("data");
        disk.cut(recording, cut.unsynced, random).put("data", &data);
        outcomes.push(check_image(plan, &data, &reports, cut).await);
    }
    outcomes
}

async fn check_image(plan: &Plan, data: &Path, reports: &[Acknowledged], at: Cut) -> Outcome {
    let options = Plan { data_dir: data.to_owned(), ..plan.clone() }.options();
    let store = match Store::open(options).await {
        Ok(store) => store,
        Err(error) => return Outcome::Refused { _at: at, _error: error },
    };
    let mut ledger = Ledger::default();
    reports.iter().for_each(|acknowledged| ledger.acknowledge(*acknowledged));
    let checked = match ledger.check(&store).await {
        Ok(checked) => ledger.write_one_more(&store, 0).await.map(|()| checked),
        Err(what) => Err(what),
    };
    store.close().await;
    match checked {
        Ok(checked) => Outcome::Whole { acknowledged: checked.acknowledged },
        Err(what) => Outcome::Wrong { _at: at, _what: what },
    }
}
