//! The ratchet key `T_i`: ours with its secret half, and theirs, of which we see the public half only.

use rand_core::CryptoRng;

use crate::key::{Curve25519PublicKey, Curve25519SecretKey, NonContributoryKey, SharedSecret};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// A ratchet key of ours, used until the other side answers with one of theirs.
pub(crate) struct RatchetKey(Curve25519SecretKey);

impl RatchetKey {
    pub(super) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Curve25519SecretKey::generate(rng))
    }

    pub(crate) fn new(secret: Curve25519SecretKey) -> Self {
        Self(secret)
    }

    /// What travels with each message of the chain.
    pub(super) fn public_key(&self) -> Curve25519PublicKey {
        self.0.public_key()
    }

    pub(super) fn diffie_hellman(&self, theirs: &RemoteRatchetKey) -> Result<SharedSecret, NonContributoryKey> {
        self.0.diffie_hellman(&theirs.0)
    }
}

/// A ratchet key of the other side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoteRatchetKey(Curve25519PublicKey);

impl RemoteRatchetKey {
    pub(crate) fn new(public: Curve25519PublicKey) -> Self {
        Self(public)
    }
}

impl Pickled for RatchetKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.0.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.curve25519_secret().map(Self)
    }
}

impl Pickled for RemoteRatchetKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.0.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.curve25519_public().map(Self)
    }
}
