//! Key bundles: what a user and a device publish about themselves, who signed it, and what follows for trust.
//!
//! Two sides use this room:
//! - A *homeserver* refuses what is malformed, claims to be somebody else, or is wrongly signed: [`upload::KeysUpload`],
//!   [`upload::CrossSigningUpload`], [`upload::SignatureUpload`]. It learns nothing by it and is believed by nobody.
//! - A *client* decides whom it speaks to: [`trust`] walks master key → self-signing key → device, and our user-signing key →
//!   their master key, as types that only the right signature can produce.
//!
//! A value of [`DeviceKeys`], [`OneTimeKey`], [`SelfSigningKey`] or [`UserSigningKey`] has had its signature checked: there is no
//! other way to have one. Each keeps the object as it was received, because signatures cover fields we do not know too.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#key-distribution>

mod claim;
mod cross_signing;
mod device_keys;
mod error;
mod one_time_key;
pub mod signature;
#[cfg(test)]
mod tests;
pub mod trust;
pub mod upload;

pub use claim::{ClaimRequest, ClaimResponse, KeysQueryResponse, UserKeys};
pub use cross_signing::{CrossSigningKey, MasterKey, SelfSigningKey, Usage, UserSigningKey};
pub use device_keys::{DeviceKeys, UnsignedDeviceKeys};
pub use error::BundleError;
pub use one_time_key::{Fallback, KeyContent, OneTimeKey};

/// Names of algorithms as they stand in device keys and in the names of one-time keys.
pub mod algorithm {
    /// Messages encrypted with Olm.
    pub const OLM: &str = "m.olm.v1.curve25519-aes-sha2";
    /// Messages encrypted with Megolm.
    pub const MEGOLM: &str = "m.megolm.v1.aes-sha2";
    /// Messages encrypted with our post-quantum hybrid; see `spec/hybrid-session.md`.
    pub const HYBRID: &str = "org.holdfast.hybrid.v1.x25519-mlkem768";
    /// One-time keys for Olm, signed by the device.
    pub const SIGNED_CURVE25519: &str = "signed_curve25519";
    /// One-time keys for Olm from before they were signed.
    pub const CURVE25519: &str = "curve25519";
    /// One-time keys for the hybrid, signed by the device; see `spec/hybrid-session.md`.
    pub const SIGNED_HYBRID: &str = "org.holdfast.signed_x25519_mlkem768";
}

/// The largest device keys object, in bytes of canonical JSON: what an event may have, of which a real one needs a hundredth.
pub const DEVICE_KEYS_BYTES_MAX: usize = 65_536;

/// The most one-time keys in one upload. Clients keep 50 to 100 on the server.
pub const ONE_TIME_KEYS_MAX: usize = 1_000;
