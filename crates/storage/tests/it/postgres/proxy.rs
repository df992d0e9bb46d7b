//! A way to the server that can be cut at the worst moment.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use base::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What happens at the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Never = 0,
    /// It reaches the server, and its answer is lost.
    Answer = 1,
    /// It does not reach the server.
    Commit = 2,
}

/// The proxy. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: Arc<AtomicU8>,
    /// Whether anything comes through; changes end all connections.
    open: Arc<watch::Sender<bool>>,
    close_after_cut: Arc<Mutex<bool>>,
}

impl Proxy {
    /// A proxy to the server whose socket lies in `folder`.
    pub(crate) async fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            cut: Arc::default(),
            open: Arc::new(watch::Sender::new(true)),
            close_after_cut: Arc::default(),
        };
        let this = proxy.clone();
        task::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *this.open.borrow() {
                    let server = UnixStream::connect(folder.join(".s.PGSQL.5432")).await.unwrap();
                    task::spawn(this.clone().carry(client, server));
                }
            }
        });
        proxy
    }

    /// Cuts at the next COMMIT, once.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Cuts at the next COMMIT and lets nothing through after it.
    pub(crate) fn cut_and_close(&self, cut: Cut) {
        *self.close_after_cut.lock().unwrap() = true;
        self.cut(cut);
    }

    /// Ends all connections, and lets new ones through or not.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    async fn carry(self, client: TcpStream, server: UnixStream) {
        let mut open = self.open.subscribe();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let requests = async {
            let (mut buffer, mut tail) = (vec![0; 1 << 16], Vec::new());
            loop {
                let length = from_client.read(&mut buffer).await.unwrap_or(0);
                if length == 0 {
                    return None;
                }
                tail.extend_from_slice(&buffer[..length]);
                let commits = tail.windows(7).any(|window| window == b"COMMIT\0");
                tail.drain(..tail.len().saturating_sub(6));
                let cut = if commits { self.cut.swap(0, Ordering::SeqCst) } else { 0 };
                if cut == Cut::Commit as u8 {
                    return Some(Cut::Commit);
                }
                to_server.write_all(&buffer[..length]).await.ok()?;
                if cut == Cut::Answer as u8 {
                    return Some(Cut::Answer);
                }
            }
        };
        let answers = async { tokio::io::copy(&mut from_server, &mut to_client).await };
        let cut = tokio::select! {
            biased;
            cut = requests => cut,
            _ = answers => None,
            _ = open.changed() => None,
        };
        if cut.is_some() && *self.close_after_cut.lock().unwrap() {
            self.set_open(false);
        }
        if cut == Some(Cut::Answer) {
            // The client sees the connection end while the server still works on the commit.
            drop((from_client, to_client));
            let mut answer = [0; 1 << 10];
            while from_server.read(&mut answer).await.is_ok_and(|length| length > 0 && !ends_commit(&answer[..length]))
            {
            }
        }
    }
}

fn ends_commit(answer: &[u8]) -> bool {
    answer.windows(7).any(|window| window == b"COMMIT\0" || window == b"ROLLBAC")
}
