//! What an event says: its fields as the checks, the graph and the readers need them, beside the bytes they were read
//! from. Those bytes are the canonical JSON that was signed, without `unsigned`; they are what is stored and sent on.
//!
//! Must not judge: whether an event is genuine or allowed is the business of the types that hold a [`Pdu`].

use std::fmt;
use std::sync::Arc;

use base::limits;
use bytes::Bytes;
use ruma::events::{StateEventType, TimelineEventType};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, RoomId, UInt, UserId,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::error::Refusal;
use crate::event::RoomVersion;

/// What state is filed under: the event's type and its state key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey {
    /// The event's type.
    pub kind: StateEventType,
    /// The state key, empty for most types.
    pub key: String,
}

impl StateKey {
    /// The key of `kind` and `key`.
    pub fn new(kind: impl Into<StateEventType>, key: impl Into<String>) -> Self {
        Self { kind: kind.into(), key: key.into() }
    }
}

/// How one event names another that it follows or leans on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The event named.
    pub id: OwnedEventId,
    /// Its depth.
    pub depth: u64,
    /// Its reference hash, in versions 1 and 2, where names have one beside the id.
    pub sha256: Option<String>,
}

/// An event's fields and bytes. Cheap to clone.
#[derive(Clone)]
pub struct Pdu(Arc<Inner>);

struct Inner {
    version: &'static RoomVersion,
    id: OwnedEventId,
    room_id: OwnedRoomId,
    wire: Wire,
    redacts: Option<OwnedEventId>,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    json: Bytes,
}

/// The fields as they stand in the JSON.
#[derive(Deserialize)]
struct Wire {
    sender: OwnedUserId,
    #[serde(rename = "type")]
    kind: TimelineEventType,
    state_key: Option<String>,
    content: Box<RawValue>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    depth: UInt,
    prev_events: Vec<WireReference>,
    auth_events: Vec<WireReference>,
    room_id: Option<OwnedRoomId>,
    /// Anything, because a malformed name of what to redact redacts nothing and harms nobody.
    redacts: Option<CanonicalJsonValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireReference {
    Id(OwnedEventId),
    Hashed(OwnedEventId, IgnoredAny),
}

#[derive(Deserialize)]
struct Redacts {
    redacts: Option<CanonicalJsonValue>,
}

impl Pdu {
    /// Reads the event `id` from its canonical JSON.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when a field is missing or not what it must be.
    pub fn read(version: &'static RoomVersion, id: OwnedEventId, json: Bytes) -> Result<Self, Refusal> {
        let malformed = |error: serde_json::Error| Refusal::malformed(error.to_string());
        let mut wire: Wire = serde_json::from_slice(&json).map_err(malformed)?;
        if !wire.content.get().starts_with('{') {
            return Err(Refusal::malformed("its content is not an object"));
        }
        let room_id = match wire.room_id.take() {
            Some(room_id) => room_id,
            // Only a create event lacks it, and only since version 12: the format was checked on receipt.
            None => RoomId::new_v2(id.as_str().trim_start_matches('$'))
                .map_err(|error| Refusal::malformed(format!("its room has no id: {error}")))?,
        };
        let redacts = if version.rules().redaction.content_field_redacts {
            serde_json::from_str::<Redacts>(wire.content.get()).ok().and_then(|content| content.redacts)
        } else {
            wire.redacts.take()
        };
        let redacts = redacts.as_ref().and_then(CanonicalJsonValue::as_str).and_then(|id| EventId::parse(id).ok());
        let prev_events = names(version, std::mem::take(&mut wire.prev_events))?;
        let auth_events = names(version, std::mem::take(&mut wire.auth_events))?;
        Ok(Self(Arc::new(Inner { version, id, room_id, wire, redacts, prev_events, auth_events, json })))
    }

    /// The version of its room.
    pub fn version(&self) -> &'static RoomVersion {
        self.0.version
    }

    /// Its id.
    pub fn id(&self) -> &EventId {
        &self.0.id
    }

    pub(crate) fn owned_id(&self) -> &OwnedEventId {
        &self.0.id
    }

    /// Its room, also where the event itself does not say it (a create event since version 12).
    pub fn room_id(&self) -> &RoomId {
        &self.0.room_id
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.0.wire.sender
    }

    /// Its type.
    pub fn kind(&self) -> &TimelineEventType {
        &self.0.wire.kind
    }

    /// Its state key; `None` when it is no state event.
    pub fn state_key(&self) -> Option<&str> {
        self.0.wire.state_key.as_deref()
    }

    /// What its state is filed under; `None` when it is no state event.
    pub fn filed_under(&self) -> Option<StateKey> {
        self.state_key().map(|key| StateKey::new(self.kind().to_string(), key))
    }

    /// Whether it created its room.
    pub fn is_create(&self) -> bool {
        *self.kind() == TimelineEventType::RoomCreate && self.state_key() == Some("")
    }

    /// Its content.
    pub fn content(&self) -> &RawValue {
        &self.0.wire.content
    }

    /// When its server says that it was sent.
    pub fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.0.wire.origin_server_ts
    }

    /// Its depth, as its server says.
    pub fn depth(&self) -> u64 {
        u64::from(self.0.wire.depth).min(limits::EVENT_DEPTH)
    }

    /// The events before it.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.0.prev_events
    }

    /// The events that it says allow it.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.0.auth_events
    }

    /// The event that it redacts.
    pub fn redacts(&self) -> Option<&EventId> {
        self.0.redacts.as_deref()
    }

    pub(crate) fn owned_redacts(&self) -> Option<&OwnedEventId> {
        self.0.redacts.as_ref()
    }

    /// The id of the event that created its room, where the room's id tells: since version 12.
    pub fn create_event_id(&self) -> Option<OwnedEventId> {
        let hash = self.version().has_hashed_room_id().then(|| self.room_id().strip_sigil())?;
        EventId::parse(format!("${hash}")).ok()
    }

    /// The canonical JSON, as it is stored and sent on.
    pub fn json(&self) -> &Bytes {
        &self.0.json
    }

    /// The JSON as an object.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], which a [`Pdu`] that was read from canonical JSON never gives.
    pub fn object(&self) -> Result<CanonicalJsonObject, Refusal> {
        serde_json::from_slice(self.json()).map_err(|error| Refusal::malformed(error.to_string()))
    }

    /// How a later event names this one.
    ///
    /// # Errors
    /// As [`Pdu::object`].
    pub fn reference(&self) -> Result<Reference, Refusal> {
        let mut sha256 = None;
        if self.version().has_given_ids() {
            let hash = ruma::signatures::reference_hash(&self.object()?, self.version().rules());
            sha256 = Some(hash.map_err(|error| Refusal::malformed(error.to_string()))?);
        }
        Ok(Reference { id: self.0.id.clone(), depth: self.depth(), sha256 })
    }
}

impl PartialEq for Pdu {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.json() == other.json()
    }
}

impl Eq for Pdu {}

/// Its id and type: contents are nobody's business in a log.
impl fmt::Debug for Pdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id(), self.kind())
    }
}

fn names(version: &RoomVersion, references: Vec<WireReference>) -> Result<Vec<OwnedEventId>, Refusal> {
    let name = |reference| match reference {
        WireReference::Id(id) if !version.has_given_ids() => Ok(id),
        WireReference::Hashed(id, _) if version.has_given_ids() => Ok(id),
        _ => Err(Refusal::malformed(format!("it does not name events as version {} does", version.id()))),
    };
    references.into_iter().map(name).collect()
}
