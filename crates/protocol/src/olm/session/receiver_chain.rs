//! The chain of the other side's messages under one ratchet key, and the keys of those that did not arrive in order.
//!
//! Messages may be lost, reordered and repeated. The key of a message that was stepped over is kept until the message
//! arrives, so each message is decrypted once; a key that was used is gone, so no message is decrypted twice. Both the
//! keys that are kept and the steps that a stranger's message can cause are bounded
//! (<https://spec.matrix.org/v1.19/olm-megolm/olm/#receiving-messages>).

use super::DecryptionError;
use super::chain_key::ChainKey;
use super::message_key::MessageKey;
use super::ratchet::RemoteRatchetKey;
use crate::olm::message::NormalMessage;
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

/// How many steps a message may be ahead of the chain. Bounds the work that a forged index can cause: 2,000 hashes are
/// less than a millisecond. The number is that of libolm and vodozemac, so no message that others would read is refused.
pub const MAX_MESSAGE_GAP: u64 = 2000;

/// How many keys of missing messages a chain keeps; beyond it the oldest goes. Bounds memory, and how much an attacker
/// who copies the state can read of what was delayed. vodozemac keeps as many; libolm kept 40 for all chains together.
pub const MAX_SKIPPED_KEYS: usize = 40;

/// The other side's messages under one ratchet key.
pub(crate) struct ReceiverChain {
    ratchet_key: RemoteRatchetKey,
    chain_key: ChainKey,
    /// `j` of the next message in order.
    next_index: u64,
    /// Keys of messages before that, oldest first.
    skipped: Vec<SkippedKey>,
}

struct SkippedKey {
    index: u64,
    key: MessageKey,
}

impl ReceiverChain {
    pub(super) fn new(ratchet_key: RemoteRatchetKey, chain_key: ChainKey) -> Self {
        Self::at(ratchet_key, chain_key, 0)
    }

    /// A chain whose messages before `next_index` were received, or given up.
    pub(crate) fn at(ratchet_key: RemoteRatchetKey, chain_key: ChainKey, next_index: u64) -> Self {
        Self { ratchet_key, chain_key, next_index, skipped: Vec::new() }
    }

    pub(crate) fn ratchet_key(&self) -> RemoteRatchetKey {
        self.ratchet_key
    }

    /// Decrypts a message of this chain. Nothing changes unless it is authentic.
    pub(super) fn open(&mut self, message: &NormalMessage) -> Result<Vec<u8>, DecryptionError> {
        if message.chain_index() < self.next_index { self.open_skipped(message) } else { self.open_ahead(message) }
    }

    fn open_skipped(&mut self, message: &NormalMessage) -> Result<Vec<u8>, DecryptionError> {
        let index = message.chain_index();
        let unknown = DecryptionError::UnknownMessageKey { index };
        let position = self.skipped.iter().position(|skipped| skipped.index == index).ok_or(unknown)?;
        let skipped = self.skipped.get(position).ok_or(unknown)?;
        let plaintext = skipped.key.open(message)?;
        self.skipped.remove(position);
        Ok(plaintext)
    }

    fn open_ahead(&mut self, message: &NormalMessage) -> Result<Vec<u8>, DecryptionError> {
        let gap = message.chain_index().saturating_sub(self.next_index);
        if gap > MAX_MESSAGE_GAP {
            return Err(DecryptionError::GapTooBig { gap });
        }
        let mut chain_key = self.chain_key.clone();
        let mut skipped = Vec::new();
        for index in self.next_index..message.chain_index() {
            if message.chain_index() - index > MAX_SKIPPED_KEYS as u64 {
                chain_key.skip();
            } else {
                skipped.push(SkippedKey { index, key: chain_key.next_message_key() });
            }
        }
        let plaintext = chain_key.next_message_key().open(message)?;

        self.chain_key = chain_key;
        self.next_index = message.chain_index().saturating_add(1);
        self.skipped.append(&mut skipped);
        self.forget_oldest();
        Ok(plaintext)
    }

    /// Keeps the key of a message that is missing, for a session that comes from another program.
    pub(crate) fn keep_skipped(&mut self, index: u64, key: MessageKey) {
        self.skipped.push(SkippedKey { index, key });
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let excess = self.skipped.len().saturating_sub(MAX_SKIPPED_KEYS);
        self.skipped.drain(..excess);
    }

    /// How many keys of missing messages the chain keeps.
    pub(super) fn skipped_keys(&self) -> usize {
        self.skipped.len()
    }
}

impl Pickled for ReceiverChain {
    fn write(&self, out: &mut Writer) {
        self.ratchet_key.write(out);
        self.chain_key.write(out);
        out.u64(self.next_index);
        out.count(self.skipped.len());
        for skipped in &self.skipped {
            out.u64(skipped.index);
            skipped.key.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut chain = Self::at(RemoteRatchetKey::read(from)?, ChainKey::read(from)?, from.u64()?);
        for _ in 0..from.count(MAX_SKIPPED_KEYS)? {
            chain.skipped.push(SkippedKey { index: from.u64()?, key: MessageKey::read(from)? });
        }
        Ok(chain)
    }
}
