//! The `holdfast` binary as a library: command line, configuration, listeners, routes, start and stop.
//!
//! **Invariant.** Only this crate knows HTTP's server side. Handlers translate and make one call; what they would decide
//! is decided below. `http/errors.rs` is the only file that knows status codes.
//!
//! Where to go: [`cli`] for what a person may type, [`config`] for what may be set, [`run`] for start and stop,
//! `data` and `control` for the store and the commands on it, `listen` for how requests come in, [`http`] for where they go, and a folder per API for the endpoints, one a file.

mod chores;
pub mod cli;
mod client_api;
pub mod config;
mod control;
mod data;
mod federation_api;
pub mod health;
pub mod http;
mod listen;
mod logging;
pub mod preflight;
pub mod run;
mod signals;
mod synapse_api;
