//! Compiles the shim, runs a child under it, and reads what it recorded.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use super::child::Plan;

/// What happened below the folder. Paths are relative to it; bytes lie in the recording.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Write { path: String, offset: u64, bytes: Range<usize> },
    Truncate { path: String, length: u64 },
    Grow { path: String, length: u64 },
    Create { path: String },
    MakeDirectory { path: String },
    Rename { from: String, to: String },
    Unlink { path: String },
    Sync { path: String },
    FailedSync { path: String },
}

/// A folder with a store and the shim's recording of it.
pub(crate) struct Recorder {
    folder: TempDir,
    shim: PathBuf,
}

impl Recorder {
    /// Builds the shim; `None` when there is no C compiler.
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let shim = folder.path().join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/crash/shim.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).status();
        match built {
            Ok(status) => assert!(status.success(), "the shim does not compile"),
            Err(error) => {
                println!("skipped: there is no C compiler (cc) for the recording shim: {error}");
                return None;
            }
        }
        fs::create_dir(folder.path().join("disk")).unwrap();
        Some(Self { folder, shim })
    }

    /// The folder whose changes are recorded.
    pub(crate) fn disk(&self) -> PathBuf {
        // The shim compares paths without symbolic links.
        self.folder.path().canonicalize().unwrap().join("disk")
    }

    /// The data directory in it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// Where a child under the shim reports, so that reports and writes are recorded in one order.
    pub(crate) fn reports(&self) -> PathBuf {
        self.disk().join("reports")
    }

    /// A folder that is not recorded.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Carries the plan out under the shim, `settings` being its further variables.
    pub(crate) fn run(&self, plan: &Plan, settings: &[(&str, &str)]) -> ExitStatus {
        let mut command = plan.command();
        command.env("LD_PRELOAD", &self.shim);
        command.env("HOLDFAST_SHIM_ROOT", self.disk()).env("HOLDFAST_SHIM_LOG", self.folder.path().join("recording"));
        command.envs(settings.iter().copied());
        let output = command.output().unwrap();
        print!("{}", String::from_utf8_lossy(&output.stderr));
        output.status
    }

    /// What was recorded.
    pub(crate) fn read(&self) -> Recording {
        let bytes = fs::read(self.folder.path().join("recording")).unwrap_or_default();
        let mut happened = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            happened.push(parse(&bytes, &mut at));
        }
        Recording { bytes, happened }
    }
}

/// Everything that happened, in order.
pub(crate) struct Recording {
    bytes: Vec<u8>,
    pub(crate) happened: Vec<Happened>,
}

impl Recording {
    /// The bytes that a write wrote.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }
}

/// Reads one record as the shim's `record` wrote it.
fn parse(bytes: &[u8], at: &mut usize) -> Happened {
    let mut take = |length: usize| {
        let range = *at..*at + length;
        *at += length;
        range
    };
    let op = bytes[take(1)][0];
    let path = usize::try_from(u32::from_le_bytes(bytes[take(4)].try_into().unwrap())).unwrap();
    let to = usize::try_from(u32::from_le_bytes(bytes[take(4)].try_into().unwrap())).unwrap();
    let offset = u64::from_le_bytes(bytes[take(8)].try_into().unwrap());
    let length = usize::try_from(u64::from_le_bytes(bytes[take(8)].try_into().unwrap())).unwrap();
    let path = String::from_utf8(bytes[take(path)].to_vec()).unwrap();
    let to = String::from_utf8(bytes[take(to)].to_vec()).unwrap();
    let data = take(length);
    match op {
        b'W' => Happened::Write { path, offset, bytes: data },
        b'T' => Happened::Truncate { path, length: offset },
        b'G' => Happened::Grow { path, length: offset },
        b'C' => Happened::Create { path },
        b'D' => Happened::MakeDirectory { path },
        b'R' if offset == 0 => Happened::Rename { from: path, to },
        b'U' => Happened::Unlink { path },
        b'S' => Happened::Sync { path },
        b'F' => Happened::FailedSync { path },
        other => panic!("the model has no {:?} with flags {offset} ({path} {to})", char::from(other)),
    }
}
