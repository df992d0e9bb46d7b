//! What can go wrong, in three families: *refusals* (the caller's doing: they carry the Matrix error code for the answer),
//! *unavailable* (try again later) and *faults* (a bug or a broken disk).

use ruma::api::client::uiaa::UiaaInfo;

/// A failed operation on an account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals.
    /// It is not done, by the caller's doing.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// More is to be proven first: see [`crate::uia`].
    #[error("more authentication is needed")]
    MoreAuth(Box<UiaaInfo>),

    // Unavailable.
    /// Others wrote the same rows first, every time.
    #[error("changing an account failed: others changed it at the same time, {attempts} times")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },
    /// More passwords wait to be hashed than can be within a bearable time.
    #[error("checking a password failed: too many others are being checked")]
    TooManyPasswords,

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
    /// A password could not be hashed.
    #[error("hashing a password failed: {what}")]
    Hashing {
        /// What was said.
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
            Self::Busy { .. } | Self::TooManyPasswords => true,
            Self::Storage { source, .. } => source.is_unavailable(),
            Self::Refused(_) | Self::MoreAuth(_) | Self::Damaged { .. } | Self::Hashing { .. } => false,
        }
    }

    /// Whether somebody else wrote first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_conflict())
    }
}

impl From<protocol::bundle::BundleError> for Error {
    fn from(error: protocol::bundle::BundleError) -> Self {
        Self::Refused(error.into())
    }
}

/// What is not done for the caller, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No session has this token.
    #[error("the token belongs to no session")]
    UnknownToken,
    /// The session is still there, its token has expired: log in again as the same device, or refresh.
    #[error("the token has expired")]
    ExpiredToken,
    /// An administrator has locked the account.
    #[error("the account is locked")]
    Locked,
    /// An administrator has suspended the account: it may read, and not act.
    #[error("the account is suspended")]
    Suspended,
    /// The account was deactivated.
    #[error("the account was deactivated")]
    Deactivated,
    /// The name or the password is wrong; which of them is not said.
    #[error("the user name or the password is wrong")]
    WrongPassword,
    /// The token to log in with is none, or was used, or has expired.
    #[error("the login token is not valid")]
    WrongLoginToken,
    /// The caller may not do this.
    #[error("{why}")]
    Forbidden {
        /// Why not.
        why: String,
    },
    /// What a guest may not do.
    #[error("guests may not do this")]
    GuestForbidden,
    /// Somebody has this user name.
    #[error("the user name is taken")]
    UserInUse,
    /// A user name that no user may have.
    #[error("the user name cannot be used: {what}")]
    InvalidUsername {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A password that is too easy to guess.
    #[error("the password cannot be used: {what}")]
    WeakPassword {
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no such thing.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// A parameter has a value that makes no sense.
    #[error("{what}")]
    InvalidParam {
        /// What is wrong.
        what: String,
    },
    /// A parameter is missing.
    #[error("{what} is missing")]
    MissingParam {
        /// Which.
        what: &'static str,
    },
    /// The body is JSON, and not of the form that it should have.
    #[error("{what}")]
    BadJson {
        /// What is wrong.
        what: String,
    },
    /// A type of account data that has an endpoint of its own.
    #[error("{kind} cannot be written here")]
    ServerManaged {
        /// The type.
        kind: &'static str,
    },
    /// It is larger than it may be.
    #[error("{what} is larger than the {most} bytes that it may have")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The largest size, in bytes.
        most: usize,
    },
    /// A user has more of something than anybody needs.
    #[error("there are more {what} than the {most} that a user may have")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most there may be.
        most: usize,
    },
    /// The name of a profile's field is too long.
    #[error("the name of the profile's field is too long")]
    KeyTooLarge,
    /// The profile would become too large.
    #[error("the profile would become too large")]
    ProfileTooLarge,
    /// What another endpoint is there for.
    #[error("{why}")]
    WrongEndpoint {
        /// Which one, and why.
        why: &'static str,
    },
    /// Third-party identifiers are not kept here.
    #[error("third-party identifiers are not accepted by this server")]
    ThirdPartyDenied,
    /// A key, or a signature, is not what it should be.
    #[error(transparent)]
    Bundle(#[from] protocol::bundle::BundleError),
    /// Sessions were offered to a key backup that is not the current one.
    #[error("the key backup is not the current one")]
    WrongBackupVersion {
        /// The version of the current one.
        current: String,
    },
}

impl Refusal {
    pub(crate) fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden { why: why.into() }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::InvalidParam { what: what.into() }
    }

    /// The Matrix error code (<https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>).
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownToken | Self::ExpiredToken => "M_UNKNOWN_TOKEN",
            Self::Locked => "M_USER_LOCKED",
            Self::Suspended => "M_USER_SUSPENDED",
            Self::Deactivated => "M_USER_DEACTIVATED",
            Self::WrongPassword | Self::WrongLoginToken | Self::Forbidden { .. } => "M_FORBIDDEN",
            Self::GuestForbidden => "M_GUEST_ACCESS_FORBIDDEN",
            Self::UserInUse => "M_USER_IN_USE",
            Self::InvalidUsername { .. } => "M_INVALID_USERNAME",
            Self::WeakPassword { .. } => "M_WEAK_PASSWORD",
            Self::NotFound { .. } => "M_NOT_FOUND",
            Self::InvalidParam { .. } => "M_INVALID_PARAM",
            Self::MissingParam { .. } => "M_MISSING_PARAM",
            // A key's body has been read as JSON by then; what is wrong is that it has no canonical form.
            Self::BadJson { .. }
            | Self::ServerManaged { .. }
            | Self::Bundle(protocol::bundle::BundleError::Json(_)) => "M_BAD_JSON",
            Self::TooLarge { .. } => "M_TOO_LARGE",
            Self::TooMany { .. } => "M_RESOURCE_LIMIT_EXCEEDED",
            Self::KeyTooLarge => "M_KEY_TOO_LARGE",
            Self::ProfileTooLarge => "M_PROFILE_TOO_LARGE",
            Self::WrongEndpoint { .. } => "M_UNRECOGNIZED",
            Self::ThirdPartyDenied => "M_THREEPID_DENIED",
            Self::Bundle(error) => error.errcode(),
            Self::WrongBackupVersion { .. } => "M_WRONG_ROOM_KEYS_VERSION",
        }
    }

    /// Whether a client is to keep what it has stored and log in again
    /// (<https://spec.matrix.org/v1.19/client-server-api/#soft-logout>).
    pub fn is_soft_logout(&self) -> bool {
        matches!(self, Self::ExpiredToken | Self::Locked)
    }
}
