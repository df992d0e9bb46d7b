//! What can go wrong. A [`Refusal`] is the doing of who sent the event, and carries the Matrix error code for the answer;
//! nothing of our own state is in its text.

use base::limits;

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
            Self::BadSignature { .. } | Self::Forbidden { .. } => "M_FORBIDDEN",
        }
    }
}
