//! Filling a new store with the rows of another: what restore and convert have in common. The store is marked as
//! unfinished until the last row is in, so that nobody serves from half of one.

use crate::directory::{Directory, Import};
use crate::engine::{Change, Direction, EngineStat};
use crate::error::{Error, OpenError};
use crate::key::KeyRange;
use crate::open::{self, Opened};
use crate::options::StoreOptions;
use crate::progress::Progress;
use crate::table::META;

/// Rows written at once: large enough that the fsync between does not count, small enough for any engine's batch.
const CHUNK_BYTES: usize = 1 << 20;

/// A new store being filled.
pub(crate) struct Importing {
    opened: Opened,
    chunk: Vec<Change>,
    chunk_bytes: usize,
}

impl Importing {
    /// Makes the store that `options` say. There must be none yet.
    pub(crate) async fn begin(options: &StoreOptions) -> Result<Self, OpenError> {
        if let Some(engine) = Directory::engine_of(&options.data_dir)? {
            return Err(OpenError::NotEmpty { path: options.data_dir.clone(), engine });
        }
        let mut opened = open::open(options).await?;
        if let Some(directory) = &mut opened.directory {
            directory.set_unfinished(Import::UnderWay)?;
        }
        let rest = KeyRange::everything();
        let rows = opened.engine.scan(&rest, Direction::Forward, 100).await?.rows;
        if rows.iter().any(|row| row.key.table() != META) {
            let (what, advice) =
                ("the database holds rows already", "use an empty one, or drop the schema holdfast in it");
            return Err(OpenError::Database { what: what.to_owned(), advice: advice.to_owned() });
        }
        opened.engine.begin_import().await?;
        Ok(Self { opened, chunk: Vec::new(), chunk_bytes: 0 })
    }

    /// Adds a change; an earlier one of the same key is replaced.
    pub(crate) async fn add(&mut self, change: Change, progress: &dyn Progress) -> Result<(), Error> {
        self.chunk_bytes += change.key.as_bytes().len() + change.value.as_ref().map_or(0, bytes::Bytes::len);
        self.chunk.push(change);
        if self.chunk_bytes >= CHUNK_BYTES { self.flush(progress).await } else { Ok(()) }
    }

    /// Writes the last rows, and makes the store one that opens.
    pub(crate) async fn finish(mut self, progress: &dyn Progress) -> Result<EngineStat, OpenError> {
        self.flush(progress).await?;
        let stat = self.opened.engine.stat().await?;
        self.opened.engine.end_import().await?;
        self.opened.engine.close().await;
        if let Some(directory) = &mut self.opened.directory {
            directory.set_unfinished(Import::Done)?;
        }
        Ok(stat)
    }

    async fn flush(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunk_bytes = 0;
        if chunk.is_empty() {
            return Ok(());
        }
        let rows = chunk.len() as u64;
        self.opened.engine.import(chunk).await?;
        progress.advance(rows);
        Ok(())
    }
}
