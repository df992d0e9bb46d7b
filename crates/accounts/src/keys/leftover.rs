//! What a device, or a key backup, leaves behind when it goes. Its own row goes at once, and with that everything is gone
//! for everybody; the rows filed under its number are removed after that, in pages, because there may be more of them than
//! fit into a batch. A row that names the number is written with the end and stays until that is done, also over a crash.

use base::{Timestamp, limits};
use serde::{Deserialize, Serialize};
use storage::key::{KeyError, KeyReader};
use storage::table::{FALLBACK_KEY, KEY_BACKUP_SESSION, LEFTOVER, ONE_TIME_KEY, TO_DEVICE};
use storage::{Batch, Direction, Key, KeyParts, KeyRange, KeyWriter, Store};

use crate::accounts::Accounts;
use crate::error::Error;
use crate::keys::decode;

/// Stands for a device or a key backup in the keys of its rows. Drawn at random, never given out twice: a device that logs
/// in again under the same id has none of the rows of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Number(pub(crate) u64);

impl KeyParts for Number {
    fn write(&self, writer: &mut KeyWriter) {
        self.0.write(writer);
    }

    fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
        u64::read(reader).map(Self)
    }
}

/// All rows of `number` in `table`.
pub(crate) fn number_prefix(table: storage::table::TableId, number: Number) -> KeyRange {
    KeyRange::prefix(table, &number)
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeftoverRecord {
    since: Timestamp,
}

storage::first_version!(LeftoverRecord);

/// To be written with the end of what has `number`.
pub(crate) fn put_leftover(batch: &mut Batch, number: Number, now: Timestamp) {
    batch.put_record(&Key::of(LEFTOVER, &number), &LeftoverRecord { since: now });
}

/// Removes all rows of `number`.
async fn sweep(store: &Store, number: Number) -> Result<(), Error> {
    for table in [ONE_TIME_KEY, FALLBACK_KEY, TO_DEVICE, KEY_BACKUP_SESSION] {
        let mut range = number_prefix(table, number);
        loop {
            let page = store.scan(&range, Direction::Forward, limits::LEFTOVERS_REMOVED).await;
            let page = page.map_err(Error::storage("reading what a device left behind"))?;
            let mut batch = Batch::new();
            page.rows.iter().for_each(|row| batch.delete(&row.key));
            if !batch.is_empty() {
                store.commit(batch).await.map_err(Error::storage("removing what a device left behind"))?;
            }
            match page.rest {
                Some(rest) => range = rest,
                None => break,
            }
        }
    }
    Ok(())
}

impl Accounts {
    /// Removes the rows of what has just ended, without being waited for.
    pub(crate) fn sweep_soon(&self, numbers: Vec<Number>) {
        if numbers.is_empty() {
            return;
        }
        let store = self.store_handle();
        base::task::spawn(async move {
            for number in numbers {
                if let Err(error) = sweep(&store, number).await {
                    // It is named in a row, so the next round finds it.
                    tracing::debug!(%error, "what a device left behind is still there");
                    return;
                }
            }
        });
    }

    /// Removes the rows of all that has ended. What ended within [`limits::LEFTOVER_GRACE`] is looked at once more the next
    /// time: something may have been on its way to it. To be called at the start and every now and then.
    ///
    /// # Errors
    /// As every read and commit.
    pub async fn sweep_leftovers(&self) -> Result<(), Error> {
        let mut range = KeyRange::table(LEFTOVER);
        loop {
            let page = self.store().scan(&range, Direction::Forward, limits::LEFTOVERS_REMOVED).await;
            let page = page.map_err(Error::storage("reading what is left over"))?;
            let mut done = Batch::new();
            for row in page.rows {
                let number = row.key.parts::<Number>();
                let number = number.map_err(|error| Error::damaged(format!("what is left over: {error}")))?;
                let record: LeftoverRecord = decode("what is left over", &row.value)?;
                let now = self.store().clock().now();
                sweep(self.store(), number).await?;
                if now.since(record.since) >= limits::LEFTOVER_GRACE {
                    done.delete(&row.key);
                }
            }
            if !done.is_empty() {
                self.commit("removing what is left over", done).await?;
            }
            match page.rest {
                Some(rest) => range = rest,
                None => return Ok(()),
            }
        }
    }
}
