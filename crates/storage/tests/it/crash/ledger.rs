//! What a store must hold: the acknowledgements that were seen, and the log replayed into every row there is. The log
//! names the event of each position, an event names all its rows, so the replay is the whole state, and a row too many,
//! too few or different is a batch that is not whole.

use std::collections::BTreeMap;
use std::fmt::Display;

use base::Position;
use storage::table::{LOG, TEST};
use storage::{Direction, Key, KeyRange, Page, Row, Store};

use super::workload::{Event, P0};

impl Event {
    /// Reads a payload back.
    pub(crate) fn from_payload(payload: &[u8]) -> Option<Self> {
        let (producer, rest) = payload.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let body_bytes = rest.try_into().ok()?;
        Some(Self {
            producer: u16::from_be_bytes(*producer),
            number: u32::from_be_bytes(*number),
            body_bytes: u32::from_be_bytes(body_bytes),
        })
    }
}

/// An event that was acknowledged, with what the acknowledgement said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) event: Event,
    pub(crate) version: u64,
    pub(crate) position: u64,
}

impl Acknowledged {
    /// The line a child reports.
    pub(crate) fn to_line(self) -> String {
        let Self { event: Event { producer, number, body_bytes }, version, position } = self;
        format!("ack {producer} {number} {body_bytes} {version} {position} .\n")
    }

    /// Reads a line; `None` for any other, and for one that was cut off by the kill.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (Some("ack"), Some(producer), Some(number), Some(body_bytes), Some(version), Some(position), Some(".")) =
            (words.next(), words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let event = Event {
            producer: producer.parse().ok()?,
            number: number.parse().ok()?,
            body_bytes: body_bytes.parse().ok()?,
        };
        Some(Self { event, version: version.parse().ok()?, position: position.parse().ok()? })
    }
}

/// A row as the ledger remembers it: by version, length and checksum, since 100 rounds do not fit into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest {
    version: u64,
    bytes: usize,
    crc: u32,
}

impl Digest {
    fn of(version: u64, value: &[u8]) -> Self {
        Self { version, bytes: value.len(), crc: crc32c::crc32c(value) }
    }
}

/// What a check has read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) acknowledged: usize,
    pub(crate) events: usize,
    pub(crate) rows: usize,
}

/// The acknowledgements seen and the state that the log comes to.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: Vec<Acknowledged>,
    log: Vec<(Event, u64)>,
    rows: BTreeMap<Key, Digest>,
}

impl Ledger {
    /// Takes note of an acknowledgement.
    pub(crate) fn acknowledge(&mut self, acknowledged: Acknowledged) {
        self.acknowledged.push(acknowledged);
    }

    /// Checks that `store` holds every acknowledged event and nothing but whole ones. A ledger may be used again after
    /// more was written: what it has replayed must then still be there.
    pub(crate) async fn check(&mut self, store: &Store) -> Result<Checked, String> {
        self.replay(store).await?;
        for Acknowledged { event, version, position } in &self.acknowledged {
            let slot = usize::try_from(*position).unwrap_or_default().wrapping_sub(1);
            match self.log.get(slot) {
                Some(found) if *found == (*event, *version) => {}
                found => {
                    return Err(format!("{event:?} was acknowledged at {position} as {version}, there is {found:?}"));
                }
            }
        }
        self.compare(store, Direction::Forward).await?;
        self.compare(store, Direction::Backward).await?;
        self.compare_gets(store).await?;
        Ok(Checked { acknowledged: self.acknowledged.len(), events: self.log.len(), rows: self.rows.len() })
    }

    /// Reads the log after what is known of it: no gap in the positions, each entry younger than the one before.
    async fn replay(&mut self, store: &Store) -> Result<(), String> {
        let mut rest = Some(KeyRange::prefix(LOG, &P0));
        let mut next = 0;
        while let Some(range) = rest {
            let page = page(store, &range, Direction::Forward).await?;
            for row in page.rows {
                let (_, position) = row.key.parts::<(base::Partition, Position)>().map_err(text)?;
                if position != Position(next as u64 + 1) {
                    return Err(format!("after position {next} the log goes on at {position}"));
                }
                self.replay_entry(next, position, &row)?;
                next += 1;
            }
            rest = page.rest;
        }
        let head = store.watch(P0).map_err(text)?.head();
        if next < self.log.len() || head != Position(next as u64) {
            return Err(format!("the log ends at {next}, its head says {head}, {} were there before", self.log.len()));
        }
        Ok(())
    }

    fn replay_entry(&mut self, slot: usize, position: Position, row: &Row) -> Result<(), String> {
        let payload = row.value.get(2..).unwrap_or_default();
        let event = Event::from_payload(payload).ok_or_else(|| format!("the log entry {position} names no event"))?;
        let entry = (event, row.version.0);
        if let Some(known) = self.log.get(slot) {
            return if *known == entry { Ok(()) } else { Err(format!("{position} was {known:?}, is {entry:?}")) };
        }
        if self.log.last().is_some_and(|(_, before)| *before >= entry.1) {
            return Err(format!("the commits of {position} and the one before are not in order"));
        }
        self.log.push(entry);
        for (key, value) in event.rows(position) {
            match value {
                Some(value) => self.rows.insert(key, Digest::of(entry.1, &value)),
                None => self.rows.remove(&key),
            };
        }
        Ok(())
    }

    /// A scan over all rows must give those of the replay and no other.
    async fn compare(&self, store: &Store, direction: Direction) -> Result<(), String> {
        let mut expected: Box<dyn Iterator<Item = (&Key, &Digest)> + Send> = match direction {
            Direction::Forward => Box::new(self.rows.iter()),
            Direction::Backward => Box::new(self.rows.iter().rev()),
        };
        let mut rest = Some(KeyRange::table(TEST));
        while let Some(range) = rest {
            let page = page(store, &range, direction).await?;
            for row in page.rows {
                let found = Digest::of(row.version.0, &row.value);
                match expected.next() {
                    Some((key, digest)) if *key == row.key && *digest == found => {}
                    expected => return Err(format!("scan: there is {} {found:?}, not {expected:?}", row.key)),
                }
            }
            rest = page.rest;
        }
        match expected.next() {
            None => Ok(()),
            Some((key, _)) => Err(format!("scan: {key} is missing")),
        }
    }

    /// Gets must agree with the scans; of a large store, a part is asked for.
    async fn compare_gets(&self, store: &Store) -> Result<(), String> {
        let step = self.rows.len() / 20_000 + 1;
        let (keys, digests): (Vec<Key>, Vec<Digest>) =
            self.rows.iter().step_by(step).map(|(key, digest)| (key.clone(), *digest)).unzip();
        let found = store.engine().get_many(&keys).await.map_err(text)?;
        for ((key, digest), found) in keys.iter().zip(digests).zip(found) {
            let found = found.map(|stored| Digest::of(stored.version.0, &stored.value));
            if found != Some(digest) {
                return Err(format!("get: {key} is {found:?}, not {digest:?}"));
            }
        }
        Ok(())
    }

    /// Checks that every acknowledged event can be read while the store takes no writes. Rows that later events change
    /// are left out: sled shows the group that failed, although it is not durable.
    pub(crate) async fn check_reads(&self, store: &Store) -> Result<(), String> {
        for Acknowledged { event, position, .. } in &self.acknowledged {
            let rows = event.rows(Position(*position));
            let lasting = rows.into_iter().filter(|(key, _)| !matches!(key.row().first(), Some(b't' | b'c')));
            for (key, value) in lasting {
                let found = store.get(&key).await.map_err(text)?.map(|stored| stored.value);
                if found != value {
                    return Err(format!("{key} is {found:?}, not {value:?}"));
                }
            }
        }
        Ok(())
    }

    /// Writes one more event, as the proof that the store still takes writes.
    pub(crate) async fn write_one_more(&mut self, store: &Store, number: u32) -> Result<(), String> {
        let event = Event { producer: u16::MAX, number, body_bytes: 100 };
        let committed = store.commit(event.batch()).await.map_err(text)?;
        let position = committed.positions.first().copied().unwrap_or_default().0;
        self.acknowledge(Acknowledged { event, version: committed.version.0, position });
        match store.get(&event.body_key()).await.map_err(text)? {
            Some(stored) if stored.value == event.body() => Ok(()),
            other => Err(format!("what was written after the crash reads as {other:?}")),
        }
    }
}

async fn page(store: &Store, range: &KeyRange, direction: Direction) -> Result<Page, String> {
    store.scan(range, direction, usize::MAX).await.map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}
