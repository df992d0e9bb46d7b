//! Secret storage: a user's secrets, encrypted under a key that only the user has, on a server that must not read them.
//!
//! A [`StorageKey`] is random and shown once as a string ([`key_string`]), or derived from a passphrase ([`Passphrase`]). Its
//! [`KeyDescription`] lets a client tell a mistyped key from a right one; each secret is encrypted under keys derived for its
//! name, so that a server cannot pass one secret off as another.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#secret-storage>

mod description;
pub mod key_string;
mod passphrase;
#[cfg(test)]
mod tests;

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use description::KeyDescription;
pub use key_string::KeyStringError;
pub use passphrase::{BITS_MAX, ITERATIONS_MAX, Passphrase};

use crate::canonical::{FieldError, Object};
use crate::cipher::{ctr, kdf};
use crate::encoding;

/// The only algorithm there is.
pub const ALGORITHM: &str = "m.secret_storage.v1.aes-hmac-sha2";

/// Why a secret, or the description of a key, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A field is missing or of another type.
    #[error("reading secret storage: {0}")]
    Field(#[from] FieldError),
    /// An algorithm that we do not know.
    #[error("reading secret storage: unknown algorithm {0:?}")]
    Algorithm(String),
    /// A field is not base64, or not of its length.
    #[error("reading secret storage: `{0}` is not base64 of the right length")]
    Encoding(&'static str),
    /// Deriving the key would take unreasonably long, or would give no key.
    #[error("deriving a key from a passphrase: {0} is out of bounds")]
    Bounds(&'static str),
    /// The key is not the one, or the data was altered.
    #[error("opening secret storage: the key is wrong or the data was altered")]
    WrongKey,
    /// The secret is no text, which every secret is.
    #[error("opening secret storage: the secret is not UTF-8")]
    NotText,
}

/// A key of secret storage. Wiped when dropped.
#[derive(Clone)]
pub struct StorageKey(Zeroizing<[u8; 32]>);

impl StorageKey {
    /// A new random key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        Self(key)
    }

    /// The key that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The key that a person typed.
    ///
    /// # Errors
    /// [`KeyStringError`] that says whether it was mistyped.
    pub fn from_key_string(text: &str) -> Result<Self, KeyStringError> {
        key_string::decode(text).map(Self)
    }

    /// The key as a person may write it down. A secret: for the person's eyes only.
    #[must_use]
    pub fn to_key_string(&self) -> Zeroizing<String> {
        key_string::encode(&self.0)
    }

    /// Encrypts a secret for the name it is stored under.
    #[must_use]
    pub fn encrypt(&self, name: &str, secret: &str, rng: &mut (impl CryptoRng + ?Sized)) -> EncryptedSecret {
        self.encrypt_with(name, secret, ctr::random_iv(rng))
    }

    fn encrypt_with(&self, name: &str, secret: &str, iv: ctr::Iv) -> EncryptedSecret {
        let keys = self.keys(name);
        let mut ciphertext = secret.as_bytes().to_vec();
        ctr::apply(&keys.aes, &iv, &mut ciphertext);
        let mac = kdf::hmac(&keys.mac, &ciphertext);
        EncryptedSecret { iv, ciphertext, mac }
    }

    /// Decrypts the secret that is stored under `name`.
    ///
    /// # Errors
    /// [`SecretError::WrongKey`] if the key or the name is another, or the data was altered.
    pub fn decrypt(&self, name: &str, secret: &EncryptedSecret) -> Result<Zeroizing<String>, SecretError> {
        let keys = self.keys(name);
        if !bool::from(kdf::hmac(&keys.mac, &secret.ciphertext).ct_eq(&secret.mac)) {
            return Err(SecretError::WrongKey);
        }
        let mut bytes = Zeroizing::new(secret.ciphertext.clone());
        ctr::apply(&keys.aes, &secret.iv, &mut bytes);
        // The check before the copy: the bytes are wiped here whatever it says.
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn keys(&self, name: &str) -> Keys {
        let bytes = kdf::hkdf::<64>(&[0; 32], self.0.as_ref(), name.as_bytes());
        let mut keys = Keys { aes: Zeroizing::new([0; 32]), mac: Zeroizing::new([0; 32]) };
        let (aes, mac) = bytes.split_at(32);
        keys.aes.copy_from_slice(aes);
        keys.mac.copy_from_slice(mac);
        keys
    }
}

struct Keys {
    aes: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageKey(..)")
    }
}

impl PartialEq for StorageKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_ref()).into()
    }
}

impl Eq for StorageKey {}

/// A secret as the server stores it: the object under its key id in `encrypted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedSecret {
    iv: ctr::Iv,
    ciphertext: Vec<u8>,
    mac: [u8; 32],
}

impl EncryptedSecret {
    /// Reads the object; base64 with or without padding, as clients have written both.
    ///
    /// # Errors
    /// [`SecretError`] if a field is missing or malformed.
    pub fn parse(object: &Object) -> Result<Self, SecretError> {
        Ok(Self {
            iv: array(object.string("iv")?, "iv")?,
            ciphertext: encoding::decode_lenient(object.string("ciphertext")?)
                .map_err(|_| SecretError::Encoding("ciphertext"))?,
            mac: array(object.string("mac")?, "mac")?,
        })
    }

    /// The object.
    #[must_use]
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("iv", encoding::encode(self.iv))
            .with("ciphertext", encoding::encode(&self.ciphertext))
            .with("mac", encoding::encode(self.mac))
    }
}

fn array<const N: usize>(text: &str, field: &'static str) -> Result<[u8; N], SecretError> {
    let bytes = encoding::decode_lenient(text).map_err(|_| SecretError::Encoding(field))?;
    bytes.as_slice().try_into().map_err(|_| SecretError::Encoding(field))
}
