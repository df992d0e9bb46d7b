//! Starting work: tasks on the runtime, blocking work beside it, and the few threads of our own.
//!
//! Must not be bypassed: a task started elsewhere has no name in a panic's report and escapes the simulator.

use std::future::Future;
use std::io;
use std::thread::JoinHandle as ThreadHandle;

use tokio::task::JoinHandle;

/// Starts `future` as a task of the current runtime. The task goes on when the handle is dropped.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// Runs `work`, which may block, on a thread kept for that. Bounded by the runtime's limit on such threads.
#[expect(clippy::disallowed_methods, reason = "the one place that blocks")]
pub fn blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    tokio::task::spawn_blocking(work)
}

/// Starts a thread of our own, for work that blocks for the life of the server (a group-commit writer).
///
/// # Errors
/// When the operating system has no thread to give.
pub fn thread<F>(name: &str, work: F) -> io::Result<ThreadHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}
