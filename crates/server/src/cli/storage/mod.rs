//! `holdfast storage …`: verify, measure, copy, back up and restore what the server keeps. On a store that a running server
//! has open, it asks that server.

mod bars;
mod commands;
mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::{OnLoss, OpenError, Store};
use tokio::runtime;

use super::Failure;
use crate::config::{Engine, Loaded};
use crate::control::{self, AskError, Request};
use crate::data;
use bars::Bars;

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub(super) enum StorageCommand {
    /// Verify everything that can be verified: checksums, the log's order, references, blobs. Changes nothing.
    Check {
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print rows and bytes of each table.
    Stat {
        /// Print the figures as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy the store into a new one of any engine. The server must be stopped.
    Convert {
        /// The engine of the new store.
        #[arg(long, value_enum)]
        to_engine: TargetEngine,
        /// The data directory of the new store; it must be empty or not exist.
        #[arg(long, value_name = "DIRECTORY")]
        to_data_dir: PathBuf,
        /// Where the database is, for `postgres`. HOLDFAST_STORAGE_URL in another process's environment shows less.
        #[arg(long, value_name = "URL")]
        to_url: Option<String>,
    },
    /// Write a backup, also while the server runs. It can be restored into any engine.
    Backup {
        /// The folder for it; it must be empty or not exist.
        folder: PathBuf,
    },
    /// Make the store that the configuration names from a backup. There must be none yet.
    Restore {
        /// The backup's folder.
        folder: PathBuf,
    },
}

/// Engines that keep what is copied into them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TargetEngine {
    /// The default.
    Embedded,
    /// sled 0.34.
    Sled,
    /// A PostgreSQL server.
    Postgres,
}

/// Why a command on the store failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StorageFailure {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Store(#[from] storage::Error),
    #[error("{0}")]
    Ask(#[from] AskError),
    #[error("there is no store in {}", .0.display())]
    NoStore(PathBuf),
    #[error("the engine \"memory\" keeps nothing that could be looked at")]
    NothingKept,
    #[error("convert to postgres needs --to-url")]
    NoUrl,
    #[error("{0} things are wrong with the store")]
    Unsound(u64),
    #[error("cannot start: {0}")]
    System(std::io::Error),
}

/// Does what `command` says.
pub(super) fn run(loaded: &Loaded, command: &StorageCommand) -> Result<(), Failure> {
    if loaded.config.storage.engine == Engine::Memory {
        return Err(StorageFailure::NothingKept.into());
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(StorageFailure::System)?;
    let outcome = runtime.block_on(commands::run(loaded, command));
    runtime.shutdown_background();
    outcome
}

/// A store to be read: opened here, or by a server that runs.
enum Source {
    Here(Box<Store>),
    Served,
}

impl Source {
    async fn find(loaded: &Loaded) -> Result<Self, StorageFailure> {
        let config = &loaded.config;
        if config.storage.engine != Engine::Postgres && !Store::is_in(&config.data_dir) {
            return Err(StorageFailure::NoStore(config.data_dir.clone()));
        }
        match Store::open(data::options(config, OnLoss::Refuse)).await {
            Ok(store) => Ok(Self::Here(Box::new(store))),
            Err(OpenError::InUse { .. }) => Ok(Self::Served),
            Err(other) => Err(other.into()),
        }
    }

    /// Does `work` on the store here, or asks the server for the same.
    async fn apply<T: Serialize + DeserializeOwned>(
        self,
        loaded: &Loaded,
        request: Request,
        bars: &Bars,
        work: impl AsyncFnOnce(&Store) -> Result<T, storage::Error>,
    ) -> Result<T, StorageFailure> {
        match self {
            Self::Here(store) => {
                let done = work(&store).await;
                store.close().await;
                Ok(done?)
            }
            Self::Served => {
                let (show, advance) = (|what: &str, total| bars.begin(what, total), |units| bars.add(units));
                Ok(control::ask(&loaded.config.data_dir, &request, &show, &advance).await?)
            }
        }
    }
}

/// An absolute path: a server that is asked has another working directory.
fn absolute(path: &std::path::Path) -> Result<PathBuf, StorageFailure> {
    std::path::absolute(path).map_err(StorageFailure::System)
}
