//! Redaction: taking content away, and whether one event may take away another's.

use ruma::UserId;
use ruma::room_version_rules::AuthorizationRules;
use ruma::state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField};

use crate::error::Refusal;
use crate::event::verify::redacted;
use crate::event::{AuthState, Known, Pdu};

/// The event without what a redaction takes away (<https://spec.matrix.org/v1.19/rooms/v12/#redactions>). Its id and its
/// signatures stay good; redacting twice is redacting once.
///
/// # Errors
/// [`Refusal::Malformed`], which an event that passed the checks never gives.
pub fn redact(pdu: &Pdu) -> Result<Pdu, Refusal> {
    redacted(pdu, pdu.object()?)
}

/// Whether `redaction`, an event that was accepted, takes away `target`, given the state before the redaction: since
/// version 3 the authorisation rules let every redaction pass, and this decides
/// (<https://spec.matrix.org/v1.19/rooms/v3/#handling-redactions>).
///
/// # Errors
/// [`Refusal::Forbidden`] says what is wrong.
pub fn may_redact(redaction: &Pdu, target: &Pdu, before: &AuthState) -> Result<(), Refusal> {
    let forbidden = |why: String| Refusal::Forbidden { why };
    if redaction.room_id() != target.room_id() || redaction.redacts() != Some(target.id()) {
        return Err(forbidden("the redaction is not about this event".to_owned()));
    }
    if target.is_create() {
        return Err(forbidden("what creates a room cannot be redacted".to_owned()));
    }
    let rules = &redaction.version().rules().authorization;
    // Versions 1 and 2 decided when the redaction was authorised.
    if rules.special_case_room_redaction || redaction.sender().server_name() == target.sender().server_name() {
        return Ok(());
    }
    may_redact_others(redaction.sender(), rules, before)
}

/// Whether `sender` has the power to redact what others said, given the room's state.
///
/// # Errors
/// [`Refusal::Forbidden`] says what is wrong.
pub fn may_redact_others(sender: &UserId, rules: &AuthorizationRules, before: &AuthState) -> Result<(), Refusal> {
    let forbidden = |why: String| Refusal::Forbidden { why };
    let create = before.create().ok_or_else(|| forbidden("the room has no create event".to_owned()))?;
    let creators = RoomCreateEvent::new(create).creators(rules).map_err(forbidden)?;
    let is_creator = creators.contains(sender);
    if is_creator && rules.explicitly_privilege_room_creators {
        return Ok(());
    }
    let (level, needed) = match before.get("m.room.power_levels", "") {
        Some(levels) => {
            let levels = RoomPowerLevelsEvent::<&Known>::new(levels);
            let level = levels.user_power_level(sender, rules).map_err(forbidden)?;
            (level, levels.get_as_int_or_default(RoomPowerLevelsIntField::Redact, rules).map_err(forbidden)?)
        }
        // Without power levels, who created the room has 100 and everybody else 0.
        None => (if is_creator { 100.into() } else { 0.into() }, RoomPowerLevelsIntField::Redact.default_value()),
    };
    let why = || forbidden(format!("redacting others' events takes level {needed}, the sender has {level}"));
    (level >= needed).then_some(()).ok_or_else(why)
}
