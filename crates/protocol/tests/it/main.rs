//! Everything of the crate that is tested from outside, in one binary to spare the linker.

mod hex;
mod post_quantum;
mod script;
mod vectors;
mod wycheproof;
