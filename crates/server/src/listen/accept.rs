//! The accept loop, and the gate that counts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::shutdown::Shutdown;
use base::{Clock, limits, task};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bind::Listener;
use super::connection::Connection;
use super::descriptors;
use crate::http::App;

/// Lets in as many connections as the process can hold, and knows when the last has left.
#[derive(Clone)]
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    total: usize,
}

impl Gate {
    /// A gate as wide as the process's descriptors allow.
    pub(crate) fn new() -> Self {
        Self::with_slots(descriptors::connections())
    }

    pub(super) fn with_slots(total: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(total)), total }
    }

    /// Waits until no connection is left, at most for `patience`; how many there still are. Who waits must have stopped
    /// accepting.
    pub(crate) async fn emptied(&self, clock: &Clock, patience: Duration) -> usize {
        let all = u32::try_from(self.total).unwrap_or(u32::MAX);
        // An error means that the gate is closed, and it never is.
        let _ = clock.timeout(patience, self.slots.acquire_many(all)).await;
        self.total - self.slots.available_permits()
    }

    /// A place for one connection; it is free again when the permit is dropped.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }
}

/// What the connections of all listeners share.
#[derive(Clone)]
pub(crate) struct Serving {
    /// Where requests go.
    pub(crate) app: App,
    /// Who counts connections.
    pub(crate) gate: Gate,
    /// The clock of all timeouts.
    pub(crate) clock: Clock,
    /// Asks for a graceful end: nothing new is accepted, what is in flight is finished.
    pub(crate) stop: Shutdown,
    /// Asks for the end of what is still in flight.
    pub(crate) cut: Shutdown,
}

impl Listener {
    /// Accepts connections until `serving.stop`. Past the gate's limit, new ones wait in the operating system's queue.
    pub(crate) async fn accept(self, serving: Serving) {
        let mut stop = serving.stop.clone();
        loop {
            let next = async {
                let slot = serving.gate.enter().await?;
                Some((slot, self.socket.accept().await))
            };
            let accepted = tokio::select! {
                biased;
                () = stop.started() => return,
                accepted = next => accepted,
            };
            match accepted {
                Some((slot, Ok((stream, peer)))) => self.start(&serving, slot, stream, peer),
                Some((_, Err(error))) => {
                    tracing::warn!(%error, listener = %self, "cannot accept a connection");
                    serving.clock.sleep(limits::ACCEPT_PAUSE).await;
                }
                None => return,
            }
        }
    }

    fn start(&self, serving: &Serving, slot: OwnedSemaphorePermit, stream: TcpStream, peer: SocketAddr) {
        let connection = Connection { serving: serving.clone(), tls: self.tls.clone(), peer };
        task::spawn(async move {
            connection.run(stream).await;
            drop(slot);
        });
    }
}
