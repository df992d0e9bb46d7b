//! What can go wrong, in three families: *refusals* (the doing of who sent the event: they carry the Matrix error code for
//! the answer, and nothing of our own state is in their text), *unavailable* (try again later) and *faults* (a bug or a
//! broken disk).

use base::limits;

/// A failed operation on a room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Refusals.
    /// The event is not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),

    // Unavailable.
    /// Others were faster, every time.
    #[error("appending to the room failed: others appended to it at the same time, {attempts} times")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },

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
    #[error("the room's data is damaged: {what}")]
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
            Self::Busy { .. } => true,
            Self::Storage { source, .. } => source.is_unavailable(),
            Self::Refused(_) | Self::Damaged { .. } => false,
        }
    }

    /// Whether somebody else wrote first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_conflict())
    }
}

/// An event that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what an event of its room version must look like.
    #[error("reading the event failed: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// It is larger than events may be.
    #[error("the event is larger than the {} bytes that an event may have", limits::EVENT_BYTES)]
    TooLarge,
    /// The room version is none of those we know.
    #[error("room version {version} is not supported")]
    UnsupportedVersion {
        /// The version.
        version: String,
    },
    /// A signature that it must have is missing or wrong.
    #[error("verifying the event's signatures failed: {what}")]
    BadSignature {
        /// What is wrong.
        what: String,
    },
    /// The room is not known here.
    #[error("there is no such room")]
    NoSuchRoom,
    /// A room is to be made whose first events the authorisation rules do not allow.
    #[error("a room cannot begin like this: {why}")]
    InvalidRoomState {
        /// The rule.
        why: String,
    },
    /// What is asked for takes another server, and this one does not talk to others yet.
    #[error("this takes another server, which cannot be reached")]
    NeedsFederation,
    /// Somebody was to be invited by mail address or telephone number, which takes an identity server.
    #[error("this server knows no identity server, so nobody can be invited by mail address or telephone number")]
    NoIdentityServer,
    /// Guests may not join.
    #[error("guests may not join this room")]
    GuestsForbidden,
    /// Nobody of this server may let the user into the room.
    #[error("nobody of this server who is in the room may invite")]
    UnableToGrantJoin,
    /// Something is not in the state that it would have to be in.
    #[error("{what}")]
    BadState {
        /// What it is.
        what: &'static str,
    },
    /// An alias is none, or not of this server.
    #[error("an alias of this server is #name:server, without spaces or colons in its name")]
    InvalidAlias,
    /// Nothing has this alias.
    #[error("there is no such alias")]
    NoSuchAlias,
    /// An alias that a room names as its own does not lead to it.
    #[error("an alias does not lead to the room")]
    BadAlias,
    /// Something can only be forgotten when it is left.
    #[error("the user is still in the room")]
    StillThere,
    /// The alias leads to another room.
    #[error("the alias is taken")]
    AliasTaken,
    /// The operator wants every room to be encrypted.
    #[error("rooms of this server must be encrypted")]
    EncryptionRequired,
    /// The room shows no such event.
    #[error("there is no such event in the room")]
    NoSuchEvent,
    /// What only those in the room may do.
    #[error("you are not in the room")]
    NotJoined,
    /// A parameter has a value that makes no sense.
    #[error("{what}")]
    InvalidParam {
        /// What is wrong.
        what: &'static str,
    },
    /// A pagination token that is none of ours.
    #[error("the pagination token is not one that this server gave out for this room")]
    UnknownToken,
    /// The authorisation rules do not allow it.
    #[error("the authorisation rules do not allow the event: {why}")]
    Forbidden {
        /// The rule.
        why: String,
    },
}

impl Refusal {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    /// The Matrix error code (<https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "M_BAD_JSON",
            Self::TooLarge => "M_TOO_LARGE",
            Self::UnsupportedVersion { .. } => "M_UNSUPPORTED_ROOM_VERSION",
            Self::BadAlias => "M_BAD_ALIAS",
            Self::StillThere => "M_UNKNOWN",
            Self::NoSuchRoom | Self::NoSuchAlias | Self::NoSuchEvent | Self::NeedsFederation => "M_NOT_FOUND",
            Self::BadSignature { .. } | Self::Forbidden { .. } | Self::EncryptionRequired | Self::NotJoined => {
                "M_FORBIDDEN"
            }
            Self::InvalidRoomState { .. } => "M_INVALID_ROOM_STATE",
            Self::NoIdentityServer => "M_SERVER_NOT_TRUSTED",
            Self::GuestsForbidden => "M_GUEST_ACCESS_FORBIDDEN",
            Self::UnableToGrantJoin => "M_UNABLE_TO_GRANT_JOIN",
            Self::BadState { .. } => "M_BAD_STATE",
            Self::InvalidAlias | Self::InvalidParam { .. } | Self::UnknownToken => "M_INVALID_PARAM",
            Self::AliasTaken => "M_ROOM_IN_USE",
        }
    }
}
