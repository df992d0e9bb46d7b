//! `holdfast serve`: run the server until a signal asks it to stop.

use std::env;

use base::Clock;
use storage::OnLoss;
use tokio::runtime;

use super::Failure;
use crate::config::{Loaded, Problems};
use crate::{logging, run};

pub(super) fn run(loaded: Loaded, on_loss: OnLoss) -> Result<(), Failure> {
    let filter = env::var("HOLDFAST_LOG").ok();
    logging::start(filter.as_deref()).map_err(|problem| {
        let mut problems = Problems::default();
        problems.add(problem);
        problems
    })?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| run::Error::System("start the threads of the server", error))?;
    let outcome = runtime.block_on(run::run(loaded, on_loss, Clock::system()));
    // Everything that must be finished is; what is left may be cut.
    runtime.shutdown_background();
    outcome.map_err(Failure::from)
}
