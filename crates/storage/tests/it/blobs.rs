//! Blobs: stored once, kept while referred to, collected afterwards; races between references and the collector.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Timestamp, limits, task};
use storage::blob::{BlobRecord, Blobs, Reference};
use storage::{Batch, BlobHash, Error, Store};

use crate::fixture::{Fixture, key};

struct Stage {
    fixture: Fixture,
    store: Arc<Store>,
    blobs: Blobs,
}

async fn stage() -> Stage {
    let mut fixture = Fixture::embedded();
    fixture.options.clock = Clock::simulated(Timestamp(1_000_000_000));
    let store = Arc::new(fixture.open().await);
    let blobs = Blobs::open_in(&store).await.unwrap();
    Stage { fixture, store, blobs }
}

impl Stage {
    async fn content(&self, hash: BlobHash) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        self.blobs.open(hash).await.unwrap()?.read_to_end(&mut content).unwrap();
        Some(content)
    }

    async fn change(&self, changes: &[Reference]) -> Result<(), Error> {
        let mut batch = Batch::new();
        self.blobs.change_references(&mut batch, changes).await?;
        batch.put(&key(1), "the fact that needs it");
        self.store.commit(batch).await.map(|_| ())
    }

    fn let_grace_pass(&self) {
        self.store.clock().jump(i64::try_from(limits::BLOB_GRACE.as_millis()).unwrap() + 1);
    }
}

fn add(hash: BlobHash, referrer: &str) -> Reference {
    Reference::Add(hash, referrer.to_owned())
}

fn remove(hash: BlobHash, referrer: &str) -> Reference {
    Reference::Remove(hash, referrer.to_owned())
}

#[tokio::test]
async fn the_same_content_is_stored_once_and_read_back() {
    let stage = stage().await;
    let mut writer = stage.blobs.begin().await.unwrap();
    for piece in ["in ", "three ", "pieces"] {
        writer.write(piece.into()).await.unwrap();
    }
    let hash = writer.finish().await.unwrap();
    assert_eq!(stage.blobs.put("in three pieces").await.unwrap(), hash);
    assert_eq!(stage.content(hash).await.unwrap(), b"in three pieces");
    let BlobRecord { bytes, references, .. } = stage.blobs.find(hash).await.unwrap().unwrap();
    assert_eq!((bytes, references), (15, 0));
    assert_eq!(stage.content(BlobHash([0; 32])).await, None);
}

#[tokio::test]
async fn a_blob_lives_as_long_as_something_refers_to_it() {
    let stage = stage().await;
    let hash = stage.blobs.put("shared").await.unwrap();
    stage.change(&[add(hash, "a"), add(hash, "b"), add(hash, "b")]).await.unwrap();
    stage.change(&[add(hash, "a")]).await.unwrap();
    assert_eq!(stage.blobs.find(hash).await.unwrap().unwrap().references, 2);
    stage.change(&[remove(hash, "a"), remove(hash, "never")]).await.unwrap();
    stage.let_grace_pass();
    assert_eq!(stage.blobs.collect().await.unwrap().blobs, 0);
    stage.change(&[remove(hash, "b")]).await.unwrap();
    assert_eq!(stage.blobs.collect().await.unwrap().blobs, 0, "it has its grace");
    stage.let_grace_pass();
    let collected = stage.blobs.collect().await.unwrap();
    assert_eq!((collected.blobs, collected.bytes), (1, 6));
    assert_eq!(stage.content(hash).await, None);
    assert_eq!(stage.blobs.find(hash).await.unwrap(), None);
    assert!(matches!(stage.change(&[add(hash, "a")]).await, Err(Error::NoSuchBlob { .. })));
    assert_eq!(stage.blobs.put("shared").await.unwrap(), hash, "it can come back");
    assert_eq!(stage.content(hash).await.unwrap(), b"shared");
}

/// The process died after the file was moved aside: whether the blob is still wanted decides.
#[tokio::test]
async fn a_removal_that_was_cut_off_is_settled_at_the_next_start() {
    let stage = stage().await;
    let (kept, gone) = (stage.blobs.put("kept").await.unwrap(), BlobHash([7; 32]));
    let folder = stage.fixture.options.data_dir.join("blobs");
    let path = folder.join(&kept.to_string()[..2]).join(kept.to_string());
    std::fs::rename(path, folder.join(format!("new/removed-{kept}"))).unwrap();
    std::fs::write(folder.join(format!("new/removed-{gone}")), "gone").unwrap();
    assert_eq!(stage.content(kept).await, None);
    Blobs::open_in(&stage.store).await.unwrap();
    assert_eq!(stage.content(kept).await.unwrap(), b"kept");
    assert_eq!(std::fs::read_dir(folder.join("new")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_reference_and_its_fact_are_one() {
    let stage = stage().await;
    let hash = stage.blobs.put("content").await.unwrap();
    let mut batch = Batch::new();
    stage.blobs.change_references(&mut batch, &[add(hash, "a")]).await.unwrap();
    stage.change(&[add(hash, "b")]).await.unwrap();
    assert!(stage.store.commit(batch).await.unwrap_err().is_conflict(), "the count it was made from has changed");
    assert_eq!(stage.blobs.find(hash).await.unwrap().unwrap().references, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_references_and_the_collector_race_without_loss() {
    let stage = Arc::new(stage().await);
    let mut workers = Vec::new();
    for worker in 0..4u64 {
        let stage = Arc::clone(&stage);
        workers.push(task::spawn(async move {
            for round in 0..25 {
                let content = format!("content {}", round % 3);
                let name = format!("{worker}/{round}");
                loop {
                    let hash = stage.blobs.put(content.clone()).await.unwrap();
                    match stage.change(&[add(hash, &name)]).await {
                        Ok(()) => {
                            assert_eq!(stage.content(hash).await.unwrap(), content.as_bytes());
                            break;
                        }
                        Err(error) => {
                            assert!(error.is_conflict() || matches!(error, Error::NoSuchBlob { .. }), "{error}");
                        }
                    }
                }
                let hash = stage.blobs.put(content.clone()).await.unwrap();
                while stage.change(&[remove(hash, &name)]).await.is_err() {}
            }
        }));
    }
    let collector = {
        let stage = Arc::clone(&stage);
        task::spawn(async move {
            loop {
                stage.let_grace_pass();
                stage.blobs.collect().await.unwrap();
                stage.store.clock().sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for worker in workers {
        worker.await.unwrap();
    }
    collector.abort();
    let _ = collector.await;
    stage.let_grace_pass();
    stage.blobs.collect().await.unwrap();
    for round in 0..3 {
        let hash = stage.blobs.put(format!("content {round}")).await.unwrap();
        assert_eq!(stage.blobs.find(hash).await.unwrap().unwrap().references, 0);
    }
}
