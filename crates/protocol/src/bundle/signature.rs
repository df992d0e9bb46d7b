//! Signatures over JSON objects: by whom, with which key, over which bytes.
//!
//! <https://spec.matrix.org/v1.19/appendices/#signing-json>

use super::BundleError;
use crate::canonical::{FieldError, Object, Value};
use crate::key::{Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature};
use crate::olm::Account;

/// Whatever signs for a device, a user or a server: a key by itself, or the account that holds a device's.
pub trait Signer {
    /// The key that verifies what is signed.
    fn public_key(&self) -> Ed25519PublicKey;
    /// A signature over these bytes.
    fn sign(&self, message: &[u8]) -> Ed25519Signature;
}

impl Signer for Ed25519SecretKey {
    fn public_key(&self) -> Ed25519PublicKey {
        self.public_key()
    }

    fn sign(&self, message: &[u8]) -> Ed25519Signature {
        self.sign(message)
    }
}

impl Signer for Account {
    fn public_key(&self) -> Ed25519PublicKey {
        self.identity_keys().ed25519
    }

    fn sign(&self, message: &[u8]) -> Ed25519Signature {
        self.sign(message)
    }
}

/// The name of a signing key: `ed25519:` and the device id, the public key, or the server's name for it.
pub fn key_id(name: &str) -> String {
    format!("ed25519:{name}")
}

/// Signs `object` for `signer` and adds the signature to it, beside those that are there.
///
/// # Errors
/// [`BundleError::Field`] if there is a `signatures` field of another shape.
pub fn sign(object: &mut Object, signer: &str, key_id: &str, key: &impl Signer) -> Result<(), BundleError> {
    let signature = key.sign(&object.signed_bytes());
    add(object, signer, key_id, &signature)
}

/// Adds a signature to those that are there.
///
/// # Errors
/// [`BundleError::Field`] if there is a `signatures` field of another shape.
pub fn add(object: &mut Object, signer: &str, key_id: &str, signature: &Ed25519Signature) -> Result<(), BundleError> {
    if object.get("signatures").is_none() {
        object.insert("signatures", Object::new());
    }
    let Some(Value::Object(signatures)) = object.get_mut("signatures") else { return Err(shape("signatures")) };
    if signatures.get(signer).is_none() {
        signatures.insert(signer, Object::new());
    }
    let Some(Value::Object(by_signer)) = signatures.get_mut(signer) else { return Err(shape(signer)) };
    by_signer.insert(key_id, signature.to_base64());
    Ok(())
}

fn shape(name: &str) -> BundleError {
    FieldError::Type { name: name.to_owned(), expected: "an object" }.into()
}

/// The signature that `signer` is said to have made with `key_id`. Nothing is checked yet.
///
/// # Errors
/// [`BundleError`] if it is malformed.
pub fn claimed(object: &Object, signer: &str, key_id: &str) -> Result<Option<Ed25519Signature>, BundleError> {
    let Some(signatures) = object.optional_object("signatures")? else { return Ok(None) };
    let Some(by_signer) = signatures.optional_object(signer)? else { return Ok(None) };
    let Some(text) = by_signer.optional_string(key_id)? else { return Ok(None) };
    let signature =
        Ed25519Signature::from_base64(text).map_err(|source| BundleError::Key { name: key_id.to_owned(), source })?;
    Ok(Some(signature))
}

/// Checks that `signer` signed `object` with `key`, which it calls `key_id`.
///
/// # Errors
/// [`BundleError::NotSigned`] if the signature is not there, [`BundleError::WrongSignature`] if it is wrong.
pub fn verify(object: &Object, signer: &str, key_id: &str, key: &Ed25519PublicKey) -> Result<(), BundleError> {
    let Some(signature) = claimed(object, signer, key_id)? else {
        return Err(BundleError::NotSigned { signer: signer.to_owned(), key_id: key_id.to_owned() });
    };
    key.verify(&object.signed_bytes(), &signature)
        .map_err(|_| BundleError::WrongSignature { signer: signer.to_owned(), key_id: key_id.to_owned() })
}

/// Removes the signatures that `viewer` may not see on a key of `owner`: those that other people made, which would tell whom
/// the owner knows.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security>
pub fn hide_from(object: &mut Object, owner: &str, viewer: &str) {
    let Some(Value::Object(signatures)) = object.get_mut("signatures") else { return };
    let hidden: Vec<String> = signatures
        .iter()
        .map(|(signer, _)| signer.to_owned())
        .filter(|signer| signer != owner && signer != viewer)
        .collect();
    for signer in hidden {
        signatures.remove(&signer);
    }
}
