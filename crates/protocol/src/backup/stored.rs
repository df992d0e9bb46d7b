//! A backed-up session as the server stores it, and which of two the server keeps.

use super::BackupError;
use crate::canonical::{FieldError, Integer, Object, Value};

/// The server's record of one backed-up session. The session data stay as they came.
///
/// <https://spec.matrix.org/v1.19/client-server-api/#definition-keybackupdata>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBackupData {
    /// The first message that the session can decrypt.
    pub first_message_index: u32,
    /// How often the session was forwarded between devices.
    pub forwarded_count: u32,
    /// Whether the uploading device had verified the device that made the session.
    pub is_verified: bool,
    /// The encrypted session.
    pub session_data: Object,
}

impl KeyBackupData {
    /// Reads the object.
    ///
    /// # Errors
    /// [`BackupError::Field`] if a field is missing or of another type.
    pub fn parse(object: &Object) -> Result<Self, BackupError> {
        let count = |name: &str| -> Result<u32, FieldError> {
            u32::try_from(object.unsigned(name)?)
                .map_err(|_| FieldError::Type { name: name.to_owned(), expected: "an integer of 32 bits" })
        };
        let is_verified = match object.get("is_verified") {
            Some(Value::Bool(is_verified)) => *is_verified,
            Some(_) => return Err(FieldError::Type { name: "is_verified".to_owned(), expected: "a boolean" }.into()),
            None => return Err(FieldError::Missing("is_verified".to_owned()).into()),
        };
        Ok(Self {
            first_message_index: count("first_message_index")?,
            forwarded_count: count("forwarded_count")?,
            is_verified,
            session_data: object.object("session_data")?.clone(),
        })
    }

    /// The object.
    #[must_use]
    pub fn to_object(&self) -> Object {
        Object::new()
            .with("first_message_index", Integer::from(self.first_message_index))
            .with("forwarded_count", Integer::from(self.forwarded_count))
            .with("is_verified", self.is_verified)
            .with("session_data", self.session_data.clone())
    }

    /// Whether the server should keep this one instead of the one it has: verified first, then from an earlier message on, then
    /// less often forwarded. Of equals, the one it has stays.
    ///
    /// <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>
    #[must_use]
    pub fn replaces(&self, stored: &Self) -> bool {
        let rank = |data: &Self| (!data.is_verified, data.first_message_index, data.forwarded_count);
        rank(self) < rank(stored)
    }
}
