//! The first two steps of an event's way: bytes to canonical JSON, and canonical JSON to an event whose format and size
//! hold and whose id is known. Nothing is believed yet.

use base::limits;
use bytes::Bytes;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId};

use crate::error::Refusal;
use crate::event::{Pdu, RoomVersion};

/// An event as it came: canonical JSON, nothing else known of it.
#[derive(Clone, Debug)]
pub struct ReceivedPdu {
    version: &'static RoomVersion,
    object: CanonicalJsonObject,
}

impl ReceivedPdu {
    /// Reads JSON, which need not be in canonical form but must have one
    /// (<https://spec.matrix.org/v1.19/appendices/#canonical-json>): no fractions, no integer beyond 2^53. Versions 1 to 5
    /// did not demand that, but gave such events no hash that two servers would agree on either.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] and [`Refusal::Malformed`].
    pub fn read(version: &'static RoomVersion, json: &[u8]) -> Result<Self, Refusal> {
        if json.len() > limits::EVENT_WIRE_BYTES {
            return Err(Refusal::TooLarge);
        }
        let object = serde_json::from_slice(json).map_err(|error| Refusal::malformed(error.to_string()))?;
        Ok(Self::from_object(version, object))
    }

    /// Takes an object that was read already.
    pub fn from_object(version: &'static RoomVersion, mut object: CanonicalJsonObject) -> Self {
        // It is not signed, so it is only hearsay, and it must not count towards the size: servers would disagree.
        object.remove("unsigned");
        Self { version, object }
    }

    /// The room that the event names, to look up which version that has; a create event since version 12 names none.
    pub fn room_id(object: &CanonicalJsonObject) -> Option<&str> {
        object.get("room_id").and_then(CanonicalJsonValue::as_str)
    }

    /// Checks format and size, and finds the event's id: the one given in versions 1 and 2, later the reference hash
    /// (<https://spec.matrix.org/v1.19/rooms/v12/#event-ids>).
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] and [`Refusal::Malformed`]: the event is to be dropped.
    pub fn check(self) -> Result<WellFormedPdu, Refusal> {
        let Self { version, object } = self;
        let json = canonical(&object)?;
        if json.len() > limits::EVENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        ruma::state_res::check_pdu_format(&object, &version.rules().event_format).map_err(Refusal::malformed)?;
        let id = event_id(version, &object)?;
        let pdu = Pdu::read(version, id, json)?;
        if version.has_hashed_room_id() && pdu.is_create() == object.contains_key("room_id") {
            return Err(Refusal::malformed("a create event, and no other, must lack a room id"));
        }
        Ok(WellFormedPdu { pdu, object })
    }
}

/// An event whose format and size hold and whose id is known. Whether it is genuine is not.
#[derive(Clone, Debug)]
pub struct WellFormedPdu {
    pub(super) pdu: Pdu,
    pub(super) object: CanonicalJsonObject,
}

impl WellFormedPdu {
    /// What it says.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }
}

/// The canonical form.
pub(super) fn canonical(object: &CanonicalJsonObject) -> Result<Bytes, Refusal> {
    serde_json::to_vec(object).map(Bytes::from).map_err(|error| Refusal::malformed(error.to_string()))
}

fn event_id(version: &RoomVersion, object: &CanonicalJsonObject) -> Result<OwnedEventId, Refusal> {
    if version.has_given_ids() {
        let given = object.get("event_id").and_then(CanonicalJsonValue::as_str).unwrap_or_default();
        let id = EventId::parse(given).map_err(|error| Refusal::malformed(format!("its id is none: {error}")))?;
        let foreign = || Refusal::malformed("its id names no server");
        return id.server_name().is_some().then_some(id.clone()).ok_or_else(foreign);
    }
    let hash = ruma::signatures::reference_hash(object, version.rules());
    let hash = hash.map_err(|error| Refusal::malformed(format!("hashing it failed: {error}")))?;
    EventId::new_v2_or_v3(&hash).map_err(|error| Refusal::malformed(error.to_string()))
}
