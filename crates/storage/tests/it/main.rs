//! The suites of the storage crate that use it from outside.

mod bad_input;
mod blobs;
mod conformance;
mod crash;
mod fixture;
mod readers;
mod simulation;
mod upkeep;
