//! The control socket: how `holdfast storage …` and `holdfast rooms …` ask a running server, which alone may use its data directory.
//!
//! It is a socket in the data directory, open to whoever may read the directory and so the data. One request a connection,
//! a line of JSON; the answer is lines of JSON: how far it has come, and at last the outcome. Work ends with its connection.

mod client;
pub(crate) mod quarantine;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use client::{AskError, ask};
pub(crate) use server::{ControlSocket, Served};

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Verify the store.
    Check,
    /// Measure the store.
    Stat,
    /// Look after events set aside.
    Quarantine(quarantine::QuarantineRequest),
    /// Write a backup into a folder.
    Backup {
        /// The folder, absolute: the server's working directory is another.
        to: PathBuf,
    },
}

/// One line of the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// A step begins.
    Step { what: String, total: Option<u64> },
    /// So many units more are done.
    Advance(u64),
    /// It is done, with this outcome.
    Done(serde_json::Value),
    /// It failed.
    Failed(String),
}

/// Longest request, in bytes: a path and a few words.
const REQUEST_BYTES: u64 = 64 * 1024;

/// Where the socket lies.
fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}
