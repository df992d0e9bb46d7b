//! How far a long piece of upkeep has come, for whoever wants to show it.

/// Shows progress. Called often and from within the work: it must be quick.
pub trait Progress: Send + Sync {
    /// A new step begins, of `total` units if that is known.
    fn step(&self, what: &'static str, total: Option<u64>);

    /// `units` more are done.
    fn advance(&self, units: u64);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: &'static str, _: Option<u64>) {}

    fn advance(&self, _: u64) {}
}
