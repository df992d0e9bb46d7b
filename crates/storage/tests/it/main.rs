//! The suites of the storage crate that use it from outside.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that cannot go on should say so")]

mod bad_input;
mod blobs;
mod conformance;
mod crash;
mod fixture;
mod postgres;
mod readers;
mod simulation;
mod upkeep;
