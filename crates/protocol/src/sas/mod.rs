//! SAS verification: two people compare a few emoji or numbers, and know whose keys they have.
//!
//! ```text
//! Starter ──start──▶ Accepter
//! Starter ◀─accept── Accepter     a commitment to the accepter's key, before it knows the starter's
//! Accepted ──key───▶ Accepter
//! Accepted ◀──key─── Accepter     opens the commitment
//! Established        Established  both show the same short string; the people compare it
//! Confirmed ◀──mac──▶ Confirmed   what each vouches for, under the shared secret
//! ```
//!
//! Each step consumes the one before, so none can be repeated or left out. An attacker in the middle has one guess, and the commitment
//! forbids trying keys until the string fits. What this cannot see is a comparison that the people did not make:
//! [`Established::people_agree`] takes their word.
//!
//! Only `curve25519-hkdf-sha256`, `sha256` and `hkdf-hmac-sha256.v2` are spoken; the deprecated ones are neither offered nor taken.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#short-authentication-string-sas-verification>

mod emoji;
mod mac;
mod messages;
mod short_string;
#[cfg(test)]
mod tests;

use std::fmt;

use rand_core::CryptoRng;

pub use emoji::Emoji;
pub use mac::VerifiedKey;
pub use messages::{Reference, Start};
pub use short_string::ShortString;

use crate::canonical::{FieldError, Object};
use crate::encoding;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, KeyError, NonContributoryKey, SharedSecret};

/// Why a verification ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// A message is malformed.
    #[error("verifying by SAS: {0}")]
    Field(#[from] FieldError),
    /// A message is of another verification.
    #[error("verifying by SAS: the message is of another verification")]
    OtherVerification,
    /// The other device speaks none of the methods that we speak, or chose one that we did not offer.
    #[error("verifying by SAS: no common {0}")]
    NoCommonMethod(&'static str),
    /// A public key is none, or was chosen so that the secret would not be one.
    #[error("verifying by SAS: {0}")]
    Key(#[from] KeyError),
    /// As above.
    #[error("verifying by SAS: {0}")]
    NonContributory(#[from] NonContributoryKey),
    /// The other device sent our own key back.
    #[error("verifying by SAS: the other device sent our own key")]
    OwnKey,
    /// The key is not the one that was committed to.
    #[error("verifying by SAS: the key is not the one that was committed to")]
    WrongCommitment,
    /// A MAC is wrong: somebody altered the list of keys or a key.
    #[error("verifying by SAS: the MAC of {0} is wrong")]
    WrongMac(String),
    /// Every MAC is right, and none is of a key that we know.
    #[error("verifying by SAS: none of the keys vouched for is known")]
    NothingVerified,
}

impl SasError {
    /// The code for the `m.key.verification.cancel` that has to be sent.
    #[must_use]
    pub fn cancel_code(&self) -> &'static str {
        match self {
            Self::Field(_) | Self::Key(_) | Self::NonContributory(_) | Self::OwnKey => "m.invalid_message",
            Self::OtherVerification => "m.unknown_transaction",
            Self::NoCommonMethod(_) => "m.unknown_method",
            Self::WrongCommitment => "m.mismatched_commitment",
            Self::WrongMac(_) | Self::NothingVerified => "m.key_mismatch",
        }
    }
}

/// One side of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The user.
    pub user_id: String,
    /// The user's device.
    pub device_id: String,
}

/// Between whom a verification is, and how its messages refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// This side.
    pub us: Party,
    /// The other side.
    pub them: Party,
    /// What all messages refer to.
    pub reference: Reference,
}

impl Flow {
    /// When both sides sent a start, whether ours counts: the smaller user id wins, then the smaller device id.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
    #[must_use]
    pub fn our_start_counts(&self) -> bool {
        (&self.us.user_id, &self.us.device_id) < (&self.them.user_id, &self.them.device_id)
    }
}

/// We have sent a start.
pub struct Starter {
    flow: Flow,
    start: Start,
    key: Curve25519SecretKey,
}

impl Starter {
    /// Begins a verification: the content of the start message to send.
    pub fn start(flow: Flow, rng: &mut (impl CryptoRng + ?Sized)) -> (Self, Object) {
        let start = Start::new(&flow);
        let content = start.content().clone();
        (Self { flow, start, key: Curve25519SecretKey::generate(rng) }, content)
    }

    /// Takes the other side's accept: the content of the key message to send.
    ///
    /// # Errors
    /// [`SasError`] if it is malformed or chose what we did not offer.
    pub fn receive_accept(self, content: &Object) -> Result<(Accepted, Object), SasError> {
        self.flow.reference.check(content)?;
        let emoji = messages::check_accept(content)?;
        let commitment = content.string("commitment")?.to_owned();
        let ours = messages::key(&self.flow.reference, &self.key.public_key());
        Ok((Accepted { flow: self.flow, start: self.start, key: self.key, commitment, emoji }, ours))
    }
}

/// We have sent a start and our key; the other side is committed to its key.
pub struct Accepted {
    flow: Flow,
    start: Start,
    key: Curve25519SecretKey,
    commitment: String,
    emoji: bool,
}

impl Accepted {
    /// Takes the other side's key.
    ///
    /// # Errors
    /// [`SasError::WrongCommitment`] if it is not the key it had committed to, another [`SasError`] if it is none.
    pub fn receive_key(self, content: &Object) -> Result<Established, SasError> {
        self.flow.reference.check(content)?;
        let theirs = messages::parse_key(content)?;
        if self.start.commitment(&theirs) != self.commitment {
            return Err(SasError::WrongCommitment);
        }
        Established::new(self.flow, Role::Starter, &self.key, theirs, self.emoji)
    }
}

/// We have taken the other side's start and are committed to our key.
pub struct Accepter {
    flow: Flow,
    key: Curve25519SecretKey,
    emoji: bool,
}

impl Accepter {
    /// Takes the other side's start: the content of the accept message to send.
    ///
    /// # Errors
    /// [`SasError`] if it is malformed or offers nothing that we speak.
    pub fn accept(flow: Flow, start: &Object, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(Self, Object), SasError> {
        flow.reference.check(start)?;
        let start = Start::parse(start.clone(), &flow.them)?;
        let key = Curve25519SecretKey::generate(rng);
        let content = messages::accept(&flow.reference, &start, &key.public_key());
        let emoji = start.offers_emoji();
        Ok((Self { flow, key, emoji }, content))
    }

    /// Takes the other side's key: the content of the key message to send.
    ///
    /// # Errors
    /// [`SasError`] if it is no key.
    pub fn receive_key(self, content: &Object) -> Result<(Established, Object), SasError> {
        self.flow.reference.check(content)?;
        let theirs = messages::parse_key(content)?;
        let ours = messages::key(&self.flow.reference, &self.key.public_key());
        Ok((Established::new(self.flow, Role::Accepter, &self.key, theirs, self.emoji)?, ours))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Starter,
    Accepter,
}

/// Both sides have a secret. Whether it is the same one, the people tell.
pub struct Established {
    flow: Flow,
    secret: SharedSecret,
    info: String,
    emoji: bool,
}

impl Established {
    fn new(
        flow: Flow,
        role: Role,
        key: &Curve25519SecretKey,
        theirs: Curve25519PublicKey,
        emoji: bool,
    ) -> Result<Self, SasError> {
        if theirs == key.public_key() {
            return Err(SasError::OwnKey);
        }
        let secret = key.diffie_hellman(&theirs)?;
        let (ours, theirs) = (encoding::encode(key.public_key()), encoding::encode(theirs));
        let (us, them) = (&flow.us, &flow.them);
        let ((first, first_key), (second, second_key)) = match role {
            Role::Starter => ((us, ours), (them, theirs)),
            Role::Accepter => ((them, theirs), (us, ours)),
        };
        let info = format!(
            "MATRIX_KEY_VERIFICATION_SAS|{}|{}|{first_key}|{}|{}|{second_key}|{}",
            first.user_id,
            first.device_id,
            second.user_id,
            second.device_id,
            flow.reference.id()
        );
        Ok(Self { flow, secret, info, emoji })
    }

    /// What to show to the person at this side.
    #[must_use]
    pub fn short_string(&self) -> ShortString {
        ShortString::derive(self.secret.as_bytes(), &self.info)
    }

    /// Whether both sides can show emoji; if not, show the numbers.
    #[must_use]
    pub fn can_show_emoji(&self) -> bool {
        self.emoji
    }

    /// The person at this side says that both devices show the same.
    #[must_use]
    pub fn people_agree(self) -> Confirmed {
        Confirmed { flow: self.flow, secret: self.secret }
    }
}

/// The people agree: what each side vouches for is believed.
pub struct Confirmed {
    flow: Flow,
    secret: SharedSecret,
}

macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("flow", &self.flow).finish_non_exhaustive()
            }
        }
    )*};
}

hidden!(Starter, Accepted, Accepter, Established, Confirmed);
