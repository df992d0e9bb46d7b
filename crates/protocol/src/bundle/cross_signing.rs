//! Cross-signing keys: the three keys of a user, and what makes the lower two the user's.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>

use super::device_keys::expect_owner;
use super::signature::Signer;
use super::{BundleError, signature};
use crate::canonical::{FieldError, Object};
use crate::key::Ed25519PublicKey;

/// What a cross-signing key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// The user's other two keys: the user's identity.
    Master,
    /// The user's devices.
    SelfSigning,
    /// Other users' master keys.
    UserSigning,
}

impl Usage {
    /// The word in the key object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SelfSigning => "self_signing",
            Self::UserSigning => "user_signing",
        }
    }
}

/// A well-formed cross-signing key. Who signed it is not said; the types below say that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossSigningKey {
    user_id: String,
    usage: Usage,
    key: Ed25519PublicKey,
    object: Object,
}

impl CrossSigningKey {
    /// Reads a key that should be this user's and for this use: exactly one key, under its own name.
    ///
    /// # Errors
    /// [`BundleError`] if it is somebody else's, for another use, or malformed.
    pub fn parse(object: Object, user_id: &str, usage: Usage) -> Result<Self, BundleError> {
        expect_owner("user_id", user_id, object.string("user_id")?)?;
        if object.strings("usage")? != [usage.as_str()] {
            return Err(BundleError::Usage { expected: usage.as_str() });
        }
        let keys = object.object("keys")?;
        let mut names = keys.iter().map(|(name, _)| name);
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(FieldError::Type { name: "keys".to_owned(), expected: "an object of one key" }.into());
        };
        let text = keys.string(name)?;
        if name.strip_prefix("ed25519:") != Some(text) {
            return Err(BundleError::KeyName(name.to_owned()));
        }
        let key =
            Ed25519PublicKey::from_base64(text).map_err(|source| BundleError::Key { name: name.to_owned(), source })?;
        drop(names);
        Ok(Self { user_id: user_id.to_owned(), usage, key, object })
    }

    fn unsigned(user_id: &str, usage: Usage, key: &Ed25519PublicKey) -> Object {
        let text = key.to_base64();
        Object::new()
            .with("user_id", user_id)
            .with("usage", vec![usage.as_str()])
            .with("keys", Object::new().with(&signature::key_id(&text), text))
    }

    /// Whose key it is.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// What it signs.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The public key.
    pub fn key(&self) -> &Ed25519PublicKey {
        &self.key
    }

    /// The name its signatures are under: `ed25519:` and the public key.
    pub fn key_id(&self) -> String {
        signature::key_id(&self.key.to_base64())
    }

    /// The object as it was received, with every field and signature.
    pub fn as_object(&self) -> &Object {
        &self.object
    }

    /// Whether this key signed `object` in the name of its user.
    ///
    /// # Errors
    /// [`BundleError`] if it did not.
    pub fn check_signed(&self, object: &Object) -> Result<(), BundleError> {
        signature::verify(object, &self.user_id, &self.key_id(), &self.key)
    }
}

/// A user's master key. Well-formed, and by itself nobody's word: it is believed for who verified or signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKey(CrossSigningKey);

impl MasterKey {
    /// Reads a master key.
    ///
    /// # Errors
    /// [`BundleError`] if it is somebody else's, for another use, or malformed.
    pub fn parse(object: Object, user_id: &str) -> Result<Self, BundleError> {
        CrossSigningKey::parse(object, user_id, Usage::Master).map(Self)
    }

    /// Our own new master key.
    ///
    /// # Errors
    /// None for a valid key; the types say [`BundleError`] because it goes through the same reading as any other.
    pub fn create(user_id: &str, key: &impl Signer) -> Result<Self, BundleError> {
        Self::parse(CrossSigningKey::unsigned(user_id, Usage::Master, &key.public_key()), user_id)
    }

    /// The same key with one more signature: by a device of the user, or by another user's user-signing key.
    ///
    /// # Errors
    /// [`BundleError::Field`] if the object has a `signatures` field of another shape.
    pub fn signed_by(mut self, signer: &str, key_id: &str, key: &impl Signer) -> Result<Self, BundleError> {
        signature::sign(&mut self.0.object, signer, key_id, key)?;
        Ok(self)
    }

    /// The key and whose it is.
    pub fn get(&self) -> &CrossSigningKey {
        &self.0
    }
}

macro_rules! signed_by_master {
    ($(#[$doc:meta])* $name:ident, $usage:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(CrossSigningKey);

        impl $name {
            /// Reads the key and checks that `master` signed it.
            ///
            /// # Errors
            /// [`BundleError`] if it is another user's, for another use, malformed, or not signed by `master`.
            pub fn verify(object: Object, master: &MasterKey) -> Result<Self, BundleError> {
                let key = CrossSigningKey::parse(object, master.get().user_id(), $usage)?;
                master.get().check_signed(key.as_object())?;
                Ok(Self(key))
            }

            /// Our own new key, signed by our master key.
            ///
            /// # Errors
            /// [`BundleError::WrongSignature`] if `master_key` is not the secret half of `master`.
            pub fn create(
                key: &Ed25519PublicKey,
                master: &MasterKey,
                master_key: &impl Signer,
            ) -> Result<Self, BundleError> {
                let user_id = master.get().user_id();
                let mut object = CrossSigningKey::unsigned(user_id, $usage, key);
                signature::sign(&mut object, user_id, &master.get().key_id(), master_key)?;
                Self::verify(object, master)
            }

            /// The key and whose it is.
            pub fn get(&self) -> &CrossSigningKey {
                &self.0
            }
        }
    };
}

signed_by_master! {
    /// A key that signs its user's devices; the master key has signed it.
    SelfSigningKey, Usage::SelfSigning
}

signed_by_master! {
    /// A key that signs other users' master keys; the master key has signed it.
    UserSigningKey, Usage::UserSigning
}
