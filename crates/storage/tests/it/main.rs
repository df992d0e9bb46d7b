//! The suites of the storage crate that use it from outside.

mod bad_input;
mod conformance;
mod fixture;
mod postgres;
