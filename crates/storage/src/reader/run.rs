//! The loop of one reader.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use base::backoff::{Backoff, Breaker};
use base::shutdown::Shutdown;
use base::{Position, limits};
use futures_util::FutureExt;
use tokio::sync::watch;

use crate::batch::Batch;
use crate::engine::HeadWatch;
use crate::error::Error;
use crate::lease::Lease;
use crate::log::LogEntry;
use crate::reader::in_flight::InFlight;
use crate::reader::progress::{self, Progress, Suspects};
use crate::reader::quarantine::{self, Cause, SetAside};
use crate::reader::{Activity, Begin, Handler, HandlerError, ReaderOptions, ReaderStatus, StatusWatch};
use crate::store::Store;
use crate::text;

/// A reader: run it as a task of its own.
pub struct Reader<H> {
    store: Arc<Store>,
    options: ReaderOptions,
    handler: H,
    status: watch::Sender<ReaderStatus>,
}

/// What a running reader keeps between rounds.
struct Session {
    lease: Option<Lease>,
    in_flight: InFlight,
    progress: Progress,
    /// Entries passed over since the cursor was last stored.
    unstored: u64,
    head: HeadWatch,
    replays: watch::Receiver<u64>,
    /// An operator may have asked for a replay since the last look.
    replay_due: bool,
    breaker: Breaker,
    /// Entries up to here are handed over one by one: a batch with one of them failed without naming it.
    singly_until: Position,
    /// The entry that failed last, and how often.
    failing: Option<(Position, u32)>,
}

impl<H: Handler> Reader<H> {
    /// A reader that is not running yet, and a way to watch it.
    pub fn new(store: Arc<Store>, options: ReaderOptions, handler: H) -> (Self, StatusWatch) {
        let (status, watch) = watch::channel(ReaderStatus::default());
        (Self { store, options, handler, status }, watch)
    }

    /// Reads until the end is asked for or the store is closed. Trouble with the store is waited out.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let backoff = Backoff { first: limits::READER_RETRY_FIRST, most: limits::READER_RETRY_MOST };
        let mut failures = 0;
        while !shutdown.is_started() {
            match self.session(&mut shutdown).await {
                Ok(()) | Err(Error::Closed) => break,
                Err(error) => {
                    failures += 1;
                    // A conflict is the lease's loss: nothing is wrong, somebody else reads now.
                    let activity = if error.is_conflict() { Activity::Waiting } else { Activity::BackingOff };
                    self.failed(activity, failures, error.to_string());
                    let wait = backoff.wait(failures, self.store.random());
                    tokio::select! {
                        biased;
                        () = shutdown.started() => break,
                        () = self.store.clock().sleep(wait) => {}
                    }
                }
            }
        }
        self.status.send_modify(|status| status.activity = Activity::Stopped);
    }

    /// One stretch of work under one lease.
    async fn session(&mut self, shutdown: &mut Shutdown) -> Result<(), Error> {
        let Some(lease) = self.take_lease(shutdown).await? else { return Ok(()) };
        let mut session = self.begin_session(lease).await?;
        loop {
            if session.replay_due {
                self.replay(&mut session).await?;
            }
            self.status.send_modify(|status| {
                status.cursor = session.progress.cursor;
                status.head = session.head.head();
                status.activity = match (status.lag(), session.breaker.failures()) {
                    (0, _) => Activity::Idle,
                    (_, 0) => Activity::Working,
                    _ => Activity::BackingOff,
                };
            });
            let wait = session.breaker.wait(self.store.clock().monotonic());
            let renewal = limits::LEASE_TTL / 3;
            tokio::select! {
                biased;
                () = shutdown.started() => return self.end_session(session).await,
                () = self.store.clock().sleep(wait.min(renewal)), if !wait.is_zero() => {}
                () = self.store.clock().sleep(renewal), if session.lease.is_some() => {}
                changed = session.replays.changed() => {
                    changed.map_err(|_| Error::Closed)?;
                    session.replay_due = true;
                }
                head = session.head.after(session.progress.cursor), if wait.is_zero() => {
                    let head = head?;
                    self.round(&mut session, head).await?;
                }
            }
            if let Some(lease) = &mut session.lease {
                lease.renew_if_due().await?;
            }
        }
    }

    /// The lease, if one is needed; `None` when the end was asked for meanwhile.
    async fn take_lease(&self, shutdown: &mut Shutdown) -> Result<Option<Option<Lease>>, Error> {
        let Some(holder) = &self.options.holder else { return Ok(Some(None)) };
        let name = format!("reader/{}/{}", self.options.name, self.options.partition);
        loop {
            if let Some(lease) = Lease::take(&self.store, &name, holder, limits::LEASE_TTL).await? {
                return Ok(Some(Some(lease)));
            }
            tokio::select! {
                biased;
                () = shutdown.started() => return Ok(None),
                () = self.store.clock().sleep(limits::LEASE_TTL / 3) => {}
            }
        }
    }

    async fn begin_session(&self, lease: Option<Lease>) -> Result<Session, Error> {
        let (store, options) = (&self.store, &self.options);
        let head = store.watch(options.partition)?;
        let stored = store.get_record::<Progress>(&progress::key(&options.name, options.partition)).await?;
        let progress = match (stored, options.begin) {
            (Some((progress, _)), _) => progress,
            (None, Begin::AtStart) => Progress::default(),
            (None, Begin::AtHead) => Progress { cursor: head.head(), suspects: None },
        };
        let (in_flight, crashed_with) = InFlight::open(store, &options.name, options.partition)?;
        let backoff = Backoff { first: limits::READER_RETRY_FIRST, most: limits::READER_RETRY_MOST };
        let mut session = Session {
            lease,
            in_flight,
            progress,
            unstored: 0,
            head,
            replays: store.replays(),
            replay_due: true,
            breaker: Breaker::new(1, backoff),
            singly_until: Position::START,
            failing: None,
        };
        if let Some((first, last)) = crashed_with {
            self.suspect(&mut session, first, last).await?;
        }
        Ok(session)
    }

    async fn end_session(&self, mut session: Session) -> Result<(), Error> {
        if session.unstored > 0 {
            self.store_progress(&mut session, Batch::new()).await?;
        }
        match session.lease.take() {
            Some(lease) => lease.release().await,
            None => Ok(()),
        }
    }

    /// The process died while the handler had the entries from `first` to `last`.
    async fn suspect(&self, session: &mut Session, first: Position, last: Position) -> Result<(), Error> {
        if last > session.progress.cursor {
            let before = session.progress.suspects.filter(|suspects| first == last && suspects.contains(first));
            let crashes = before.map_or(0, |suspects| suspects.crashes) + 1;
            if crashes >= limits::READER_CRASHES {
                let reason = "the process died while it was being worked on";
                self.set_aside(session, first, Cause::Crashed { times: crashes }, reason).await?;
            } else {
                session.progress.suspects = Some(Suspects { from: first, to: last, crashes });
                self.store_progress(session, Batch::new()).await?;
            }
        }
        // Only now: had we died before, the next start would have to find the same.
        session.in_flight.end()
    }

    /// Hands over the next entries up to `head`.
    async fn round(&mut self, session: &mut Session, head: Position) -> Result<(), Error> {
        let cursor = session.progress.cursor;
        let singly = session.progress.suspects.is_some() || cursor < session.singly_until;
        let limit = if singly { 1 } else { self.options.batch.min(limits::READER_BATCH_ENTRIES) };
        let entries = self.store.log_entries(self.options.partition, cursor, head, limit).await?;
        let Some(last) = entries.last().map(|entry| entry.position) else {
            return Err(Error::Read { reason: format!("the log has no entry after {cursor}, its head is {head}") });
        };
        let passed = entries.len() as u64;
        let shown: Vec<LogEntry> = entries.into_iter().filter(|entry| (self.options.filter)(entry)).collect();
        if shown.is_empty() {
            session.progress.advance(last);
            session.unstored += passed;
            // A cursor that only passed over entries is stored now and then: reading them again costs little.
            if session.unstored >= limits::READER_BATCH_ENTRIES as u64 {
                self.store_progress(session, Batch::new()).await?;
            }
            return Ok(());
        }
        match self.hand_over(session, &shown).await? {
            Outcome::Done => {
                session.progress.advance(last);
                self.store_progress(session, Batch::new()).await?;
                session.breaker.succeeded();
                session.failing = None;
                self.status.send_modify(|status| (status.failures, status.last_failure) = (0, None));
                Ok(())
            }
            Outcome::Away(reason) => {
                self.wait_after(session, reason);
                Ok(())
            }
            Outcome::Failed(position, reason) => self.entry_failed(session, position, reason).await,
            Outcome::SomeFailed(reason) => {
                // One of several: the next rounds find out which.
                session.singly_until = last;
                self.status.send_modify(|status| status.last_failure = Some(reason));
                Ok(())
            }
        }
    }

    /// Calls the handler under the journal, the deadline and a net for panics.
    async fn hand_over(&mut self, session: &Session, shown: &[LogEntry]) -> Result<Outcome, Error> {
        let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Ok(Outcome::Done) };
        let (first, last) = (first.position, last.position);
        session.in_flight.begin(first, last)?;
        let work = AssertUnwindSafe(self.handler.handle(shown)).catch_unwind();
        let outcome = self.store.clock().timeout(self.options.deadline, work).await;
        session.in_flight.end()?;
        let unnamed = |reason| if first == last { Outcome::Failed(first, reason) } else { Outcome::SomeFailed(reason) };
        Ok(match outcome {
            Some(Ok(Ok(()))) => Outcome::Done,
            Some(Ok(Err(HandlerError::Unavailable { reason }))) => Outcome::Away(reason),
            Some(Ok(Err(HandlerError::Entry { position, reason }))) if (first..=last).contains(&position) => {
                Outcome::Failed(position, reason)
            }
            Some(Ok(Err(error))) => unnamed(error.to_string()),
            Some(Err(panic)) => unnamed(panic_text(panic.as_ref())),
            None => unnamed(format!("it took longer than {} ms", self.options.deadline.as_millis())),
        })
    }

    /// The entry at `position` failed, those before it are done.
    async fn entry_failed(&self, session: &mut Session, position: Position, reason: String) -> Result<(), Error> {
        let before = Position(position.0.saturating_sub(1));
        if before > session.progress.cursor {
            session.progress.advance(before);
            self.store_progress(session, Batch::new()).await?;
        }
        let times = session.failing.filter(|(failing, _)| *failing == position).map_or(0, |(_, times)| times) + 1;
        session.failing = Some((position, times));
        if times >= limits::READER_ATTEMPTS {
            self.set_aside(session, position, Cause::Failed { times }, &reason).await?;
            session.breaker.succeeded();
            session.failing = None;
        } else {
            self.wait_after(session, reason);
        }
        Ok(())
    }

    /// Puts an entry into quarantine and moves past it, in one batch.
    async fn set_aside(
        &self,
        session: &mut Session,
        position: Position,
        cause: Cause,
        reason: &str,
    ) -> Result<(), Error> {
        let (name, partition) = (&self.options.name, self.options.partition);
        tracing::error!(reader = %name, %partition, %position, ?cause, reason, "an entry of the log is set aside");
        let mut batch = Batch::new();
        let set_aside = SetAside::new(cause, reason, self.store.clock().now());
        batch.put_record(&quarantine::key(name, partition, position), &set_aside);
        session.progress.advance(position);
        self.store_progress(session, batch).await?;
        self.status.send_modify(|status| {
            status.set_aside += 1;
            status.last_failure = Some(reason.to_owned());
        });
        Ok(())
    }

    /// Hands over again what operators asked for.
    async fn replay(&mut self, session: &mut Session) -> Result<(), Error> {
        session.replay_due = false;
        let (name, partition) = (self.options.name.clone(), self.options.partition);
        for item in quarantine::of_reader(&self.store, &name, partition).await? {
            if !item.set_aside.replay {
                continue;
            }
            let before = Position(item.position.0.saturating_sub(1));
            let entries = self.store.log_entries(partition, before, item.position, 1).await?;
            let outcome = self.hand_over(session, &entries).await?;
            let key = quarantine::key(&name, partition, item.position);
            let mut batch = Batch::new();
            session.guard(&mut batch);
            match outcome {
                Outcome::Done => batch.delete(&key),
                Outcome::Away(reason) | Outcome::Failed(_, reason) | Outcome::SomeFailed(reason) => {
                    batch.put_record(&key, &SetAside::new(item.set_aside.cause, &reason, self.store.clock().now()));
                }
            }
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Stores the cursor with `batch`, under the lease.
    async fn store_progress(&self, session: &mut Session, mut batch: Batch) -> Result<(), Error> {
        session.guard(&mut batch);
        batch.put_record(&progress::key(&self.options.name, self.options.partition), &session.progress);
        self.store.commit(batch).await?;
        session.unstored = 0;
        Ok(())
    }

    fn wait_after(&self, session: &mut Session, reason: String) {
        session.breaker.failed(self.store.clock().monotonic(), self.store.random());
        self.failed(Activity::BackingOff, session.breaker.failures(), reason);
    }

    fn failed(&self, activity: Activity, failures: u32, reason: String) {
        tracing::warn!(reader = %self.options.name, partition = %self.options.partition, failures, reason, "a reader waits");
        self.status.send_modify(|status| {
            (status.activity, status.failures, status.last_failure) = (activity, failures, Some(reason));
        });
    }
}

/// How a call of the handler ended.
enum Outcome {
    Done,
    /// Nothing was wrong with the entries.
    Away(String),
    /// This entry failed.
    Failed(Position, String),
    /// One of several entries failed; which one is not known.
    SomeFailed(String),
}

impl Session {
    fn guard(&self, batch: &mut Batch) {
        if let Some(lease) = &self.lease {
            lease.guard(batch);
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = text::panic_message(panic);
    said.map_or_else(|| "the handler panicked".to_owned(), |said| format!("the handler panicked: {said}"))
}
