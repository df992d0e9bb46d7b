//! Whether groups are missing before the newest one. fjall drops what it cannot read at the end of a journal without a
//! word, also of a journal that another one follows, so the number of the newest commit does not tell; sled keeps its log
//! in pieces as well. So each group leaves its number in a ring of rows, and at open the ring must be without a gap.
//!
//! The ring covers what may lie in logs only: rows that an engine has flushed have the engine's own checksums.

use std::collections::BTreeMap;

use base::collections::HashMap;
use bytes::Bytes;

use crate::batch::Version;
use crate::engine::Direction;
use crate::engine::group::{Write, Writes};
use crate::engine::local::{self, Kv, SealedRow};
use crate::engine::value::Sealer;
use crate::error::Error;
use crate::key::{Key, KeyRange};
use crate::table::META;

/// The META rows of the ring, which a slot's number follows.
const GROUP_ROW: &str = "group";
/// Groups remembered: more than are written while a journal that is complete waits for its flush, and read at open in
/// some 10 ms.
const SLOTS: u64 = 8_192;

/// The ring, and the number of the next group.
#[derive(Debug)]
pub(crate) struct Chain {
    next: u64,
}

impl Chain {
    /// Reads the ring: where it ends, and how many groups are missing from it.
    pub(crate) fn read<K: Kv>(kv: &K) -> Result<(Self, usize), Error> {
        let mut found = HashMap::default();
        let mut rest = Some(KeyRange::prefix(META, &GROUP_ROW.to_owned()));
        while let Some(range) = rest {
            let page = local::page(kv, &range, Direction::Forward, usize::MAX)?;
            let numbers = page.rows.into_iter().filter_map(|row| Some((row.key, *row.value.first_chunk()?)));
            found.extend(numbers.map(|(key, number)| (key, u64::from_be_bytes(number))));
            rest = page.rest;
        }
        let next = found.values().max().map_or(0, |last| last + 1);
        let missing = Self::remembered(next).filter(|group| found.get(&slot(*group)) != Some(group)).count();
        Ok((Self { next }, missing))
    }

    /// Adds the next group's row.
    pub(crate) fn add(&mut self, writes: &mut Writes, version: Version) {
        let value = Some(Bytes::copy_from_slice(&self.next.to_be_bytes()));
        writes.insert(slot(self.next).to_bytes(), Write { version, value });
        self.next += 1;
    }

    /// The rows of a ring without a gap, for a store that goes on without what is missing.
    pub(crate) fn mended(&self) -> Vec<SealedRow> {
        let mut sealer = Sealer::default();
        let rows: BTreeMap<Bytes, Option<Bytes>> = Self::remembered(self.next)
            .map(|group| {
                let key = slot(group).to_bytes();
                let value = sealer.seal(&key, Version(0), &group.to_be_bytes());
                (key, Some(value))
            })
            .collect();
        rows.into_iter().collect()
    }

    fn remembered(next: u64) -> std::ops::Range<u64> {
        next.saturating_sub(SLOTS)..next
    }
}

fn slot(group: u64) -> Key {
    Key::of(META, &(GROUP_ROW.to_owned(), group % SLOTS))
}
