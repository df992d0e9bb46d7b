//! Key backup: Megolm sessions on the server, encrypted to a public key whose secret half only the user has.
//!
//! **What it does not protect.** The format's MAC covers an empty string, by a mistake in libolm that every client has followed, so
//! it authenticates nothing: a server can alter a backed-up session, and can invent one, as anybody can encrypt to a public key.
//! AES-CBC's padding and the JSON inside reject most alterations, not all. A restored session therefore proves nothing about its
//! sender, and [`BackupSecretKey::decrypt`] says so in its type: [`UnauthenticatedSession`].
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>

mod auth_data;
mod stored;
#[cfg(test)]
mod tests;

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use auth_data::AuthData;
pub use stored::KeyBackupData;

use crate::bundle::BundleError;
use crate::canonical::{FieldError, JsonError, Object};
use crate::cipher::{CipherKeys, MacLength};
use crate::encoding;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, KeyError, NonContributoryKey};
use crate::key_export::SessionFields;
use crate::secret_storage::{KeyStringError, key_string};

/// The algorithm's name.
pub const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

/// Why a backup, or a session in it, cannot be read or trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// A field is missing or of another type.
    #[error("reading a key backup: {0}")]
    Field(#[from] FieldError),
    /// The ephemeral or the backup key is none.
    #[error("reading a key backup: {0}")]
    Key(#[from] KeyError),
    /// Ciphertext or MAC is not base64.
    #[error("reading a key backup: `{0}` is not base64")]
    Encoding(&'static str),
    /// A key was chosen so that the secret would not be one.
    #[error("reading a key backup: {0}")]
    NonContributory(#[from] NonContributoryKey),
    /// Encrypted to another backup key, or altered in a way that shows.
    #[error("opening a key backup: it is for another key or damaged")]
    WrongKey,
    /// What was encrypted is not JSON.
    #[error("opening a key backup: {0}")]
    Json(#[from] JsonError),
    /// The backup's public key is not the one that belongs to our secret key.
    #[error("trusting a key backup: it belongs to another key")]
    OtherKey,
    /// Nobody whom we trust has signed the backup.
    #[error("trusting a key backup: {0}")]
    NotTrusted(BundleError),
}

/// The public half of a backup's key: what every client of the user encrypts sessions to.
///
/// Encrypt only to a key that came out of [`AuthData::verify`] or [`BackupSecretKey::public_key`]: to a key that the server made up, all
/// sessions would be given to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupPublicKey(Curve25519PublicKey);

impl BackupPublicKey {
    /// The key itself.
    #[must_use]
    pub fn as_curve25519(&self) -> &Curve25519PublicKey {
        &self.0
    }

    /// Encrypts a session.
    ///
    /// # Errors
    /// [`BackupError::NonContributory`] if the backup's key is of small order.
    pub fn encrypt(
        &self,
        session: &SessionFields,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<EncryptedSession, BackupError> {
        let plaintext = Zeroizing::new(session.to_object().to_canonical());
        self.encrypt_bytes(plaintext.as_bytes(), rng)
    }

    /// Encrypts any bytes.
    ///
    /// # Errors
    /// [`BackupError::NonContributory`] if the backup's key is of small order.
    pub fn encrypt_bytes(
        &self,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<EncryptedSession, BackupError> {
        let ephemeral = Curve25519SecretKey::generate(rng);
        let keys = CipherKeys::derive(&[0; 32], ephemeral.diffie_hellman(&self.0)?.as_bytes(), b"");
        Ok(EncryptedSession {
            ephemeral: ephemeral.public_key(),
            ciphertext: keys.encrypt(plaintext),
            // The MAC of nothing: the format's mistake, see the top of this file.
            mac: keys.mac(b"").tag(MacLength::Truncated).to_vec(),
        })
    }
}

/// The secret half of a backup's key. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupSecretKey(Curve25519SecretKey);

impl BackupSecretKey {
    /// A new key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Curve25519SecretKey::generate(rng))
    }

    /// The key that is stored in secret storage as `m.megolm_backup.v1`, base64.
    ///
    /// # Errors
    /// [`BackupError::Encoding`] if it is not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, BackupError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let decoded =
            Zeroizing::new(encoding::decode_lenient(text).map_err(|_| BackupError::Encoding("the decryption key"))?);
        if decoded.len() != bytes.len() {
            return Err(BackupError::Encoding("the decryption key"));
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self(Curve25519SecretKey::from_bytes(&bytes)))
    }

    /// The key as secret storage keeps it.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(encoding::encode(self.0.as_bytes()))
    }

    /// The key that a person typed.
    ///
    /// # Errors
    /// [`KeyStringError`] that says whether it was mistyped.
    pub fn from_key_string(text: &str) -> Result<Self, KeyStringError> {
        Ok(Self(Curve25519SecretKey::from_bytes(&*key_string::decode(text)?)))
    }

    /// The key as a person may write it down.
    #[must_use]
    pub fn to_key_string(&self) -> Zeroizing<String> {
        key_string::encode(self.0.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> BackupPublicKey {
        BackupPublicKey(self.0.public_key())
    }

    /// Decrypts a session.
    ///
    /// # Errors
    /// [`BackupError`] if it is for another key, visibly damaged, or not a session.
    pub fn decrypt(&self, session: &EncryptedSession) -> Result<UnauthenticatedSession, BackupError> {
        let plaintext = self.decrypt_bytes(session)?;
        let object = Object::parse(&plaintext)?;
        Ok(UnauthenticatedSession(SessionFields::parse(&object)?))
    }

    /// Decrypts any bytes.
    ///
    /// # Errors
    /// [`BackupError`] if they are for another key or visibly damaged.
    pub fn decrypt_bytes(&self, session: &EncryptedSession) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let keys = CipherKeys::derive(&[0; 32], self.0.diffie_hellman(&session.ephemeral)?.as_bytes(), b"");
        if !keys.mac(b"").matches(&session.mac, MacLength::Truncated) {
            return Err(BackupError::WrongKey);
        }
        keys.decrypt(&session.ciphertext).map(Zeroizing::new).map_err(|_| BackupError::WrongKey)
    }
}

impl fmt::Debug for BackupSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupSecretKey").field("public", &self.0.public_key()).finish_non_exhaustive()
    }
}

/// A session out of a backup. Anybody may have put it there: it decrypts messages and proves nothing about who sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnauthenticatedSession(pub SessionFields);

/// The `session_data` object of a backed-up session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedSession {
    ephemeral: Curve25519PublicKey,
    ciphertext: Vec<u8>,
    mac: Vec<u8>,
}

impl EncryptedSession {
    /// Reads the object.
    ///
    /// # Errors
    /// [`BackupError`] if a field is missing or malformed.
    pub fn parse(object: &Object) -> Result<Self, BackupError> {
        let decode = |name: &'static str| -> Result<Vec<u8>, BackupError> {
            encoding::decode_lenient(object.string(name)?).map_err(|_| BackupError::Encoding(name))
        };
        Ok(Self {
            ephemeral: Curve25519PublicKey::from_slice(&decode("ephemeral")?)?,
            ciphertext: decode("ciphertext")?,
            mac: decode("mac")?,
        })
    }

    /// The object.
    #[must_use]
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("ephemeral", self.ephemeral.to_base64())
            .with("ciphertext", encoding::encode(&self.ciphertext))
            .with("mac", encoding::encode(&self.mac))
    }
}
