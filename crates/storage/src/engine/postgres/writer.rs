//! The group-commit writer: one task and one connection per process. It retries what another node's transaction or a
//! restart of the server undid, finds out how a commit ended whose answer was lost, and never guesses.
//!
//! A node's row in `holdfast.writer` counts its commits. Each transaction locks it first and counts it last, so that the
//! next connection reads there, once the old transaction has ended, whether it was committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::backoff::Backoff;
use base::clock::Monotonic;
use base::{Clock, Partition, Random, limits};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Config;

use crate::batch::{Batch, Op};
use crate::engine::Change;
use crate::engine::postgres::commit::{Committer, Done, Undone, Work};
use crate::engine::postgres::connect::Failure;
use crate::engine::postgres::shared::Shared;
use crate::engine::writer::{Command, Waiting, drain};
use crate::error::Error;
use crate::high_water::{HighWater, HighWaterFile};
use crate::key::Key;
use crate::table::{HEAD, LOG};

const BACKOFF: Backoff = Backoff { first: limits::POSTGRES_RETRY_FIRST, most: limits::POSTGRES_RETRY_MOST };

/// Why a piece of work was given up.
#[derive(Debug)]
enum GaveUp {
    Collided,
    Unavailable(String),
    Unknown(String, Done),
    Fatal(String),
}

/// Why one attempt at it did not work.
#[derive(Debug)]
enum Trouble {
    Failure(Failure),
    Fatal(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The writer and what it alone changes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) poll: Duration,
    pub(crate) patience: Duration,
    /// This node's name in `holdfast.writer`.
    pub(crate) id: String,
    /// How many commits of this node the database has, as far as is known.
    pub(crate) number: u64,
    pub(crate) high_water: HighWaterFile,
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
}

/// The writer's connection, or the lack of it.
#[derive(Debug)]
pub(crate) struct Connection {
    committer: Option<Committer>,
    /// A commit was sent whose end is not known: the database has `number` commits or one more.
    pending: bool,
    /// The database has been away for longer than anybody should wait: batches are refused at once.
    given_up: Option<String>,
    /// Attempts in a row that did not connect.
    failures: u32,
    /// When to see to the connection again.
    look_at: Monotonic,
}

impl Connection {
    /// None yet.
    pub(crate) fn new(now: Monotonic) -> Self {
        Self { committer: None, pending: false, given_up: None, failures: 0, look_at: now }
    }
}

impl Writer {
    /// Serves the queue until the store closes or every handle is gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        loop {
            let wait = self.connection.look_at.since(self.clock.monotonic());
            if wait.is_zero() {
                self.look_after().await;
                continue;
            }
            let command = tokio::select! {
                biased;
                command = queue.recv() => command,
                () = self.clock.sleep(wait) => continue,
            };
            match command {
                None => return,
                Some(command) => {
                    if let Some(closed) = self.serve(command, &mut queue).await {
                        return self.finish(&mut queue, closed);
                    }
                }
            }
        }
    }

    /// Serves one command and what it drains; the answer to a close when that was among it.
    async fn serve(&mut self, command: Command, queue: &mut mpsc::Receiver<Command>) -> Option<oneshot::Sender<()>> {
        let mut next = Some(command);
        while let Some(command) = next.take() {
            match command {
                Command::Commit(first) => {
                    let (group, ended_by) = drain(first, queue);
                    self.commit(group).await;
                    next = ended_by;
                }
                Command::Import(changes, answer) => {
                    let _ = answer.send(self.import(changes).await);
                }
                // Exports of this engine read a snapshot and need no spool.
                Command::StartSpool(_, answer) => {
                    let _ = answer.send(Ok(()));
                }
                Command::EndSpool(answer) => {
                    let _ = answer.send(Err(Error::Closed));
                }
                Command::Close(closed) => return Some(closed),
            }
        }
        None
    }

    /// Refuses what still waits, lets the connection go and says so.
    fn finish(self, queue: &mut mpsc::Receiver<Command>, closed: oneshot::Sender<()>) {
        queue.close();
        while let Ok(command) = queue.try_recv() {
            // Dropping an answer's sender tells the waiting side that the store is closed.
            drop(command);
        }
        drop(self);
        let _ = closed.send(());
    }

    async fn commit(&mut self, mut group: Vec<Waiting>) {
        let batches = group.iter_mut().map(|waiting| std::mem::take(&mut waiting.batch)).collect();
        let work = Work::Group(batches);
        let ended = self.transact(&work).await;
        let Work::Group(batches) = &work else { return };
        let mut verdicts: Vec<Result<_, Error>> = match ended {
            Ok(done) => done.verdicts,
            // A batch that was refused is refused, however the others ended.
            Err(GaveUp::Unknown(reason, done)) => done
                .verdicts
                .into_iter()
                .map(|verdict| verdict.and_then(|_| Err(Error::Unknown { reason: reason.clone() })))
                .collect(),
            Err(gave_up) => batches.iter().map(|batch| Err(gave_up.error(batch))).collect(),
        };
        for (waiting, verdict) in group.into_iter().zip(verdicts.drain(..)) {
            // An error here means that the caller went away; what was committed stays committed.
            let _ = waiting.answer.send(verdict);
        }
    }

    async fn import(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        let partitions = self.shared.partitions();
        let heads = changes.iter().filter(|change| change.key.table() == HEAD);
        for partition in heads.filter_map(|change| change.key.parts::<Partition>().ok()) {
            if partition.0 >= partitions {
                return Err(Error::NoSuchPartition { partition, partitions });
            }
        }
        match self.transact(&Work::import(changes)).await {
            Ok(_) => Ok(()),
            Err(gave_up) => Err(gave_up.error(&Batch::new())),
        }
    }

    /// Does `work`, however often it takes within reason.
    async fn transact(&mut self, work: &Work) -> Result<Done, GaveUp> {
        if let Some(reason) = &self.connection.given_up {
            return Err(GaveUp::Unavailable(reason.clone()));
        }
        let deadline = self.clock.monotonic().after(self.patience);
        let (mut collisions, mut unresolved) = (0, None);
        loop {
            if let Some(reason) = self.shared.failed() {
                return Err(GaveUp::Fatal(reason.to_owned()));
            }
            let wait = match self.attempt(work, &mut unresolved).await {
                Ok(done) => {
                    self.acknowledge(&done);
                    return Ok(done);
                }
                Err(Trouble::Fatal(reason)) => {
                    self.shared.fail(reason.clone());
                    return Err(GaveUp::Fatal(reason));
                }
                Err(Trouble::Failure(Failure::Collided(_))) => {
                    collisions += 1;
                    if collisions >= limits::POSTGRES_COLLISIONS {
                        return Err(GaveUp::Collided);
                    }
                    BACKOFF.wait(collisions, &self.random)
                }
                Err(Trouble::Failure(Failure::Refused(reason))) if unresolved.is_none() => {
                    tracing::error!(reason, "the database refused a group commit");
                    return Err(GaveUp::Unavailable(reason));
                }
                Err(Trouble::Failure(failure)) => {
                    let patient = unresolved.is_some() || !matches!(failure, Failure::ReadOnly(_));
                    if !patient || self.clock.monotonic() >= deadline {
                        return Err(self.give_up(failure.reason(), unresolved));
                    }
                    BACKOFF.wait(self.connection.failures, &self.random)
                }
            };
            self.clock.sleep(wait).await;
        }
    }

    /// Attempts `work` once. `unresolved` holds what an attempt came to whose answer was lost.
    async fn attempt(&mut self, work: &Work, unresolved: &mut Option<Done>) -> Result<Done, Trouble> {
        let live = self.connection.committer.take().filter(|committer| !committer.is_closed());
        let mut committer = match live {
            Some(committer) => committer,
            None => {
                let before = self.number;
                let committer = self.connect().await?;
                let counted = self.number > before;
                if let (true, Some(done)) = (counted, unresolved.take()) {
                    self.connection.committer = Some(committer);
                    return Ok(done);
                }
                committer
            }
        };
        match committer.transact(work, self.number, self.shared.partitions()).await {
            Ok(done) => {
                self.number += u64::from(done.wrote);
                self.connection.committer = Some(committer);
                Ok(done)
            }
            Err(Undone::NotCommitted(failure)) => {
                // A read-only server is left as well: the next connection may reach the one that takes writes.
                if matches!(failure, Failure::Collided(_) | Failure::Refused(_)) {
                    self.connection.committer = Some(committer);
                } else {
                    self.connection.failures += 1;
                }
                Err(failure.into())
            }
            Err(Undone::Unresolved(failure, done)) => {
                tracing::warn!(reason = failure.reason(), "the answer to a commit was lost; asking how it ended");
                self.connection.pending = true;
                self.connection.failures += 1;
                *unresolved = Some(done);
                Err(Failure::Away(failure.reason().to_owned()).into())
            }
            Err(Undone::Miscounted(found)) => Err(Trouble::Fatal(self.miscounted(found))),
        }
    }

    /// Connects, and finds out how many commits of this node the database has.
    async fn connect(&mut self) -> Result<Committer, Trouble> {
        let connected = Committer::connect(&self.config, &self.clock, &self.id).await;
        let (committer, found) = match connected {
            Ok(connected) => connected,
            Err(failure) => {
                self.connection.failures = self.connection.failures.saturating_add(1);
                self.shared.read_only(failure.reason());
                return Err(failure.into());
            }
        };
        let expected = self.number..=self.number + u64::from(self.connection.pending);
        match found.filter(|found| expected.contains(found)) {
            Some(found) => self.number = found,
            None => return Err(Trouble::Fatal(self.miscounted(found))),
        }
        self.shared.writer_process.store(committer.process(), Ordering::Relaxed);
        self.shared.serving();
        self.connection.pending = false;
        self.connection.failures = 0;
        self.connection.given_up = None;
        Ok(committer)
    }

    /// Sees to a connection that ended while nothing was written, so that health tells and the next batch finds one.
    async fn look_after(&mut self) {
        let live = self.connection.committer.as_ref().is_some_and(|committer| !committer.is_closed());
        let mut wait = self.poll;
        if !live && self.shared.failed().is_none() {
            self.connection.committer = None;
            // Batches wait meanwhile, so a server that says nothing is not given the time that a commit would give it.
            let clock = self.clock.clone();
            match clock.timeout(limits::POSTGRES_CONNECT, self.connect()).await {
                Some(Ok(committer)) => self.connection.committer = Some(committer),
                Some(Err(Trouble::Fatal(reason))) => self.shared.fail(reason),
                Some(Err(Trouble::Failure(_))) => wait = BACKOFF.wait(self.connection.failures, &self.random),
                None => {
                    self.connection.failures = self.connection.failures.saturating_add(1);
                    self.shared.read_only("the database says nothing");
                    wait = BACKOFF.wait(self.connection.failures, &self.random);
                }
            }
        }
        self.connection.look_at = self.clock.monotonic().after(wait);
    }

    /// What was committed is announced before anybody has an answer, so that whoever has one finds the heads moved.
    fn acknowledge(&mut self, done: &Done) {
        if done.wrote {
            self.high_water.remember(self.number);
        }
        for (partition, head) in &done.heads {
            self.shared.announce(*partition, *head);
        }
    }

    fn give_up(&mut self, reason: &str, unresolved: Option<Done>) -> GaveUp {
        self.shared.read_only(reason);
        self.connection.given_up = Some(reason.to_owned());
        match unresolved {
            Some(done) => GaveUp::Unknown(reason.to_owned(), done),
            None => GaveUp::Unavailable(reason.to_owned()),
        }
    }

    fn miscounted(&self, found: Option<u64>) -> String {
        let number = self.number;
        match found {
            Some(found) if found > number => format!(
                "the database has {found} commits of this node, which made {number}: another process writes as this node. \
                 Was its data directory copied? Stop one of them and give it an empty data directory"
            ),
            found => {
                let found = found.unwrap_or_default();
                format!(
                    "acknowledged data is missing: the database has {found} commits of this node, {number} were \
                     acknowledged. It was restored from a backup, or a replica took over that had not received them"
                )
            }
        }
    }
}

impl GaveUp {
    /// What it means for one batch.
    fn error(&self, batch: &Batch) -> Error {
        match self {
            Self::Collided => Error::Conflict { key: first_key(batch) },
            Self::Unavailable(reason) => Error::Unavailable { reason: reason.clone() },
            Self::Unknown(reason, _) => Error::Unknown { reason: reason.clone() },
            Self::Fatal(reason) => Error::Fatal { reason: reason.clone() },
        }
    }
}

/// A key that the batch depends on, for an error that has to name one.
fn first_key(batch: &Batch) -> Key {
    let required = batch.preconditions.first().map(|precondition| precondition.key().clone());
    let written = || match batch.ops.first()? {
        Op::Put { key, .. } => Key::from_bytes(key.clone().fill(&[])),
        Op::Delete { key } => Some(key.clone()),
    };
    let partition = batch.appends.first().map(|append| append.partition).unwrap_or_default();
    required.or_else(written).unwrap_or_else(|| Key::of(LOG, &partition))
}
