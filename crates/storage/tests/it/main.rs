//! The suites of the storage crate that use it from outside.

mod bad_input;
mod blobs;
mod conformance;
mod fixture;
mod postgres;
mod readers;
mod simulation;
mod upkeep;
