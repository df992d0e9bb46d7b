//! The data directory: whose it is, which format and engine it has, and that one process at a time uses it.
//!
//! ```text
//! data_dir/
//!   store.json      format, engine, id: written once, by whom the directory was made
//!   lock            held (flock) by the process that has it open; its number is inside
//!   acknowledged    the high-water mark
//!   in-flight/      which log entries are being worked on, a file a reader
//!   engine/         the engine's own files
//!   engine.making   there only until the engine is made
//!   blobs/          blobs by content hash
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::OpenError;
use crate::high_water::{self, HighWaterFile};
use crate::options::OnLoss;

/// The newest format that this release reads, and the one it writes.
pub(crate) const FORMAT: u32 = 1;

const MARKER: &str = "store.json";
const LOCK: &str = "lock";
#[cfg(any(feature = "embedded", feature = "sled"))]
const MAKING: &str = "engine.making";

/// What `store.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// So that the file tells a person what it is.
    pub(crate) what: String,
    pub(crate) format: u32,
    pub(crate) engine: String,
    /// Random, in hex: tells stores apart, also when a directory is copied.
    pub(crate) id: String,
    pub(crate) made_by: String,
    /// A restore or conversion is writing into it.
    #[serde(default)]
    pub(crate) unfinished: bool,
}

/// An open and locked data directory. The lock ends with it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    marker: Marker,
    _lock: File,
}

impl Directory {
    /// Opens `path`, or makes it for `engine` with the random `id`.
    pub(crate) fn open(path: &Path, engine: &str, id: &str) -> Result<Self, OpenError> {
        let doing = |what: &str| format!("{what} {}", path.display());
        make_directory(path).map_err(OpenError::io(doing("making the data directory")))?;
        let names = names_in(path).map_err(OpenError::io(doing("reading the data directory")))?;
        let marked = names.iter().any(|name| name == MARKER);
        if let (false, Some(foreign)) = (marked, names.iter().find(|name| !is_ours_before_marking(name))) {
            return Err(OpenError::NotOurs { path: path.to_owned(), found: foreign.clone() });
        }
        let lock = lock(path)?;
        let marker = if marked { read_marker(path)? } else { make(path, engine, id)? };
        if marker.engine != engine {
            let (path, found, configured) = (path.to_owned(), marker.engine, engine.to_owned());
            return Err(OpenError::OtherEngine { path, found, configured });
        }
        Ok(Self { path: path.to_owned(), marker, _lock: lock })
    }

    /// The engine named by the directory's marker; `None` when there is no store there.
    pub(crate) fn engine_of(path: &Path) -> Result<Option<String>, OpenError> {
        if Self::is_in(path) { read_marker(path).map(|marker| Some(marker.engine)) } else { Ok(None) }
    }

    /// Whether `path` is a data directory.
    pub(crate) fn is_in(path: &Path) -> bool {
        path.join(MARKER).exists()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Says durably whether a restore or conversion is under way.
    pub(crate) fn set_unfinished(&mut self, import: Import) -> Result<(), OpenError> {
        self.marker.unfinished = import == Import::UnderWay;
        write_marker(&self.path, &self.marker)
    }

    /// Where the engine keeps its files; made if it is not there. What a power cut left of an engine that was just being
    /// made is removed first: no engine opens such files, and nothing was acknowledged yet.
    #[cfg(any(feature = "embedded", feature = "sled"))]
    pub(crate) fn begin_engine(&self, acknowledged: u64) -> Result<PathBuf, OpenError> {
        let (path, making) = (self.path.join("engine"), self.path.join(MAKING));
        let begin = || {
            if acknowledged == 0 && making.exists() && path.exists() {
                fs::remove_dir_all(&path)?;
            }
            if acknowledged == 0 && !path.exists() {
                File::create(&making)?;
                sync_directory(&self.path)?;
            }
            make_directory(&path)
        };
        begin().map_err(OpenError::io(format!("making {}", path.display())))?;
        Ok(path)
    }

    /// Says durably that the engine is made and holds its first rows. Called before anything can be acknowledged.
    #[cfg(any(feature = "embedded", feature = "sled"))]
    pub(crate) fn engine_made(&self) -> Result<(), OpenError> {
        let making = self.path.join(MAKING);
        if !making.exists() {
            return Ok(());
        }
        let remove = || fs::remove_file(&making).and_then(|()| sync_directory(&self.path));
        remove().map_err(OpenError::io(format!("removing {}", making.display())))
    }

    /// The high-water mark: the file and what it holds. A missing or garbled mark is damage, unless a loss is accepted:
    /// the directory was made with one.
    pub(crate) fn high_water(&self, on_loss: OnLoss) -> Result<(HighWaterFile, u64), OpenError> {
        let file = self.path.join(high_water::FILE);
        let doing = format!("reading {}", file.display());
        if on_loss == OnLoss::Accept && !file.exists() {
            HighWaterFile::create(&self.path).map_err(OpenError::io(doing.clone()))?;
        }
        let damaged = |what: &str| OpenError::Damaged {
            path: file.clone(),
            what: format!("{what}; start with --accept-loss to go on without knowing whether anything is missing"),
        };
        match HighWaterFile::open(&self.path) {
            Ok((mark, Some(number))) => Ok((mark, number)),
            Ok((mark, None)) if on_loss == OnLoss::Accept => Ok((mark, 0)),
            Ok((_, None)) => Err(damaged("it is garbled")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged("it is missing")),
            Err(source) => Err(OpenError::Io { doing, source }),
        }
    }
}

/// Whether a restore or conversion is writing into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Import {
    UnderWay,
    Done,
}

/// What may lie in a directory that has no marker yet: what a first start that was interrupted leaves, and what an
/// empty file system has of its own.
fn is_ours_before_marking(name: &str) -> bool {
    [LOCK, high_water::FILE, "store.json.new", "lost+found"].contains(&name)
}

fn names_in(path: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join(LOCK);
    let doing = format!("locking {}", file.display());
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        .map_err(OpenError::io(doing.clone()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = lock.read_to_string(&mut text);
            return Err(OpenError::InUse { path: path.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(fs::TryLockError::Error(source)) => return Err(OpenError::Io { doing, source }),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(OpenError::io(doing))?;
    Ok(lock)
}

fn make(path: &Path, engine: &str, id: &str) -> Result<Marker, OpenError> {
    HighWaterFile::create(path).map_err(OpenError::io(format!("making {}", path.join(high_water::FILE).display())))?;
    let marker = Marker {
        what: "a data directory of the Holdfast homeserver; do not change this file".to_owned(),
        format: FORMAT,
        engine: engine.to_owned(),
        id: id.to_owned(),
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        unfinished: false,
    };
    write_marker(path, &marker)?;
    Ok(marker)
}

/// What every release can read of every other's marker: only this much is promised.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    #[serde(default)]
    made_by: String,
}

fn read_marker(path: &Path) -> Result<Marker, OpenError> {
    let file = path.join(MARKER);
    let bytes = fs::read(&file).map_err(OpenError::io(format!("reading {}", file.display())))?;
    let damaged = |error: serde_json::Error| OpenError::Damaged { path: file.clone(), what: error.to_string() };
    let any: AnyFormat = serde_json::from_slice(&bytes).map_err(damaged)?;
    if any.format > FORMAT {
        let (path, found, newest, made_by) = (path.to_owned(), any.format, FORMAT, any.made_by);
        return Err(OpenError::Newer { path, found, newest, made_by });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

fn write_marker(path: &Path, marker: &Marker) -> Result<(), OpenError> {
    let (file, new) = (path.join(MARKER), path.join("store.json.new"));
    let write = || {
        let mut bytes = serde_json::to_vec_pretty(marker)?;
        bytes.push(b'\n');
        let mut out = File::create(&new)?;
        out.write_all(&bytes)?;
        out.sync_all()?;
        fs::rename(&new, &file)?;
        sync_directory(path)
    };
    write().map_err(OpenError::io(format!("writing {}", file.display())))
}

/// Makes a directory and those above it, each entry durable.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
