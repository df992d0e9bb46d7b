//! libolm's session: version 1, and 0x80000001, which a branch with more logging wrote with a counter at the end.

use super::{LibolmPickleError, curve25519_pair};
use crate::olm::session::MAX_RECEIVER_CHAINS;
use crate::olm::session::MAX_SKIPPED_KEYS;
use crate::olm::session::chain_key::ChainKey;
use crate::olm::session::double_ratchet::DoubleRatchet;
use crate::olm::session::message_key::MessageKey;
use crate::olm::session::ratchet::{RatchetKey, RemoteRatchetKey};
use crate::olm::session::receiver_chain::ReceiverChain;
use crate::olm::session::root_key::{RemoteRootKey, RootKey};
use crate::olm::{Session, SessionConfig, SessionKeys};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled as _, Reader};

const VERSION: u32 = 1;
const VERSION_WITH_COUNTER: u32 = 0x8000_0001;

/// Reads a session. libolm spoke the first version of Olm only.
pub(crate) fn read(from: &mut Reader<'_>) -> Result<Session, LibolmPickleError> {
    let version = from.u32()?;
    if version != VERSION && version != VERSION_WITH_COUNTER {
        return Err(LibolmPickleError::Version(version));
    }
    // Whether the other side was heard; which follows from its chains too.
    from.flag()?;
    let session_keys = SessionKeys {
        identity_key: from.curve25519_public()?,
        base_key: from.curve25519_public()?,
        one_time_key: from.curve25519_public()?,
    };
    let root = from.secret()?;
    let sender_chain = if from.count(1)? == 1 { Some(read_sender_chain(from)?) } else { None };
    let mut receiving = read_receiver_chains(from)?;
    read_skipped_keys(from, &mut receiving)?;
    if version == VERSION_WITH_COUNTER {
        from.u32()?;
    }

    let sending = match (sender_chain, receiving.last()) {
        (Some((ratchet_key, chain_key, next_index)), _) => {
            DoubleRatchet::active(RootKey::new(root), ratchet_key, chain_key, next_index)
        }
        (None, Some(newest)) => DoubleRatchet::inactive(RemoteRootKey::new(root), newest.ratchet_key()),
        (None, None) => return Err(FieldError::Value.into()),
    };
    Ok(Session::from_parts(SessionConfig::V1, session_keys, sending, receiving))
}

fn read_sender_chain(from: &mut Reader<'_>) -> Result<(RatchetKey, ChainKey, u64), FieldError> {
    Ok((RatchetKey::new(curve25519_pair(from)?), ChainKey::read(from)?, from.u32()?.into()))
}

/// libolm lists the newest chain first; here the oldest is first.
fn read_receiver_chains(from: &mut Reader<'_>) -> Result<Vec<ReceiverChain>, FieldError> {
    let count = from.count(MAX_RECEIVER_CHAINS)?;
    let mut chains = Vec::with_capacity(count);
    for _ in 0..count {
        chains.push(ReceiverChain::at(RemoteRatchetKey::read(from)?, ChainKey::read(from)?, from.u32()?.into()));
    }
    chains.reverse();
    Ok(chains)
}

/// libolm keeps one list for all chains, newest first. A key whose chain is forgotten is of no use to anyone.
fn read_skipped_keys(from: &mut Reader<'_>, chains: &mut [ReceiverChain]) -> Result<(), FieldError> {
    let count = from.count(MAX_SKIPPED_KEYS)?;
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        keys.push((RemoteRatchetKey::read(from)?, MessageKey::read(from)?, u64::from(from.u32()?)));
    }
    for (ratchet_key, key, index) in keys.into_iter().rev() {
        if let Some(chain) = chains.iter_mut().find(|chain| chain.ratchet_key() == ratchet_key) {
            chain.keep_skipped(index, key);
        }
    }
    Ok(())
}
