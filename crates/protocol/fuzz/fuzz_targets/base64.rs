//! Lets libFuzzer drive the body `base64`, which plain tests replay over its corpus.
#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::ratchets::base64(data));
