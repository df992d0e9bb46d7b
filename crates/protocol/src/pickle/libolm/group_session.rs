//! libolm's group sessions: outbound in version 1, inbound in versions 1 and 2. Version 1 of the inbound did not say whether
//! the signing key was verified, because at that time it always was.

use super::{LibolmPickleError, ed25519_pair};
use crate::megolm::ratchet::Ratchet;
use crate::megolm::{GroupSession, InboundGroupSession, SessionConfig};
use crate::pickle::FieldError;
use crate::pickle::codec::Reader;

/// Reads an outbound session. libolm spoke the first version of Megolm only.
pub(crate) fn read_outbound(from: &mut Reader<'_>) -> Result<GroupSession, LibolmPickleError> {
    match from.u32()? {
        1 => Ok(GroupSession::from_parts(SessionConfig::V1, read_ratchet(from)?, ed25519_pair(from)?)),
        other => Err(LibolmPickleError::Version(other)),
    }
}

/// Reads an inbound session. The latest ratchet that libolm cached is read past: it follows from the first.
pub(crate) fn read_inbound(from: &mut Reader<'_>) -> Result<InboundGroupSession, LibolmPickleError> {
    let version = from.u32()?;
    if !(1..=2).contains(&version) {
        return Err(LibolmPickleError::Version(version));
    }
    let (first, _latest) = (read_ratchet(from)?, read_ratchet(from)?);
    let signing_key = from.ed25519_public()?;
    let verified = if version == 1 { true } else { from.flag()? };
    Ok(InboundGroupSession::from_parts(SessionConfig::V1, first, signing_key, verified))
}

fn read_ratchet(from: &mut Reader<'_>) -> Result<Ratchet, FieldError> {
    let parts = from.secret()?;
    Ok(Ratchet::new(&parts, from.u32()?))
}
