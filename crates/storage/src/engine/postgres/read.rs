//! Reads: one statement each, over a bounded pool of connections, again on another connection when one turns out dead.

use std::time::Duration;

use async_trait::async_trait;
use base::collections::HashMap;
use base::{Clock, Partition, Position, limits};
use bytes::Bytes;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

use crate::batch::Version;
use crate::engine::postgres::connect::{Failure, SETTINGS, in_time};
use crate::engine::postgres::schema::position;
use crate::engine::postgres::sql::{self, Verb, row_table};
use crate::engine::{self, Direction, Page, Stored, Verified, value};
use crate::error::{Error, OpenError};
use crate::key::{Key, KeyRange};
use crate::table::{HEAD, TableEntry, TableId, all};

/// Something that answers statements.
#[async_trait]
pub(crate) trait Ask: Sync {
    /// Runs one statement.
    async fn ask(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error>;
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: Pool,
    clock: Clock,
}

impl Readers {
    /// A pool without connections yet.
    pub(crate) fn new(config: &Config, clock: &Clock) -> Result<Self, OpenError> {
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), NoTls, manager_config);
        // A read that nobody waits for any more ends on the server as well.
        let settings = format!("{SETTINGS}; SET statement_timeout = {}", limits::POSTGRES_ANSWER.as_millis());
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let settings = settings.clone();
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(limits::POSTGRES_READERS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(limits::POSTGRES_ANSWER))
            .create_timeout(Some(limits::POSTGRES_ANSWER))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .post_create(prepare)
            .build()
            .map_err(|error| OpenError::Database {
                what: format!("the pool of database connections cannot be made: {error}"),
                advice: "this is a bug: report it".to_owned(),
            })?;
        Ok(Self { pool, clock: clock.clone() })
    }

    /// Closes all connections. Later reads fail with [`Error::Closed`].
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    async fn attempt(
        &self,
        client: &Object,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let answer = async {
            let statement = client.prepare_cached(statement).await?;
            client.query(&statement, parameters).await
        };
        in_time(&self.clock, answer).await
    }
}

#[async_trait]
impl Ask for Readers {
    async fn ask(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let mut attempts = limits::POSTGRES_READ_ATTEMPTS;
        loop {
            attempts -= 1;
            let client = self.pool.get().await.map_err(unavailable)?;
            match self.attempt(&client, statement, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => {
                    let dead = matches!(failure, Failure::Away(_));
                    if dead {
                        // Out of the pool with it, also if it only says nothing.
                        drop(Object::take(client));
                    }
                    if !dead || attempts == 0 {
                        return Err(failure.error());
                    }
                }
            }
        }
    }
}

fn unavailable(error: PoolError) -> Error {
    let reason = match error {
        PoolError::Closed => return Error::Closed,
        PoolError::Backend(error) => return Error::Unavailable { reason: Failure::of(&error).reason().to_owned() },
        PoolError::Timeout(_) => "no connection to the database came free in time".to_owned(),
        other => other.to_string(),
    };
    Error::Unavailable { reason }
}

/// A row as it lies.
pub(crate) struct SealedRow {
    pub(crate) key: Key,
    sealed: Bytes,
    version: Version,
}

impl SealedRow {
    fn of(row: &Row) -> Result<Self, Error> {
        let taken = || {
            let version: i64 = row.try_get(2)?;
            Ok::<_, tokio_postgres::Error>((row.try_get::<_, &[u8]>(0)?, row.try_get::<_, &[u8]>(1)?, version))
        };
        let (key, sealed, version) = taken().map_err(|error| Failure::of(&error).error())?;
        let Some(key) = Key::from_bytes(Bytes::copy_from_slice(key)) else {
            return Err(Error::Read { reason: "a row has an empty key".to_owned() });
        };
        let version = Version(u64::try_from(version).unwrap_or_default());
        Ok(Self { key, sealed: Bytes::copy_from_slice(sealed), version })
    }

    /// The head of a partition, as the other engines keep it.
    fn of_head(partition: Partition, head: Position) -> Self {
        let key = Key::of(HEAD, &partition);
        let sealed = value::seal(key.as_bytes(), &head.0.to_be_bytes()).into();
        Self { key, sealed, version: Version(head.0) }
    }

    fn open(self) -> Result<engine::Row, Error> {
        match value::open(self.key.as_bytes(), self.sealed) {
            Ok(value) => Ok(engine::Row { key: self.key, value, version: self.version }),
            Err(what) => Err(Error::Damaged { key: self.key, what }),
        }
    }

    fn bytes(&self) -> usize {
        self.key.as_bytes().len() + self.sealed.len()
    }
}

/// Rows as they lie, and what is left of the range.
struct SealedPage {
    rows: Vec<SealedRow>,
    rest: Option<KeyRange>,
}

/// Reads several rows, in the order asked for.
pub(crate) async fn get_many(from: &impl Ask, keys: &[Key]) -> Result<Vec<Option<Stored>>, Error> {
    let mut tables: HashMap<TableId, Vec<&[u8]>> = HashMap::default();
    for key in keys {
        tables.entry(key.table()).or_default().push(key.as_bytes());
    }
    let mut found: HashMap<Key, Stored> = HashMap::default();
    for (table, keys) in tables {
        let rows = if table == HEAD {
            heads(from).await?
        } else if let Some(entry) = row_table(table) {
            let rows = from.ask(&sql::statement(Verb::Get, entry), &[&keys]).await?;
            rows.iter().map(SealedRow::of).collect::<Result<_, _>>()?
        } else {
            Vec::new()
        };
        for row in rows {
            let engine::Row { key, value, version } = row.open()?;
            found.insert(key, Stored { value, version });
        }
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

/// Reads a page and checks every row.
pub(crate) async fn page(from: &impl Ask, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page, Error> {
    let SealedPage { rows, rest } = sealed_page(from, range, direction, limit).await?;
    Ok(Page { rows: rows.into_iter().map(SealedRow::open).collect::<Result<_, _>>()?, rest })
}

/// Reads a page and goes on over damaged rows.
pub(crate) async fn verify(from: &impl Ask, range: &KeyRange) -> Result<Verified, Error> {
    let SealedPage { rows, rest } = sealed_page(from, range, Direction::Forward, limits::SCAN_ROWS).await?;
    let mut found = Verified { rest, ..Verified::default() };
    for row in rows {
        found.bytes += row.bytes() as u64;
        match row.open() {
            Ok(row) => found.rows.push(row),
            Err(Error::Damaged { key, what }) => found.damaged.push((key, what)),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Reads rows of the first table of the range that has any.
async fn sealed_page(
    from: &impl Ask,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<SealedPage, Error> {
    let limit = limit.clamp(1, limits::SCAN_ROWS);
    let mut tables: Vec<&TableEntry> = all().filter(|entry| !part_of(range, entry.id).is_empty()).collect();
    if direction == Direction::Backward {
        tables.reverse();
    }
    let last = tables.len().saturating_sub(1);
    for (index, table) in tables.into_iter().enumerate() {
        let part = part_of(range, table.id);
        let SealedPage { rows, rest } = table_page(from, table, &part, direction, limit).await?;
        if rows.is_empty() {
            continue;
        }
        // What is left of the table, and the tables after it.
        let rest = match (rest, direction) {
            (None, _) if index == last => None,
            (Some(rest), Direction::Forward) => Some(KeyRange { start: rest.start, end: range.end.clone() }),
            (None, Direction::Forward) => Some(KeyRange { start: part.end, end: range.end.clone() }),
            (Some(rest), Direction::Backward) => Some(KeyRange { start: range.start.clone(), end: rest.end }),
            (None, Direction::Backward) => Some(KeyRange { start: range.start.clone(), end: part.start }),
        };
        return Ok(SealedPage { rows, rest });
    }
    Ok(SealedPage { rows: Vec::new(), rest: None })
}

/// The part of the range that lies in one table.
fn part_of(range: &KeyRange, table: TableId) -> KeyRange {
    let whole = KeyRange::table(table);
    KeyRange { start: range.start.clone().max(whole.start), end: range.end.clone().min(whole.end) }
}

async fn table_page(
    from: &impl Ask,
    table: &TableEntry,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<SealedPage, Error> {
    // One more than asked for tells whether there are more.
    let mut rows = if table.id == HEAD {
        let mut heads = heads(from).await?;
        heads.retain(|row| (&range.start[..]..&range.end[..]).contains(&row.key.as_bytes()));
        if direction == Direction::Backward {
            heads.reverse();
        }
        heads
    } else if let Some(table) = row_table(table.id) {
        rows_of(from, table, range, direction, limit + 1).await?
    } else {
        Vec::new()
    };
    let complete = rows.len() <= limit && rows.iter().map(SealedRow::bytes).sum::<usize>() < limits::SCAN_BYTES;
    rows.truncate(limit);
    let rest = rows.last().filter(|_| !complete).map(|last| match direction {
        Direction::Forward => range.after(&last.key),
        Direction::Backward => range.before(&last.key),
    });
    Ok(SealedPage { rows, rest })
}

async fn rows_of(
    from: &impl Ask,
    table: &TableEntry,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<SealedRow>, Error> {
    let rows_most = i64::try_from(limit).unwrap_or(i64::MAX);
    let (start, end) = (&range.start[..], &range.end[..]);
    // A page of few rows cannot be too large, and the server need not count.
    let bounded = limit > limits::SCAN_BYTES / (limits::VALUE_BYTES + limits::KEY_BYTES);
    let rows = if bounded {
        let bytes_most = i64::try_from(limits::SCAN_BYTES).unwrap_or(i64::MAX);
        let verb = match direction {
            Direction::Forward => Verb::ForwardBounded,
            Direction::Backward => Verb::BackwardBounded,
        };
        from.ask(&sql::statement(verb, table), &[&start, &end, &rows_most, &bytes_most]).await?
    } else {
        let verb = match direction {
            Direction::Forward => Verb::Forward,
            Direction::Backward => Verb::Backward,
        };
        from.ask(&sql::statement(verb, table), &[&start, &end, &rows_most]).await?
    };
    rows.iter().map(SealedRow::of).collect()
}

/// The heads of the partitions that have entries, as the other engines keep them.
async fn heads(from: &impl Ask) -> Result<Vec<SealedRow>, Error> {
    let mut heads = Vec::new();
    for row in from.ask(sql::HEADS, &[]).await? {
        let taken = || Ok::<_, tokio_postgres::Error>((row.try_get::<_, i32>(0)?, row.try_get::<_, i64>(1)?));
        let (partition, head) = taken().map_err(|error| Failure::of(&error).error())?;
        let (partition, head) = (Partition(u16::try_from(partition).unwrap_or(u16::MAX)), position(head));
        if head != Position::START {
            heads.push(SealedRow::of_head(partition, head));
        }
    }
    Ok(heads)
}
