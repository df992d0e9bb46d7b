//! A Megolm session as it is exported and backed up: JSON around the session key, which stays opaque here.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::KeyExportError;
use crate::canonical::{FieldError, Object, Value};
use crate::key::Curve25519PublicKey;

/// The fields that exports and backups share.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#definition-backedupsessiondata>
#[derive(Clone, PartialEq, Eq)]
pub struct SessionFields {
    /// The Curve25519 keys that the session was forwarded through.
    pub forwarding_chain: Vec<String>,
    /// The Curve25519 key of the device that made the session.
    pub sender_key: Curve25519PublicKey,
    /// The signing keys that device claimed, by algorithm.
    pub sender_claimed_keys: BTreeMap<String, String>,
    /// The session key in session-export format, base64.
    pub session_key: Zeroizing<String>,
    /// Whether the session may be shared with people who join later.
    pub shared_history: bool,
}

const ALGORITHM: &str = "m.megolm.v1.aes-sha2";

impl SessionFields {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`FieldError`] that names the field.
    pub fn parse(object: &Object) -> Result<Self, FieldError> {
        let wrong = |name: &str, expected| FieldError::Type { name: name.to_owned(), expected };
        if object.string("algorithm")? != ALGORITHM {
            return Err(wrong("algorithm", ALGORITHM));
        }
        let sender_key = Curve25519PublicKey::from_base64(object.string("sender_key")?)
            .map_err(|_| wrong("sender_key", "a Curve25519 key"))?;
        let claimed = object.object("sender_claimed_keys")?;
        let mut sender_claimed_keys = BTreeMap::new();
        for (algorithm, _) in claimed.iter() {
            sender_claimed_keys.insert(algorithm.to_owned(), claimed.string(algorithm)?.to_owned());
        }
        Ok(Self {
            forwarding_chain: object
                .strings("forwarding_curve25519_key_chain")?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            sender_key,
            sender_claimed_keys,
            session_key: Zeroizing::new(object.string("session_key")?.to_owned()),
            // Absent before v1.19; what is not a boolean is not a permission.
            shared_history: object.get("shared_history") == Some(&Value::Bool(true)),
        })
    }

    /// The object. Holds the session key: it belongs into something encrypted only.
    #[must_use]
    pub fn to_object(&self) -> Object {
        let claimed: Object =
            self.sender_claimed_keys.iter().map(|(name, key)| (name.clone(), key.as_str().into())).collect();
        Object::new()
            .with("algorithm", ALGORITHM)
            .with("forwarding_curve25519_key_chain", self.forwarding_chain.clone())
            .with("sender_key", self.sender_key.to_base64())
            .with("sender_claimed_keys", claimed)
            .with("session_key", self.session_key.as_str())
            .with("shared_history", self.shared_history)
    }
}

impl fmt::Debug for SessionFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFields").field("sender_key", &self.sender_key).finish_non_exhaustive()
    }
}

/// One session in a key export.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#definition-exportedsessiondata>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedSession {
    /// The room the session is for.
    pub room_id: String,
    /// The session's id.
    pub session_id: String,
    /// Everything else.
    pub fields: SessionFields,
}

impl ExportedSession {
    /// Reads the content of a file, each session by itself: one that is malformed does not keep the others from being imported.
    ///
    /// # Errors
    /// [`KeyExportError`] if it is not an array.
    pub fn parse_all(content: &str) -> Result<Vec<Result<Self, FieldError>>, KeyExportError> {
        let wrong = |expected| FieldError::Type { name: "content".to_owned(), expected };
        let value = Value::parse(content.as_bytes())?;
        let sessions = value.as_array().ok_or_else(|| wrong("an array of sessions"))?;
        Ok(sessions.iter().map(|session| Self::parse(session.as_object().ok_or_else(|| wrong("an object"))?)).collect())
    }

    fn parse(object: &Object) -> Result<Self, FieldError> {
        Ok(Self {
            room_id: object.string("room_id")?.to_owned(),
            session_id: object.string("session_id")?.to_owned(),
            fields: SessionFields::parse(object)?,
        })
    }

    /// Writes the content of a file.
    #[must_use]
    pub fn write_all(sessions: &[Self]) -> Zeroizing<String> {
        let objects: Vec<Object> = sessions
            .iter()
            .map(|session| {
                let fields = session.fields.to_object();
                fields.with("room_id", session.room_id.as_str()).with("session_id", session.session_id.as_str())
            })
            .collect();
        Zeroizing::new(Value::from(objects).to_canonical())
    }
}
