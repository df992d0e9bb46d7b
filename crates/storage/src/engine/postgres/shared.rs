//! What the writer and the listener tell the rest of the process: how far each partition has come, and whether writes
//! are taken.

use std::sync::atomic::AtomicI32;
use std::sync::{Arc, OnceLock};

use base::{Partition, Position};
use tokio::sync::watch;

use crate::engine::Health;

/// Held by the writer and the listener; watches end when both are gone.
#[derive(Debug)]
pub(crate) struct Shared {
    heads: Vec<watch::Sender<Position>>,
    health: watch::Sender<Health>,
    failed: OnceLock<String>,
    /// The server's process of the writer's connection.
    pub(crate) writer_process: Arc<AtomicI32>,
}

impl Shared {
    /// Starts at `heads`; and the ends to watch.
    pub(crate) fn new(heads: &[Position]) -> (Self, Vec<watch::Receiver<Position>>, watch::Receiver<Health>) {
        let (senders, receivers) = heads.iter().map(|head| watch::channel(*head)).unzip();
        let (health, health_receiver) = watch::channel(Health::Serving);
        let (failed, writer_process) = (OnceLock::new(), Arc::default());
        (Self { heads: senders, health, failed, writer_process }, receivers, health_receiver)
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> u16 {
        u16::try_from(self.heads.len()).unwrap_or(u16::MAX)
    }

    /// The heads as announced.
    pub(crate) fn heads(&self) -> Vec<Position> {
        self.heads.iter().map(|head| *head.borrow()).collect()
    }

    /// Announces the head of one partition. Heads only grow: an older answer that comes late changes nothing.
    pub(crate) fn announce(&self, partition: Partition, head: Position) {
        if let Some(sender) = self.heads.get(usize::from(partition.0)) {
            sender.send_if_modified(|known| {
                let grows = head > *known;
                *known = head.max(*known);
                grows
            });
        }
    }

    /// Writes are taken.
    pub(crate) fn serving(&self) {
        self.change(Health::Serving);
    }

    /// Writes are not taken for now.
    pub(crate) fn read_only(&self, reason: &str) {
        self.change(Health::ReadOnly { reason: reason.to_owned() });
    }

    /// Writes are not taken before a restart.
    pub(crate) fn fail(&self, reason: String) {
        if self.failed.set(reason.clone()).is_ok() {
            tracing::error!(reason, "nothing more is written until a restart");
            self.health.send_replace(Health::Failed { reason });
        }
    }

    /// Why nothing may be written any more.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    fn change(&self, health: Health) {
        self.health.send_if_modified(|current| {
            let changes = *current != health && !matches!(current, Health::Failed { .. });
            if changes {
                if std::mem::discriminant(current) != std::mem::discriminant(&health) {
                    tracing::warn!(?health, "the store's health changed");
                }
                *current = health;
            }
            changes
        });
    }
}
