//! SIGTERM and SIGINT: the first asks the server to stop, the second ends it at once.

use std::io;
use std::process;

use base::shutdown::{self, Shutdown};
use base::task;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a process that was interrupted by hand exits with, by the shells' convention.
const INTERRUPTED: i32 = 130;

/// Follows the signals from now on.
///
/// # Errors
/// When the operating system does not let us.
pub(crate) fn watch() -> io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (trigger, stop) = shutdown::channel();
    task::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping; a second signal ends the server at once");
        trigger.start();
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "ended by a second signal; requests in flight were cut");
        process::exit(INTERRUPTED);
    });
    Ok(stop)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
