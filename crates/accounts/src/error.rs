//! What can go wrong, in three families: *refusals* (the caller's doing: they carry the Matrix error code for the answer),
//! *unavailable* (try again later) and *faults* (a bug or a broken disk).

/// A failed operation on an account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Unavailable or faults: ask `is_unavailable`.
    /// The store failed.
    #[error("{doing} failed: {source}")]
    Storage {
        /// What was being tried.
        doing: &'static str,
        /// What the store said.
        source: storage::Error,
    },

    // Faults.
    /// What is stored does not fit together.
    #[error("an account's data is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    #[expect(dead_code, reason = "its first users come with the folders")]
    pub(crate) fn storage(doing: &'static str) -> impl FnOnce(storage::Error) -> Self {
        move |source| Self::Storage { doing, source }
    }

    /// Whether the same may work later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_unavailable())
    }

    /// Whether somebody else wrote first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_conflict())
    }
}
