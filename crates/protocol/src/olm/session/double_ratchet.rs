//! The half of a session that sends, as the one of two states it is in.
//!
//! [`DoubleRatchet::Active`] has a chain to send on. When the other side answers with a new ratchet key, the chain is
//! dropped and the state becomes [`DoubleRatchet::Inactive`]: it holds what a new chain is made of, and makes it when
//! there is something to send. Sending leads to the one, receiving to the other; an inactive ratchet has no chain that
//! could be used by mistake, and an active one no key that could be advanced twice.

use rand_core::CryptoRng;

use super::chain_key::ChainKey;
use super::message_key::MessageKey;
use super::ratchet::{RatchetKey, RemoteRatchetKey};
use super::receiver_chain::ReceiverChain;
use super::root_key::{RemoteRootKey, RootBytes, RootKey};
use super::{DecryptionError, EncryptionError};
use crate::key::{Curve25519PublicKey, NonContributoryKey};
use crate::pickle::FieldError;
use crate::pickle::codec::{Pickled, Reader, Writer};

pub(crate) enum DoubleRatchet {
    /// We made the latest ratchet key, and send under it.
    Active(Active),
    /// The other side made the latest ratchet key.
    Inactive(Inactive),
}

/// `R_i`, our `T_i`, and `C_i,j`.
pub(crate) struct Active {
    root_key: RootKey,
    ratchet_key: RatchetKey,
    chain_key: ChainKey,
    /// `j` of the next message.
    next_index: u64,
}

/// `R_i` and their `T_i`.
pub(crate) struct Inactive {
    root_key: RemoteRootKey,
    ratchet_key: RemoteRatchetKey,
}

/// What the next message is encrypted with, and what must travel with it.
pub(super) struct Outgoing {
    pub(super) key: MessageKey,
    pub(super) ratchet_key: Curve25519PublicKey,
    pub(super) chain_index: u64,
}

impl DoubleRatchet {
    /// The state of Alice, who begins: the first chain comes from the triple agreement, not from a root key.
    pub(super) fn of_alice(root: RootBytes, chain_key: ChainKey, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::active(RootKey::new(root), RatchetKey::generate(rng), chain_key, 0)
    }

    /// The state of Bob, whom Alice's first ratchet key has reached.
    pub(super) fn of_bob(root: RootBytes, theirs: RemoteRatchetKey) -> Self {
        Self::inactive(RemoteRootKey::new(root), theirs)
    }

    pub(crate) fn active(root_key: RootKey, ratchet_key: RatchetKey, chain_key: ChainKey, next_index: u64) -> Self {
        Self::Active(Active { root_key, ratchet_key, chain_key, next_index })
    }

    pub(crate) fn inactive(root_key: RemoteRootKey, ratchet_key: RemoteRatchetKey) -> Self {
        Self::Inactive(Inactive { root_key, ratchet_key })
    }

    /// The key of the next message. Makes a new ratchet key if the other side made the last.
    pub(super) fn next_message_key(
        &mut self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Outgoing, EncryptionError> {
        let mut active = match self {
            Self::Active(active) => return Ok(active.next_message_key()),
            Self::Inactive(inactive) => inactive.activate(rng)?,
        };
        let outgoing = active.next_message_key();
        *self = Self::Active(active);
        Ok(outgoing)
    }

    /// What we become if `theirs` proves to be a new ratchet key of the other side's, and the chain of their messages
    /// under it. Changes nothing: it is proven when a message decrypts.
    ///
    /// The other side makes a new key only after one of ours reached it, so an inactive ratchet has nothing to offer.
    pub(super) fn advance(&self, theirs: RemoteRatchetKey) -> Result<(Self, ReceiverChain), DecryptionError> {
        let Self::Active(active) = self else { return Err(DecryptionError::UnknownRatchetKey) };
        let (root_key, chain_key) = active.root_key.advance(&active.ratchet_key, &theirs)?;
        Ok((Self::inactive(root_key, theirs), ReceiverChain::new(theirs, chain_key)))
    }
}

impl Active {
    fn next_message_key(&mut self) -> Outgoing {
        let chain_index = self.next_index;
        self.next_index = chain_index.saturating_add(1);
        Outgoing { key: self.chain_key.next_message_key(), ratchet_key: self.ratchet_key.public_key(), chain_index }
    }
}

impl Inactive {
    fn activate(&self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Active, NonContributoryKey> {
        let ratchet_key = RatchetKey::generate(rng);
        let (root_key, chain_key) = self.root_key.advance(&ratchet_key, &self.ratchet_key)?;
        Ok(Active { root_key, ratchet_key, chain_key, next_index: 0 })
    }
}

impl Pickled for DoubleRatchet {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Active(active) => {
                out.u8(1);
                active.root_key.write(out);
                active.ratchet_key.write(out);
                active.chain_key.write(out);
                out.u64(active.next_index);
            }
            Self::Inactive(inactive) => {
                out.u8(0);
                inactive.root_key.write(out);
                inactive.ratchet_key.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        if from.flag()? {
            Ok(Self::active(RootKey::read(from)?, RatchetKey::read(from)?, ChainKey::read(from)?, from.u64()?))
        } else {
            Ok(Self::inactive(RemoteRootKey::read(from)?, RemoteRatchetKey::read(from)?))
        }
    }
}
