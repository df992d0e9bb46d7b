//! The object that carries an attachment's key: an `EncryptedFile` without its `url`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::canonical::{FieldError, Object, Value};
use crate::cipher::ctr;
use crate::encoding;

/// Why an attachment cannot be encrypted, described or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// A field of the description is missing or of another type.
    #[error("reading an attachment's description: {0}")]
    Field(#[from] FieldError),
    /// A field has another value than the one this version knows.
    #[error("reading an attachment's description: `{0}` has a value that version 2 does not know")]
    Unknown(&'static str),
    /// The key, the vector or the hash is not base64 of its length.
    #[error("reading an attachment's description: `{0}` is not base64 of the right length")]
    Encoding(&'static str),
    /// The file is longer than the cipher's counter allows.
    #[error("encrypting an attachment: it is too long")]
    TooLong,
    /// The file is not the one its sender encrypted.
    #[error("decrypting an attachment: it was altered")]
    Altered,
}

/// What decrypts and authenticates one attachment.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#definition-encryptedfile>
#[derive(Clone)]
pub struct AttachmentInfo {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) iv: ctr::Iv,
    pub(super) sha256: [u8; 32],
}

impl AttachmentInfo {
    /// Reads the `file` object of an event; its `url` is the caller's.
    ///
    /// Base64 is read with or without padding, because clients have written both.
    ///
    /// # Errors
    /// [`AttachmentError`] if a field is missing or says anything else than version 2 with AES-256-CTR.
    pub fn parse(file: &Object) -> Result<Self, AttachmentError> {
        expect(file.string("v")? == "v2", "v")?;
        let jwk = file.object("key")?;
        expect(jwk.string("kty")? == "oct", "kty")?;
        expect(jwk.string("alg")? == "A256CTR", "alg")?;
        expect(jwk.get("ext") == Some(&Value::Bool(true)), "ext")?;
        let operations = jwk.strings("key_ops")?;
        expect(operations.contains(&"encrypt") && operations.contains(&"decrypt"), "key_ops")?;
        let text = jwk.string("k")?.trim_end_matches('=');
        let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| AttachmentError::Encoding("k"))?);
        Ok(Self {
            key: Zeroizing::new(key.as_slice().try_into().map_err(|_| AttachmentError::Encoding("k"))?),
            iv: standard(file.string("iv")?, "iv")?,
            sha256: standard(file.object("hashes")?.string("sha256")?, "sha256")?,
        })
    }

    /// The `file` object, to which the caller adds the `url`. Holds the key: it belongs into an encrypted event only.
    #[must_use]
    pub fn to_object(&self) -> Object {
        let jwk = Object::new()
            .with("kty", "oct")
            .with("key_ops", vec!["encrypt", "decrypt"])
            .with("alg", "A256CTR")
            .with("k", URL_SAFE_NO_PAD.encode(self.key.as_ref()))
            .with("ext", true);
        Object::new()
            .with("v", "v2")
            .with("key", jwk)
            .with("iv", encoding::encode(self.iv))
            .with("hashes", Object::new().with("sha256", encoding::encode(self.sha256)))
    }
}

impl fmt::Debug for AttachmentInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentInfo").field("sha256", &encoding::encode(self.sha256)).finish_non_exhaustive()
    }
}

fn expect(holds: bool, field: &'static str) -> Result<(), AttachmentError> {
    if holds { Ok(()) } else { Err(AttachmentError::Unknown(field)) }
}

fn standard<const N: usize>(text: &str, field: &'static str) -> Result<[u8; N], AttachmentError> {
    let bytes = encoding::decode_lenient(text).map_err(|_| AttachmentError::Encoding(field))?;
    bytes.as_slice().try_into().map_err(|_| AttachmentError::Encoding(field))
}
