//! Whether the server can do its work: one state, set by who notices (the storage), read by `/health`.

pub(crate) mod endpoint;

use tokio::sync::watch;

/// What the server can do at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Everything.
    #[default]
    Ok,
    /// Answer what it knows, but take nothing new: the disk is full, or the database read-only.
    ReadOnly,
    /// Nothing: the storage is gone. A load balancer should send nobody here.
    Failed,
}

/// Sets the health.
#[derive(Debug)]
pub struct HealthReporter(watch::Sender<Health>);

/// Follows the health. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HealthWatch(watch::Receiver<Health>);

/// A reporter, and the handle that follows it; [`Health::Ok`] at first.
pub fn channel() -> (HealthReporter, HealthWatch) {
    let (sender, receiver) = watch::channel(Health::Ok);
    (HealthReporter(sender), HealthWatch(receiver))
}

impl HealthReporter {
    /// Says what the server can do from now on.
    pub fn report(&self, health: Health) {
        let before = self.0.send_replace(health);
        if before != health {
            tracing::warn!(?before, now = ?health, "the server's health changed");
        }
    }
}

impl HealthWatch {
    /// What the server can do at the moment.
    pub fn current(&self) -> Health {
        *self.0.borrow()
    }
}
