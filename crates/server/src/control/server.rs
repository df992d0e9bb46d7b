//! The server's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::task;
use rooms::Rooms;
use serde::Serialize;
use storage::{Progress, Store, backup, check};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{REQUEST_BYTES, Reply, Request, path, quarantine};

/// Requests worked on at once; each reads the whole store, so more would only slow each other down.
const AT_ONCE: usize = 2;
/// Lines of progress that wait for a slow reader before some are left out.
const WAITING_LINES: usize = 64;

/// What is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) store: Arc<Store>,
    pub(crate) rooms: Arc<Rooms>,
}

/// The socket; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl ControlSocket {
    /// Listens in `data_dir`, which this process alone has open: a socket that lies there is a dead one's.
    pub(crate) fn open(data_dir: &Path, served: Served) -> io::Result<Self> {
        let path = path(data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        Ok(Self { path, accepting: task::spawn(accept(listener, served)) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, served: Served) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // A place first: further connections wait in the socket's own queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let served = served.clone();
        // In a set, so that they end with this task.
        connections.spawn(async move {
            if let Err(error) = serve(stream, &served).await {
                tracing::debug!(%error, "a control connection ended");
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: UnixStream, served: &Served) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(REQUEST_BYTES));
    let mut line = String::new();
    read.read_line(&mut line).await?;
    let (sender, mut lines) = mpsc::channel(WAITING_LINES);
    let work = async {
        let last = match serde_json::from_str(&line) {
            Ok(request) => answer(served, request, &Relay(sender.clone())).await,
            Err(error) => Reply::Failed(format!("the request cannot be read: {error}")),
        };
        let _ = sender.send(last).await;
    };
    let relay = async {
        while let Some(reply) = lines.recv().await {
            let last = matches!(reply, Reply::Done(_) | Reply::Failed(_));
            let mut line = serde_json::to_vec(&reply)?;
            line.push(b'\n');
            write.write_all(&line).await?;
            if last {
                break;
            }
        }
        io::Result::Ok(())
    };
    tokio::select! {
        ((), relayed) = async { tokio::join!(work, relay) } => relayed,
        () = gone(read) => Ok(()),
    }
}

/// Ends when the other side goes away.
async fn gone(mut read: BufReader<tokio::io::Take<OwnedReadHalf>>) {
    let mut rest = [0; 256];
    while read.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

async fn answer(served: &Served, request: Request, progress: &Relay) -> Reply {
    let store = &served.store;
    match request {
        Request::Quarantine(request) => outcome(quarantine::answer(&served.rooms, &request).await),
        Request::Check => outcome(check::check(store, progress).await),
        Request::Stat => outcome(check::stat(store, progress).await),
        Request::Backup { to } => outcome(backup::backup(store, &to, progress).await),
    }
}

fn outcome<T: Serialize, E: ToString>(result: Result<T, E>) -> Reply {
    match result.map(serde_json::to_value) {
        Ok(Ok(value)) => Reply::Done(value),
        Ok(Err(error)) => Reply::Failed(error.to_string()),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

/// Sends progress to the other side, and drops what it is too slow for.
struct Relay(mpsc::Sender<Reply>);

impl Progress for Relay {
    fn step(&self, what: &'static str, total: Option<u64>) {
        let _ = self.0.try_send(Reply::Step { what: what.to_owned(), total });
    }

    fn advance(&self, units: u64) {
        let _ = self.0.try_send(Reply::Advance(units));
    }
}
