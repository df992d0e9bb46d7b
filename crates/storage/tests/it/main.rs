//! The suites of the storage crate that use it from outside.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod bad_input;
mod blobs;
mod conformance;
mod crash;
mod fixture;
mod readers;
mod simulation;
mod upkeep;
