//! The description of a key: which algorithm, how it comes from a passphrase, and what tells the right key from another.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;

use super::{ALGORITHM, Passphrase, SecretError, StorageKey, array};
use crate::canonical::Object;
use crate::cipher::ctr;
use crate::encoding;

/// The content of an `m.secret_storage.key.<id>` account data event.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#msecret_storagev1aes-hmac-sha2>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// What the user calls the key.
    pub name: Option<String>,
    /// How the key comes from a passphrase, if it does.
    pub passphrase: Option<Passphrase>,
    check: Option<(ctr::Iv, [u8; 32])>,
}

/// What is encrypted to see whether a key is right.
const ZEROS: &str = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

impl KeyDescription {
    /// Describes `key`, so that it can be told from others.
    #[must_use]
    pub fn new(key: &StorageKey, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let iv = ctr::random_iv(rng);
        Self { name: None, passphrase: None, check: Some((iv, key.encrypt_with("", ZEROS, iv).mac)) }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// [`SecretError`] if it is malformed or of another algorithm.
    pub fn parse(object: &Object) -> Result<Self, SecretError> {
        let algorithm = object.string("algorithm")?;
        if algorithm != ALGORITHM {
            return Err(SecretError::Algorithm(algorithm.to_owned()));
        }
        let check = match (object.optional_string("iv")?, object.optional_string("mac")?) {
            (Some(iv), Some(mac)) => Some((array(iv, "iv")?, array(mac, "mac")?)),
            _ => None,
        };
        Ok(Self {
            name: object.optional_string("name")?.map(str::to_owned),
            passphrase: object.optional_object("passphrase")?.map(Passphrase::parse).transpose()?,
            check,
        })
    }

    /// The content of the event.
    #[must_use]
    pub fn to_object(&self) -> Object {
        let mut object = Object::new().with("algorithm", ALGORITHM);
        if let Some(name) = &self.name {
            object.insert("name", name.as_str());
        }
        if let Some(passphrase) = &self.passphrase {
            object.insert("passphrase", passphrase.to_object());
        }
        if let Some((iv, mac)) = &self.check {
            object.insert("iv", encoding::encode(iv));
            object.insert("mac", encoding::encode(mac));
        }
        object
    }

    /// Whether `key` is the one described. A description without a check, which the specification allows, fits every key.
    ///
    /// # Errors
    /// [`SecretError::WrongKey`] if it is another.
    pub fn check(&self, key: &StorageKey) -> Result<(), SecretError> {
        let Some((iv, mac)) = &self.check else { return Ok(()) };
        if bool::from(key.encrypt_with("", ZEROS, *iv).mac.ct_eq(mac)) { Ok(()) } else { Err(SecretError::WrongKey) }
    }
}
