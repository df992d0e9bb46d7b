//! The store that the configuration names, for the server and for the commands on it.

use storage::{EngineChoice, OnLoss, StoreOptions};

use crate::config::{Config, Engine};

/// How to open the store of `config`.
///
/// # Panics
/// Never: a configuration with the engine `postgres` has a URL, which is checked when it is read.
pub(crate) fn options(config: &Config, on_loss: OnLoss) -> StoreOptions {
    let engine = match config.storage.engine {
        Engine::Embedded => EngineChoice::Embedded,
        Engine::Sled => EngineChoice::Sled,
        Engine::Memory => EngineChoice::Memory { disk: storage::MemoryDisk::ephemeral() },
        Engine::Postgres => EngineChoice::Postgres { url: config.storage.url.clone().unwrap_or_default() },
    };
    let mut options = StoreOptions::new(&config.data_dir, engine);
    options.on_loss = on_loss;
    options
}
