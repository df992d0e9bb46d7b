//! PostgreSQL, for more than one node: each key space is a table, a group of batches is one transaction, and the
//! database's row locks put the nodes in order. `spec/decisions/0004-postgres-commit.md` has the reasons.
//!
//! Must not: trust a notification, a clock or another node; guess how a commit ended; build a statement from data.
//!
//! Where to go: [`mod@schema`] for the tables, [`mod@writer`] for who commits and what happens when the server goes away,
//! [`mod@commit`] for the transaction itself, [`mod@read`], [`mod@watch`] and [`mod@export`] for the rest.

mod commit;
mod connect;
mod export;
mod read;
mod schema;
mod shared;
mod sql;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::{Clock, Partition, Position, Secret, limits, task};
use tokio::sync::{oneshot, watch as channel};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use crate::batch::{Batch, Committed};
use crate::directory::Directory;
use crate::engine::postgres::connect::{Failure, Session, Unreachable};
use crate::engine::postgres::export::Snapshot;
use crate::engine::postgres::read::{Ask, Readers};
use crate::engine::postgres::schema::Making;
use crate::engine::postgres::shared::Shared;
use crate::engine::postgres::watch::Listener;
use crate::engine::postgres::writer::{Connection, Writer};
use crate::engine::writer::{Command, Queue};
use crate::engine::{Change, Direction, Engine, EngineStat, Export, HeadWatch, Health, Page, Stored, Verified};
use crate::error::{Error, OpenError};
use crate::high_water::HighWater;
use crate::key::{Key, KeyRange};
use crate::options::{OnLoss, StoreOptions};

/// A store in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    config: Config,
    clock: Clock,
    queue: Queue,
    readers: Readers,
    heads: Vec<channel::Receiver<Position>>,
    health: channel::Receiver<Health>,
    server_version: String,
}

/// Opens the store in the database at `url`, or makes it there.
pub(crate) async fn open(
    url: &Secret<String>,
    directory: &Directory,
    options: &StoreOptions,
) -> Result<Postgres, OpenError> {
    let config = connect::parse(url)?;
    let clock = options.clock.clone();
    let mut session = first_session(&config, &clock, options.tuning.patience).await?;
    schema::check_version(&session.server_version)?;
    session.prepare(&clock, commit::WRITER_SETTINGS).await.map_err(|failure| OpenError::Database {
        what: format!("setting up a session failed: {}", failure.reason()),
        advice: "the database server's log says more".to_owned(),
    })?;
    schema::check_settings(&session.client).await?;
    let id = directory.marker().id.clone();
    let making = Making { partitions: options.partitions, id: id.clone() };
    schema::ensure(&mut session.client, &making).await?;
    let (mut high_water, acknowledged) = directory.high_water(options.on_loss)?;
    let number = enrol(&session, &id, acknowledged, options.on_loss).await?;
    // Twice, because the mark has two slots and a lower number must not lose against the one it replaces.
    high_water.remember(number);
    high_water.remember(number);
    let heads = schema::read_heads(&session.client).await?;
    let readers = Readers::new(&config, &clock)?;
    let (shared, heads, health) = Shared::new(&heads);
    let shared = Arc::new(shared);
    let (queue, commands) = Queue::new();
    let (random, poll) = (options.random.clone(), options.tuning.poll.max(Duration::from_millis(1)));
    let connection = Connection::new(clock.monotonic());
    let (writer_clock, writer_config) = (clock.clone(), config.clone());
    let writer = Writer {
        config: writer_config,
        clock: writer_clock,
        random: random.clone(),
        poll,
        patience: options.tuning.patience,
        id,
        number,
        high_water,
        shared: Arc::clone(&shared),
        connection,
    };
    let listener = Listener { config: config.clone(), clock: clock.clone(), random, poll, shared };
    let (stop, stopped) = oneshot::channel();
    task::spawn(listener.run(stopped));
    task::spawn(async move {
        writer.run(commands).await;
        drop(stop);
    });
    let server_version = session.server_version.clone();
    Ok(Postgres { config, clock, queue, readers, heads, health, server_version })
}

/// The first connection. A server that is just starting is waited for; anything else is the operator's to see at once.
async fn first_session(config: &Config, clock: &Clock, patience: Duration) -> Result<Session, OpenError> {
    let deadline = clock.monotonic().after(patience);
    loop {
        let error = match Session::connect(config, clock, None).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let starting = matches!(&error, Unreachable::Said(said) if said.code() == Some(&SqlState::CANNOT_CONNECT_NOW));
        if !starting || clock.monotonic() >= deadline {
            return Err(schema::explain_unreachable(&error));
        }
        clock.sleep(limits::POSTGRES_RETRY_FIRST).await;
    }
}

/// Finds this node's row, makes it if it is new, and checks it against the high-water mark. Waits for whatever
/// transaction the node's last process left behind.
async fn enrol(session: &Session, id: &str, acknowledged: u64, on_loss: OnLoss) -> Result<u64, OpenError> {
    let client = &session.client;
    let failed = |error| schema::explain("writing to the database", &error);
    let read = async || {
        let row = client.query_opt(sql::LOCK_WRITER, &[&id]).await?;
        row.map(|row| row.try_get::<_, i64>(0)).transpose()
    };
    let found = u64::try_from(read().await.map_err(failed)?.unwrap_or_default()).unwrap_or_default();
    if acknowledged > found && on_loss == OnLoss::Refuse {
        return Err(OpenError::LostAcknowledged { acknowledged, found });
    }
    if acknowledged > found {
        tracing::warn!(acknowledged, found, "going on without commits that were acknowledged");
    }
    let number = found.max(acknowledged);
    let enrol = "INSERT INTO holdfast.writer (id, commit_number) VALUES ($1, $2) \
                 ON CONFLICT (id) DO UPDATE SET commit_number = excluded.commit_number";
    client.execute(enrol, &[&id, &i64::try_from(number).unwrap_or(i64::MAX)]).await.map_err(failed)?;
    Ok(number)
}

impl Postgres {
    /// Runs one statement that writes, on a connection of its own.
    async fn execute(&self, statement: &str) -> Result<(), Error> {
        let mut session =
            Session::connect(&self.config, &self.clock, None).await.map_err(|error| Failure::from(error).error())?;
        session.prepare(&self.clock, commit::WRITER_SETTINGS).await.map_err(Failure::error)?;
        session.client.batch_execute(statement).await.map_err(|error| Failure::of(&error).error())
    }
}

#[async_trait]
impl Engine for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn partitions(&self) -> u16 {
        u16::try_from(self.heads.len()).unwrap_or(u16::MAX)
    }

    async fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        let found = read::get_many(&self.readers, std::slice::from_ref(key)).await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error> {
        read::get_many(&self.readers, keys).await
    }

    async fn scan(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
        read::page(&self.readers, range, direction, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        self.queue.commit(batch, self.partitions()).await
    }

    fn watch(&self, partition: Partition) -> Option<HeadWatch> {
        self.heads.get(usize::from(partition.0)).cloned().map(HeadWatch)
    }

    fn health(&self) -> channel::Receiver<Health> {
        self.health.clone()
    }

    async fn export(&self, _spool: &Path) -> Result<Box<dyn Export>, Error> {
        Ok(Box::new(Snapshot::take(&self.config, &self.clock).await?))
    }

    async fn import(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.queue.ask(|answer| Command::Import(changes, answer)).await
    }

    async fn begin_import(&self) -> Result<(), Error> {
        self.execute(schema::BEGIN_IMPORT).await
    }

    async fn end_import(&self) -> Result<(), Error> {
        self.execute(schema::END_IMPORT).await
    }

    async fn stat(&self) -> Result<EngineStat, Error> {
        let ask = "SELECT c.relname::text, pg_total_relation_size(c.oid), greatest(c.reltuples, 0)::bigint FROM pg_class AS c \
                   JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'holdfast' AND c.relkind = 'r' \
                   ORDER BY c.relname";
        let mut stat = EngineStat::default();
        stat.details.push(("server".to_owned(), self.server_version.clone()));
        for row in self.readers.ask(ask, &[]).await? {
            let taken = || Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
            let (name, bytes, rows): (String, i64, i64) = taken().map_err(|error| Failure::of(&error).error())?;
            stat.bytes_on_disk += u64::try_from(bytes).unwrap_or_default();
            stat.details.push((name, format!("{bytes} bytes, about {rows} rows")));
        }
        Ok(stat)
    }

    async fn verify(&self, range: &KeyRange) -> Result<Verified, Error> {
        read::verify(&self.readers, range).await
    }

    async fn close(&self) {
        self.queue.close().await;
        self.readers.close();
    }
}
