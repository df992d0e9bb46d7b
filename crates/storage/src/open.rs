//! Opening a store: the directory, then the engine, then the checks that what was acknowledged is there.

#[cfg(any(feature = "embedded", feature = "sled"))]
use std::path::Path;
use std::sync::Arc;

use base::{Partition, Position, task};
use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::Version;
use crate::directory::{Directory, FORMAT};
use crate::disk::FreeSpace;
use crate::engine::chain::Chain;
use crate::engine::local::{self, COMMIT_ROW, Kv, Local, SealedRow};
use crate::engine::memory::{self, Memory};
use crate::engine::value::Sealer;
use crate::engine::writer::{Command, GroupWriter, Queue};
use crate::engine::{Direction, Engine, Health};
use crate::error::OpenError;
use crate::high_water::HighWater;
use crate::key::{Key, KeyRange};
use crate::options::{EngineChoice, OnLoss, StoreOptions};
use crate::table::{HEAD, LOG, META};
use crate::text::hex;

/// The META row with the number of partitions.
const PARTITIONS_ROW: &str = "partitions";
/// The META row with the store's id, which must be the directory's.
const ID_ROW: &str = "id";
/// The META row with the format of the rows.
const FORMAT_ROW: &str = "format";

/// An engine and the directory it lies in.
pub(crate) struct Opened {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) directory: Option<Directory>,
}

/// Opens the engine that `options` choose.
pub(crate) async fn open(options: &StoreOptions) -> Result<Opened, OpenError> {
    let id = hex(&options.random.bytes::<16>());
    if let EngineChoice::Memory { disk } = &options.engine {
        let (kv, acknowledged) = Memory::open(disk);
        let parts =
            Parts { high_water: Box::new(disk.clone()), acknowledged, space: FreeSpace::new(None, 0), id: None };
        let (local, writer, queue) = recover(kv, parts, options)?;
        task::spawn(memory::run(writer, queue, options.clock.clone()));
        return Ok(Opened { engine: Arc::new(local), directory: None });
    }
    let directory = Directory::open(&options.data_dir, options.engine.name(), &id)?;
    let engine: Arc<dyn Engine> = match &options.engine {
        EngineChoice::Memory { .. } => unreachable!("opened above"),
        #[cfg(feature = "postgres")]
        EngineChoice::Postgres { url } => Arc::new(crate::engine::postgres::open(url, &directory, options).await?),
        #[cfg(feature = "embedded")]
        EngineChoice::Embedded => {
            start_local(|path| crate::engine::embedded::Embedded::open(path, &options.tuning), &directory, options)?
        }
        #[cfg(feature = "sled")]
        EngineChoice::Sled => {
            start_local(|path| crate::engine::sled::Sled::open(path, &options.tuning), &directory, options)?
        }
        #[cfg(not(all(feature = "embedded", feature = "sled", feature = "postgres")))]
        other => return Err(OpenError::NotBuilt { engine: other.name() }),
    };
    Ok(Opened { engine, directory: Some(directory) })
}

/// What stands beside the map.
struct Parts {
    high_water: Box<dyn HighWater>,
    acknowledged: u64,
    space: FreeSpace,
    id: Option<String>,
}

#[cfg(any(feature = "embedded", feature = "sled"))]
fn start_local<K: Kv>(
    open: impl FnOnce(&Path) -> Result<K, OpenError>,
    directory: &Directory,
    options: &StoreOptions,
) -> Result<Arc<dyn Engine>, OpenError> {
    let (high_water, acknowledged) = directory.high_water(options.on_loss)?;
    let kv = open(&directory.begin_engine(acknowledged)?)?;
    let space = FreeSpace::new(Some(directory.path().to_owned()), options.tuning.disk_reserve_bytes);
    let id = Some(directory.marker().id.clone());
    let (local, writer, queue) =
        recover(kv, Parts { high_water: Box::new(high_water), acknowledged, space, id }, options)?;
    directory.engine_made()?;
    task::thread("group-commit", move || writer.run(queue))
        .map_err(OpenError::io("starting the group-commit writer"))?;
    Ok(Arc::new(local))
}

type Recovered<K> = (Local<K>, GroupWriter<K>, tokio::sync::mpsc::Receiver<Command>);

/// Reads what the map says of itself, makes it if it is new, and checks it against the high-water mark.
fn recover<K: Kv>(kv: K, mut parts: Parts, options: &StoreOptions) -> Result<Recovered<K>, OpenError> {
    let kv = Arc::new(kv);
    let commit = meta(&*kv, COMMIT_ROW)?.map(|bytes| number(&bytes));
    let found = commit.unwrap_or_default();
    if parts.acknowledged > found {
        let acknowledged = parts.acknowledged;
        if options.on_loss == OnLoss::Refuse {
            return Err(OpenError::LostAcknowledged { acknowledged, found });
        }
        tracing::warn!(acknowledged, found, "going on without commits that were acknowledged");
    }
    if commit.is_none() {
        initialise(&*kv, &parts, options)?;
    }
    check_identity(&*kv, &parts, options)?;
    let chain = read_chain(&*kv, options)?;
    // Numbers are never given twice: a version seen before a loss must not come back for other data.
    let number_now = found.max(parts.acknowledged);
    // Twice, because the mark has two slots and a lower number must not lose against the one it replaces.
    parts.high_water.remember(number_now);
    parts.high_water.remember(number_now);
    let partitions = meta(&*kv, PARTITIONS_ROW)?.map_or(0, |bytes| number(&bytes));
    let heads = read_heads(&*kv, u16::try_from(partitions).unwrap_or(u16::MAX), options)?;
    let (head_senders, head_receivers) = heads.iter().map(|head| watch::channel(*head)).unzip();
    let (health_sender, health) = watch::channel(Health::Serving);
    let (queue, receiver) = Queue::new();
    let local = Local { kv: Arc::clone(&kv), clock: options.clock.clone(), queue, heads: head_receivers, health };
    let writer = GroupWriter {
        kv,
        number: number_now,
        chain,
        heads,
        high_water: parts.high_water,
        space: parts.space,
        head_senders,
        health: health_sender,
        spool: None,
    };
    Ok((local, writer, receiver))
}

/// Where the groups end, when none is missing among them.
fn read_chain<K: Kv>(kv: &K, options: &StoreOptions) -> Result<Chain, OpenError> {
    let (chain, missing) = Chain::read(kv)?;
    if missing > 0 {
        let path = options.data_dir.join("engine");
        if options.on_loss == OnLoss::Refuse {
            let what = format!(
                "{missing} groups of commits are missing before the newest one, a journal was cut or garbled; with \
                 --accept-loss it is used without them"
            );
            return Err(OpenError::Damaged { path, what });
        }
        tracing::warn!(missing, "going on without groups of commits that are missing before the newest one");
        let failed = |failure| OpenError::Damaged { path, what: format!("writing failed: {failure:?}") };
        kv.write(chain.mended()).map_err(failed)?;
    }
    Ok(chain)
}

fn initialise<K: Kv>(kv: &K, parts: &Parts, options: &StoreOptions) -> Result<(), OpenError> {
    let mut rows = vec![
        (COMMIT_ROW, 0u64.to_be_bytes().to_vec()),
        (FORMAT_ROW, u64::from(FORMAT).to_be_bytes().to_vec()),
        (PARTITIONS_ROW, u64::from(options.partitions.max(1)).to_be_bytes().to_vec()),
    ];
    rows.extend(parts.id.as_ref().map(|id| (ID_ROW, id.clone().into_bytes())));
    let mut sealed: Vec<SealedRow> = rows
        .into_iter()
        .map(|(name, value)| {
            let key = meta_key(name).to_bytes();
            let value = Sealer::default().seal(&key, Version(0), &value);
            (key, Some(value))
        })
        .collect();
    sealed.sort();
    kv.write(sealed).map_err(|failure| OpenError::Damaged {
        path: options.data_dir.clone(),
        what: format!("the first write failed: {failure:?}"),
    })
}

fn check_identity<K: Kv>(kv: &K, parts: &Parts, options: &StoreOptions) -> Result<(), OpenError> {
    let format = meta(kv, FORMAT_ROW)?.map_or(0, |bytes| number(&bytes));
    if format > u64::from(FORMAT) {
        let found = u32::try_from(format).unwrap_or(u32::MAX);
        let (path, made_by) = (options.data_dir.clone(), "a newer version".to_owned());
        return Err(OpenError::Newer { path, found, newest: FORMAT, made_by });
    }
    let inside = meta(kv, ID_ROW)?;
    if inside.as_deref() != parts.id.as_deref().map(str::as_bytes) {
        let what = "the engine's files belong to another data directory".to_owned();
        return Err(OpenError::Damaged { path: options.data_dir.join("engine"), what });
    }
    Ok(())
}

/// The heads as stored, each checked against the newest log entry of its partition.
fn read_heads<K: Kv>(kv: &K, partitions: u16, options: &StoreOptions) -> Result<Vec<Position>, OpenError> {
    let mut heads = Vec::with_capacity(usize::from(partitions));
    for partition in (0..partitions).map(Partition) {
        let stored = local::read(kv, &Key::of(HEAD, &partition))?;
        let head = Position(stored.map_or(0, |stored| number(&stored.value)));
        let newest = local::page(kv, &KeyRange::prefix(LOG, &partition), Direction::Backward, 1)?;
        let newest = newest.rows.first().and_then(|row| row.key.parts::<(Partition, Position)>().ok());
        if newest.is_some_and(|(_, newest)| newest != head) || (newest.is_none() && head != Position::START) {
            let newest = newest.map_or(0, |(_, newest)| newest.0);
            let what = format!("the log of partition {partition} ends at {newest}, its head says {head}");
            return Err(OpenError::Damaged { path: options.data_dir.join("engine"), what });
        }
        heads.push(head);
    }
    Ok(heads)
}

fn meta_key(name: &str) -> Key {
    Key::of(META, &name.to_owned())
}

fn meta<K: Kv>(kv: &K, name: &str) -> Result<Option<Bytes>, OpenError> {
    Ok(local::read(kv, &meta_key(name))?.map(|stored| stored.value))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
