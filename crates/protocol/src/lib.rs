//! What endpoints and homeservers need to keep secrets from each other, and from us.
//!
//! **Invariant.** Bytes in, bytes out: no I/O, no clock, no global state; randomness is an argument. Nothing here panics on
//! bytes that somebody else wrote. Secrets are zeroised when dropped, compared in constant time and never printed.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod attachment;
pub mod backup;
pub mod bundle;
pub mod canonical;
pub mod cipher;
pub mod encoding;
pub mod envelope;
pub mod hybrid;
pub mod key;
pub mod key_export;
pub mod megolm;
pub mod olm;
pub mod pickle;
pub mod sas;
pub mod secret_storage;
mod wire;

pub use wire::WireError;
