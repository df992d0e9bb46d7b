//! What readers look at of an event: its fields, borrowed from the canonical JSON in which it is stored. Nothing is parsed
//! that is not asked for, and what goes to a client is copied once.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;

/// The fields of a stored event that a client sees.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
    /// Its content.
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// When its server says that it was sent, in milliseconds since 1970.
    pub origin_server_ts: u64,
    /// What it redacts, in room versions 1 to 10.
    #[serde(borrow)]
    pub redacts: Option<Cow<'a, str>>,
    /// Who sent it.
    #[serde(borrow)]
    pub sender: Cow<'a, str>,
    /// Its state key, if it is a state event.
    #[serde(borrow)]
    pub state_key: Option<Cow<'a, str>>,
    /// Its type.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of an event as it is stored.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn of(json: &'a [u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|error| Error::damaged(format!("the fields of a stored event: {error}")))
    }
}

/// The content of a stored event; null when it cannot be read.
pub(crate) fn content_of(json: &[u8]) -> Value {
    #[derive(Deserialize)]
    struct Content {
        content: Value,
    }
    serde_json::from_slice(json).map(|Content { content }| content).unwrap_or_default()
}
