//! What a person may type: `holdfast …`. One command, one file.

mod config_check;
mod config_show;
mod rooms;
mod serve;
mod storage;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ::storage::OnLoss;
use clap::{Parser, Subcommand};

use crate::config::{self, Problems};
use crate::run;

/// What the process exits with when its configuration is wrong (`EX_CONFIG` of sysexits): trying again cannot help.
const CONFIGURATION_WRONG: u8 = 78;

/// A Matrix homeserver.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version)]
struct Cli {
    /// The configuration file. Without one, `localhost` is served on 127.0.0.1:8008 with data in ./holdfast-data.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CONFIG", global = true)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server. This is what happens without a command, too.
    Serve {
        /// Start although acknowledged data is missing. The server says so itself when it is needed; what is missing is lost.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after rooms.
    #[command(subcommand)]
    Rooms(rooms::RoomsCommand),
    /// Look after what the server keeps.
    #[command(subcommand)]
    Storage(storage::StorageCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the configuration and the files that it names, without starting anything.
    Check,
    /// Print the configuration in force, with secrets hidden and the place each value comes from.
    Show,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Configuration(#[from] Problems),
    #[error("{0}")]
    Run(run::Error),
    #[error("{0}")]
    Storage(#[from] storage::StorageFailure),
    #[error("{0}")]
    Rooms(#[from] rooms::RoomsFailure),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<run::Error> for Failure {
    fn from(error: run::Error) -> Self {
        match error {
            run::Error::Configuration(problems) => Self::Configuration(problems),
            other => Self::Run(other),
        }
    }
}

/// Does what the arguments of the process say.
pub fn main() -> ExitCode {
    match run_command(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn run_command(cli: &Cli) -> Result<(), Failure> {
    let loaded = config::load(cli.config.as_deref(), env::vars_os())?;
    match cli.command.as_ref().unwrap_or(&Command::Serve { accept_loss: false }) {
        Command::Serve { accept_loss: false } => serve::run(loaded, OnLoss::Refuse),
        Command::Serve { accept_loss: true } => serve::run(loaded, OnLoss::Accept),
        Command::Storage(command) => storage::run(&loaded, command),
        Command::Rooms(command) => rooms::run(&loaded, command),
        Command::Config(ConfigCommand::Check) => config_check::run(&loaded),
        Command::Config(ConfigCommand::Show) => config_show::run(&loaded),
    }
}

/// Prints what went wrong, a line each.
fn report(failure: &Failure) -> ExitCode {
    let mut out = io::stderr().lock();
    // Where standard error is closed, the exit code has to do.
    for line in failure.to_string().lines() {
        let _ = writeln!(out, "holdfast: {line}");
    }
    match failure {
        Failure::Configuration(_) => ExitCode::from(CONFIGURATION_WRONG),
        Failure::Run(_) | Failure::Rooms(_) | Failure::Storage(_) | Failure::Output(_) => ExitCode::FAILURE,
    }
}
