//! An export is one transaction that sees one snapshot: the database keeps it while it goes on writing, so nothing has to
//! be kept beside it.

use async_trait::async_trait;
use base::{Clock, limits};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

use crate::engine::postgres::connect::{Failure, Session, in_time};
use crate::engine::postgres::read::{Ask, page};
use crate::engine::{Change, Direction, Export, RawRow};
use crate::error::Error;
use crate::key::KeyRange;

/// Its snapshot may stand for hours: the server must not end it for that.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A connection with a snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    session: Session,
    clock: Clock,
    rest: Option<KeyRange>,
}

impl Snapshot {
    /// Takes the snapshot: all that was acknowledged before is in it.
    pub(crate) async fn take(config: &Config, clock: &Clock) -> Result<Self, Error> {
        let mut session = Session::connect(config, clock, None).await.map_err(|error| Failure::from(error).error())?;
        session.prepare(clock, SETTINGS).await.map_err(Failure::error)?;
        Ok(Self { session, clock: clock.clone(), rest: Some(KeyRange::everything()) })
    }
}

#[async_trait]
impl Ask for Snapshot {
    async fn ask(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        in_time(&self.clock, self.session.client.query(statement, parameters)).await.map_err(Failure::error)
    }
}

#[async_trait]
impl Export for Snapshot {
    async fn rows(&mut self) -> Result<Vec<RawRow>, Error> {
        let Some(range) = self.rest.take() else { return Ok(Vec::new()) };
        let found = page(self, &range, Direction::Forward, limits::SCAN_ROWS).await?;
        self.rest = found.rest;
        Ok(found.rows.into_iter().map(|row| RawRow { key: row.key, value: row.value }).collect())
    }

    async fn finish(self: Box<Self>) -> Result<Box<dyn Iterator<Item = Result<Change, Error>> + Send>, Error> {
        // The snapshot was the point of consistency; dropping the session ends it.
        Ok(Box::new(std::iter::empty()))
    }
}
