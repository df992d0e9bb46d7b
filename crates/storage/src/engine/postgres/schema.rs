//! The database's side of a store: which tables there are, whose they are, and that this release can read them.
//!
//! ```text
//! holdfast.meta        name, value: format, partitions, id, made_by
//! holdfast.partition   partition, head: the last position of each partition of the log
//! holdfast.writer      id, commit_number: how many groups each node has committed
//! holdfast.t_<name>    k, v, version: the rows of a table of the catalogue
//! ```

use base::collections::HashMap;
use base::{Position, limits};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use crate::directory::FORMAT;
use crate::engine::postgres::connect::{Unreachable, text};
use crate::engine::postgres::sql::row_tables;
use crate::error::OpenError;
use crate::table::LOG;

/// The oldest server that has what we use, and the oldest we test with.
const OLDEST: u32 = 15;

/// Held while tables are made, so that two nodes that start at once do not both make them. The number is arbitrary.
const SCHEMA_LOCK: i64 = 0x686f_6c64_6661_7374;

const MAKE_OWN: &str = "CREATE TABLE IF NOT EXISTS holdfast.meta (name text PRIMARY KEY, value text NOT NULL); \
     CREATE TABLE IF NOT EXISTS holdfast.partition (partition int PRIMARY KEY, head bigint NOT NULL) WITH (fillfactor = 20); \
     CREATE TABLE IF NOT EXISTS holdfast.writer (id text PRIMARY KEY, commit_number bigint NOT NULL) WITH (fillfactor = 20)";

/// Marks the store as one that is being filled; fails when it is already.
pub(crate) const BEGIN_IMPORT: &str = "INSERT INTO holdfast.meta VALUES ('importing', 'since the store was made')";
/// Takes the mark away.
pub(crate) const END_IMPORT: &str = "DELETE FROM holdfast.meta WHERE name = 'importing'";

/// What a new store is made with.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) partitions: u16,
    pub(crate) id: String,
}

fn refuse(what: impl Into<String>, advice: impl Into<String>) -> OpenError {
    OpenError::Database { what: what.into(), advice: advice.into() }
}

/// Why the database cannot be used, when there is no connection.
pub(crate) fn explain_unreachable(unreachable: &Unreachable) -> OpenError {
    match unreachable {
        Unreachable::Silent => refuse(
            "connecting to the database failed: what answers at the address in storage.url says nothing",
            "correct the host and port in storage.url, or restart the database server",
        ),
        Unreachable::Said(error) => explain("connecting to the database", error),
    }
}

/// Why the database cannot be used, when a first connection or statement says so.
pub(crate) fn explain(doing: &str, error: &tokio_postgres::Error) -> OpenError {
    let what = format!("{doing} failed: {}", text(error));
    let advice = match error.code() {
        None => "start the database server, or correct the host and port in storage.url",
        Some(code) => match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "correct the user and password in storage.url, or the server's pg_hba.conf"
            }
            SqlState::INVALID_CATALOG_NAME => {
                "make the database (CREATE DATABASE …), or correct its name in storage.url"
            }
            SqlState::INSUFFICIENT_PRIVILEGE => {
                "make the user the database's owner, or grant it CREATE on the database and all rights in the schema \"holdfast\""
            }
            SqlState::READ_ONLY_SQL_TRANSACTION => "point storage.url at the server that takes writes",
            SqlState::TOO_MANY_CONNECTIONS => "raise the server's max_connections, or run fewer nodes",
            SqlState::CANNOT_CONNECT_NOW => "the server is starting or stopping: wait until it is up",
            _ => "the server's log says more",
        },
    };
    refuse(what, advice)
}

/// Refuses a server that is too old. `version` is what it says of itself: `15.18 (Debian …)`.
pub(crate) fn check_version(version: &str) -> Result<(), OpenError> {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    match digits.parse::<u32>() {
        Ok(major) if major >= OLDEST => Ok(()),
        _ => Err(refuse(
            format!("the database server is PostgreSQL {version:?}, version {OLDEST} or newer is needed"),
            format!("upgrade it to {OLDEST} or newer"),
        )),
    }
}

/// Refuses a server that takes no writes or does not keep what it acknowledged.
pub(crate) async fn check_settings(client: &Client) -> Result<(), OpenError> {
    let ask = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, \
               current_setting('fsync')::bool, current_setting('full_page_writes')::bool";
    let row =
        client.query_one(ask, &[]).await.map_err(|error| explain("asking the database for its settings", &error))?;
    let setting = |index: usize| row.try_get::<_, bool>(index).unwrap_or_default();
    let (read_only, fsync, full_page_writes) = (setting(0), setting(1), setting(2));
    if read_only {
        return Err(refuse(
            "the database takes no writes (it is a replica, or read-only by default_transaction_read_only)",
            "point storage.url at the server that takes writes, or make this one writable",
        ));
    }
    if !fsync {
        return Err(refuse(
            "the database server runs with fsync = off and would lose acknowledged messages at a power cut",
            "set fsync = on in postgresql.conf and restart it",
        ));
    }
    if !full_page_writes {
        tracing::warn!(
            "the database server runs with full_page_writes = off: safe only on a file system that never tears a page"
        );
    }
    Ok(())
}

/// Makes the schema and what is missing of the tables. Refuses a store of a newer format and tables of somebody else.
pub(crate) async fn ensure(client: &mut Client, making: &Making) -> Result<(), OpenError> {
    let failed = |error| explain("making the tables", &error);
    let missing = missing(client).await.map_err(failed)?;
    if !missing.iter().any(|table| table == "meta") {
        check_format(client).await?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await.map_err(failed)?;
    // Only now: another node may have made them while this one waited.
    match standing(&transaction).await.map_err(failed)? {
        Standing::Nothing => transaction.batch_execute("CREATE SCHEMA holdfast").await.map_err(failed)?,
        Standing::Empty | Standing::Ours => {}
        Standing::Foreign => {
            let what = "the database has a schema \"holdfast\" that is not ours";
            return Err(refuse(what, "give the homeserver a database of its own"));
        }
    }
    make(&transaction, making).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    check_format(client).await
}

/// What stands under our schema's name.
enum Standing {
    Nothing,
    Empty,
    Ours,
    Foreign,
}

async fn standing(transaction: &Transaction<'_>) -> Result<Standing, tokio_postgres::Error> {
    let ask = "SELECT to_regnamespace('holdfast') IS NOT NULL, to_regclass('holdfast.meta') IS NOT NULL, \
               EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'holdfast')";
    let row = transaction.query_one(ask, &[]).await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
        (false, _, _) => Standing::Nothing,
        (true, true, _) => Standing::Ours,
        (true, false, true) => Standing::Foreign,
        (true, false, false) => Standing::Empty,
    })
}

/// The tables that are not there yet.
async fn missing(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let wanted: Vec<String> = ["meta", "partition", "writer"]
        .map(str::to_owned)
        .into_iter()
        .chain(row_tables().map(|table| format!("t_{}", table.name)))
        .collect();
    let ask = "SELECT w FROM unnest($1::text[]) AS w WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n \
               ON n.oid = c.relnamespace WHERE n.nspname = 'holdfast' AND c.relname = w)";
    client.query(ask, &[&wanted]).await?.iter().map(|row| row.try_get(0)).collect()
}

async fn make(transaction: &Transaction<'_>, making: &Making) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(MAKE_OWN).await?;
    for table in row_tables() {
        let name = format!("holdfast.t_{}", table.name);
        // Values are small or compressed already: the server need not try.
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {name} (k bytea PRIMARY KEY, v bytea NOT NULL, version bigint NOT NULL); \
             ALTER TABLE {name} ALTER COLUMN v SET STORAGE EXTERNAL"
        );
        transaction.batch_execute(&make).await?;
    }
    let partitions = making.partitions.max(1);
    let rows = [
        ("format", FORMAT.to_string()),
        ("partitions", partitions.to_string()),
        ("id", making.id.clone()),
        ("made_by", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let made = "INSERT INTO holdfast.meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    for (name, value) in rows {
        transaction.execute(made, &[&name, &value]).await?;
    }
    // As many as the store was made with, which another release of ours may have done.
    let heads = "INSERT INTO holdfast.partition (partition, head) SELECT p, 0 FROM generate_series(0, \
                 (SELECT value::int FROM holdfast.meta WHERE name = 'partitions') - 1) AS p ON CONFLICT DO NOTHING";
    transaction.execute(heads, &[]).await.map(drop)
}

/// Refuses a store of a newer format.
async fn check_format(client: &Client) -> Result<(), OpenError> {
    let rows = client.query("SELECT name, value FROM holdfast.meta", &[]).await;
    let rows = rows.map_err(|error| explain("reading what the store says of itself", &error))?;
    let meta: HashMap<String, String> =
        rows.iter().filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))).collect();
    if meta.contains_key("importing") {
        return Err(refuse(
            "the database holds a restore or conversion that is under way or was cut off",
            "wait for its end; if it was cut off, drop the schema \"holdfast\" and start it again",
        ));
    }
    let found: Option<u32> = meta.get("format").and_then(|format| format.parse().ok());
    match found {
        Some(format) if format <= FORMAT => Ok(()),
        Some(format) => {
            let made_by = meta.get("made_by").map_or("a newer one", String::as_str);
            Err(refuse(
                format!(
                    "the database is in format {format} (first made by release {made_by}), this release reads up to {FORMAT}"
                ),
                "run the newer release, or restore a backup made by this one",
            ))
        }
        None => Err(refuse("the table holdfast.meta holds no readable format", "restore the database or a backup")),
    }
}

/// The heads as stored, each checked against the newest log entry of its partition, in one snapshot.
pub(crate) async fn read_heads(client: &Client) -> Result<Vec<Position>, OpenError> {
    let newest = format!(
        "SELECT p.partition, p.head, (SELECT l.k FROM holdfast.t_log AS l WHERE l.k >= p.prefix AND l.k < p.prefix || \
         '\\xffffffffffffffff'::bytea ORDER BY l.k DESC LIMIT 1) FROM (SELECT partition, head, '\\x{:02x}'::bytea || \
         substring(int4send(partition) FROM 3) AS prefix FROM holdfast.partition) AS p ORDER BY p.partition",
        LOG.0
    );
    let rows = client.query(&newest, &[]).await.map_err(|error| explain("reading the heads of the log", &error))?;
    let mut heads = Vec::with_capacity(rows.len().min(limits::SCAN_ROWS));
    for (slot, row) in rows.iter().enumerate() {
        let failed = |error| explain("reading the heads of the log", &error);
        let partition: i32 = row.try_get(0).map_err(failed)?;
        let head = position(row.try_get(1).map_err(failed)?);
        let key: Option<&[u8]> = row.try_get(2).map_err(failed)?;
        let newest = key.and_then(|key| key.last_chunk()).map_or(0, |position| u64::from_be_bytes(*position));
        if newest != head.0 || usize::try_from(partition) != Ok(slot) {
            return Err(refuse(
                format!("the log of partition {partition} ends at {newest}, its head says {head}"),
                "the database is damaged: restore it or a backup",
            ));
        }
        heads.push(head);
    }
    if heads.is_empty() {
        return Err(refuse("the table holdfast.partition is empty", "the database is damaged: restore it or a backup"));
    }
    Ok(heads)
}

/// A position as the database keeps it.
pub(crate) fn position(number: i64) -> Position {
    Position(u64::try_from(number).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_older_than_supported_are_refused() {
        for (version, fits) in [
            ("15.18 (Debian 15.18-0+deb12u1)", true),
            ("18.1", true),
            ("17beta1", true),
            ("14.9", false),
            ("9.6", false),
            ("", false),
        ] {
            assert_eq!(check_version(version).is_ok(), fits, "{version}");
        }
    }
}
