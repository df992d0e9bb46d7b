//! Hears of other nodes' commits. A notification only says "look"; what is true is read from the database, and read
//! again every `poll` in case none came. Commits of this process are announced by its writer.

use std::sync::Arc;

use base::backoff::Backoff;
use base::{Clock, Partition, Position, Random, limits};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Config;

use crate::engine::postgres::connect::{Failure, Notifier, Session, in_time};
use crate::engine::postgres::schema::position;
use crate::engine::postgres::shared::Shared;
use crate::engine::postgres::sql;

const BACKOFF: Backoff = Backoff { first: limits::POSTGRES_RETRY_FIRST, most: limits::POSTGRES_RETRY_MOST };

/// The listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) poll: Duration,
    pub(crate) shared: Arc<Shared>,
}

impl Listener {
    /// Listens until the other end of `stop` is gone, over as many connections as it takes.
    pub(crate) async fn run(self, mut stop: oneshot::Receiver<()>) {
        let mut failures = 0;
        loop {
            let failure = tokio::select! {
                _ = &mut stop => return,
                failure = self.listen(&mut failures) => failure,
            };
            tracing::debug!(reason = failure.reason(), "listening to the database ended");
            failures += 1;
            tokio::select! {
                _ = &mut stop => return,
                () = self.clock.sleep(BACKOFF.wait(failures, &self.random)) => {}
            }
        }
    }

    /// Listens on one connection until it ends.
    async fn listen(&self, failures: &mut u32) -> Failure {
        match self.follow(failures).await {
            Ok(()) => Failure::Away("the connection ended".to_owned()),
            Err(failure) => failure,
        }
    }

    async fn follow(&self, failures: &mut u32) -> Result<(), Failure> {
        let (wake, mut woken) = mpsc::channel(1);
        let notifier = Notifier { wake, own: Arc::clone(&self.shared.writer_process) };
        let mut session = Session::connect(&self.config, &self.clock, Some(notifier)).await?;
        session.prepare(&self.clock, sql::LISTEN).await?;
        let heads = in_time(&self.clock, session.client.prepare(sql::HEADS)).await?;
        *failures = 0;
        loop {
            let known = self.shared.heads();
            let rows = in_time(&self.clock, session.client.query(&heads, &[])).await?;
            let found: Result<Vec<Position>, _> = rows.iter().map(|row| row.try_get(1).map(position)).collect();
            self.observe(&known, &found?);
            tokio::select! {
                wake = woken.recv() => if wake.is_none() { return Ok(()) },
                () = self.clock.sleep(self.poll) => {}
            }
        }
    }

    /// Announces what was found. `known` was announced, so committed, before it was asked for: less is a loss.
    fn observe(&self, known: &[Position], found: &[Position]) {
        for (partition, (known, found)) in (0..).map(Partition).zip(known.iter().zip(found)) {
            if found < known {
                return self.shared.fail(format!(
                    "acknowledged data is missing: partition {partition} of the log ended at {known} and ends at {found} now. \
                     The database was restored from a backup, or a replica took over that had not received everything"
                ));
            }
            self.shared.announce(partition, *found);
        }
    }
}
