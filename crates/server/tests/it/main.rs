//! The real `holdfast` binary, from outside: what it prints, answers and leaves behind. One binary for all of it, to
//! spare the linker.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod architecture;
mod certificates;
mod configuration;
mod documentation;
mod harness;
mod js_sdk;
mod listeners;
mod rooms;
mod stop;
mod storage;
