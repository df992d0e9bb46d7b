//! What is wrong with a configuration, and where: each problem is one line that says what to change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the list of defaults, which count as written in the configuration file (here its directory).
    Default(Arc<Path>),
    /// In a file, at a line counted from 1.
    File {
        /// The file, as it was named to us.
        file: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Variable(String),
}

impl Place {
    /// The directory that relative paths at this place start from: the configuration file's own, or the one that the
    /// server was started in.
    pub(crate) fn directory(&self) -> PathBuf {
        match self {
            Self::File { file, .. } => file.parent().map(Path::to_path_buf).unwrap_or_default(),
            Self::Default(directory) => directory.to_path_buf(),
            Self::Variable(_) => PathBuf::new(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(_) => write!(f, "in the defaults"),
            Self::File { file, line } => write!(f, "at {}:{line}", file.display()),
            Self::Variable(name) => write!(f, "in the environment variable {name}"),
        }
    }
}

/// Everything that is wrong with a configuration, in the order it was found. Never empty.
#[derive(Debug, Default, thiserror::Error)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds one problem.
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The problems, a line each.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// `value` when there are no problems.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}
