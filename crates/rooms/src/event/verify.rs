//! The third step: is the event signed by whom it must be, and is its content what was signed? An event whose content was
//! changed is redacted and goes on its way, as
//! <https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events> has it.

use base::{Timestamp, limits};
use ruma::canonical_json::redact_in_place;
use ruma::signatures::{
    PublicKeyMap, PublicKeySet, VerificationError, Verified, required_server_signatures_to_verify_event, verify_event,
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, ServerName};

use crate::error::Refusal;
use crate::event::keys::{KeyRing, NeededKey};
use crate::event::receive::{WellFormedPdu, canonical};
use crate::event::{Pdu, RoomVersion};

/// A genuine event: signed by whom it must be, its content as signed or taken away. Whether it is allowed is open.
#[derive(Clone, Debug)]
pub struct VerifiedPdu {
    pdu: Pdu,
}

impl VerifiedPdu {
    /// What it says.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    pub(super) fn into_pdu(self) -> Pdu {
        self.pdu
    }

    /// An event that was stored, and so was verified before.
    pub(crate) fn stored(pdu: Pdu) -> Self {
        Self { pdu }
    }

    /// The event with the signatures that `object` has, which is the same but for these.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`].
    pub(crate) fn with_signatures(&self, object: &CanonicalJsonObject) -> Result<Self, Refusal> {
        let json = canonical(object)?;
        if json.len() > limits::EVENT_BYTES {
            return Err(Refusal::TooLarge);
        }
        Ok(Self { pdu: Pdu::read(self.pdu.version(), self.pdu.owned_id().clone(), json)? })
    }

    /// An event that we have just signed ourselves.
    pub(super) fn signed_by_us(event: WellFormedPdu) -> Self {
        Self { pdu: event.pdu }
    }
}

/// What came of looking at an event's signatures.
#[derive(Clone, Debug)]
pub enum Verification {
    /// It is genuine.
    Verified(VerifiedPdu),
    /// Of some server that must have signed it, no key that it signed with is in the ring. Fetch and try again; if
    /// none of them is to be had, the event is to be dropped.
    Need(Vec<NeededKey>, Box<WellFormedPdu>),
}

impl WellFormedPdu {
    /// Verifies signatures and content hash.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`]: the event is to be dropped.
    pub fn verify(self, ring: &KeyRing) -> Result<Verification, Refusal> {
        let rules = self.pdu.version().rules();
        let keys = match self.keys(ring)? {
            Keys::Complete(keys) => keys,
            Keys::Missing(needed) => return Ok(Verification::Need(needed, Box::new(self))),
        };
        let verified = verify_event(&keys, &self.object, rules).map_err(refusal)?;
        let pdu = match verified {
            Verified::All => self.pdu,
            Verified::Signatures => redacted(&self.pdu, self.object)?,
        };
        Ok(Verification::Verified(VerifiedPdu { pdu }))
    }

    /// The keys in the ring with which servers that must sign have signed, or those that are missing.
    fn keys(&self, ring: &KeyRing) -> Result<Keys, Refusal> {
        let rules = &self.pdu.version().rules().signatures;
        let servers = required_server_signatures_to_verify_event(&self.object, rules);
        let (mut keys, mut needed) = (PublicKeyMap::new(), Vec::new());
        for server in servers.map_err(refusal)? {
            let signed_with = key_ids(&self.object, &server);
            if signed_with.is_empty() {
                let what = format!("{server} has not signed it with ed25519");
                return Err(Refusal::BadSignature { what });
            }
            let valid_at = Timestamp(self.pdu.origin_server_ts().get().into());
            let known: PublicKeySet = signed_with
                .iter()
                .filter_map(|id| Some((id, ring.get(&server, id)?)))
                .filter(|(_, key)| key.valid_until >= valid_at || !enforces_validity(self.pdu.version()))
                .map(|(id, key)| ((*id).clone(), key.key.clone()))
                .collect();
            if known.is_empty() {
                let need = |id: &String| NeededKey { server: server.clone(), key_id: id.clone(), valid_at };
                needed.extend(signed_with.into_iter().map(need));
            }
            keys.insert(server.to_string(), known);
        }
        Ok(if needed.is_empty() { Keys::Complete(keys) } else { Keys::Missing(needed) })
    }
}

enum Keys {
    Complete(PublicKeyMap),
    Missing(Vec<NeededKey>),
}

fn refusal(error: VerificationError) -> Refusal {
    match error {
        VerificationError::Json(error) => Refusal::malformed(error.to_string()),
        other => Refusal::BadSignature { what: other.to_string() },
    }
}

/// Since version 5 (<https://spec.matrix.org/v1.19/rooms/v5/#signing-key-validity-period>).
fn enforces_validity(version: &RoomVersion) -> bool {
    version.rules().enforce_key_validity
}

/// The ed25519 keys with which `server` says to have signed.
fn key_ids<'a>(object: &'a CanonicalJsonObject, server: &ServerName) -> Vec<&'a String> {
    let signatures = object.get("signatures").and_then(CanonicalJsonValue::as_object);
    let of_server = signatures.and_then(|all| all.get(server.as_str())).and_then(CanonicalJsonValue::as_object);
    of_server.into_iter().flatten().map(|(id, _)| id).filter(|id| id.starts_with("ed25519:")).collect()
}

/// The event without what may be redacted; its id is the same.
pub(super) fn redacted(pdu: &Pdu, mut object: CanonicalJsonObject) -> Result<Pdu, Refusal> {
    redact_in_place(&mut object, &pdu.version().rules().redaction, None)
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    Pdu::read(pdu.version(), pdu.owned_id().clone(), canonical(&object)?)
}
