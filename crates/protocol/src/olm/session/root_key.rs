//! The root key `R_i`: the secret that each new ratchet key is mixed into, giving the next root key and a new chain.
//!
//! `R_i ‖ C_i,0 = HKDF(R_i-1, ECDH(T_i-1, T_i), "OLM_RATCHET", 64)`
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-root-key>). The two sides take turns to make the next
//! `T_i`, so there are two types: [`RootKey`] waits for a key of the other side's, [`RemoteRootKey`] for one of ours.
//! Each only turns into the other.

use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use super::ratchet::{RatchetKey, RemoteRatchetKey};
use crate::cipher::kdf::hkdf;
use crate::key::{NonContributoryKey, SharedSecret};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// A root key whose turn is not known yet.
pub(crate) type RootBytes = Zeroizing<[u8; 32]>;

/// The root key that our latest ratchet key made: the other side makes the next one.
pub(crate) struct RootKey(RootBytes);

impl RootKey {
    pub(crate) fn new(bytes: RootBytes) -> Self {
        Self(bytes)
    }

    /// The other side made `theirs`: the next root key, and the chain of their messages.
    pub(super) fn advance(
        &self,
        ours: &RatchetKey,
        theirs: &RemoteRatchetKey,
    ) -> Result<(RemoteRootKey, ChainKey), NonContributoryKey> {
        let (root, chain) = advance(&self.0, &ours.diffie_hellman(theirs)?);
        Ok((RemoteRootKey(root), chain))
    }
}

/// The root key that the other side's latest ratchet key made: we make the next one.
pub(crate) struct RemoteRootKey(RootBytes);

impl RemoteRootKey {
    pub(crate) fn new(bytes: RootBytes) -> Self {
        Self(bytes)
    }

    /// We made `ours`: the next root key, and the chain of our messages.
    pub(super) fn advance(
        &self,
        ours: &RatchetKey,
        theirs: &RemoteRatchetKey,
    ) -> Result<(RootKey, ChainKey), NonContributoryKey> {
        let (root, chain) = advance(&self.0, &ours.diffie_hellman(theirs)?);
        Ok((RootKey(root), chain))
    }
}

fn advance(root: &RootBytes, shared: &SharedSecret) -> (RootBytes, ChainKey) {
    split_root_and_chain(&hkdf::<64>(root.as_ref(), shared.as_bytes(), b"OLM_RATCHET"))
}

/// Both derivations of the specification give a root key and the first key of a chain, in this order.
pub(crate) fn split_root_and_chain(derived: &[u8; 64]) -> (RootBytes, ChainKey) {
    let (mut root, mut chain) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    let (first, second) = derived.split_at(32);
    root.copy_from_slice(first);
    chain.copy_from_slice(second);
    (root, ChainKey::new(&chain))
}

impl Pickled for RootKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.0.as_ref());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.secret().map(Self)
    }
}

impl Pickled for RemoteRootKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.0.as_ref());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        from.secret().map(Self)
    }
}
