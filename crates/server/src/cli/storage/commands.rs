//! The commands themselves: find the store, do the work, print the outcome.

use std::io::{self, Write};

use base::Secret;
use storage::{EngineChoice, OnLoss, StoreOptions, backup, check};

use super::bars::Bars;
use super::{Source, StorageCommand, StorageFailure, TargetEngine, absolute, show};
use crate::cli::Failure;
use crate::config::Loaded;
use crate::control::Request;
use crate::data;

pub(super) async fn run(loaded: &Loaded, command: &StorageCommand) -> Result<(), Failure> {
    let bars = Bars::new();
    match command {
        StorageCommand::Check { json } => check_store(loaded, *json, &bars).await,
        StorageCommand::Stat { json } => {
            let source = Source::find(loaded).await?;
            let stat =
                source.apply(loaded, Request::Stat, &bars, async |store| check::stat(store, &bars).await).await?;
            bars.clear();
            if *json { show::json(&stat) } else { show::stat(&stat) }
        }
        StorageCommand::Convert { to_engine, to_data_dir, to_url } => {
            let target = target(*to_engine, absolute(to_data_dir)?, to_url.clone())?;
            convert(loaded, target, &bars).await
        }
        StorageCommand::Backup { folder } => {
            let to = absolute(folder)?;
            let request = Request::Backup { to: to.clone() };
            let work = async |store: &storage::Store| backup::backup(store, &to, &bars).await;
            let manifest: storage::Manifest = Source::find(loaded).await?.apply(loaded, request, &bars, work).await?;
            bars.clear();
            show::manifest("wrote a backup of", &manifest)?;
            show::missing(&manifest.missing_blobs)
        }
        StorageCommand::Restore { folder } => {
            let options = data::options(&loaded.config, OnLoss::Refuse);
            let manifest = backup::restore(folder, options, &bars).await.map_err(StorageFailure::from)?;
            bars.clear();
            show::manifest("restored", &manifest)?;
            show::missing(&manifest.missing_blobs)
        }
    }
}

async fn check_store(loaded: &Loaded, json: bool, bars: &Bars) -> Result<(), Failure> {
    let source = Source::find(loaded).await?;
    let report = source.apply(loaded, Request::Check, bars, async |store| check::check(store, bars).await).await?;
    bars.clear();
    if json {
        show::json(&report)?;
    } else {
        show::report(&report)?;
    }
    if report.found > 0 { Err(StorageFailure::Unsound(report.found).into()) } else { Ok(()) }
}

fn target(
    engine: TargetEngine,
    data_dir: std::path::PathBuf,
    url: Option<String>,
) -> Result<StoreOptions, StorageFailure> {
    let engine = match engine {
        TargetEngine::Embedded => EngineChoice::Embedded,
        TargetEngine::Sled => EngineChoice::Sled,
        TargetEngine::Postgres => EngineChoice::Postgres { url: Secret::new(url.ok_or(StorageFailure::NoUrl)?) },
    };
    Ok(StoreOptions::new(data_dir, engine))
}

async fn convert(loaded: &Loaded, target: StoreOptions, bars: &Bars) -> Result<(), Failure> {
    let store = match Source::find(loaded).await? {
        Source::Here(store) => store,
        Source::Served => {
            let (path, pid) = (loaded.config.data_dir.clone(), None);
            return Err(StorageFailure::from(storage::OpenError::InUse { path, pid }).into());
        }
    };
    let (engine, data_dir) = (target.engine.name(), target.data_dir.clone());
    let converted = backup::convert(&store, target, bars).await.map_err(StorageFailure::from)?;
    store.close().await;
    bars.clear();
    let mut out = io::stdout().lock();
    writeln!(out, "copied {} rows and {} blobs", converted.rows, converted.blobs)?;
    writeln!(out, "to use them: storage.engine = {engine:?}, data_dir = {:?}", data_dir.display().to_string())?;
    show::missing(&converted.missing_blobs)
}
