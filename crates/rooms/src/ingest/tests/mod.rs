//! Ingesting in a store: the checks, gaps, joins, partial states, convergence, crashes and poison.

pub(crate) mod bombs;
mod checks;
mod convergence;
mod crash;
mod gaps;
mod join;
mod poison;
mod world;
