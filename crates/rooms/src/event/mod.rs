//! Events: from received bytes to one that may be appended, a type for each step, so that none can be left out.
//!
//! [`ReceivedPdu`] (canonical JSON, nothing believed) → [`WellFormedPdu`] (format and size hold, its id is known) →
//! [`VerifiedPdu`] (signed by whom it must be, content hash right or content redacted) → [`AuthorisedPdu`], or
//! [`RejectedPdu`]. These are the checks of
//! <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>, in their order.
//!
//! Must not do I/O, nor ask for the time: keys and other events are arguments, and what is lacking is in the answer.
//!
//! Where to go: `version` has the room versions as data, `pdu` what an event says, `receive` the first two steps,
//! `keys` and `verify` the third, `authorise` the last; `build` makes our own events, `redact` takes content away.

mod authorise;
mod build;
mod keys;
mod pdu;
mod receive;
mod redact;
mod verify;
mod version;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use authorise::{
    AuthState, AuthorisedPdu, Judged, Known, RejectedPdu, Standing, auth_state_keys, authorise, authorise_own,
    draft_state_keys,
};
pub use build::{Draft, Place, SigningKey, build};
pub use keys::{KeyRing, NeededKey, VerifyKey};
pub use pdu::{Pdu, Reference, StateKey};
pub use receive::{ReceivedPdu, WellFormedPdu};
pub use redact::{may_redact, may_redact_others, redact};
pub use verify::{Verification, VerifiedPdu};
pub use version::RoomVersion;
