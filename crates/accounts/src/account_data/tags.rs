//! The tags that users give to rooms (<https://spec.matrix.org/v1.19/client-server-api/#room-tagging>), kept as account data
//! of the room.

use std::collections::BTreeMap;

use base::limits;
use ruma::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};

/// The type of account data that has them.
const TYPE: &str = "m.tag";

/// Tags by name, with what clients say of each.
pub type Tags = BTreeMap<String, Box<RawValue>>;

#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    tags: Tags,
}

/// Clients may also write the account data itself; what has another form has no tags.
fn tags(content: Option<&RawValue>) -> Tags {
    content.and_then(|json| serde_json::from_str::<Content>(json.get()).ok()).unwrap_or_default().tags
}

fn as_content(tags: Tags) -> Result<Option<Box<RawValue>>, Refusal> {
    let content = to_raw_value(&Content { tags });
    content.map(Some).map_err(|error| Refusal::BadJson { what: error.to_string() })
}

impl Accounts {
    /// The tags that `user` gave to `room`.
    ///
    /// # Errors
    /// As every read.
    pub async fn tags(&self, user: &UserId, room: &RoomId) -> Result<Tags, Error> {
        Ok(tags(self.account_data(user, Some(room), TYPE).await?.as_deref()))
    }

    /// Gives a tag to `room`, or changes it; `info` is an object.
    ///
    /// # Errors
    /// [`Refusal::InvalidParam`] for a name that is too long, [`Refusal::TooMany`]; as
    /// [`Accounts::set_account_data`].
    pub async fn set_tag(&self, user: &UserId, room: &RoomId, tag: &str, info: &RawValue) -> Result<(), Error> {
        if tag.is_empty() || tag.len() > limits::TAG_BYTES {
            return Err(Refusal::invalid(format!("a tag has 1 to {} bytes", limits::TAG_BYTES)).into());
        }
        let change = |content: Option<&RawValue>| {
            let mut tags = tags(content);
            tags.insert(tag.to_owned(), info.to_owned());
            if tags.len() > limits::TAGS_PER_ROOM {
                return Err(Refusal::TooMany { what: "tags of a room", most: limits::TAGS_PER_ROOM });
            }
            as_content(tags)
        };
        self.update_account_data(user, Some(room), TYPE, change).await.map(drop)
    }

    /// Takes a tag from `room`. Nothing happens when it has none such.
    ///
    /// # Errors
    /// As [`Accounts::set_account_data`].
    pub async fn remove_tag(&self, user: &UserId, room: &RoomId, tag: &str) -> Result<(), Error> {
        let change = |content: Option<&RawValue>| {
            let mut tags = tags(content);
            if tags.remove(tag).is_some() { as_content(tags) } else { Ok(None) }
        };
        self.update_account_data(user, Some(room), TYPE, change).await.map(drop)
    }
}
