//! Those who fell behind: each with a cursor of their own, tried again at a pace that spares the other side, until they have
//! caught up with the reader.

use std::sync::Arc;
use std::time::Duration;

use accounts::Pusher;
use base::backoff::Backoff;
use base::shutdown::Shutdown;
use base::{Partition, Position, Timestamp, limits};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::PUSH_BEHIND;
use storage::{Batch, Direction, Key, KeyRange, Record};

use crate::error::Error;
use crate::push::gateway::Told;
use crate::push::{Push, PusherKey};

/// How far a pusher is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// It was told of all up to here.
    pub(super) told: Position,
    pub(super) since: Timestamp,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) reason: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BehindRecord {
    user: ruma::OwnedUserId,
    app_id: String,
    pushkey: String,
    told: Position,
    since: Timestamp,
    failures: u32,
    reason: String,
}

storage::first_version!(BehindRecord);

/// Longest reason that is kept, in bytes.
const REASON_BYTES: usize = 512;

fn row(partition: Partition, key: &PusherKey) -> Key {
    let mut hasher = Sha256::new();
    for part in [key.user.as_str(), &key.app_id, &key.pushkey] {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Key::of(PUSH_BEHIND, &(partition, digest))
}

fn put(batch: &mut Batch, partition: Partition, key: &PusherKey, behind: &Behind) {
    let end = behind.reason.floor_char_boundary(REASON_BYTES);
    let record = BehindRecord {
        user: key.user.clone(),
        app_id: key.app_id.clone(),
        pushkey: key.pushkey.clone(),
        told: behind.told,
        since: behind.since,
        failures: behind.failures,
        reason: behind.reason.get(..end).unwrap_or_default().to_owned(),
    };
    batch.put_record(&row(partition, key), &record);
}

/// Writes down who fell behind.
pub(super) async fn store(push: &Push, partition: Partition, fallen: &[(PusherKey, Behind)]) -> Result<(), Error> {
    let mut batch = Batch::new();
    fallen.iter().for_each(|(key, behind)| put(&mut batch, partition, key, behind));
    commit(push, batch).await
}

/// Who was behind when the process ended.
pub(super) async fn load(push: &Push, partition: Partition) -> Result<Vec<(PusherKey, Behind)>, Error> {
    let (mut range, mut found) = (KeyRange::prefix(PUSH_BEHIND, &partition), Vec::new());
    loop {
        let page = push.rooms.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
        let page = page.map_err(Error::storage("reading which pushers are behind"))?;
        for row in page.rows {
            let record = BehindRecord::decode(&row.value);
            let record =
                record.map_err(|error| Error::Damaged { what: format!("a pusher that is behind: {error}") })?;
            let BehindRecord { user, app_id, pushkey, told, since, failures, reason } = record;
            found.push((PusherKey { user, app_id, pushkey }, Behind { told, since, failures, reason }));
        }
        match page.rest {
            Some(rest) => range = rest,
            None => return Ok(found),
        }
    }
}

async fn commit(push: &Push, batch: Batch) -> Result<(), Error> {
    let committed = push.rooms.store().commit(batch).await;
    committed.map(drop).map_err(Error::storage("storing how far a pusher is behind"))
}

/// Tries until the pusher has caught up, or is gone, or the end is asked for.
pub(super) async fn run(push: Arc<Push>, partition: Partition, key: PusherKey, mut stop: Shutdown) {
    let backoff = Backoff { first: limits::PUSH_RETRY_FIRST, most: limits::PUSH_RETRY_MOST };
    let store = push.rooms.store();
    let mut wait = None;
    loop {
        let failures = push.progress(partition).behind.get(&key).map(|behind| behind.failures);
        let Some(failures) = failures else { return };
        let pause = wait.take().unwrap_or_else(|| backoff.wait(failures, store.random()));
        tokio::select! {
            biased;
            () = stop.started() => return,
            () = store.clock().sleep(pause) => {}
        }
        match once(&push, partition, &key).await {
            Ok(Outcome::Done) => return,
            Ok(Outcome::More) => wait = Some(SOON),
            Ok(Outcome::Elsewhere) => wait = Some(limits::PUSH_RETRY_FIRST),
            Ok(Outcome::Failed) => {}
            Err(error) => {
                tracing::warn!(user = %key.user, app = key.app_id, %error, "a pusher that is behind could not be tried");
                wait = Some(limits::PUSH_RETRY_MOST.min(Duration::from_secs(60)));
            }
        }
    }
}

/// The pause when the reader is at work: it is done in a moment.
const SOON: Duration = Duration::from_millis(50);

enum Outcome {
    Done,
    /// The reader has gone on meanwhile.
    More,
    /// The reader has not begun, or reads in another process.
    Elsewhere,
    Failed,
}

async fn once(push: &Push, partition: Partition, key: &PusherKey) -> Result<Outcome, Error> {
    let pushers = push.accounts.pushers(&key.user).await?;
    let Some(pusher) = pushers.into_iter().find(|pusher| PusherKey::of(pusher) == *key) else {
        return forget(push, partition, key).await;
    };
    // What the reader is telling now is not looked at before it is done.
    let Some([until, _]) = push.reached(partition) else { return Ok(Outcome::Elsewhere) };
    let Some(told) = push.progress(partition).behind.get(key).map(|behind| behind.told) else {
        return Ok(Outcome::Done);
    };
    if let Some(outcome) = catch_up(push, partition, &pusher, [told, until]).await? {
        return Ok(outcome);
    }
    // Under the lock, so that the reader begins nothing in between.
    let reached = push.reached(partition);
    let has_caught_up = {
        let mut progress = push.progress(partition);
        let is_there = reached == Some([until, until]) && progress.telling <= until;
        is_there && progress.behind.remove(key).is_some()
    };
    if !has_caught_up {
        return Ok(Outcome::More);
    }
    tracing::info!(user = %key.user, app = key.app_id, "a push gateway has caught up");
    let mut batch = Batch::new();
    batch.delete(&row(partition, key));
    commit(push, batch).await?;
    Ok(Outcome::Done)
}

/// Tells of what was missed; `None` when all of it was told.
async fn catch_up(
    push: &Push,
    partition: Partition,
    pusher: &Pusher,
    span: [Position; 2],
) -> Result<Option<Outcome>, Error> {
    let key = PusherKey::of(pusher);
    let missed = push.rooms.accepted_for(&pusher.user, partition, span, limits::PUSH_MISSED).await?;
    for event in missed {
        match push.tell(pusher, event).await? {
            Told::Yes => {
                moved(push, partition, &key, |behind| (behind.told, behind.failures) = (event.position, 0)).await?;
            }
            Told::Gone => return forget(push, partition, &key).await.map(Some),
            Told::No(reason) => {
                moved(push, partition, &key, |behind| {
                    behind.failures = behind.failures.saturating_add(1);
                    behind.reason = reason;
                })
                .await?;
                return Ok(Some(Outcome::Failed));
            }
        }
    }
    Ok(None)
}

/// Changes what is known of a pusher, in memory and in the store.
async fn moved(
    push: &Push,
    partition: Partition,
    key: &PusherKey,
    change: impl FnOnce(&mut Behind),
) -> Result<(), Error> {
    let mut batch = Batch::new();
    {
        let mut progress = push.progress(partition);
        let Some(behind) = progress.behind.get_mut(key) else { return Ok(()) };
        change(behind);
        put(&mut batch, partition, key, behind);
    }
    commit(push, batch).await
}

async fn forget(push: &Push, partition: Partition, key: &PusherKey) -> Result<Outcome, Error> {
    push.progress(partition).behind.remove(key);
    let mut batch = Batch::new();
    batch.delete(&row(partition, key));
    commit(push, batch).await?;
    Ok(Outcome::Done)
}
