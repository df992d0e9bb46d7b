//! What clients write into contents: checked where the authorisation rules would only say that something is forbidden, or
//! would let pass what nobody can use.

use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::Refusal;

/// Sets a field to a text.
pub(super) fn set(content: &mut CanonicalJsonObject, name: &str, value: impl Into<String>) {
    content.insert(name.to_owned(), CanonicalJsonValue::String(value.into()));
}

/// One field of a content; `None` when it is missing or something else.
pub(super) fn field<T: DeserializeOwned>(content: &RawValue, name: &str) -> Option<T> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(content.get()).ok()?;
    serde_json::from_value(object.get(name)?.clone()).ok()
}

/// Whether a stored content is `content`.
pub(super) fn is(stored: &RawValue, content: &CanonicalJsonObject) -> bool {
    serde_json::from_str::<CanonicalJsonObject>(stored.get()).is_ok_and(|stored| stored == *content)
}

/// Reads a content that a client wrote, which must have a canonical form: no fractions, no integer beyond 2^53
/// (<https://spec.matrix.org/v1.19/appendices/#canonical-json>).
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn read(content: &RawValue) -> Result<CanonicalJsonObject, Refusal> {
    serde_json::from_str(content.get()).map_err(|error| Refusal::malformed(format!("the content: {error}")))
}

/// Checks the content of an event of `kind`.
///
/// # Errors
/// [`Refusal::Malformed`] says which field is what it must not be.
pub(super) fn check(
    kind: &TimelineEventType,
    state_key: Option<&str>,
    content: &CanonicalJsonObject,
) -> Result<(), Refusal> {
    if state_key.is_none() {
        return Ok(());
    }
    match kind {
        TimelineEventType::RoomPowerLevels => check_power_levels(content),
        TimelineEventType::RoomJoinRules => require_text(content, "join_rule"),
        TimelineEventType::RoomHistoryVisibility => require_text(content, "history_visibility"),
        TimelineEventType::RoomGuestAccess => require_text(content, "guest_access"),
        TimelineEventType::RoomEncryption => require_text(content, "algorithm"),
        TimelineEventType::RoomName => allow_text(content, "name"),
        TimelineEventType::RoomTopic => allow_text(content, "topic"),
        _ => Ok(()),
    }
}

fn require_text(content: &CanonicalJsonObject, name: &str) -> Result<(), Refusal> {
    match content.get(name) {
        Some(CanonicalJsonValue::String(_)) => Ok(()),
        _ => Err(Refusal::malformed(format!("{name} must be there and a string"))),
    }
}

fn allow_text(content: &CanonicalJsonObject, name: &str) -> Result<(), Refusal> {
    match content.get(name) {
        None | Some(CanonicalJsonValue::String(_) | CanonicalJsonValue::Null) => Ok(()),
        Some(_) => Err(Refusal::malformed(format!("{name} must be a string"))),
    }
}

/// The fields of power levels that are a level each.
const LEVELS: [&str; 7] = ["ban", "events_default", "invite", "kick", "redact", "state_default", "users_default"];

/// <https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels>. That levels are integers is what clients must write
/// in every version, though the rules of old ones would take strings.
fn check_power_levels(content: &CanonicalJsonObject) -> Result<(), Refusal> {
    let integer = |name: &str, value: &CanonicalJsonValue| match value {
        CanonicalJsonValue::Integer(_) => Ok(()),
        _ => Err(Refusal::malformed(format!("the level of {name} must be an integer"))),
    };
    for name in LEVELS {
        content.get(name).map_or(Ok(()), |value| integer(name, value))?;
    }
    for name in ["events", "users", "notifications"] {
        let levels = match content.get(name) {
            None => continue,
            Some(CanonicalJsonValue::Object(levels)) => levels,
            Some(_) => return Err(Refusal::malformed(format!("{name} must be an object"))),
        };
        for (of, level) in levels {
            integer(of, level)?;
            if name == "users" && UserId::parse(of).is_err() {
                return Err(Refusal::malformed(format!("users has levels for {of:?}, which is no user id")));
            }
        }
    }
    Ok(())
}

/// A state event as createRoom takes it.
#[derive(Debug, Deserialize)]
pub(super) struct InitialState {
    #[serde(rename = "type")]
    pub(super) kind: TimelineEventType,
    #[serde(default)]
    pub(super) state_key: String,
    pub(super) content: Box<RawValue>,
}
