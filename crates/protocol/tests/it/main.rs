//! Everything of the crate that is tested from outside, in one binary to spare the linker.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod backup;
mod hex;
mod post_quantum;
mod sas;
mod script;
mod vectors;
mod wycheproof;
