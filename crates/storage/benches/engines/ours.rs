//! An engine through our layers: preconditions, versions, checksums, the log and the high-water mark.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use storage::table::TEST;
use storage::{Direction, EngineChoice, Key, KeyRange, Store, StoreOptions};

use crate::run::{Run, Subject};
use crate::workload::Event;

pub(crate) struct Ours(Store);

impl Ours {
    pub(crate) async fn open(run: &Run, folder: &Path) -> Self {
        let choice = match run.engine.as_str() {
            "embedded" => EngineChoice::Embedded,
            "sled" => EngineChoice::Sled,
            "postgres" => {
                EngineChoice::Postgres { url: base::Secret::new(std::env::var("HOLDFAST_BENCH_POSTGRES").unwrap()) }
            }
            other => panic!("there is no engine {other}"),
        };
        let mut options = StoreOptions::new(folder, choice);
        options.tuning.memtable_bytes = run.memtable_bytes.unwrap_or(options.tuning.memtable_bytes);
        Self(Store::open(options).await.unwrap())
    }
}

#[async_trait]
impl Subject for Ours {
    async fn commit(&self, event: Event) {
        self.0.commit(event.batch()).await.unwrap();
    }

    async fn get(&self, key: &Key) -> Option<Bytes> {
        self.0.get(key).await.unwrap().map(|stored| stored.value)
    }

    async fn last(&self, room: u32, count: usize) -> Vec<Bytes> {
        let range = KeyRange::prefix(TEST, &(b'r', room));
        let page = self.0.scan(&range, Direction::Backward, count).await.unwrap();
        page.rows.into_iter().map(|row| row.value).collect()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
