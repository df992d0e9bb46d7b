//! What can go wrong, in three families: *refusals* (the caller's doing: they carry the Matrix error code for the answer),
//! *unavailable* (try again later) and *faults* (a bug or a broken disk).

/// A failed upload, download or thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals.
    /// It is not done, by the caller's doing.
    #[error(transparent)]
    Refused(#[from] Refusal),

    // Unavailable.
    /// More thumbnails are being made than can be within a bearable time, or others wrote the same rows first, every time.
    #[error("the media repository is busy")]
    Busy,
    /// The store has no folder for files.
    #[error("there is no folder for media: the store is in memory")]
    NoFolder,

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
    /// A file could not be read.
    #[error("reading a file of media failed: {0}")]
    Read(#[source] std::io::Error),
    /// What is stored does not fit together.
    #[error("the media repository is damaged: {what}")]
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
            Self::Busy | Self::NoFolder => true,
            Self::Storage { source, .. } => source.is_unavailable(),
            Self::Refused(_) | Self::Read(_) | Self::Damaged { .. } => false,
        }
    }

    /// Whether somebody else wrote first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_conflict())
    }
}

/// What is not done for the caller, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is larger than may be uploaded.
    #[error("the largest file that may be uploaded has {most} bytes")]
    TooLarge {
        /// The largest, in bytes.
        most: u64,
    },
    /// There is no such media, or no more.
    #[error("there is no such media")]
    NotFound,
    /// It is on another server.
    #[error("media of other servers are not fetched by this one")]
    NeedsFederation,
    /// It was created, and its content is not there yet.
    #[error("the content has not been uploaded yet")]
    NotYetUploaded,
    /// Its content is there already.
    #[error("the content has been uploaded already and cannot be replaced")]
    CannotOverwrite,
    /// Somebody else created it.
    #[error("only who created the media may upload its content")]
    NotTheCreator,
    /// The caller has created more than has been uploaded.
    #[error("too much media was created and not uploaded")]
    TooManyPending,
    /// It is no image that a thumbnail can be made of.
    #[error("no thumbnail can be made of this: {why}")]
    NoThumbnail {
        /// Why not.
        why: &'static str,
    },
}

impl Refusal {
    /// The Matrix error code (<https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>).
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "M_TOO_LARGE",
            Self::NotFound | Self::NeedsFederation => "M_NOT_FOUND",
            Self::NotYetUploaded => "M_NOT_YET_UPLOADED",
            Self::CannotOverwrite => "M_CANNOT_OVERWRITE_MEDIA",
            Self::NotTheCreator => "M_FORBIDDEN",
            Self::TooManyPending => "M_LIMIT_EXCEEDED",
            Self::NoThumbnail { .. } => "M_UNKNOWN",
        }
    }
}
