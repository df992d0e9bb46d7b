//! The command's end of the control socket.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Reply, Request, path};

/// Why asking a running server failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It does not listen, or went away.
    #[error("the process that has {data_dir} open cannot be asked: {source}")]
    Away {
        /// The data directory.
        data_dir: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It tried, and failed.
    #[error("{0}")]
    Failed(String),
}

/// Asks the server that has `data_dir` open, and shows how far it has come.
///
/// # Errors
/// When no server answers, or it failed.
pub(crate) async fn ask<T: DeserializeOwned>(
    data_dir: &Path,
    request: &Request,
    show: &dyn Fn(&str, Option<u64>),
    advance: &dyn Fn(u64),
) -> Result<T, AskError> {
    let away = |source| AskError::Away { data_dir: data_dir.display().to_string(), source };
    let mut stream = UnixStream::connect(path(data_dir)).await.map_err(away)?;
    let mut line = serde_json::to_vec(request).map_err(|error| away(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(away)?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.map_err(away)? {
        match serde_json::from_str(&line).map_err(|error| away(error.into()))? {
            Reply::Step { what, total } => show(&what, total),
            Reply::Advance(units) => advance(units),
            Reply::Done(value) => return serde_json::from_value(value).map_err(|error| away(error.into())),
            Reply::Failed(reason) => return Err(AskError::Failed(reason)),
        }
    }
    Err(away(io::ErrorKind::UnexpectedEof.into()))
}
