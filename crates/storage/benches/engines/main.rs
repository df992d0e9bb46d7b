//! How fast the engines are through our layers, and how fast they are raw, side by side in one run: `docs/crash-tests.md`
//! describes the workload and `cargo bench -p storage` runs it. Nothing is asserted: machines differ, and the figures
//! that count are the ratios.
//!
//! Each measurement is a process of its own, so that memory and processor time are its own too, and measurements that
//! are compared take turns. Set by the environment:
//!
//! ```text
//! HOLDFAST_BENCH_ENGINES    embedded,sled
//! HOLDFAST_BENCH_SECONDS    of each writing (2)
//! HOLDFAST_BENCH_ROUNDS     of each figure, the best of which counts (3)
//! HOLDFAST_BENCH_EVENTS     in the store that is read (20000); half and five times as many are compared
//! HOLDFAST_BENCH_PARTS      write,read,scale
//! HOLDFAST_BENCH_POSTGRES   the URL of an empty database: measured as well
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a figure that cannot be taken stops the benchmark"
)]

mod measure;
mod ours;
mod raw;
mod run;
#[path = "../../tests/it/crash/workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use run::Run;

/// The figures of one measurement, by name.
type Figures = BTreeMap<String, f64>;

fn main() {
    if let Ok(run) = std::env::var(run::VARIABLE) {
        return run::carry_out(&serde_json::from_str(&run).unwrap());
    }
    let settings = Settings::from_environment();
    for engine in &settings.engines {
        if settings.part("write") {
            settings.writing(engine);
        }
        if settings.part("read") {
            settings.reading(engine);
        }
        if settings.part("scale") {
            settings.scale(engine);
        }
    }
}

struct Settings {
    engines: Vec<String>,
    seconds: f64,
    rounds: u32,
    events: u32,
    parts: String,
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(format!("HOLDFAST_BENCH_{name}")).unwrap_or_else(|_| default.to_owned())
}

impl Settings {
    fn from_environment() -> Self {
        let mut engines: Vec<String> = variable("ENGINES", "embedded,sled").split(',').map(str::to_owned).collect();
        if !variable("POSTGRES", "").is_empty() {
            engines.push("postgres".to_owned());
        }
        Self {
            engines,
            seconds: variable("SECONDS", "2").parse().unwrap(),
            rounds: variable("ROUNDS", "3").parse().unwrap(),
            events: variable("EVENTS", "20000").parse().unwrap(),
            parts: variable("PARTS", "write,read,scale"),
        }
    }

    fn part(&self, name: &str) -> bool {
        self.parts.split(',').any(|part| part == name)
    }

    fn run(&self, engine: &str, through: &str) -> Run {
        Run {
            engine: engine.to_owned(),
            through: through.to_owned(),
            producers: 64,
            seconds: self.seconds,
            events: 0,
            read: false,
            memtable_bytes: None,
        }
    }

    /// Durable batches a second.
    fn writing(&self, engine: &str) {
        for producers in [1, 8, 64, 256] {
            let run = |through| Run { producers, ..self.run(engine, through) };
            self.compare(&format!("{engine}, {producers} producers"), engine, run);
        }
    }

    /// Reads from a store of a fixed size, and how large that is.
    fn reading(&self, engine: &str) {
        let run = |through| Run { events: self.events, read: true, ..self.run(engine, through) };
        self.compare(&format!("{engine}, a store of {} events", self.events), engine, run);
    }

    /// Takes the same figures raw and through our layers in turns and prints both.
    fn compare(&self, title: &str, engine: &str, run: impl Fn(&'static str) -> Run) {
        let (mut raw, mut ours) = (Figures::new(), Figures::new());
        for _ in 0..self.rounds {
            // There is no raw form of a server that others wrote: it is measured through our layers alone.
            if engine != "postgres" {
                keep_best(&mut raw, take(&run("raw")));
            }
            keep_best(&mut ours, take(&run("ours")));
        }
        print_table(title, ["raw", "ours", "ours/raw"], &raw, &ours);
    }

    /// The same figures on a small store and on one of ten times its size, both larger than the memtable and smaller than
    /// the cache: it is the growth of an engine's tables that is asked about, not the step from one to the other.
    fn scale(&self, engine: &str) {
        let (mut small, mut large) = (Figures::new(), Figures::new());
        for _ in 0..self.rounds.min(2) {
            let run = |events| Run { events, read: true, memtable_bytes: Some(4 << 20), ..self.run(engine, "ours") };
            keep_best(&mut small, take(&run(self.events / 2)));
            keep_best(&mut large, take(&run(self.events * 5)));
        }
        print_table(&format!("{engine}, ours, 1× and 10× the rows"), ["1×", "10×", "10×/1×"], &small, &large);
    }
}

fn take(run: &Run) -> Figures {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = command.env(run::VARIABLE, serde_json::to_string(run).unwrap()).stdout(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{run:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether a smaller figure is the better one.
fn is_cost(name: &str) -> bool {
    name.contains("µs") || name.contains("bytes") || name.contains("MB")
}

/// Another process on the machine only ever makes a figure worse, so the best of several is nearest to the truth.
fn keep_best(best: &mut Figures, taken: Figures) {
    for (name, figure) in taken {
        let cost = is_cost(&name);
        let kept = best.entry(name).or_insert(figure);
        *kept = if cost { kept.min(figure) } else { kept.max(figure) };
    }
}

fn print_table(title: &str, heads: [&str; 3], one: &Figures, other: &Figures) {
    println!("\n{title:<44}{:>12}{:>12}{:>10}", heads[0], heads[1], heads[2]);
    for (name, right) in other {
        match one.get(name) {
            Some(left) if *left > 0.0 => println!("  {name:<42}{left:>12.1}{right:>12.1}{:>10.2}", right / left),
            _ => println!("  {name:<42}{:>12}{right:>12.1}", "–"),
        }
    }
}
