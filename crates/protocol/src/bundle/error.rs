//! Why a bundle, or a part of one, is refused.

use crate::canonical::{FieldError, JsonError};
use crate::key::KemError;
use crate::key::KeyError;

/// A refusal: the fault is with whoever made or altered the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes are not JSON that can be signed.
    #[error("reading a key bundle: {0}")]
    Json(#[from] JsonError),
    /// A field is missing or of another type.
    #[error("reading a key bundle: {0}")]
    Field(#[from] FieldError),
    /// A public key or a signature is not one.
    #[error("reading `{name}`: {source}")]
    Key {
        /// The field or key name.
        name: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// An ML-KEM key is not one.
    #[error("reading `{name}`: {source}")]
    Kem {
        /// The field or key name.
        name: String,
        /// What is wrong with it.
        source: KemError,
    },
    /// The bundle says it belongs to somebody else.
    #[error("reading a key bundle: `{field}` is {got:?} where {expected:?} belongs")]
    Owner {
        /// `user_id` or `device_id`.
        field: &'static str,
        /// Who sent it.
        expected: String,
        /// Who it claims to be.
        got: String,
    },
    /// A key is under a name that does not fit it.
    #[error("reading a key bundle: the key name {0:?} does not fit its key, its owner or the format")]
    KeyName(String),
    /// A cross-signing key is not (only) for the use it is offered for.
    #[error("reading a cross-signing key: its usage is not exactly {expected:?}")]
    Usage {
        /// The use it is offered for.
        expected: &'static str,
    },
    /// The signature that the format asks for is not there.
    #[error("verifying a key bundle: no signature by {key_id} of {signer}")]
    NotSigned {
        /// Who should have signed.
        signer: String,
        /// With which key.
        key_id: String,
    },
    /// The signature is there and wrong.
    #[error("verifying a key bundle: the signature by {key_id} of {signer} is wrong")]
    WrongSignature {
        /// Who is said to have signed.
        signer: String,
        /// With which key.
        key_id: String,
    },
    /// Nothing to check the signature against: neither in the upload nor known before.
    #[error("verifying a key bundle: no {0} is known")]
    NoSigner(&'static str),
    /// A device id is also the name of a cross-signing key, so that signatures by one could pass for the other's.
    #[error("reading a key bundle: {0:?} is both a device id and a cross-signing key")]
    NameTaken(String),
    /// More, or larger, than is accepted at once.
    #[error("reading a key bundle: more {what} than {limit}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is accepted.
        limit: usize,
    },
    /// An object uploaded with new signatures is not the object that was published.
    #[error("reading signatures: the signed object is not the one that was published")]
    ObjectChanged,
}

impl BundleError {
    /// The error code that a homeserver answers with.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
    pub fn errcode(&self) -> &'static str {
        match self {
            Self::Json(_) => "M_NOT_JSON",
            Self::NoSigner(_) => "M_MISSING_PARAM",
            // "Malformed in some way, e.g. missing required keys":
            // <https://spec.matrix.org/v1.19/client-server-api/#common-error-codes>
            Self::Field(_) => "M_BAD_JSON",
            Self::NotSigned { .. } | Self::WrongSignature { .. } => "M_INVALID_SIGNATURE",
            Self::NameTaken(_) => "M_FORBIDDEN",
            Self::TooMuch { .. } => "M_TOO_LARGE",
            Self::Key { .. }
            | Self::Kem { .. }
            | Self::Owner { .. }
            | Self::KeyName(_)
            | Self::Usage { .. }
            | Self::ObjectChanged => "M_INVALID_PARAM",
        }
    }
}
