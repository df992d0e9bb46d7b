//! One-time keys: made ahead, published, and each used for one session.

use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::KeyId;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// How many one-time keys an account keeps; beyond it the oldest goes.
///
/// A server hands out about [`ONE_TIME_KEYS_TO_PUBLISH`] at a time, but a key that it has handed out may come back in a
/// message long after, or never. A hundred times that number covers messages that waited for months, and costs half a
/// mebibyte; vodozemac keeps as many.
pub const MAX_ONE_TIME_KEYS: usize = 100 * ONE_TIME_KEYS_TO_PUBLISH;

/// How many one-time keys are best kept on the server, ready to be claimed.
pub const ONE_TIME_KEYS_TO_PUBLISH: usize = 50;

/// What became of a request to make one-time keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GeneratedKeys {
    /// The new keys.
    pub created: Vec<Curve25519PublicKey>,
    /// Older keys that went to make room. Messages to these can no longer be read.
    pub discarded: Vec<Curve25519PublicKey>,
}

/// The one-time keys of an account, oldest first.
#[derive(Default)]
pub(crate) struct OneTimeKeys {
    next_id: u64,
    keys: BTreeMap<KeyId, OneTimeKey>,
    by_public_key: BTreeMap<Curve25519PublicKey, KeyId>,
}

struct OneTimeKey {
    secret: Curve25519SecretKey,
    published: bool,
}

impl OneTimeKeys {
    /// No keys yet; the first will have the number `next_id`.
    pub(crate) fn starting_at(next_id: u64) -> Self {
        Self { next_id, ..Self::default() }
    }

    pub(super) fn generate(&mut self, count: usize, rng: &mut (impl CryptoRng + ?Sized)) -> GeneratedKeys {
        let mut generated = GeneratedKeys::default();
        for _ in 0..count.min(MAX_ONE_TIME_KEYS) {
            let secret = Curve25519SecretKey::generate(rng);
            generated.created.push(secret.public_key());
            let id = KeyId::new(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            generated.discarded.extend(self.insert(id, secret, false));
        }
        generated
    }

    /// Adds a key; gives the one that went to make room.
    pub(crate) fn insert(
        &mut self,
        id: KeyId,
        secret: Curve25519SecretKey,
        published: bool,
    ) -> Option<Curve25519PublicKey> {
        let discarded = if self.keys.len() >= MAX_ONE_TIME_KEYS { self.pop_oldest() } else { None };
        let public_key = secret.public_key();
        if let Some(replaced) = self.keys.insert(id, OneTimeKey { secret, published }) {
            self.by_public_key.remove(&replaced.secret.public_key());
        }
        self.by_public_key.insert(public_key, id);
        discarded
    }

    fn pop_oldest(&mut self) -> Option<Curve25519PublicKey> {
        let (_, oldest) = self.keys.pop_first()?;
        let public = oldest.secret.public_key();
        self.by_public_key.remove(&public);
        Some(public)
    }

    pub(super) fn find(&self, public_key: &Curve25519PublicKey) -> Option<&Curve25519SecretKey> {
        let id = self.by_public_key.get(public_key)?;
        self.keys.get(id).map(|key| &key.secret)
    }

    /// Forgets the key, which is then wiped.
    pub(super) fn remove(&mut self, public_key: &Curve25519PublicKey) {
        if let Some(id) = self.by_public_key.remove(public_key) {
            self.keys.remove(&id);
        }
    }

    pub(super) fn unpublished(&self) -> impl Iterator<Item = (KeyId, Curve25519PublicKey)> {
        self.keys.iter().filter(|(_, key)| !key.published).map(|(id, key)| (*id, key.secret.public_key()))
    }

    pub(super) fn mark_as_published(&mut self) {
        for key in self.keys.values_mut() {
            key.published = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Pickled for OneTimeKeys {
    fn write(&self, out: &mut Writer) {
        out.u64(self.next_id);
        out.count(self.keys.len());
        for (id, key) in &self.keys {
            out.u64(id.number());
            out.flag(key.published);
            out.bytes(key.secret.as_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut keys = Self::starting_at(from.u64()?);
        for _ in 0..from.count(MAX_ONE_TIME_KEYS)? {
            let (id, published) = (KeyId::new(from.u64()?), from.flag()?);
            keys.insert(id, from.curve25519_secret()?, published);
        }
        Ok(keys)
    }
}
