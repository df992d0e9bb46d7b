//! `holdfast config check`: everything that can be found wrong without starting the server.

use std::io::{self, Write};

use super::Failure;
use crate::config::Loaded;
use crate::preflight;

pub(super) fn run(loaded: &Loaded) -> Result<(), Failure> {
    preflight::check(loaded)?;
    let config = &loaded.config;
    let addresses: Vec<String> = config.listen.iter().map(|listen| listen.address.to_string()).collect();
    writeln!(io::stdout(), "the configuration is fine: {} on {}", config.server_name, addresses.join(", "))?;
    Ok(())
}
