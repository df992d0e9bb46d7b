//! A device's prekeys for hybrid sessions: one-time keys, and the fallback key for when they are all gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rand_core::CryptoRng;

use super::HybridError;
use super::suite::identity_key;
use crate::bundle::signature::Signer;
use crate::bundle::{BundleError, DeviceKeys, Fallback, KeyContent, OneTimeKey};
use crate::encoding;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, KemPublicKey, KemSecretKey};
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::{self, FieldError, Kind, PickleError, PickleKey};

/// How many one-time keys are kept; beyond it the oldest goes. Some 100 are on the server, others were claimed and not yet used.
pub const ONE_TIME_KEYS_MAX: usize = 1000;

/// How many sessions a fallback key can begin. Each is remembered, so that none can be begun twice.
pub const FALLBACK_USES_MAX: usize = 1000;

/// The public half of a prekey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPreKey {
    pub(super) curve25519: Curve25519PublicKey,
    pub(super) kem: KemPublicKey,
}

impl PublicPreKey {
    /// The prekey of `device` that was claimed.
    pub(super) fn claimed(key: &OneTimeKey, device: &DeviceKeys) -> Result<Self, HybridError> {
        // The key was checked against some device's signature when it was read; here against this one's.
        let checked =
            OneTimeKey::verify(key.name(), key.value().clone(), device).map_err(|_| HybridError::WrongPreKey)?;
        identity_key(device)?;
        match checked.content() {
            KeyContent::SignedHybrid { curve25519, kem } if curve25519.is_canonical() => {
                Ok(Self { curve25519: *curve25519, kem: kem.clone() })
            }
            _ => Err(HybridError::WrongPreKey),
        }
    }
}

/// The secret half of a prekey.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PreKey {
    pub(super) curve25519: Curve25519SecretKey,
    pub(super) kem: KemSecretKey,
}

impl PreKey {
    fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let curve25519 = Curve25519SecretKey::generate(rng);
        Self { curve25519, kem: KemSecretKey::generate(rng) }
    }

    pub(super) fn public(&self) -> PublicPreKey {
        PublicPreKey { curve25519: self.curve25519.public_key(), kem: self.kem.public_key().clone() }
    }
}

struct FallbackKey {
    id: u64,
    published: bool,
    key: PreKey,
    /// The base keys of the sessions it began.
    used: BTreeSet<Curve25519PublicKey>,
}

/// All prekeys of a device.
#[derive(Default)]
pub struct PreKeys {
    next_id: u64,
    /// By id, so oldest first; whether it was published.
    one_time: BTreeMap<u64, (bool, PreKey)>,
    fallback: Option<FallbackKey>,
    previous_fallback: Option<FallbackKey>,
}

impl PreKeys {
    /// No keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one-time keys. Draws 32 and 64 bytes for each.
    pub fn generate(&mut self, count: usize, rng: &mut (impl CryptoRng + ?Sized)) {
        for _ in 0..count.min(ONE_TIME_KEYS_MAX) {
            let id = self.take_id();
            self.one_time.insert(id, (false, PreKey::generate(rng)));
            if self.one_time.len() > ONE_TIME_KEYS_MAX {
                self.one_time.pop_first();
            }
        }
    }

    /// Makes a new fallback key. The one before is kept for messages that are on their way, until [`Self::forget_previous_fallback`].
    pub fn generate_fallback(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        let id = self.take_id();
        let key = FallbackKey { id, published: false, key: PreKey::generate(rng), used: BTreeSet::new() };
        self.previous_fallback = self.fallback.replace(key);
    }

    /// Forgets the fallback key before the present one: an hour after the present one was first used, says the specification.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
    pub fn forget_previous_fallback(&mut self) {
        self.previous_fallback = None;
    }

    /// Whether the fallback key has begun a session, so that a new one should be made.
    #[must_use]
    pub fn fallback_was_used(&self) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| !fallback.used.is_empty())
    }

    /// How many one-time keys there are, published or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.one_time.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.one_time.is_empty()
    }

    /// The keys that are not published yet, signed for upload; fallback keys say so of themselves.
    ///
    /// # Errors
    /// [`BundleError`] if `device` is not the device that `key` signs for.
    pub fn unpublished(&self, device: &DeviceKeys, key: &impl Signer) -> Result<Vec<OneTimeKey>, BundleError> {
        let one_time = self.one_time.iter().filter(|(_, (published, _))| !published);
        let one_time = one_time.map(|(id, (_, prekey))| (*id, prekey, Fallback::No));
        let fallback = self.fallback.iter().filter(|fallback| !fallback.published);
        let fallback = fallback.map(|fallback| (fallback.id, &fallback.key, Fallback::Yes));
        one_time
            .chain(fallback)
            .map(|(id, prekey, fallback)| {
                let public = (&prekey.curve25519.public_key(), prekey.kem.public_key());
                OneTimeKey::sign_hybrid(&encoding::encode(id.to_be_bytes()), public, fallback, device, key)
            })
            .collect()
    }

    /// The server has taken what [`Self::unpublished`] gave.
    pub fn mark_published(&mut self) {
        for (published, _) in self.one_time.values_mut() {
            *published = true;
        }
        if let Some(fallback) = &mut self.fallback {
            fallback.published = true;
        }
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    fn fallbacks(&self) -> impl Iterator<Item = &FallbackKey> {
        self.fallback.iter().chain(&self.previous_fallback)
    }

    /// The prekey of this public half, for a session with this base key.
    pub(super) fn find(
        &self,
        public: &Curve25519PublicKey,
        base_key: &Curve25519PublicKey,
    ) -> Result<PreKey, HybridError> {
        if let Some((_, key)) = self.one_time.values().find(|(_, key)| key.curve25519.public_key() == *public) {
            return Ok(key.clone());
        }
        let fallback = self.fallbacks().find(|fallback| fallback.key.curve25519.public_key() == *public);
        let fallback = fallback.ok_or(HybridError::UnknownPreKey)?;
        if fallback.used.contains(base_key) {
            return Err(HybridError::Replayed);
        }
        if fallback.used.len() >= FALLBACK_USES_MAX {
            return Err(HybridError::WornOut);
        }
        Ok(fallback.key.clone())
    }

    /// The prekey has begun a session: a one-time key is gone, a fallback key remembers it.
    pub(super) fn use_up(&mut self, public: &Curve25519PublicKey, base_key: &Curve25519PublicKey) {
        self.one_time.retain(|_, (_, key)| key.curve25519.public_key() != *public);
        for fallback in self.fallback.iter_mut().chain(&mut self.previous_fallback) {
            if fallback.key.curve25519.public_key() == *public {
                fallback.used.insert(*base_key);
            }
        }
    }

    /// The prekeys, encrypted for storing them.
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(Kind::HybridPreKeys, self, key, rng)
    }

    /// The prekeys that were stored.
    ///
    /// # Errors
    /// [`PickleError`] if the key is another or the bytes were altered.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(Kind::HybridPreKeys, bytes, key)
    }
}

impl fmt::Debug for PreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreKeys").field("one_time", &self.one_time.len()).finish_non_exhaustive()
    }
}

impl Pickled for PreKey {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.curve25519.as_bytes());
        out.bytes(self.kem.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let curve25519 = Curve25519SecretKey::from_bytes(&*from.secret()?);
        Ok(Self { curve25519, kem: KemSecretKey::from_bytes(&*from.secret()?) })
    }
}

impl Pickled for FallbackKey {
    fn write(&self, out: &mut Writer) {
        out.u64(self.id);
        out.flag(self.published);
        self.key.write(out);
        out.count(self.used.len());
        for base_key in &self.used {
            out.bytes(base_key.as_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let (id, published, key) = (from.u64()?, from.flag()?, PreKey::read(from)?);
        let mut used = BTreeSet::new();
        for _ in 0..from.count(FALLBACK_USES_MAX)? {
            if !used.insert(Curve25519PublicKey::from_bytes(*from.array()?)) {
                return Err(FieldError::Value);
            }
        }
        Ok(Self { id, published, key, used })
    }
}

impl Pickled for PreKeys {
    fn write(&self, out: &mut Writer) {
        out.u64(self.next_id);
        out.count(self.one_time.len());
        for (id, (published, key)) in &self.one_time {
            out.u64(*id);
            out.flag(*published);
            key.write(out);
        }
        for fallback in [&self.fallback, &self.previous_fallback] {
            out.flag(fallback.is_some());
            if let Some(fallback) = fallback {
                fallback.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut keys = Self { next_id: from.u64()?, ..Self::default() };
        for _ in 0..from.count(ONE_TIME_KEYS_MAX)? {
            let (id, published) = (from.u64()?, from.flag()?);
            if keys.one_time.insert(id, (published, PreKey::read(from)?)).is_some() {
                return Err(FieldError::Value);
            }
        }
        keys.fallback = if from.flag()? { Some(FallbackKey::read(from)?) } else { None };
        keys.previous_fallback = if from.flag()? { Some(FallbackKey::read(from)?) } else { None };
        Ok(keys)
    }
}
