//! What users say of themselves (<https://spec.matrix.org/v1.19/client-server-api/#profiles>): a name, a picture, and
//! fields of their own choice. What changes is a log entry; whoever reads it tells the rooms.
//!
//! The names under which a user is found in the directory are an index written with the profile.

mod directory;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base::limits;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use storage::table::PROFILE;
use storage::{Batch, Key, Kind, Record, Version};

use crate::accounts::{Accounts, settle};
use crate::error::{Error, Refusal};
use crate::user::digest;

pub use directory::DirectoryEntry;
pub(crate) use directory::put_names;

/// Log entries of this kind say that a user's profile changed; their payload is a [`ProfileLog`], their partition the user's.
pub const PROFILE_CHANGED: Kind = Kind(67);

/// The field with the user's name.
pub const DISPLAY_NAME: &str = "displayname";
/// The field with the user's picture.
pub const AVATAR_URL: &str = "avatar_url";

/// What the log says of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileLog {
    /// Whose it is.
    pub user: OwnedUserId,
    /// The field that changed.
    pub field: String,
}

/// The fields, each as JSON. Empty: the user says nothing of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    fields: BTreeMap<String, String>,
}

storage::first_version!(ProfileLog, ProfileRecord);

/// A profile as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredProfile {
    record: ProfileRecord,
    version: Option<Version>,
}

/// What a user says of itself.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Every field by its name.
    pub fields: BTreeMap<String, Box<RawValue>>,
}

impl Profile {
    fn text(&self, field: &str) -> Option<String> {
        self.fields.get(field).and_then(|json| serde_json::from_str(json.get()).ok())
    }

    /// The user's name.
    pub fn display_name(&self) -> Option<String> {
        self.text(DISPLAY_NAME)
    }

    /// The address of the user's picture, an `mxc://` address.
    pub fn avatar_url(&self) -> Option<String> {
        self.text(AVATAR_URL)
    }
}

fn key(user: &UserId) -> Key {
    Key::of(PROFILE, &digest(user))
}

impl ProfileRecord {
    /// A profile with nothing but a name.
    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        let name = to_raw_value(name).map_err(|error| Refusal::BadJson { what: error.to_string() })?;
        let name = checked_value(DISPLAY_NAME, &name)?;
        Ok(Self { fields: name.map(|name| (DISPLAY_NAME.to_owned(), name)).into_iter().collect() })
    }

    fn text(&self, field: &str) -> Option<String> {
        self.fields.get(field).and_then(|json| serde_json::from_str(json).ok())
    }

    /// About what it is as canonical JSON, in bytes.
    fn bytes(&self) -> usize {
        2 + self.fields.iter().map(|(name, json)| name.len() + json.len() + 4).sum::<usize>()
    }

    fn profile(self) -> Result<Profile, Error> {
        let fields = self.fields.into_iter().map(|(name, json)| Ok((name, RawValue::from_string(json)?)));
        let fields = fields.collect::<serde_json::Result<_>>();
        fields.map(|fields| Profile { fields }).map_err(|error| Error::damaged(format!("a profile: {error}")))
    }
}

impl Accounts {
    pub(crate) async fn stored_profile(&self, user: &UserId) -> Result<StoredProfile, Error> {
        let row = self.store().get_record(&key(user)).await.map_err(Error::storage("reading a profile"))?;
        Ok(row
            .map_or_else(StoredProfile::default, |(record, version)| StoredProfile { record, version: Some(version) }))
    }

    /// What `user`, of this server, says of itself; `None` when there is no such user.
    ///
    /// # Errors
    /// As every read.
    pub async fn profile(&self, user: &UserId) -> Result<Option<Profile>, Error> {
        let StoredProfile { record, version } = self.stored_profile(user).await?;
        // A user that never said anything has no row.
        if version.is_none() && !self.is_active(user).await? {
            return Ok(None);
        }
        record.profile().map(Some)
    }

    /// Whether `user` has an account here that is in use.
    ///
    /// # Errors
    /// As every read.
    pub async fn is_active(&self, user: &UserId) -> Result<bool, Error> {
        if user.server_name() != self.server() {
            return Ok(false);
        }
        Ok(self.account(user).await?.is_some_and(|(account, _)| account.is_active()))
    }

    /// Sets a field of `user`'s profile. The empty string and `null` take away a name or a picture.
    ///
    /// # Errors
    /// [`Refusal::KeyTooLarge`], [`Refusal::ProfileTooLarge`], [`Refusal::InvalidParam`] for a name or picture that is none;
    /// [`Refusal::NotFound`]; as every commit.
    pub async fn set_profile_field(&self, user: &UserId, field: &str, value: &RawValue) -> Result<(), Error> {
        check_name(field)?;
        let value = checked_value(field, value)?;
        self.change_profile(user, field, value).await
    }

    /// Takes a field away. Nothing happens when it is not there.
    ///
    /// # Errors
    /// [`Refusal::KeyTooLarge`]; as every commit.
    pub async fn delete_profile_field(&self, user: &UserId, field: &str) -> Result<(), Error> {
        check_name(field)?;
        self.change_profile(user, field, None).await
    }

    async fn change_profile(&self, user: &UserId, field: &str, value: Option<String>) -> Result<(), Error> {
        settle!(self, async {
            let (account, version) = self.account(user).await?.ok_or(Refusal::NotFound { what: "user" })?;
            if !account.is_active() {
                return Err(Refusal::Deactivated.into());
            }
            let before = self.stored_profile(user).await?;
            if before.record.fields.get(field) == value.as_ref() {
                return Ok(());
            }
            let mut after = before.record.clone();
            match &value {
                Some(value) => after.fields.insert(field.to_owned(), value.clone()),
                None => after.fields.remove(field),
            };
            if value.is_some() && after.bytes() > limits::PROFILE_BYTES {
                return Err(Refusal::ProfileTooLarge.into());
            }
            let mut batch = Batch::new();
            Self::require_account(&mut batch, &account, version);
            put_profile(&mut batch, user, &before, Some(&after));
            let log = ProfileLog { user: user.to_owned(), field: field.to_owned() };
            batch.append(self.store().partition_of(user.as_str()), PROFILE_CHANGED, log.encode());
            self.commit("changing a profile", batch).await.map(drop)
        })
    }
}

/// Writes a profile and the names in the directory; `None` removes both.
pub(crate) fn put_profile(batch: &mut Batch, user: &UserId, before: &StoredProfile, after: Option<&ProfileRecord>) {
    let key = key(user);
    batch.require_version(&key, before.version);
    match after {
        Some(after) => batch.put_record(&key, after),
        None => batch.delete(&key),
    }
    let name = |record: &ProfileRecord| record.text(DISPLAY_NAME).unwrap_or_default();
    let names = [Some(name(&before.record)), after.map(name)];
    put_names(batch, user, names);
}

/// Whether a field may be called that
/// (<https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar>).
fn is_name(field: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let is_namespaced = field.contains('.') && field.starts_with(|first: char| first.is_ascii_lowercase());
    [DISPLAY_NAME, AVATAR_URL].contains(&field) || (is_namespaced && field.bytes().all(allowed))
}

fn check_name(field: &str) -> Result<(), Refusal> {
    match field.len() {
        1..=limits::PROFILE_FIELD_BYTES if is_name(field) => Ok(()),
        0..=limits::PROFILE_FIELD_BYTES => Err(Refusal::invalid("a field has a name such as org.example.field")),
        _ => Err(Refusal::KeyTooLarge),
    }
}

/// The value as it is stored; `None` when it takes the field away.
fn checked_value(field: &str, value: &RawValue) -> Result<Option<String>, Refusal> {
    let most = match field {
        AVATAR_URL => limits::AVATAR_URL_CHARACTERS,
        DISPLAY_NAME | "m.tz" => limits::DISPLAY_NAME_CHARACTERS,
        _ => return checked_size(value).map(Some),
    };
    let text: Option<String> = serde_json::from_str(value.get())
        .map_err(|_| Refusal::BadJson { what: format!("{field} must be a string") })?;
    match text {
        Some(text) if text.chars().count() > most => {
            Err(Refusal::invalid(format!("{field} has at most {most} characters")))
        }
        Some(text) if !text.is_empty() => Ok(Some(serde_json::Value::String(text).to_string())),
        _ => Ok(None),
    }
}

fn checked_size(value: &RawValue) -> Result<String, Refusal> {
    if value.get().len() > limits::PROFILE_BYTES {
        return Err(Refusal::ProfileTooLarge);
    }
    // Without the spaces that it was sent with; deep nesting was refused when it was parsed.
    let value: serde_json::Value =
        serde_json::from_str(value.get()).map_err(|error| Refusal::BadJson { what: error.to_string() })?;
    Ok(value.to_string())
}
