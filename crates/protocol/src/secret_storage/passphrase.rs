//! A key from a passphrase: PBKDF2 with HMAC-SHA-512.

use rand_core::CryptoRng;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{SecretError, StorageKey};
use crate::canonical::{FieldError, Integer, Object};
use crate::encoding;

/// The most iterations we do for a description that a server gave us: some ten seconds on a slow machine. Clients write 500,000.
pub const ITERATIONS_MAX: u32 = 10_000_000;

/// The longest derived key, in bits. AES-HMAC-SHA2 takes 256.
pub const BITS_MAX: u32 = 256;

/// How a key comes from a passphrase: the `passphrase` object of a key description.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#deriving-keys-from-passphrases>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passphrase {
    salt: String,
    iterations: u32,
}

impl Passphrase {
    /// A new random salt.
    pub fn new(iterations: u32, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut salt = [0; 24];
        rng.fill_bytes(&mut salt);
        Self { salt: encoding::encode(salt), iterations }
    }

    /// Reads the object.
    ///
    /// # Errors
    /// [`SecretError`] if it is malformed, of another algorithm, or out of bounds.
    pub fn parse(object: &Object) -> Result<Self, SecretError> {
        let algorithm = object.string("algorithm")?;
        if algorithm != "m.pbkdf2" {
            return Err(SecretError::Algorithm(algorithm.to_owned()));
        }
        let iterations = u32::try_from(object.unsigned("iterations")?)
            .ok()
            .filter(|iterations| (1..=ITERATIONS_MAX).contains(iterations))
            .ok_or(SecretError::Bounds("`iterations`"))?;
        match object.unsigned("bits") {
            Ok(bits) if bits == u64::from(BITS_MAX) => (),
            Err(FieldError::Missing(_)) => (),
            Ok(_) => return Err(SecretError::Bounds("`bits`")),
            Err(error) => return Err(error.into()),
        }
        Ok(Self { salt: object.string("salt")?.to_owned(), iterations })
    }

    /// The object.
    #[must_use]
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("algorithm", "m.pbkdf2")
            .with("salt", self.salt.as_str())
            .with("iterations", Integer::from(self.iterations))
            .with("bits", Integer::from(BITS_MAX))
    }

    /// The key that `passphrase` gives. Slow on purpose: call it where waiting harms nobody.
    #[must_use]
    pub fn derive(&self, passphrase: &str) -> StorageKey {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha512>(passphrase.as_bytes(), self.salt.as_bytes(), self.iterations, key.as_mut());
        StorageKey(key)
    }
}
