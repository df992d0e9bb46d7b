//! What can go wrong, in three families: *refusals* (the caller's doing: they carry the Matrix error code for the answer),
//! *unavailable* (try again later) and *faults* (a bug or a broken disk).

/// A sync that is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals.
    /// What was asked for makes no sense.
    #[error(transparent)]
    Refused(#[from] Refusal),

    // Whatever rooms or accounts say: ask `is_unavailable`.
    /// A read of rooms failed.
    #[error(transparent)]
    Rooms(#[from] rooms::Error),
    /// A read of accounts failed.
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

    // Unavailable.
    /// Somebody else computed the same answer and was stopped.
    #[error("the sync was interrupted: ask again")]
    Interrupted,

    // Faults.
    /// What is stored does not fit together.
    #[error("what a sync reads is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    pub(crate) fn storage(doing: &'static str) -> impl FnOnce(storage::Error) -> Self {
        move |source| Self::Storage { doing, source }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// Whether the same may work later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Rooms(error) => error.is_unavailable(),
            Self::Accounts(error) => error.is_unavailable(),
            Self::Storage { source, .. } => source.is_unavailable(),
            Self::Refused(_) | Self::Damaged { .. } => false,
        }
    }
}

/// Why a sync is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token in `since` is none of ours.
    #[error("`since` is not a token that this server gave")]
    UnknownToken,
    /// The filter is neither JSON nor the id of one that was stored.
    #[error("reading the filter failed: {what}")]
    BadFilter {
        /// What is wrong.
        what: String,
    },
    /// A field of the request is out of its bounds.
    #[error("the request is not one for sliding sync: {what}")]
    BadRequest {
        /// What is wrong.
        what: String,
    },
    /// The position of a sliding sync connection is not known any more: begin anew.
    #[error("this position of the connection is not known: begin a new one")]
    UnknownPosition,
}

impl Refusal {
    /// The Matrix error code (<https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>).
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownToken | Self::BadFilter { .. } | Self::BadRequest { .. } => "M_INVALID_PARAM",
            Self::UnknownPosition => "M_UNKNOWN_POS",
        }
    }
}
