//! The log: lines on standard error, filtered by `HOLDFAST_LOG` (`info`, or `info,server=debug`). No message content,
//! tokens or keys are ever in it.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log with the filter in `wanted`.
///
/// # Errors
/// What is wrong with the filter.
pub(crate) fn start(wanted: Option<&str>) -> Result<(), String> {
    let filter = match wanted {
        Some(text) => text.parse::<Targets>().map_err(|error| {
            format!("the log filter {text:?} in the environment variable HOLDFAST_LOG is wrong: {error}; an example is `info,server=debug`")
        })?,
        // It tells of every rule that an event passes.
        None => Targets::new().with_default(LevelFilter::INFO).with_target("ruma_state_res", LevelFilter::WARN),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // A second start (in tests of one process) keeps the first log.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}
