//! A room's policy server: who signs the events that belong into the room
//! (<https://spec.matrix.org/v1.19/server-server-api/#policy-servers>). The last check on receipt: an event that it has not
//! signed, and will not when asked, is soft-failed.
//!
//! Must not talk to the policy server; who implements [`PolicyServer`] does.

use std::fmt;

use async_trait::async_trait;
use ruma::events::room::policy::RoomPolicyEventContent;
use ruma::signatures::verify_policy_server_signature;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, ServerName};

use crate::append::members;
use crate::error::Error;
use crate::event::{Pdu, RoomVersion, StateKey, VerifiedPdu};
use crate::graph::{Graph, head_of};
use crate::number::{EventNumber, RoomNumber};
use crate::rooms::Rooms;
use crate::state::{Nodes, load};

/// The id of the key with which policy servers sign.
const KEY_ID: &str = "ed25519:policy_server";

/// Asks policy servers.
#[async_trait]
pub trait PolicyServer: Send + Sync {
    /// Asks `server` to sign an event; the signature, or `None` when it refuses or does not answer
    /// (<https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign>).
    async fn sign(&self, server: &ServerName, event: &Pdu) -> Option<String>;
}

/// The policy that a room's state now names.
#[derive(Clone)]
pub struct Policy(RoomPolicyEventContent);

impl Policy {
    /// The server that signs.
    pub fn server(&self) -> &ServerName {
        &self.0.via
    }

    /// Whether the event is signed as the policy wants it.
    pub fn is_satisfied_by(&self, object: &CanonicalJsonObject, version: &RoomVersion) -> bool {
        verify_policy_server_signature(&self.0, object, version.rules()).is_ok()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy of {}", self.0.via)
    }
}

impl Rooms {
    /// The policy in the state of `room` now, if it has a valid one. Whether it is in force depends on whether a user of its
    /// server is in the room, too: [`Rooms::has_member_of`].
    ///
    /// # Errors
    /// As every read.
    pub async fn policy(&self, room: RoomNumber) -> Result<Option<Policy>, Error> {
        let Some((head, _)) = head_of(self.store(), room).await? else { return Ok(None) };
        let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
        let key = StateKey::new("m.room.policy", "");
        let Some(Some(number)) = graph.key_numbers(&[key]).await?.first().copied() else { return Ok(None) };
        let mut nodes = Nodes::new(room);
        let held = load(self.store(), &mut nodes, |nodes| nodes.lookup(head.state, &[number])).await?;
        let events: Vec<EventNumber> = held.into_iter().flatten().collect();
        let event = graph.events(&events).await?.into_iter().flatten().next();
        Ok(event.and_then(|known| serde_json::from_str(known.pdu.content().get()).ok()).map(Policy))
    }

    /// Whether a user of `server` is in `room`.
    ///
    /// # Errors
    /// As every read.
    pub async fn has_member_of(&self, room: RoomNumber, server: &ServerName) -> Result<bool, Error> {
        let members = members(self.store(), room).await?;
        Ok(members.iter().any(|member| member.membership == "join" && member.user.server_name() == server))
    }
}

/// What the check made of an event.
#[derive(Debug)]
pub(super) enum Checked {
    /// It belongs into the room; perhaps with a signature more than it came with.
    Recommended(VerifiedPdu),
    /// It does not.
    Not,
}

/// Checks an event by the policy of its room, asking the policy server where the event is not signed.
///
/// # Errors
/// As every read.
pub(super) async fn check(
    rooms: &Rooms,
    room: RoomNumber,
    policy: &Policy,
    event: VerifiedPdu,
    server: &dyn PolicyServer,
) -> Result<Checked, Error> {
    let (version, object) = (event.pdu().version(), event.pdu().object()?);
    if policy.is_satisfied_by(&object, version) || !rooms.has_member_of(room, policy.server()).await? {
        return Ok(Checked::Recommended(event));
    }
    let Some(signature) = server.sign(policy.server(), event.pdu()).await else { return Ok(Checked::Not) };
    let Some(signed) = with_signature(object, policy.server(), signature) else { return Ok(Checked::Not) };
    if !policy.is_satisfied_by(&signed, version) {
        return Ok(Checked::Not);
    }
    // An event that is too large with one signature more stays as it came.
    Ok(Checked::Recommended(event.with_signatures(&signed).unwrap_or(event)))
}

fn with_signature(
    mut object: CanonicalJsonObject,
    server: &ServerName,
    signature: String,
) -> Option<CanonicalJsonObject> {
    let CanonicalJsonValue::Object(signatures) = object.get_mut("signatures")? else { return None };
    let of_server = signatures.entry(server.to_string()).or_insert_with(|| CanonicalJsonObject::new().into());
    let CanonicalJsonValue::Object(of_server) = of_server else { return None };
    of_server.insert(KEY_ID.to_owned(), CanonicalJsonValue::String(signature));
    Some(object)
}
