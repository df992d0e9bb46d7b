//! Whether the server can do its work, as the store sees it; `/health` answers with it.

pub(crate) mod endpoint;

use storage::Store;
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

/// Follows the health. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HealthWatch(watch::Receiver<storage::Health>);

impl HealthWatch {
    /// The health of a server on `store`.
    pub fn of(store: &Store) -> Self {
        Self::following(store.engine().health())
    }

    /// The health of a server whose store tells its own over `store`.
    pub fn following(store: watch::Receiver<storage::Health>) -> Self {
        Self(store)
    }

    /// What the server can do at the moment.
    pub fn current(&self) -> Health {
        match *self.0.borrow() {
            storage::Health::Serving => Health::Ok,
            storage::Health::ReadOnly { .. } => Health::ReadOnly,
            storage::Health::Failed { .. } => Health::Failed,
        }
    }

    /// Waits until the storage has failed for good, and says why.
    pub async fn failed(&mut self) -> String {
        loop {
            if let storage::Health::Failed { reason } = &*self.0.borrow_and_update() {
                return reason.clone();
            }
            if self.0.changed().await.is_err() {
                // The store is gone, and with it whatever could fail.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::errors::health_status;

    #[test]
    fn the_health_is_that_of_the_store() {
        let reason = || "a reason for operators".to_owned();
        for (health, status, said) in [
            (storage::Health::Serving, 200, "\"ok\""),
            (storage::Health::ReadOnly { reason: reason() }, 200, "\"read_only\""),
            (storage::Health::Failed { reason: reason() }, 503, "\"failed\""),
        ] {
            let (_store, watch) = watch::channel(health);
            let health = HealthWatch::following(watch).current();
            assert_eq!(health_status(health).as_u16(), status);
            assert_eq!(serde_json::to_string(&health).unwrap(), said);
        }
    }
}
