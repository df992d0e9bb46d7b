//! Reading the log: entries of a partition after a position, in commit order. Writing it is [`Batch::append`].
//!
//! [`Batch::append`]: crate::Batch::append

use base::{Partition, Position};
use bytes::{Buf, Bytes};

use crate::batch::Kind;
use crate::engine::{Direction, Row};
use crate::error::Error;
use crate::key::{Key, KeyRange};
use crate::store::Store;
use crate::table::LOG;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its partition.
    pub partition: Partition,
    /// Its number in the partition.
    pub position: Position,
    /// What it is about.
    pub kind: Kind,
    /// What its kind says.
    pub payload: Bytes,
}

impl LogEntry {
    pub(crate) fn from_row(row: Row) -> Result<Self, Error> {
        let Row { key, mut value, .. } = row;
        let Ok((partition, position)) = key.parts::<(Partition, Position)>() else {
            return Err(Error::Damaged { key, what: "it is not a log entry's key" });
        };
        match value.try_get_u16() {
            Ok(kind) => Ok(Self { partition, position, kind: Kind(kind), payload: value }),
            Err(_) => Err(Error::Damaged { key, what: "it has no kind" }),
        }
    }
}

impl Store {
    /// The entries of `partition` after `after`, up to and including `until`, oldest first, at most `limit` (and never
    /// more than a page holds: go on from the last one's position).
    ///
    /// # Errors
    /// As every read.
    pub async fn log_entries(
        &self,
        partition: Partition,
        after: Position,
        until: Position,
        limit: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        let start = Key::of(LOG, &(partition, after.next()));
        let end = Key::of(LOG, &(partition, until.next()));
        let page = self.engine().scan(&KeyRange::between(&start, &end), Direction::Forward, limit).await?;
        page.rows.into_iter().map(LogEntry::from_row).collect()
    }
}
