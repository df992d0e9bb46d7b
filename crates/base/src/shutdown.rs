//! Stopping: one trigger, many waiters. Whoever holds a [`Shutdown`] learns that the end has been asked for.

use tokio::sync::watch;

/// Starts a shutdown. Dropping it starts one too, so a server whose main task died does not linger.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Learns of a shutdown. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and the handle that follows it.
pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Asks everyone to stop. Further calls change nothing.
    pub fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether the end has been asked for.
    pub fn is_started(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the end is asked for.
    pub async fn started(&mut self) {
        // An error means that the trigger is gone, which is the end as well.
        let _ = self.0.wait_for(|started| *started).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_learn_of_the_end_also_when_the_trigger_is_dropped() {
        let (trigger, mut shutdown) = channel();
        assert!(!shutdown.is_started());
        trigger.start();
        shutdown.started().await;
        assert!(shutdown.is_started());

        let (trigger, mut orphan) = channel();
        drop(trigger);
        orphan.started().await;
        assert!(orphan.is_started());
    }
}
