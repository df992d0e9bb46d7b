//! What each fuzz target does with its input. `fuzz_targets/` calls these under libFuzzer, `tests/it/replay.rs` calls them
//! with every file of `corpus/`, so that a plain `cargo test` walks the same paths.
//!
//! A body may refuse its input, and must not panic. Where an input is taken, it checks what must then hold.

pub(crate) mod bundles;
pub(crate) mod ratchets;

/// A target's name, which is that of its corpus, and its body.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub(crate) const TARGETS: &[&[Target]] = &[ratchets::TARGETS, bundles::TARGETS];

/// Each target is a program that calls one body; to the compiler the others are in use here.
const _: &[&[Target]] = TARGETS;
