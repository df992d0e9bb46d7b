//! `holdfast config show`: the configuration in force.

use std::io::{self, Write};

use super::Failure;
use crate::config::Loaded;

pub(super) fn run(loaded: &Loaded) -> Result<(), Failure> {
    io::stdout().write_all(loaded.show().as_bytes())?;
    Ok(())
}
