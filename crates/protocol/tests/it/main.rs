//! Everything of the crate that is tested from outside, in one binary to spare the linker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod backup;
mod bundles;
mod debug;
mod docs;
mod hex;
mod megolm;
mod olm_differential;
mod olm_properties;
mod our_formats;
mod party;
mod pickles;
mod post_quantum;
mod replay;
mod sas;
mod script;
mod vectors;
mod wycheproof;
