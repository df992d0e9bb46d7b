//! Ingesting in a store: the checks on receipt, and convergence.

pub(crate) mod bombs;
mod checks;
mod convergence;
mod world;
