//! libolm's account: versions 2 (no fallback keys), 3 (always two, the published flag meaning present) and 4 (as many as it
//! says). Version 1 is refused, as libolm refused it.

use super::{LibolmPickleError, curve25519_pair, ed25519_pair};
use crate::olm::KeyId;
use crate::olm::account::fallback_keys::{FallbackKey, FallbackKeys};
use crate::olm::account::one_time_keys::OneTimeKeys;
use crate::olm::account::{Account, MAX_ONE_TIME_KEYS};
use crate::pickle::FieldError;
use crate::pickle::codec::Reader;

/// Reads an account.
pub(crate) fn read(from: &mut Reader<'_>) -> Result<Account, LibolmPickleError> {
    let version = from.u32()?;
    match version {
        1 => return Err(LibolmPickleError::CompromisedKey),
        2..=4 => {}
        _ => return Err(LibolmPickleError::Version(version)),
    }
    let signing_key = ed25519_pair(from)?;
    let identity_key = curve25519_pair(from)?;
    let keys = (0..from.count(MAX_ONE_TIME_KEYS)?).map(|_| read_key(from)).collect::<Result<Vec<_>, _>>()?;
    let (current, previous) = match version {
        2 => (None, None),
        3 => read_fallback_keys_3(from)?,
        _ => read_fallback_keys_4(from)?,
    };
    let next_id = u64::from(from.u32()?);

    // libolm numbers a key after it counts up, we before. It lists the newest key first; ours are in order of number.
    let mut one_time_keys = OneTimeKeys::starting_at(next_id + 1);
    for key in keys {
        one_time_keys.insert(key.id, key.secret, key.published);
    }
    let next_fallback_id = current.as_ref().map_or(0, |key| key.id.number() + 1);
    let fallback_keys = FallbackKeys::from_parts(next_fallback_id, current, previous);
    Ok(Account::from_parts(signing_key, identity_key, one_time_keys, fallback_keys))
}

type Two = (Option<FallbackKey>, Option<FallbackKey>);

fn read_fallback_keys_3(from: &mut Reader<'_>) -> Result<Two, FieldError> {
    let (current, previous) = (read_key_or_nothing(from)?, read_key_or_nothing(from)?);
    Ok(if current.is_some() { (current, previous) } else { (None, None) })
}

fn read_fallback_keys_4(from: &mut Reader<'_>) -> Result<Two, FieldError> {
    match from.u8()? {
        0 => Ok((None, None)),
        1 => Ok((Some(read_key(from)?), None)),
        2 => Ok((Some(read_key(from)?), Some(read_key(from)?))),
        _ => Err(FieldError::Value),
    }
}

fn read_key(from: &mut Reader<'_>) -> Result<FallbackKey, FieldError> {
    let (id, published) = (KeyId::new(from.u32()?.into()), from.flag()?);
    Ok(FallbackKey { id, secret: curve25519_pair(from)?, published })
}

/// In version 3 a key that is absent is written all the same, with whatever was in memory, and not marked as published.
fn read_key_or_nothing(from: &mut Reader<'_>) -> Result<Option<FallbackKey>, FieldError> {
    let (id, present) = (KeyId::new(from.u32()?.into()), from.flag()?);
    if present {
        return Ok(Some(FallbackKey { id, secret: curve25519_pair(from)?, published: true }));
    }
    from.array::<64>()?;
    Ok(None)
}
