//! The keys of messages that have not come yet: few, and only for as long as they may still come.

use std::collections::{BTreeMap, VecDeque};

use super::HybridError;
use super::ratchet::{ChainKey, MessageKey};
use crate::key::Curve25519PublicKey;
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// How many messages may be missing before one that is decrypted, in its chain and at the end of the chain before.
pub const GAP_MAX: u32 = 256;

/// How many chains are remembered. An older one's missing messages are given up.
pub const CHAINS_MAX: usize = 5;

/// How many keys are kept in all. Beyond it those that were missing first go first.
pub const SKIPPED_MAX: usize = 512;

/// The keys that were passed over, oldest chain first.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SkippedKeys(VecDeque<SkippedChain>);

#[derive(Clone, PartialEq, Eq)]
struct SkippedChain {
    ratchet_key: Curve25519PublicKey,
    keys: BTreeMap<u32, MessageKey>,
}

impl SkippedKeys {
    pub(super) fn get(&self, ratchet_key: &Curve25519PublicKey, index: u32) -> Option<&MessageKey> {
        self.0.iter().find(|chain| chain.ratchet_key == *ratchet_key)?.keys.get(&index)
    }

    /// Whether this chain is remembered.
    pub(super) fn knows(&self, ratchet_key: &Curve25519PublicKey) -> bool {
        self.0.iter().any(|chain| chain.ratchet_key == *ratchet_key)
    }

    pub(super) fn remove(&mut self, ratchet_key: &Curve25519PublicKey, index: u32) {
        for chain in self.0.iter_mut().filter(|chain| chain.ratchet_key == *ratchet_key) {
            chain.keys.remove(&index);
        }
    }

    /// Remembers keys of a chain, which becomes the newest if it was not known.
    pub(super) fn add(&mut self, ratchet_key: Curve25519PublicKey, keys: BTreeMap<u32, MessageKey>) {
        match self.0.iter_mut().find(|chain| chain.ratchet_key == ratchet_key) {
            Some(chain) => chain.keys.extend(keys),
            None => self.0.push_back(SkippedChain { ratchet_key, keys }),
        }
        if self.0.len() > CHAINS_MAX {
            self.0.pop_front();
        }
        let mut excess = self.len().saturating_sub(SKIPPED_MAX);
        for chain in &mut self.0 {
            while excess > 0 && chain.keys.pop_first().is_some() {
                excess -= 1;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|chain| chain.keys.len()).sum()
    }
}

/// The keys of a chain from `next` up to but not including `until`, and the chain there.
pub(super) fn pass_over(
    chain: &ChainKey,
    next: u32,
    until: u32,
) -> Result<(BTreeMap<u32, MessageKey>, ChainKey), HybridError> {
    if until.saturating_sub(next) > GAP_MAX {
        return Err(HybridError::TooFarAhead);
    }
    let mut keys = BTreeMap::new();
    let mut chain = chain.clone();
    for index in next..until {
        let (key, after) = chain.next();
        keys.insert(index, key);
        chain = after;
    }
    Ok((keys, chain))
}

impl Pickled for SkippedKeys {
    fn write(&self, out: &mut Writer) {
        out.count(self.0.len());
        for chain in &self.0 {
            out.bytes(chain.ratchet_key.as_bytes());
            out.count(chain.keys.len());
            for (index, key) in &chain.keys {
                out.u32(*index);
                out.bytes(&key.0);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut skipped = Self::default();
        for _ in 0..from.count(CHAINS_MAX)? {
            let ratchet_key = Curve25519PublicKey::from_bytes(*from.array()?);
            let mut keys = BTreeMap::new();
            for _ in 0..from.count(SKIPPED_MAX)? {
                let index = from.u32()?;
                if keys.insert(index, MessageKey(*from.secret::<32>()?)).is_some() {
                    return Err(FieldError::Value);
                }
            }
            if skipped.knows(&ratchet_key) {
                return Err(FieldError::Value);
            }
            skipped.0.push_back(SkippedChain { ratchet_key, keys });
        }
        if skipped.len() > SKIPPED_MAX { Err(FieldError::Value) } else { Ok(skipped) }
    }
}
