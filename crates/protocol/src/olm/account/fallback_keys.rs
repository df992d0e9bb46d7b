//! Fallback keys: what is claimed when the one-time keys are used up. Used for many sessions, so replaced now and then; the
//! previous one is kept for messages that are still on their way.

use rand_core::CryptoRng;

use super::KeyId;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// The fallback keys of an account.
#[derive(Default)]
pub(crate) struct FallbackKeys {
    next_id: u64,
    current: Option<FallbackKey>,
    previous: Option<FallbackKey>,
}

pub(crate) struct FallbackKey {
    pub(crate) id: KeyId,
    pub(crate) secret: Curve25519SecretKey,
    pub(crate) published: bool,
}

impl FallbackKeys {
    pub(crate) fn from_parts(next_id: u64, current: Option<FallbackKey>, previous: Option<FallbackKey>) -> Self {
        Self { next_id, current, previous }
    }

    /// Makes a new key; gives the one that is forgotten for it.
    pub(super) fn generate(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Option<Curve25519PublicKey> {
        let id = KeyId::new(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let fresh = FallbackKey { id, secret: Curve25519SecretKey::generate(rng), published: false };
        let forgotten = std::mem::replace(&mut self.previous, self.current.replace(fresh));
        forgotten.map(|key| key.secret.public_key())
    }

    pub(super) fn forget_previous(&mut self) -> bool {
        self.previous.take().is_some()
    }

    pub(super) fn find(&self, public_key: &Curve25519PublicKey) -> Option<&Curve25519SecretKey> {
        [&self.current, &self.previous]
            .into_iter()
            .flatten()
            .map(|key| &key.secret)
            .find(|secret| secret.public_key() == *public_key)
    }

    pub(super) fn unpublished(&self) -> Option<(KeyId, Curve25519PublicKey)> {
        self.current.as_ref().filter(|key| !key.published).map(|key| (key.id, key.secret.public_key()))
    }

    pub(super) fn mark_as_published(&mut self) {
        if let Some(key) = &mut self.current {
            key.published = true;
        }
    }
}

impl Pickled for FallbackKeys {
    fn write(&self, out: &mut Writer) {
        out.u64(self.next_id);
        for key in [&self.current, &self.previous] {
            out.flag(key.is_some());
            if let Some(key) = key {
                out.u64(key.id.number());
                out.flag(key.published);
                out.bytes(key.secret.as_bytes());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let next_id = from.u64()?;
        Ok(Self { next_id, current: read_key(from)?, previous: read_key(from)? })
    }
}

fn read_key(from: &mut Reader<'_>) -> Result<Option<FallbackKey>, FieldError> {
    if !from.flag()? {
        return Ok(None);
    }
    let (id, published) = (KeyId::new(from.u64()?), from.flag()?);
    Ok(Some(FallbackKey { id, secret: from.curve25519_secret()?, published }))
}
