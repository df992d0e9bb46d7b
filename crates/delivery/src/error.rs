//! What can go wrong, in three families. There are no refusals here: nobody asks anything of a reader. *Unavailable* and
//! *faults* are told apart by [`Error::is_unavailable`].

use storage::reader::HandlerError;

/// A failed step of a reader.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rooms.
    #[error(transparent)]
    Rooms(#[from] rooms::Error),
    /// The accounts.
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    /// The store failed.
    #[error("{doing} failed: {source}")]
    Storage {
        /// What was being tried.
        doing: &'static str,
        /// What the store said.
        source: storage::Error,
    },
    /// What is stored does not fit together.
    #[error("what is stored of deliveries is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    pub(crate) fn storage(doing: &'static str) -> impl FnOnce(storage::Error) -> Self {
        move |source| Self::Storage { doing, source }
    }

    /// Whether the same may work later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Rooms(error) => error.is_unavailable(),
            Self::Accounts(error) => error.is_unavailable(),
            Self::Storage { source, .. } => source.is_unavailable() || source.is_conflict(),
            Self::Damaged { .. } => false,
        }
    }

    /// As a reader of the log is told of it: the time was at fault, or the entry at `position`.
    pub(crate) fn at(self, position: base::Position) -> HandlerError {
        let reason = self.to_string();
        if self.is_unavailable() {
            HandlerError::Unavailable { reason }
        } else {
            HandlerError::Entry { position, reason }
        }
    }
}
