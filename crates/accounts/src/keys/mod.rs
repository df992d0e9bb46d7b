//! What devices and users publish of themselves: identity keys, one-time keys, cross-signing keys and signatures; and who
//! must learn that these changed.
//!
//! Nobody believes the server in any of this: clients check every signature. It checks them all the same, by
//! [`protocol::bundle`], so that what is malformed or wrongly signed is refused to who uploads it and not to everybody
//! who downloads it.
//!
//! Where to go: `state` is the one row per device that sync and senders read; `upload` and [`claim`] put keys in and give
//! them out; [`query`] shows them; [`cross_signing`] and [`signatures`] have the keys of users; [`changes`] says whose keys
//! changed; `leftover` removes what a device leaves behind.

pub mod changes;
pub mod claim;
pub mod cross_signing;
mod leftover;
mod one_time;
pub mod query;
pub mod signatures;
mod state;
pub mod upload;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use changes::{DEVICE_LIST_CHANGED, KeyChange, KeyChanges};
pub use claim::{Claimed, OneTimeKeysOfUser};
pub use cross_signing::{Confirmation, CrossSigningKeys, CrossSigningOutcome};
pub use query::KeysOfUsers;
pub use signatures::{SignatureFailure, SignatureFailures};
pub use state::KeyCounts;
pub use upload::KeysToUpload;

pub(crate) use changes::{ChangeIndex, put_device_list_change};
pub(crate) use claim::Claims;
pub(crate) use leftover::{Number, number_prefix, put_leftover};
pub(crate) use state::{DeviceState, begin_device, end_device, state_key};
pub(crate) use upload::Uploading;

use crate::error::Error;

/// Reads a stored record that a scan or a read of many brought.
pub(crate) fn decode<R: storage::Record>(what: &str, value: &[u8]) -> Result<R, Error> {
    R::decode(value).map_err(|error| Error::damaged(format!("{what}: {error}")))
}
