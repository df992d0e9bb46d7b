//! An engine as `fjall` and `sled` themselves offer it, with the least that makes commits durable: a channel, up to 1,024
//! events drained into one sorted batch, one durable write, an acknowledgement each. No checksums, no versions, no
//! preconditions, no bounds on what waits.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Position, task};
use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::PinningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use storage::Key;
use storage::table::TEST;
use tokio::sync::{mpsc, oneshot};

use crate::run::Subject;
use crate::workload::Event;

/// The settings of `storage`'s own adapters, so that only what lies between differs.
const CACHE_BYTES: u64 = 256 << 20;
const MEMTABLE_BYTES: u64 = 32 << 20;
const BODY_BYTES: u32 = 512;
const JOURNAL_BYTES: u64 = 256 << 20;
const SEGMENT_BYTES: usize = 8 << 20;
const GROUP_EVENTS: usize = 1_024;

type Group = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Clone)]
enum Map {
    Fjall(Database, Keyspace),
    Sled(sled::Db, Arc<File>),
}

impl Map {
    fn open(engine: &str, folder: &Path) -> Self {
        if engine == "sled" {
            let config = sled::Config::new().path(folder).segment_size(SEGMENT_BYTES);
            let database = config.cache_capacity(CACHE_BYTES).flush_every_ms(None).open().unwrap();
            return Self::Sled(database, File::open(folder.join("db")).unwrap().into());
        }
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(2)
            .open()
            .unwrap();
        let pinned = || PinningPolicy::new([true, true, true, false]);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(2 * MEMTABLE_BYTES)))
                .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(BODY_BYTES)))
                .filter_block_pinning_policy(pinned())
                .index_block_pinning_policy(pinned())
        };
        let rows = database.keyspace("rows", options).unwrap();
        Self::Fjall(database, rows)
    }

    fn write(&self, group: Group) {
        match self {
            Self::Fjall(database, rows) => {
                let mut batch = database.batch().durability(Some(PersistMode::SyncData));
                for (key, value) in group {
                    match value {
                        Some(value) => batch.insert(rows, key, value),
                        None => batch.remove(rows, key),
                    }
                }
                batch.commit().unwrap();
            }
            Self::Sled(database, log) => {
                let mut batch = sled::Batch::default();
                for (key, value) in group {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                database.apply_batch(batch).unwrap();
                database.flush().unwrap();
                log.sync_data().unwrap();
            }
        }
    }
}

struct Waiting {
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    answer: oneshot::Sender<()>,
}

pub(crate) struct Raw {
    map: Map,
    queue: mpsc::UnboundedSender<Waiting>,
}

impl Raw {
    pub(crate) fn open(engine: &str, folder: &Path) -> Self {
        let map = Map::open(engine, folder);
        let (queue, receiver) = mpsc::unbounded_channel();
        let writer = map.clone();
        task::thread("raw-commit", move || run(&writer, receiver)).unwrap();
        Self { map, queue }
    }
}

/// The rows of `event`, where position 0 stands for the one that the writer gives.
fn rows(event: Event) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let unshared = |(key, value): (Key, Option<Bytes>)| {
        let bytes = key.to_bytes();
        drop(key);
        (bytes.into(), value.map(Vec::from))
    };
    let log_row = (vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Some(event.payload().into()));
    event.rows(Position::START).into_iter().map(unshared).chain([log_row]).collect()
}

fn fill(key: &mut [u8], value: &mut Option<Vec<u8>>, position: Position) {
    let gap = match key {
        [3, ..] | [_, b'r' | b's' | b'u', ..] => key.last_chunk_mut::<8>(),
        [_, b'c', ..] => value.as_mut().and_then(|value| value.last_chunk_mut::<8>()),
        _ => None,
    };
    if let Some(gap) = gap {
        *gap = position.0.to_be_bytes();
    }
}

fn run(map: &Map, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let mut position = Position::START;
    while let Some(first) = queue.blocking_recv() {
        let (mut group, mut answers) = (Group::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Waiting { rows, answer }) = next {
            position = position.next();
            for (mut key, mut value) in rows {
                fill(&mut key, &mut value, position);
                group.insert(key, value);
            }
            answers.push(answer);
            next = if answers.len() < GROUP_EVENTS { queue.try_recv().ok() } else { None };
        }
        map.write(group);
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

#[async_trait]
impl Subject for Raw {
    async fn commit(&self, event: Event) {
        let (answer, answered) = oneshot::channel();
        assert!(self.queue.send(Waiting { rows: rows(event), answer }).is_ok());
        answered.await.unwrap();
    }

    async fn get(&self, key: &Key) -> Option<Bytes> {
        match &self.map {
            Map::Fjall(_, rows) => rows.get(key.as_bytes()).unwrap().map(Bytes::from),
            Map::Sled(database, _) => database.get(key.as_bytes()).unwrap().map(|value| Bytes::copy_from_slice(&value)),
        }
    }

    async fn last(&self, room: u32, count: usize) -> Vec<Bytes> {
        let prefix = Key::of(TEST, &(b'r', room));
        match &self.map {
            Map::Fjall(_, rows) => {
                let rows = rows.prefix(prefix.as_bytes()).rev().take(count);
                rows.map(|row| Bytes::from(row.into_inner().unwrap().1)).collect()
            }
            Map::Sled(database, _) => {
                let rows = database.scan_prefix(prefix.as_bytes()).rev().take(count);
                rows.map(|row| Bytes::copy_from_slice(&row.unwrap().1)).collect()
            }
        }
    }

    async fn close(&self) {}
}
