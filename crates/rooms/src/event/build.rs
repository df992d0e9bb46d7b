//! Our own events: built from what somebody wants to say and where the room stands, hashed and signed, per room version.
//! They then go through the same checks as everybody's.

use std::fmt;

use base::{Random, Timestamp, limits};
use ruma::events::TimelineEventType;
use ruma::signatures::{Ed25519KeyPair, JsonError, hash_and_sign_event};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId};

use crate::error::Refusal;
use crate::event::verify::VerifiedPdu;
use crate::event::{ReceivedPdu, Reference, RoomVersion};

/// PKCS#8, up to where the 32 bytes of an ed25519 key stand (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The key with which this server signs.
pub struct SigningKey {
    server: OwnedServerName,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// The key of `server` called `name` (the part after `ed25519:`), made from its 32 secret bytes.
    ///
    /// # Errors
    /// When the key cannot be made of them.
    pub fn new(server: OwnedServerName, name: &str, secret: &[u8; 32]) -> Result<Self, Refusal> {
        let document = [PKCS8_PREFIX.as_slice(), secret].concat();
        let pair = Ed25519KeyPair::from_der(&document, name.to_owned());
        Ok(Self { server, pair: pair.map_err(|error| Refusal::malformed(format!("the signing key: {error}")))? })
    }

    /// The server that signs.
    pub fn server(&self) -> &OwnedServerName {
        &self.server
    }

    /// Its id, as `ed25519:name`.
    pub fn id(&self) -> String {
        format!("ed25519:{}", self.pair.version())
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.pair.public_key()
    }

    /// Adds content hash and signature (<https://spec.matrix.org/v1.19/server-server-api/#signing-events>).
    pub(crate) fn sign(&self, event: &mut CanonicalJsonObject, version: &RoomVersion) -> Result<(), Refusal> {
        hash_and_sign_event(self.server.as_str(), &self.pair, event, &version.rules().redaction).map_err(|error| {
            match error {
                JsonError::PduTooLarge => Refusal::TooLarge,
                other => Refusal::malformed(format!("signing it failed: {other}")),
            }
        })
    }
}

/// Not the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id(), self.server)
    }
}

/// What somebody wants to say.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who.
    pub sender: OwnedUserId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// Its state key, for a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// The event that it redacts.
    pub redacts: Option<OwnedEventId>,
}

/// Where the event stands in its room, and when it is said.
#[derive(Clone, Debug)]
pub struct Place {
    /// The room's version.
    pub version: &'static RoomVersion,
    /// The room; `None` for a create event since version 12, whose hash becomes the room's id.
    pub room_id: Option<OwnedRoomId>,
    /// The room's forward extremities. Of more than an event may name, the deepest and the shallowest halves are named:
    /// the first so that the event is recent, the second so that old forks end.
    pub prev_events: Vec<Reference>,
    /// Those events filed under [`crate::event::auth_state_keys`] that the room has.
    pub auth_events: Vec<Reference>,
    /// Now.
    pub at: Timestamp,
}

/// Builds, hashes and signs an event.
///
/// # Errors
/// [`Refusal::TooLarge`] and [`Refusal::Malformed`], as for anybody's event.
pub fn build(draft: Draft, place: Place, key: &SigningKey, random: &Random) -> Result<VerifiedPdu, Refusal> {
    let version = place.version;
    let mut object = fields(draft, place)?;
    if version.has_given_ids() {
        let id = format!("${}:{}", hex(&random.bytes::<16>()), key.server);
        object.insert("event_id".to_owned(), CanonicalJsonValue::String(id));
    }
    key.sign(&mut object, version)?;
    ReceivedPdu::from_object(version, object).check().map(VerifiedPdu::signed_by_us)
}

fn fields(draft: Draft, place: Place) -> Result<CanonicalJsonObject, Refusal> {
    let Draft { sender, kind, state_key, mut content, redacts } = draft;
    let Place { version, room_id, prev_events, auth_events, at } = place;
    let prev_events = extremities(prev_events);
    let depth = prev_events.iter().map(|event| event.depth).max().unwrap_or_default();
    let mut object = CanonicalJsonObject::new();
    let mut set = |name: &str, value: CanonicalJsonValue| object.insert(name.to_owned(), value);
    if let Some(redacts) = redacts {
        let redacts = CanonicalJsonValue::String(redacts.to_string());
        if version.rules().redaction.content_field_redacts {
            content.insert("redacts".to_owned(), redacts);
        } else {
            set("redacts", redacts);
        }
    }
    if let Some(room_id) = room_id {
        set("room_id", CanonicalJsonValue::String(room_id.to_string()));
    }
    if let Some(state_key) = state_key {
        set("state_key", CanonicalJsonValue::String(state_key));
    }
    set("auth_events", names(version, auth_events));
    set("content", CanonicalJsonValue::Object(content));
    set("depth", integer(depth.saturating_add(1).min(limits::EVENT_DEPTH))?);
    set("origin_server_ts", integer(at.as_millis())?);
    set("prev_events", names(version, prev_events));
    set("sender", CanonicalJsonValue::String(sender.to_string()));
    set("type", CanonicalJsonValue::String(kind.to_string()));
    Ok(object)
}

/// The extremities that are named, deepest first.
fn extremities(mut all: Vec<Reference>) -> Vec<Reference> {
    all.sort_by(|a, b| (b.depth, &b.id).cmp(&(a.depth, &a.id)));
    if let Some(beyond) = all.len().checked_sub(limits::EVENT_PREV_EVENTS) {
        let half = limits::EVENT_PREV_EVENTS / 2;
        all.drain(half..half + beyond);
    }
    all
}

fn names(version: &RoomVersion, references: Vec<Reference>) -> CanonicalJsonValue {
    let name = |reference: Reference| {
        let id = CanonicalJsonValue::String(reference.id.to_string());
        if !version.has_given_ids() {
            return id;
        }
        let hash = CanonicalJsonValue::String(reference.sha256.unwrap_or_default());
        CanonicalJsonValue::Array(vec![id, CanonicalJsonObject::from([("sha256".to_owned(), hash)]).into()])
    };
    CanonicalJsonValue::Array(references.into_iter().map(name).collect())
}

fn integer(number: u64) -> Result<CanonicalJsonValue, Refusal> {
    let integer = i64::try_from(number).ok().and_then(|number| Int::try_from(number).ok());
    integer.map(CanonicalJsonValue::Integer).ok_or_else(|| Refusal::malformed("a number is beyond 2^53"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
