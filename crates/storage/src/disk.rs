//! How full the disk is, asked before each group is written: a journal that meets the end of the disk in the middle of
//! a record is worse than a refusal, so writes stop while there is still room for the engine to tidy up.

use std::path::PathBuf;

/// The room left for writing, and whether a write has failed for good.
#[derive(Debug)]
pub(crate) struct FreeSpace {
    /// Where to ask; `None` for an engine that has no disk.
    path: Option<PathBuf>,
    reserve: u64,
    poison: Option<String>,
}

impl FreeSpace {
    /// Room on the disk of `path`, of which `reserve` bytes must stay free.
    pub(crate) fn new(path: Option<PathBuf>, reserve: u64) -> Self {
        Self { path, reserve, poison: None }
    }

    /// Bytes free and bytes to keep free, when too few are. A disk that cannot be asked counts as having room: the write
    /// itself will tell.
    pub(crate) fn shortage(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(self.path.as_ref()?).ok()?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        (free < self.reserve).then_some((free, self.reserve))
    }

    /// No write may follow.
    pub(crate) fn poison(&mut self, reason: String) {
        self.poison = Some(reason);
    }

    /// Why no write may follow.
    pub(crate) fn poisoned(&self) -> Option<&str> {
        self.poison.as_deref()
    }
}
