//! ML-KEM-768: agreement on a secret that a quantum computer does not undo (FIPS 203).
//!
//! Whoever has the [`KemPublicKey`] makes a fresh [`KemSharedSecret`] and a [`KemCiphertext`] that carries it to the holder of
//! the [`KemSecretKey`]. Decapsulation never fails: an altered ciphertext gives another, unpredictable secret (implicit
//! rejection), so what is encrypted under it must be authenticated. Neither is this a signature: anybody can encapsulate.
//!
//! The only place that names the library; the rest of the crate speaks of these four types.

use std::fmt;

use ml_kem::{
    B32, Ciphertext, DecapsulationKey768, EncapsulationKey768, Key, KeyExport as _, MlKem768, Seed,
    kem::Decapsulate as _,
};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The secret half, kept as the 64-byte seed `d ‖ z` of FIPS 203 and expanded when it is used. Wiped when dropped.
#[derive(Clone)]
pub struct KemSecretKey {
    seed: Zeroizing<[u8; 64]>,
    public: KemPublicKey,
}

impl KemSecretKey {
    /// The length of the seed in bytes.
    pub const LENGTH: usize = 64;

    /// A new key drawn from `rng`.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; Self::LENGTH]);
        rng.fill_bytes(seed.as_mut());
        Self::from_bytes(&seed)
    }

    /// The key with this seed. Every value is a key.
    #[must_use]
    pub fn from_bytes(seed: &[u8; Self::LENGTH]) -> Self {
        let mut encoded = Seed::from(*seed);
        let expanded = DecapsulationKey768::from_seed(encoded);
        encoded.zeroize();
        let public = KemPublicKey(Box::new(expanded.encapsulation_key().to_bytes().into()));
        Self { seed: Zeroizing::new(*seed), public }
    }

    /// The seed: for writing the key down, encrypted.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.seed
    }

    /// The half that others may know.
    #[must_use]
    pub fn public_key(&self) -> &KemPublicKey {
        &self.public
    }

    /// The secret that `ciphertext` carries, or an unpredictable one if it was not made for this key.
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> KemSharedSecret {
        let mut encoded = Seed::from(*self.seed);
        let expanded = DecapsulationKey768::from_seed(encoded);
        encoded.zeroize();
        let mut shared = expanded.decapsulate(&Ciphertext::<MlKem768>::from(*ciphertext.0));
        let secret = KemSharedSecret(shared.into());
        shared.zeroize();
        secret
    }
}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KemSecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PartialEq for KemSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(other.seed.as_ref()).into()
    }
}

impl Eq for KemSecretKey {}

/// The public half: 1184 bytes whose coefficients are all below the modulus, as FIPS 203 §7.2 asks to check.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(Box<[u8; 1184]>);

impl KemPublicKey {
    /// The length of a public key in bytes.
    pub const LENGTH: usize = 1184;

    /// The key that `bytes` write.
    ///
    /// # Errors
    /// [`KemError`] if they are not 1184, or write a coefficient that is not reduced.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KemError> {
        let encoded = <[u8; Self::LENGTH]>::try_from(bytes)
            .map_err(|_| KemError::Length { expected: Self::LENGTH, got: bytes.len() })?;
        // Packing is the inverse of unpacking only for reduced coefficients; each is 12 bits.
        for triple in encoded.get(..Self::LENGTH - 32).unwrap_or_default().chunks_exact(3) {
            if let [low, middle, high] = triple {
                let first = u16::from(*low) | (u16::from(*middle & 0x0f) << 8);
                let second = u16::from(*middle >> 4) | (u16::from(*high) << 4);
                if first >= 3329 || second >= 3329 {
                    return Err(KemError::NotReduced);
                }
            }
        }
        Ok(Self(Box::new(encoded)))
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// A fresh secret, and the ciphertext that carries it to the holder of the secret half.
    ///
    /// # Errors
    /// [`KemError::NotReduced`] if the library finds the key malformed, which reading it has ruled out.
    pub fn encapsulate(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(KemCiphertext, KemSharedSecret), KemError> {
        let mut drawn = Zeroizing::new([0; 32]);
        rng.fill_bytes(drawn.as_mut());
        let key = Key::<EncapsulationKey768>::from(*self.0);
        let key = EncapsulationKey768::new(&key).map_err(|_| KemError::NotReduced)?;
        let mut message = B32::from(*drawn);
        let (ciphertext, mut shared) = key.encapsulate_deterministic(&message);
        message.zeroize();
        let carried = (KemCiphertext(Box::new(ciphertext.into())), KemSharedSecret(shared.into()));
        shared.zeroize();
        Ok(carried)
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemPublicKey({}…)", crate::encoding::encode(self.0.get(..12).unwrap_or_default()))
    }
}

/// What carries a secret: 1088 bytes. Any bytes may be one; only authentication above tells a right one from a wrong one.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; 1088]>);

impl KemCiphertext {
    /// The length of a ciphertext in bytes.
    pub const LENGTH: usize = 1088;

    /// The ciphertext that `bytes` write.
    ///
    /// # Errors
    /// [`KemError::Length`] if they are not 1088.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KemError> {
        let bytes = bytes.try_into().map_err(|_| KemError::Length { expected: Self::LENGTH, got: bytes.len() })?;
        Ok(Self(Box::new(bytes)))
    }

    /// The bytes of the ciphertext.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemCiphertext({}…)", crate::encoding::encode(self.0.get(..12).unwrap_or_default()))
    }
}

/// What both sides have after an encapsulation. Not a key yet: derive keys from it. Wiped when dropped.
pub struct KemSharedSecret([u8; 32]);

impl KemSharedSecret {
    /// The bytes, as input of a key derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for KemSharedSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KemSharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSharedSecret(..)")
    }
}

/// Why some bytes are not a key or a ciphertext of ML-KEM-768.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KemError {
    /// Not of the right length.
    #[error("reading an ML-KEM-768 value: {got} bytes where {expected} belong")]
    Length {
        /// The length of this kind of value.
        expected: usize,
        /// The length that was found.
        got: usize,
    },
    /// A public key with a coefficient at or above the modulus.
    #[error("reading an ML-KEM-768 public key: a coefficient is not reduced")]
    NotReduced,
}
