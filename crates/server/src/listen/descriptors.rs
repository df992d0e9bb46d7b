//! The budget of file descriptors: connections may take what storage and the rest do not need, so that a flood of
//! connections never makes a write to disk fail.

use base::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections the process can hold, after asking the operating system for more descriptors.
pub(super) fn connections() -> usize {
    let before = getrlimit(Resource::Nofile);
    let most = before.maximum.unwrap_or(u64::MAX);
    if before.current.is_some_and(|current| current < limits::DESCRIPTORS) {
        let wanted = Rlimit { current: Some(limits::DESCRIPTORS.min(most)), maximum: before.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "cannot raise the limit of open files; fewer connections will be accepted");
        }
    }
    share(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// The connections' share of `descriptors`.
fn share(descriptors: u64) -> usize {
    let left = usize::try_from(descriptors.saturating_sub(limits::RESERVED_DESCRIPTORS)).unwrap_or(usize::MAX);
    left.clamp(limits::CONNECTIONS_LEAST, limits::CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_keeps_its_descriptors() {
        assert_eq!(share(1024), 512);
        assert_eq!(share(256), limits::CONNECTIONS_LEAST);
        assert_eq!(share(u64::MAX), limits::CONNECTIONS);
    }
}
