//! The configuration: defaults, laid over by a TOML file, laid over by the environment, checked as a whole before any of
//! it applies. Every problem is found at once and says where it is and what is allowed.
//!
//! **Invariant.** Nothing but this folder reads the configuration file or the variable of a key, and nothing here starts
//! anything. The list of keys is [`KEYS`]; the typed result is [`Config`].

mod keys;
mod layer;
mod nearest;
mod network;
mod problem;
mod read;
mod server_name;
mod show;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

pub use keys::{KEYS, Key, Secrecy, Shape};
use layer::{Node, Value, Values};
pub use network::Network;
pub use problem::{Place, Problems};
pub use server_name::ServerName;
pub use values::{
    Config, Contact, Encryption, Engine, Federation, Limits, Listen, Media, PasswordCost, Passwords, Registration,
    RegistrationMode, RoomVersion, Rooms, Storage, Support, TlsFiles,
};

/// The name served when there is no configuration file: enough to try the server on one's own machine.
const TRIAL_NAME: &str = "localhost";

/// A configuration and where its values came from.
#[derive(Debug)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    values: Values,
}

impl Loaded {
    /// The configuration in force as TOML, with secrets hidden and each value's origin beside it.
    pub fn show(&self) -> String {
        show::show(&self.values)
    }

    /// Where the key at `path` was set.
    pub fn place(&self, path: &str) -> Option<&Place> {
        self.values.get(path).map(|node| &node.place)
    }
}

/// Loads the configuration from `file`, if there is one, and `environment` (all of it: what is not ours is passed by).
///
/// # Errors
/// Everything that is wrong with it, one line each.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let directory = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let mut values = layer::defaults(directory, &mut problems);
    let mut is_readable = true;
    match file.map(|file| (file, read::read_small(file))) {
        Some((file, Ok(text))) => match layer::file(file, &text, &mut problems) {
            Some(upper) => layer::lay_over(&mut values, upper),
            None => is_readable = false,
        },
        Some((file, Err(error))) => {
            problems.add(format!("cannot read the configuration file {}: {error}", file.display()));
            is_readable = false;
        }
        None => {
            let place = Place::Default(Arc::from(directory));
            values.insert("server_name", Node { place, value: Value::Text(TRIAL_NAME.to_owned()) });
        }
    }
    layer::lay_over(&mut values, layer::environment(environment, &mut problems));
    // Of a file that could not be read, nothing is called missing.
    let config = if is_readable { read::config(&values, &mut problems) } else { None };
    let config = problems.or(config)?;
    Ok(Loaded { config, values })
}
