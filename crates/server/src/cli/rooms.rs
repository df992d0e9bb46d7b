//! `holdfast rooms …`: look after rooms. On a store that a running server has open, it asks that server.

use std::io::{self, Write};
use std::sync::Arc;

use ::storage::{OnLoss, OpenError, Store};
use clap::Subcommand;
use tokio::runtime;

use super::Failure;
use crate::config::{Config, Engine, Loaded};
use crate::control::quarantine::{self, Item, QuarantineAnswer, QuarantineRequest};
use crate::control::{self, AskError, Request};
use crate::{data, http};

/// What can be done with rooms.
#[derive(Debug, Subcommand)]
pub(super) enum RoomsCommand {
    /// Look after events that could not be processed and were set aside.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// List them.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one: who sent it, where, and what went wrong; never what it says.
    Show {
        /// What the list names it.
        which: String,
    },
    /// Process one again, as if it had just been sent.
    Replay {
        /// What the list names it.
        which: String,
    },
}

/// Why a command on rooms failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoomsFailure {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Rooms(#[from] http::OpenError),
    #[error("{0}")]
    Ask(#[from] AskError),
    #[error("{0}")]
    Refused(String),
    #[error("there is no store in {0}")]
    NoStore(String),
    #[error("no event of this name is set aside")]
    Unknown,
    #[error("the event could not be processed, again: {0}")]
    Again(String),
    #[error("cannot start: {0}")]
    System(io::Error),
}

/// Does what `command` says.
pub(super) fn run(loaded: &Loaded, command: &RoomsCommand) -> Result<(), Failure> {
    let RoomsCommand::Quarantine(command) = command;
    let request = match command {
        QuarantineCommand::List { .. } => QuarantineRequest::List,
        QuarantineCommand::Show { which } => QuarantineRequest::Show { which: which.clone() },
        QuarantineCommand::Replay { which } => QuarantineRequest::Replay { which: which.clone() },
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(RoomsFailure::System)?;
    let answer = runtime.block_on(ask(&loaded.config, request));
    runtime.shutdown_background();
    print(command, answer?)
}

async fn ask(config: &Config, request: QuarantineRequest) -> Result<QuarantineAnswer, RoomsFailure> {
    if config.storage.engine != Engine::Postgres && !Store::is_in(&config.data_dir) {
        return Err(RoomsFailure::NoStore(config.data_dir.display().to_string()));
    }
    match Store::open(data::options(config, OnLoss::Refuse)).await {
        Ok(store) => {
            let store = Arc::new(store);
            let rooms = http::open_rooms(config, Arc::clone(&store)).await?;
            let answer = quarantine::answer(&rooms, &request).await.map_err(RoomsFailure::Refused);
            store.close().await;
            answer
        }
        Err(OpenError::InUse { .. }) => {
            let request = Request::Quarantine(request);
            Ok(control::ask(&config.data_dir, &request, &|_, _| {}, &|_| {}).await?)
        }
        Err(other) => Err(other.into()),
    }
}

fn print(command: &QuarantineCommand, answer: QuarantineAnswer) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match (command, answer) {
        (QuarantineCommand::List { json: true }, QuarantineAnswer::Events(items)) => {
            serde_json::to_writer_pretty(&mut out, &items).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        (QuarantineCommand::List { .. }, QuarantineAnswer::Events(items)) => {
            items.iter().try_for_each(|Item { which, event }| {
                let name = event.event.as_ref().map_or("(not read)", |id| id.as_str());
                writeln!(out, "{which}  {}  {name}  {:?} in {:?}", event.room_id, event.cause, event.stage)
            })?;
            writeln!(out, "{} events are set aside", items.len())?;
        }
        (_, QuarantineAnswer::Events(items)) => items.iter().try_for_each(|item| show(&mut out, item))?,
        (_, QuarantineAnswer::Done(verdict)) => writeln!(out, "processed: {verdict}")?,
        (_, QuarantineAnswer::Unknown) => return Err(RoomsFailure::Unknown.into()),
        (_, QuarantineAnswer::Again(item)) => {
            let cause = format!("{:?} {}", item.event.cause, item.event.reason);
            return Err(RoomsFailure::Again(cause.trim_end().to_owned()).into());
        }
    }
    Ok(())
}

fn show(out: &mut impl Write, Item { which, event }: &Item) -> io::Result<()> {
    let or_unknown = |text: Option<&str>| text.unwrap_or("(it could not be read)").to_owned();
    let fields = [
        ("name", which.clone()),
        ("room", event.room_id.to_string()),
        ("event", or_unknown(event.event.as_ref().map(|id| id.as_str()))),
        ("type", or_unknown(event.kind.as_deref())),
        ("sender", or_unknown(event.sender.as_ref().map(|user| user.as_str()))),
        ("sent by", event.from.to_string()),
        ("size", format!("{} bytes", event.bytes)),
        ("while", format!("{:?}", event.stage)),
        ("cause", format!("{:?}", event.cause)),
        ("reason", event.reason.clone()),
        ("since", event.at.to_string()),
        ("replays", event.replays.to_string()),
    ];
    fields.iter().try_for_each(|(name, value)| writeln!(out, "{name:<8} {value}"))
}
