//! One group of batches as one transaction, in two round trips: the first locks what the group depends on and reads it,
//! the second writes what the group comes to and commits. Between them `Group` decides, as in every other engine.
//!
//! What is locked: this node's row in `writer` (so that nobody can ask how the commit ended before it has), the
//! partitions appended to (so that commit order is position order), the rows that must be unchanged, and, by a
//! placeholder in its place, every row that must be absent.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use base::{Clock, Partition, Position, limits};
use bytes::Bytes;
use tokio_postgres::{Client, Config, Row, Statement};

use crate::batch::{Batch, Committed, Precondition, Version};
use crate::engine::Change;
use crate::engine::group::{Group, Writes};
use crate::engine::postgres::connect::{Failure, Session, in_time, silence};
use crate::engine::postgres::schema::position;
use crate::engine::postgres::sql::{self, Verb, row_table};
use crate::engine::value::seal;
use crate::error::Error;
use crate::key::Key;
use crate::table::{HEAD, LOG, META, TableId};

/// The version of a row that is there and was not read: it equals none that anybody knows.
const SOME_VERSION: Version = Version(u64::MAX);

/// What a transaction is to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Commit the batches whose preconditions hold.
    Group(Vec<Batch>),
    /// Write rows of an export.
    Import(BTreeMap<Bytes, Option<Bytes>>),
}

impl Work {
    /// Rows of an export, each key once.
    pub(crate) fn import(changes: Vec<Change>) -> Self {
        Self::Import(changes.into_iter().map(|Change { key, value }| (key.to_bytes(), value)).collect())
    }
}

/// A transaction that has ended well.
#[derive(Debug)]
pub(crate) struct Done {
    /// The answer to each batch of a group.
    pub(crate) verdicts: Vec<Result<Committed, Error>>,
    /// The heads that have moved.
    pub(crate) heads: Vec<(Partition, Position)>,
    /// Whether anything was written, and this node's number counted.
    pub(crate) wrote: bool,
}

/// A transaction that has not ended well.
#[derive(Debug)]
pub(crate) enum Undone {
    /// Nothing was written.
    NotCommitted(Failure),
    /// The connection was lost with the commit under way: `Done` is true if the node's number has been counted.
    Unresolved(Failure, Done),
    /// The node's number is not what it was left at: `None` when its row is gone.
    Miscounted(Option<u64>),
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        Self::NotCommitted(failure)
    }
}

impl From<tokio_postgres::Error> for Undone {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::NotCommitted(Failure::of(&error))
    }
}

/// What the session that commits sets. A commit is durable when it is answered, whatever the server's default. No statement
/// is stopped by the server: it would answer a commit that waits for its replica as if the replica had it.
pub(crate) const WRITER_SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 10000; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

const READ_ONLY: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool";

/// The connection that commits, with its statements.
#[derive(Debug)]
pub(crate) struct Committer {
    session: Session,
    clock: Clock,
    writer: String,
    statements: BTreeMap<(Verb, TableId), Statement>,
    lock_writer: Statement,
    count: Statement,
    lock_heads: Statement,
    move_heads: Statement,
}

/// What the first round trip found.
#[derive(Debug, Default)]
struct Found {
    xid: u64,
    heads: BTreeMap<u16, Position>,
    versions: BTreeMap<Bytes, Version>,
    claimed: BTreeSet<Bytes>,
}

/// What the first round trip has to lock.
#[derive(Debug, Default)]
struct Needs {
    partitions: BTreeSet<i32>,
    unchanged: BTreeMap<TableId, BTreeSet<Bytes>>,
    absent: BTreeMap<TableId, BTreeSet<Bytes>>,
}

impl Needs {
    fn of(work: &Work) -> Self {
        let mut needs = Self::default();
        let Work::Group(batches) = work else { return needs };
        for batch in batches {
            needs.partitions.extend(batch.appends.iter().map(|append| i32::from(append.partition.0)));
            for precondition in &batch.preconditions {
                let key = precondition.key();
                if let (HEAD, Ok(partition)) = (key.table(), key.parts::<Partition>()) {
                    needs.partitions.insert(i32::from(partition.0));
                } else if row_table(key.table()).is_some() {
                    let keys = match precondition {
                        Precondition::Absent(_) => &mut needs.absent,
                        Precondition::Unchanged(..) => &mut needs.unchanged,
                    };
                    keys.entry(key.table()).or_default().insert(key.to_bytes());
                }
            }
        }
        needs
    }
}

impl Found {
    /// The version of a row, as the preconditions of the group see it.
    fn version(&self, key: &Key, needs: &Needs) -> Option<Version> {
        if key.table() == HEAD {
            let partition = key.parts::<Partition>().ok()?;
            return self.heads.get(&partition.0).filter(|head| **head != Position::START).map(|head| Version(head.0));
        }
        let raw = key.as_bytes();
        // The rows were locked before the placeholders were put: a key in neither had a row put in between.
        let asked_absent = || needs.absent.get(&key.table()).is_some_and(|keys| keys.contains(raw));
        match self.versions.get(raw) {
            Some(version) => Some(*version),
            None => (!self.claimed.contains(raw) && asked_absent()).then_some(SOME_VERSION),
        }
    }
}

/// What the work comes to.
#[derive(Debug, Default)]
struct Outcome {
    verdicts: Vec<Result<Committed, Error>>,
    /// By table: keys and sealed values.
    puts: BTreeMap<TableId, (Vec<Bytes>, Vec<Vec<u8>>)>,
    deletes: BTreeMap<TableId, Vec<Bytes>>,
    heads: Vec<(Partition, Position)>,
}

impl Outcome {
    fn of(work: &Work, needs: &Needs, found: &Found, partitions: u16) -> Self {
        let mut outcome = Self::default();
        match work {
            Work::Group(batches) => {
                let writes = outcome.decide(batches, needs, found, partitions);
                writes.into_iter().for_each(|(key, write)| outcome.write(key, write.value));
            }
            Work::Import(rows) => rows.iter().for_each(|(key, value)| outcome.write(key.clone(), value.clone())),
        }
        // A placeholder that nothing was written over has done its work.
        if outcome.writes() {
            for key in &found.claimed {
                let table = table_of(key);
                let put = outcome.puts.get(&table).is_some_and(|(keys, _)| keys.binary_search(key).is_ok());
                if !put {
                    outcome.deletes.entry(table).or_default().push(key.clone());
                }
            }
        }
        outcome
    }

    fn decide(&mut self, batches: &[Batch], needs: &Needs, found: &Found, partitions: u16) -> Writes {
        let head = |partition| found.heads.get(&partition).copied().unwrap_or_default();
        let mut heads: Vec<Position> = (0..partitions).map(head).collect();
        let mut group = Group::new(&mut heads);
        let version = Version(found.xid);
        for batch in batches {
            self.verdicts.push(group.add(batch.clone(), version, |key| Ok(found.version(key, needs))));
        }
        group.seal(version)
    }

    /// Takes one row, in the order of the keys.
    fn write(&mut self, key: Bytes, value: Option<Bytes>) {
        match (table_of(&key), value) {
            (META, _) => {}
            (HEAD, value) => {
                let partition = Key::from_bytes(key).and_then(|key| key.parts::<Partition>().ok());
                let head = value.and_then(|value| value.first_chunk().map(|head| Position(u64::from_be_bytes(*head))));
                self.heads.extend(partition.map(|partition| (partition, head.unwrap_or_default())));
            }
            (table, Some(value)) => {
                let (keys, values) = self.puts.entry(table).or_default();
                values.push(seal(&key, &value));
                keys.push(key);
            }
            (table, None) => self.deletes.entry(table).or_default().push(key),
        }
    }

    fn writes(&self) -> bool {
        !(self.puts.is_empty() && self.deletes.is_empty() && self.heads.is_empty())
    }
}

fn table_of(key: &[u8]) -> TableId {
    TableId(key.first().copied().unwrap_or_default())
}

/// A prepared statement and what it is given.
#[derive(Debug)]
struct Call {
    statement: Statement,
    keys: Vec<Bytes>,
    /// Values and version of rows to write.
    values: Option<(Vec<Vec<u8>>, i64)>,
}

impl Call {
    async fn run(&self, client: &Client) -> Result<Vec<Row>, tokio_postgres::Error> {
        let keys: Vec<&[u8]> = self.keys.iter().map(|key| &key[..]).collect();
        match &self.values {
            None => client.query(&self.statement, &[&keys]).await,
            Some((values, version)) => client.query(&self.statement, &[&keys, values, version]).await,
        }
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + Send + 'a>>;

/// Sends all statements in their order before it waits for the first answer, and gives every answer.
async fn pipeline(mut calls: Vec<Answer<'_>>) -> Vec<Result<Vec<Row>, tokio_postgres::Error>> {
    let mut answers: Vec<_> = calls.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (call, answer) in calls.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            match call.as_mut().poll(cx) {
                Poll::Ready(ready) => *answer = Some(ready),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}

fn command<'a>(client: &'a Client, command: &'static str) -> Answer<'a> {
    Box::pin(async move { client.batch_execute(command).await.map(|()| Vec::new()) })
}

impl Committer {
    /// Connects, and reads this node's number under a lock: whatever transaction it had before has ended then. `None`
    /// when the node has no row.
    pub(crate) async fn connect(config: &Config, clock: &Clock, writer: &str) -> Result<(Self, Option<u64>), Failure> {
        let mut session = Session::connect(config, clock, None).await?;
        session.prepare(clock, WRITER_SETTINGS).await?;
        let prepared = in_time(clock, async {
            let client = &session.client;
            let read_only: bool = client.query_one(READ_ONLY, &[]).await?.try_get(0)?;
            let lock_writer = client.prepare(sql::LOCK_WRITER).await?;
            let count = client.prepare(sql::COUNT).await?;
            let lock_heads = client.prepare(sql::LOCK_HEADS).await?;
            let move_heads = client.prepare(sql::MOVE_HEADS).await?;
            Ok::<_, tokio_postgres::Error>((read_only, [lock_writer, count, lock_heads, move_heads]))
        });
        let (read_only, [lock_writer, count, lock_heads, move_heads]) = prepared.await?;
        if read_only {
            return Err(Failure::ReadOnly("the database takes no writes".to_owned()));
        }
        let statements = BTreeMap::new();
        let (clock, writer) = (clock.clone(), writer.to_owned());
        let committer = Self { session, clock, writer, statements, lock_writer, count, lock_heads, move_heads };
        let number = in_time(&committer.clock, committer.number()).await?;
        Ok((committer, number))
    }

    async fn number(&self) -> Result<Option<u64>, tokio_postgres::Error> {
        let client = &self.session.client;
        // One statement, one transaction: the lock goes as soon as it is had.
        let row = client.query_opt(&self.lock_writer, &[&self.writer]).await?;
        row.map(|row| row.try_get(0).map(number_of)).transpose()
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// The server's process that serves this connection.
    pub(crate) fn process(&self) -> i32 {
        self.session.process
    }

    /// Does `work` as the commit after `number`, in a store of `partitions` partitions.
    pub(crate) async fn transact(&mut self, work: &Work, number: u64, partitions: u16) -> Result<Done, Undone> {
        let needs = Needs::of(work);
        let locks = self.locks(&needs).await?;
        let (counted, found) = match in_time(&self.clock, self.lock(&locks, &needs)).await {
            Ok(found) => found,
            Err(failure) => return self.roll_back(Undone::NotCommitted(failure)).await,
        };
        if counted != Some(number) {
            return self.roll_back(Undone::Miscounted(counted)).await;
        }
        let outcome = Outcome::of(work, &needs, &found, partitions);
        if !outcome.writes() {
            // The answers hold even if the connection ends here: there was nothing to write.
            let _ = in_time(&self.clock, self.session.client.batch_execute("ROLLBACK")).await;
            return Ok(Done { verdicts: outcome.verdicts, heads: Vec::new(), wrote: false });
        }
        let (verdicts, heads) = (outcome.verdicts, outcome.heads);
        let calls = match self.writes(outcome.puts, outcome.deletes, &found, work).await {
            Ok(calls) => calls,
            Err(failure) => return self.roll_back(Undone::NotCommitted(failure)).await,
        };
        let done = Done { verdicts, heads, wrote: true };
        self.write(&calls, number, done).await
    }

    /// The statements of the first round trip.
    async fn locks(&mut self, needs: &Needs) -> Result<Vec<(Verb, Call)>, Failure> {
        let mut calls = Vec::new();
        // All locks before all placeholders: see `Found::version`.
        let locked = needs.unchanged.iter().map(|(table, keys)| (Verb::Lock, *table, keys));
        let claimed = needs.absent.iter().map(|(table, keys)| (Verb::Claim, *table, keys));
        for (verb, table, keys) in locked.chain(claimed) {
            let statement = self.statement(verb, table).await?;
            calls.push((verb, Call { statement, keys: keys.iter().cloned().collect(), values: None }));
        }
        Ok(calls)
    }

    /// The first round trip: begins the transaction, takes the locks and reads what they guard.
    async fn lock(&self, locks: &[(Verb, Call)], needs: &Needs) -> Result<(Option<u64>, Found), tokio_postgres::Error> {
        let client = &self.session.client;
        let partitions: Vec<i32> = needs.partitions.iter().copied().collect();
        let mut calls = vec![command(client, "BEGIN ISOLATION LEVEL READ COMMITTED")];
        calls.push(Box::pin(async { client.query(&self.lock_writer, &[&self.writer]).await }));
        calls.push(Box::pin(async { client.query(&self.lock_heads, &[&partitions]).await }));
        calls.extend(locks.iter().map(|(_, call)| -> Answer<'_> { Box::pin(call.run(client)) }));
        let mut answers = pipeline(calls).await.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Ok(Vec::new()));
        next()?;
        let mut found = Found::default();
        let mut counted = None;
        for row in next()? {
            counted = Some(number_of(row.try_get(0)?));
            found.xid = number_of(row.try_get(1)?);
        }
        for row in next()? {
            let partition: i32 = row.try_get(0)?;
            found.heads.insert(u16::try_from(partition).unwrap_or(u16::MAX), position(row.try_get(1)?));
        }
        for (verb, _) in locks {
            for row in next()? {
                let key = Bytes::copy_from_slice(row.try_get(0)?);
                if *verb == Verb::Claim {
                    found.claimed.insert(key);
                } else {
                    found.versions.insert(key, Version(number_of(row.try_get(1)?)));
                }
            }
        }
        Ok((counted, found))
    }

    /// The statements that write rows.
    async fn writes(
        &mut self,
        puts: BTreeMap<TableId, (Vec<Bytes>, Vec<Vec<u8>>)>,
        deletes: BTreeMap<TableId, Vec<Bytes>>,
        found: &Found,
        work: &Work,
    ) -> Result<Vec<Call>, Failure> {
        let version = i64::try_from(found.xid).unwrap_or(i64::MAX);
        let mut calls = Vec::new();
        for (table, keys) in deletes {
            let statement = self.statement(Verb::Delete, table).await?;
            calls.push(Call { statement, keys, values: None });
        }
        for (table, (keys, values)) in puts {
            // A position is given once: that its row is there already would be damage, and is refused.
            let new = table == LOG && matches!(work, Work::Group(_));
            let statement = self.statement(if new { Verb::Insert } else { Verb::Put }, table).await?;
            calls.push(Call { statement, keys, values: Some((values, version)) });
        }
        Ok(calls)
    }

    /// The second round trip: writes and commits.
    async fn write(&self, writes: &[Call], number: u64, done: Done) -> Result<Done, Undone> {
        let client = &self.session.client;
        let partitions: Vec<i32> = done.heads.iter().map(|(partition, _)| i32::from(partition.0)).collect();
        let heads: Vec<i64> = done.heads.iter().map(|(_, head)| i64::try_from(head.0).unwrap_or(i64::MAX)).collect();
        let next = i64::try_from(number + 1).unwrap_or(i64::MAX);
        let mut calls: Vec<Answer<'_>> = Vec::with_capacity(writes.len() + 4);
        calls.extend(writes.iter().map(|call| -> Answer<'_> { Box::pin(call.run(client)) }));
        if !heads.is_empty() {
            calls.push(Box::pin(async { client.query(&self.move_heads, &[&partitions, &heads]).await }));
            calls.push(command(client, sql::NOTIFY));
        }
        calls.push(Box::pin(async { client.query(&self.count, &[&self.writer, &next]).await }));
        calls.push(command(client, "COMMIT"));
        let Some(mut answers) = self.clock.timeout(limits::POSTGRES_ANSWER, pipeline(calls)).await else {
            return Err(Undone::Unresolved(silence(), done));
        };
        let committed = answers.pop();
        for answer in answers {
            let Err(error) = answer else { continue };
            return match Failure::of(&error) {
                // The transaction was lost before the server came to COMMIT, or it was not: only the number tells.
                failure @ Failure::Away(_) => Err(Undone::Unresolved(failure, done)),
                // The server has refused a statement, so COMMIT rolled back.
                failure => Err(Undone::NotCommitted(failure)),
            };
        }
        match committed {
            Some(Ok(_)) => Ok(done),
            Some(Err(error)) => Err(Undone::Unresolved(Failure::of(&error), done)),
            None => Err(Undone::Unresolved(silence(), done)),
        }
    }

    async fn roll_back(&self, undone: Undone) -> Result<Done, Undone> {
        let silent = matches!(undone, Undone::NotCommitted(Failure::Away(_)));
        if !silent && !self.is_closed() {
            // If this fails the connection is of no more use, and the next statement finds out.
            let _ = in_time(&self.clock, self.session.client.batch_execute("ROLLBACK")).await;
        }
        Err(undone)
    }

    async fn statement(&mut self, verb: Verb, table: TableId) -> Result<Statement, Failure> {
        if let Some(statement) = self.statements.get(&(verb, table)) {
            return Ok(statement.clone());
        }
        let Some(entry) = row_table(table) else {
            return Err(Failure::Refused(format!("table {} is not in the catalogue", table.0)));
        };
        let text = sql::statement(verb, entry);
        let statement = in_time(&self.clock, self.session.client.prepare(&text)).await?;
        self.statements.insert((verb, table), statement.clone());
        Ok(statement)
    }
}

fn number_of(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
