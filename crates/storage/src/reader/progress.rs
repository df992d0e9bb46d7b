//! A reader's stored progress: how far it has come, and which entries are under suspicion of having crashed the process.

use base::{Partition, Position};
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::table::CURSOR;

/// The stored cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Everything up to here is done.
    pub(crate) cursor: Position,
    /// Entries that were in flight at a crash; they are handed over one by one.
    pub(crate) suspects: Option<Suspects>,
}

/// A range of entries, both ends included, and how often the process crashed with one of them in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspects {
    pub(crate) from: Position,
    pub(crate) to: Position,
    pub(crate) crashes: u32,
}

impl Suspects {
    pub(crate) fn contains(&self, position: Position) -> bool {
        self.from <= position && position <= self.to
    }
}

impl Progress {
    /// Moves the cursor; suspects that it has passed are cleared.
    pub(crate) fn advance(&mut self, to: Position) {
        self.cursor = to;
        self.suspects = self.suspects.filter(|suspects| suspects.to > to);
    }
}

crate::first_version!(Progress);

/// Where a reader's progress lies.
pub(crate) fn key(name: &str, partition: Partition) -> Key {
    Key::of(CURSOR, &(name.to_owned(), partition))
}
