//! Crashes: the process killed, the power cut, the log damaged, the disk full or failing. `docs/crash-tests.md` says how
//! to run the long versions, what is modelled and where the model is generous.
//!
//! [`workload`] is what is written, [`child`] the process that writes, [`ledger`] what must be there afterwards.

mod child;
mod damage;
mod disk;
mod failing;
mod kill;
mod ledger;
mod power;
mod recording;
mod workload;

/// A number from the environment: how long a suite runs.
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The seed of a suite's random choices, printed so that a failure can be looked at again.
fn random(suite: &str) -> base::Random {
    let seed = from_environment("HOLDFAST_CRASH_SEED", base::Random::system().next_u64());
    println!("{suite}: HOLDFAST_CRASH_SEED={seed}");
    base::Random::seeded(seed)
}
