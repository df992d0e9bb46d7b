//! Messages to devices: sent once, delivered once and in the order they came
//! (<https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging>).
//!
//! An inbox is a range of rows under the device's number, in the order of the log's positions. A message is a row written in
//! the batch that holds its request's transaction id and the log entry that wakes the device's sync; it goes when a sync
//! token shows that the device has it. A device for which nothing comes costs nothing.
//!
//! **Inboxes are bounded** ([`base::limits::TO_DEVICE_WAITING`]): a device that never comes back must not fill the disk. When
//! one is full, it is the new messages that are not taken. What was acknowledged stays: nobody can push another's messages
//! out of an inbox by sending more, and a device that comes back finds an unbroken beginning instead of an unbroken end. Its
//! user's other devices and the key backup have what is missing.
//!
//! Where to go: `send`, `inbox`; `size` knows how full inboxes are, `sent` which requests were answered before.

mod inbox;
mod send;
mod sent;
mod size;

#[cfg(test)]
mod tests;

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};
use storage::Kind;

pub use inbox::Inbox;
pub use send::{DeviceMessages, Sending};
pub(crate) use size::InboxSizes;

/// Log entries of this kind say that messages came for devices of a user; their payload is a [`ToDeviceLog`], their
/// partition the user's.
pub const TO_DEVICE_SENT: Kind = Kind(73);

/// What the log says of messages to devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToDeviceLog {
    /// Whose devices.
    pub user: OwnedUserId,
    /// Which of them.
    pub devices: Vec<OwnedDeviceId>,
}

storage::first_version!(ToDeviceLog);
