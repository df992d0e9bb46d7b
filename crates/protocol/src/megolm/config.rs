//! The two versions of Megolm that are in use, which differ in how much of the MAC travels.

use crate::cipher::MacLength;

/// Which version of Megolm a session speaks. Sender and readers must agree; the version byte of each message says it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SessionConfig {
    /// `m.megolm.v1.aes-sha2`: the MAC is cut to eight bytes, and messages begin with `0x03`
    /// (<https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-format>).
    #[default]
    V1,
    /// The same with the whole MAC of 32 bytes, and messages that begin with `0x04`. Not in the specification yet;
    /// deployed clients can be configured to speak it.
    V2,
}

impl SessionConfig {
    /// How much of the MAC travels.
    #[must_use]
    pub const fn mac_length(self) -> MacLength {
        match self {
            Self::V1 => MacLength::Truncated,
            Self::V2 => MacLength::Full,
        }
    }

    /// The first byte of a message.
    pub(crate) const fn message_version(self) -> u8 {
        match self {
            Self::V1 => 3,
            Self::V2 => 4,
        }
    }

    /// The configuration whose messages begin with this byte.
    pub(crate) const fn from_message_version(version: u8) -> Option<Self> {
        match version {
            3 => Some(Self::V1),
            4 => Some(Self::V2),
            _ => None,
        }
    }
}
