//! The group-commit writer of the engines that live in this process: it merges the batches that wait, writes them with
//! one durable flush, and only then acknowledges any of them. There is one per store, and only it writes.
//!
//! It checks preconditions against the engine and the batches before in the same group, numbers the commits, seals each
//! value with its checksum, and keeps the high-water mark. Any failure to write or to fsync poisons it: what a disk does
//! after a failed fsync is not known, so nothing is retried and nothing more is written.

use std::fs::File;
use std::sync::Arc;

use base::{Position, limits};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::batch::{Batch, Committed, Version};
use crate::disk::FreeSpace;
use crate::engine::chain::Chain;
use crate::engine::group::{Group, Write, Writes};
use crate::engine::local::{COMMIT_ROW, Kv, WriteFailure, stored_version};
use crate::engine::spool::SpoolWriter;
use crate::engine::value::Sealer;
use crate::engine::{Change, Health};
use crate::error::Error;
use crate::high_water::HighWater;
use crate::key::Key;
use crate::table::{HEAD, META};

/// A batch that waits for its group.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Result<Committed, Error>>,
    /// The batch's share of the queue's bytes, given back when it is answered.
    _share: OwnedSemaphorePermit,
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Commit(Waiting),
    Import(Vec<Change>, oneshot::Sender<Result<(), Error>>),
    /// Copy every later write into the spool.
    StartSpool(SpoolWriter, oneshot::Sender<Result<(), Error>>),
    /// Give the spool back: all commits acknowledged before this are in it, none after.
    EndSpool(oneshot::Sender<Result<File, Error>>),
    Close(oneshot::Sender<()>),
}

/// The bounded way to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Command>,
    bytes: Arc<Semaphore>,
}

impl Queue {
    /// A queue and its end for the writer.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(limits::WAITING_BATCHES);
        (Self { sender, bytes: Arc::new(Semaphore::new(limits::WAITING_BYTES)) }, receiver)
    }

    /// Checks `batch` for a store of so many partitions, queues it, and waits until it is durable or refused.
    pub(crate) async fn commit(&self, batch: Batch, partitions: u16) -> Result<Committed, Error> {
        batch.check(partitions)?;
        if batch.is_empty() {
            return Ok(Committed { version: Version(0), positions: Vec::new() });
        }
        let share = u32::try_from(batch.bytes()).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.bytes).acquire_many_owned(share).await.map_err(|_| Error::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.send(Command::Commit(Waiting { batch, answer, _share: share })).await?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Sends `command` and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer)).await?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Lets the writer finish what waits, and stop.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.send(Command::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.sender.send(command).await.map_err(|_| Error::Closed)
    }
}

/// Takes from the queue what makes one group with `first`, and the command that ended it, if one did.
pub(crate) fn drain(first: Waiting, queue: &mut mpsc::Receiver<Command>) -> (Vec<Waiting>, Option<Command>) {
    let mut bytes = first.batch.bytes();
    let mut group = vec![first];
    while bytes < limits::GROUP_BYTES && group.len() < limits::GROUP_BATCHES {
        match queue.try_recv() {
            Ok(Command::Commit(waiting)) => {
                bytes += waiting.batch.bytes();
                group.push(waiting);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// The writer and what it alone changes.
pub(crate) struct GroupWriter<K> {
    pub(crate) kv: Arc<K>,
    pub(crate) number: u64,
    pub(crate) chain: Chain,
    pub(crate) heads: Vec<Position>,
    pub(crate) high_water: Box<dyn HighWater>,
    pub(crate) space: FreeSpace,
    pub(crate) head_senders: Vec<watch::Sender<Position>>,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) spool: Option<SpoolWriter>,
}

impl<K: Kv> GroupWriter<K> {
    /// Serves the queue on a thread of its own until the store closes or every handle is gone.
    #[cfg(any(feature = "embedded", feature = "sled"))]
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            if let Some(closed) = self.serve(command, &mut queue) {
                return self.finish(&mut queue, closed);
            }
        }
    }

    /// Serves one command and what it drains; the answer to a close when that was among it.
    pub(crate) fn serve(
        &mut self,
        command: Command,
        queue: &mut mpsc::Receiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let mut next = Some(command);
        while let Some(command) = next.take() {
            match command {
                Command::Commit(first) => {
                    let (group, ended_by) = drain(first, queue);
                    self.commit(group);
                    next = ended_by;
                }
                Command::Import(changes, answer) => {
                    let _ = answer.send(self.import(changes));
                }
                Command::StartSpool(spool, answer) => {
                    let _ = answer.send(self.start_spool(spool));
                }
                Command::EndSpool(answer) => {
                    let _ = answer.send(self.spool.take().map_or(Err(Error::Closed), SpoolWriter::finish));
                }
                Command::Close(closed) => return Some(closed),
            }
        }
        None
    }

    /// Refuses what still waits, gives the engine back and says so.
    pub(crate) fn finish(self, queue: &mut mpsc::Receiver<Command>, closed: oneshot::Sender<()>) {
        queue.close();
        while let Ok(command) = queue.try_recv() {
            // Dropping an answer's sender tells the waiting side that the store is closed.
            drop(command);
        }
        drop(self);
        let _ = closed.send(());
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        if let Err(refusal) = self.may_write() {
            for waiting in group {
                let _ = waiting.answer.send(Err(refusal.error()));
            }
            return;
        }
        let before = self.number;
        let kv = Arc::clone(&self.kv);
        let mut merged = Group::new(&mut self.heads);
        let mut verdicts = Vec::with_capacity(group.len());
        for waiting in group {
            let version = Version(self.number + 1);
            let verdict = merged.add(waiting.batch, version, |key| stored_version(&*kv, key));
            self.number += u64::from(verdict.is_ok());
            verdicts.push((waiting.answer, verdict));
        }
        let writes = merged.seal(Version(self.number));
        if writes.is_empty() {
            self.number = before;
        } else if let Err(failure) = self.write(writes) {
            for (answer, _) in verdicts {
                let _ = answer.send(Err(fatal(&failure)));
            }
            return;
        }
        // First the heads, so that whoever has an answer finds them moved.
        self.announce();
        for (answer, verdict) in verdicts {
            // An error here means that the caller went away; the batch is durable all the same.
            let _ = answer.send(verdict);
        }
    }

    fn start_spool(&mut self, spool: SpoolWriter) -> Result<(), Error> {
        if self.spool.as_ref().is_some_and(SpoolWriter::is_wanted) {
            return Err(Error::Unavailable { reason: "another backup is running".to_owned() });
        }
        self.spool = Some(spool);
        Ok(())
    }

    fn import(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        self.may_write().map_err(|refusal| refusal.error())?;
        self.number += 1;
        let version = Version(self.number);
        for Change { key, value } in &changes {
            if let (HEAD, Some(value), Ok(partition)) = (key.table(), value, key.parts::<base::Partition>()) {
                let position = value.first_chunk().map(|bytes| Position(u64::from_be_bytes(*bytes)));
                if let (Some(head), Some(position)) = (self.heads.get_mut(usize::from(partition.0)), position) {
                    *head = position;
                }
            }
        }
        let writes = changes.into_iter().map(|Change { key, value }| (key.to_bytes(), Write { version, value }));
        self.write(writes.collect()).map_err(|failure| fatal(&failure))?;
        self.announce();
        Ok(())
    }

    /// Writes a group durably, then the spool and the high-water mark.
    fn write(&mut self, mut writes: Writes) -> Result<(), String> {
        let number = Bytes::copy_from_slice(&self.number.to_be_bytes());
        let commit_row = Key::of(META, &String::from(COMMIT_ROW)).to_bytes();
        writes.insert(commit_row, Write { version: Version(self.number), value: Some(number) });
        self.chain.add(&mut writes, Version(self.number));
        let mut sealer = Sealer::default();
        let sealed = writes.iter().map(|(key, write)| {
            let value = write.value.as_ref().map(|value| sealer.seal(key, write.version, value));
            (sealer.copy(key), value)
        });
        if let Err(failure) = self.kv.write(sealed.collect()) {
            let (health, reason) = match failure {
                WriteFailure::Full(reason) => (Health::ReadOnly { reason: reason.clone() }, reason),
                WriteFailure::Fatal(reason) => (Health::Failed { reason: reason.clone() }, reason),
            };
            tracing::error!(%reason, "a write failed; nothing more is written until a restart");
            self.health.send_replace(health);
            self.space.poison(reason.clone());
            return Err(reason);
        }
        if let Some(spool) = self.spool.as_mut().filter(|spool| spool.is_wanted()) {
            spool.record(&writes);
        } else {
            self.spool = None;
        }
        self.high_water.remember(self.number);
        Ok(())
    }

    fn may_write(&mut self) -> Result<(), Refusal> {
        if let Some(reason) = self.space.poisoned() {
            return Err(Refusal::Poisoned(reason.to_owned()));
        }
        let shortage = self.space.shortage().map(|(free, reserve)| Refusal::Full { free, reserve });
        let health = match &shortage {
            None => Health::Serving,
            Some(refusal) => Health::ReadOnly { reason: refusal.error().to_string() },
        };
        self.health.send_if_modified(|current| {
            let changed = *current != health;
            if changed && std::mem::discriminant(current) != std::mem::discriminant(&health) {
                tracing::warn!(?health, "the store's health changed");
            }
            current.clone_from(&health);
            changed
        });
        shortage.map_or(Ok(()), Err)
    }

    fn announce(&self) {
        for (head, sender) in self.heads.iter().zip(&self.head_senders) {
            sender.send_if_modified(|current| std::mem::replace(current, *head) != *head);
        }
    }
}

/// Why a whole group is refused before it is looked at.
enum Refusal {
    Full { free: u64, reserve: u64 },
    Poisoned(String),
}

impl Refusal {
    fn error(&self) -> Error {
        match self {
            Self::Full { free, reserve } => Error::Full { free: *free, reserve: *reserve },
            Self::Poisoned(reason) => fatal(reason),
        }
    }
}

fn fatal(reason: &str) -> Error {
    Error::Fatal { reason: reason.to_owned() }
}
