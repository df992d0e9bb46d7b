//! The two types of Olm messages, as bytes and taken apart.
//!
//! The transport says which of the two a message is: [`MessageType::PreKey`] until the sender has heard from the other
//! side, [`MessageType::Normal`] ever after. Decoding here proves the form only; what a message says is believed when
//! [`Session::decrypt`](super::Session::decrypt) has checked its MAC.

mod normal;
mod pre_key;

pub use normal::NormalMessage;
pub use pre_key::PreKeyMessage;

use crate::encoding::{self, Base64Error};
use crate::key::KeyError;
use crate::wire::WireError;

/// Which of the two messages it is, as the `type` of an `m.room.encrypted` event says
/// (<https://spec.matrix.org/v1.19/client-server-api/#molmv1curve25519-aes-sha2>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// `0`: brings the keys that the receiver needs to create the session.
    PreKey,
    /// `1`: for a session that both sides have.
    Normal,
}

impl MessageType {
    /// The number that stands for it.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::PreKey => 0,
            Self::Normal => 1,
        }
    }
}

impl TryFrom<u64> for MessageType {
    type Error = DecodeError;

    fn try_from(number: u64) -> Result<Self, DecodeError> {
        match number {
            0 => Ok(Self::PreKey),
            1 => Ok(Self::Normal),
            other => Err(DecodeError::MessageType(other)),
        }
    }
}

/// A message of either type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OlmMessage {
    /// Brings the keys that the receiver needs to create the session.
    PreKey(PreKeyMessage),
    /// For a session that both sides have.
    Normal(NormalMessage),
}

impl OlmMessage {
    /// Takes a message apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless `bytes` are a message of this type and nothing more.
    pub fn from_bytes(message_type: MessageType, bytes: &[u8]) -> Result<Self, DecodeError> {
        match message_type {
            MessageType::PreKey => PreKeyMessage::from_bytes(bytes).map(Self::PreKey),
            MessageType::Normal => NormalMessage::from_bytes(bytes).map(Self::Normal),
        }
    }

    /// Takes the `type` and `body` of an event apart.
    ///
    /// # Errors
    /// [`DecodeError`] unless they are a known type and base64 of such a message and nothing more.
    pub fn from_base64(message_type: u64, body: &str) -> Result<Self, DecodeError> {
        Self::from_bytes(message_type.try_into()?, &encoding::decode_lenient(body)?)
    }

    /// Which of the two it is.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::PreKey(_) => MessageType::PreKey,
            Self::Normal(_) => MessageType::Normal,
        }
    }

    /// The bytes that travel.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::PreKey(message) => message.to_bytes(),
            Self::Normal(message) => message.as_bytes().to_vec(),
        }
    }

    /// The `body` of an event.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.to_bytes())
    }
}

/// Why some bytes are no Olm message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Neither 0 nor 1.
    #[error("decoding an Olm message: there is no message type {0}")]
    MessageType(u64),
    /// The body is not base64.
    #[error("decoding an Olm message: {0}")]
    Base64(#[from] Base64Error),
    /// Too short to hold a version byte and a MAC.
    #[error("decoding an Olm message: it is too short")]
    TooShort,
    /// A version that nobody speaks.
    #[error("decoding an Olm message: nobody speaks version {0}")]
    Version(u8),
    /// The fields are not those of such a message.
    #[error("decoding an Olm message: {0}")]
    Wire(#[from] WireError),
    /// A public key of the wrong length.
    #[error("decoding an Olm message: {0}")]
    Key(#[from] KeyError),
    /// A public key in a spelling that no honest software writes.
    #[error("decoding an Olm message: a public key is not in its canonical form")]
    NonCanonicalKey,
}

#[cfg(test)]
mod tests;
