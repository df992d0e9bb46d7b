//! A session: two devices taking turns, each turn with keys of its own.

use std::fmt;

use rand_core::CryptoRng;

use super::HybridError;
use super::handshake::{Opening, Transcript, canonical};
use super::message::{Message, PreKeyMessage, RatchetMessage};
use super::prekeys::{PreKeys, PublicPreKey};
use super::ratchet::{ChainKey, MessageKey, RatchetPublic, RatchetSecret, RootKey};
use super::skipped::{SkippedKeys, pass_over};
use super::suite::{Identity, identity_key};
use crate::bundle::{DeviceKeys, OneTimeKey};
use crate::encoding;
use crate::key::{Curve25519PublicKey, Curve25519SecretKey, KemCiphertext, KemPublicKey, KemSecretKey};
use crate::pickle::codec::{Pickled, Reader, Writer};
use crate::pickle::{self, FieldError, Kind, PickleError, PickleKey};

/// One side of a session. Cannot be cloned: two copies would use the same keys twice.
pub struct Session {
    transcript: Transcript,
    opening: Opening,
    initiator: bool,
    root: RootKey,
    turn: Turn,
    receiving: Option<Receiving>,
    skipped: SkippedKeys,
}

/// Whose turn it is to make new keys.
enum Turn {
    /// We made keys and send under them.
    Ours { keys: RatchetSecret, ciphertext: Option<KemCiphertext>, chain: ChainKey, next: u32, previous_length: u32 },
    /// The other side made keys; we answer them when we next send.
    Answer { theirs: RatchetPublic, previous_length: u32 },
}

/// The other side's chain that is being read.
#[derive(Clone)]
struct Receiving {
    ratchet_key: Curve25519PublicKey,
    chain: ChainKey,
    next: u32,
}

impl Session {
    /// Begins a session with a device, by one of its one-time or fallback keys that was claimed for the hybrid.
    ///
    /// From `rng` are drawn 32 bytes for the base key, 32 for ML-KEM, 32 and 64 for the first turn's keys.
    ///
    /// # Errors
    /// [`HybridError`] if either device does not offer the hybrid or the key is not for it.
    pub fn initiate(
        ours: &Identity<'_>,
        theirs: &DeviceKeys,
        one_time_key: &OneTimeKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, HybridError> {
        let their_identity = identity_key(theirs)?;
        let prekey = PublicPreKey::claimed(one_time_key, theirs)?;
        let base_key = Curve25519SecretKey::generate(rng);
        let classical = [
            ours.secret().diffie_hellman(&prekey.curve25519)?,
            base_key.diffie_hellman(&their_identity)?,
            base_key.diffie_hellman(&prekey.curve25519)?,
        ];
        let (ciphertext, post_quantum) = prekey.kem.encapsulate(rng)?;
        let transcript = Transcript::new(ours.device(), theirs, &prekey, &base_key.public_key(), &ciphertext);
        let (root, chain) = transcript.derive(&classical, &post_quantum);
        let opening = Opening {
            identity: ours.secret().public_key(),
            base_key: base_key.public_key(),
            prekey: prekey.curve25519,
            ciphertext,
        };
        let keys = RatchetSecret::generate(rng);
        let turn = Turn::Ours { keys, ciphertext: None, chain, next: 0, previous_length: 0 };
        Ok(Self { transcript, opening, initiator: true, root, turn, receiving: None, skipped: SkippedKeys::default() })
    }

    /// Answers a session that another device began: the session, and the plaintext of its first message.
    ///
    /// The prekey is used up only if the message is authentic. A client looks among its sessions for one that
    /// [`Self::matches`] before it comes here.
    ///
    /// # Errors
    /// [`HybridError`] if the message is not from this device, not for us, or altered.
    pub fn accept(
        ours: &Identity<'_>,
        theirs: &DeviceKeys,
        prekeys: &mut PreKeys,
        message: &PreKeyMessage,
    ) -> Result<(Self, Vec<u8>), HybridError> {
        let opening = &message.opening;
        if identity_key(theirs)? != opening.identity {
            return Err(HybridError::OtherIdentity);
        }
        let prekey = prekeys.find(&opening.prekey, &opening.base_key)?;
        let classical = [
            prekey.curve25519.diffie_hellman(&opening.identity)?,
            ours.secret().diffie_hellman(&opening.base_key)?,
            prekey.curve25519.diffie_hellman(&opening.base_key)?,
        ];
        let post_quantum = prekey.kem.decapsulate(&opening.ciphertext);
        let transcript =
            Transcript::new(theirs, ours.device(), &prekey.public(), &opening.base_key, &opening.ciphertext);
        let (root, chain) = transcript.derive(&classical, &post_quantum);
        let first = &message.message;
        let mut session = Self {
            transcript,
            opening: opening.clone(),
            initiator: false,
            root,
            turn: Turn::Answer { theirs: first.keys.clone(), previous_length: 0 },
            receiving: Some(Receiving { ratchet_key: first.keys.curve25519, chain, next: 0 }),
            skipped: SkippedKeys::default(),
        };
        let plaintext = session.decrypt_ratchet(first)?;
        prekeys.use_up(&opening.prekey, &opening.base_key);
        Ok((session, plaintext))
    }

    /// The session's name, the same at both sides.
    #[must_use]
    pub fn session_id(&self) -> String {
        encoding::encode(self.transcript.as_bytes())
    }

    /// Whether a message that begins a session belongs to this one.
    #[must_use]
    pub fn matches(&self, message: &PreKeyMessage) -> bool {
        !self.initiator && self.opening == message.opening
    }

    /// Whether the other side was heard, so that it surely has the session too.
    #[must_use]
    pub fn has_received_message(&self) -> bool {
        self.receiving.is_some()
    }

    /// How many keys of missing messages are kept: at most [`super::SKIPPED_MAX`].
    #[must_use]
    pub fn skipped_keys(&self) -> usize {
        self.skipped.len()
    }

    /// Encrypts `plaintext`. When it is our turn, new keys are drawn from `rng`: 32 and 64 bytes, then 32 for ML-KEM.
    ///
    /// # Errors
    /// [`HybridError`] if the other side's keys are of small order, or numbers ran out.
    pub fn encrypt(&mut self, plaintext: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Result<Message, HybridError> {
        if let Turn::Answer { theirs, previous_length } = &self.turn {
            let (root, chain, keys, ciphertext) = self.root.send_step(theirs, rng)?;
            self.root = root;
            self.turn =
                Turn::Ours { keys, ciphertext: Some(ciphertext), chain, next: 0, previous_length: *previous_length };
        }
        let Turn::Ours { keys, ciphertext, chain, next, previous_length } = &mut self.turn else {
            return Err(HybridError::OutOfTurn);
        };
        let (key, after) = chain.next();
        let mut message = RatchetMessage {
            keys: keys.public(),
            ciphertext: ciphertext.clone(),
            previous_length: *previous_length,
            index: *next,
            sealed: Vec::new(),
        };
        let following = next.checked_add(1).ok_or(HybridError::ChainEnd)?;
        message.sealed =
            key.cipher(&self.transcript).seal(&message.header(), plaintext).map_err(|_| HybridError::TooLong)?;
        *chain = after;
        *next = following;
        if self.initiator && self.receiving.is_none() {
            Ok(Message::PreKey(PreKeyMessage { opening: self.opening.clone(), message }))
        } else {
            Ok(Message::Ratchet(message))
        }
    }

    /// Decrypts a message, once.
    ///
    /// # Errors
    /// [`HybridError`]; the session is then as it was before.
    pub fn decrypt(&mut self, message: &Message) -> Result<Vec<u8>, HybridError> {
        match message {
            Message::PreKey(message) if self.matches(message) => self.decrypt_ratchet(&message.message),
            Message::PreKey(_) => Err(HybridError::OtherSession),
            Message::Ratchet(message) => self.decrypt_ratchet(message),
        }
    }

    fn decrypt_ratchet(&mut self, message: &RatchetMessage) -> Result<Vec<u8>, HybridError> {
        let ratchet_key = &message.keys.curve25519;
        match &self.receiving {
            Some(receiving) if receiving.ratchet_key == *ratchet_key && message.index >= receiving.next => {
                self.decrypt_in_chain(&receiving.clone(), message)
            }
            Some(receiving) if receiving.ratchet_key == *ratchet_key || self.skipped.knows(ratchet_key) => {
                let key = self.skipped.get(ratchet_key, message.index).ok_or(HybridError::KeyGone)?;
                let plaintext = self.open(key, message)?;
                self.skipped.remove(ratchet_key, message.index);
                Ok(plaintext)
            }
            _ => self.decrypt_turn(message),
        }
    }

    /// A message in the chain that is being read.
    fn decrypt_in_chain(&mut self, receiving: &Receiving, message: &RatchetMessage) -> Result<Vec<u8>, HybridError> {
        let (passed, chain) = pass_over(&receiving.chain, receiving.next, message.index)?;
        let (key, chain) = chain.next();
        let next = message.index.checked_add(1).ok_or(HybridError::ChainEnd)?;
        let plaintext = self.open(&key, message)?;
        self.skipped.add(receiving.ratchet_key, passed);
        self.receiving = Some(Receiving { ratchet_key: receiving.ratchet_key, chain, next });
        Ok(plaintext)
    }

    /// The first message that arrives of the other side's answer to our keys.
    fn decrypt_turn(&mut self, message: &RatchetMessage) -> Result<Vec<u8>, HybridError> {
        let Turn::Ours { keys, next: sent, .. } = &self.turn else { return Err(HybridError::OutOfTurn) };
        let ciphertext = message.ciphertext.as_ref().ok_or(HybridError::OutOfTurn)?;
        canonical(&message.keys.curve25519)?;
        let old = match &self.receiving {
            Some(old) => {
                let until = message.previous_length.max(old.next);
                Some((old.ratchet_key, pass_over(&old.chain, old.next, until)?.0))
            }
            None => None,
        };
        let (root, chain) = self.root.receive_step(keys, &message.keys, ciphertext)?;
        let (passed, chain) = pass_over(&chain, 0, message.index)?;
        let (key, chain) = chain.next();
        let next = message.index.checked_add(1).ok_or(HybridError::ChainEnd)?;
        let plaintext = self.open(&key, message)?;

        let previous_length = *sent;
        self.root = root;
        self.turn = Turn::Answer { theirs: message.keys.clone(), previous_length };
        if let Some((ratchet_key, rest)) = old {
            self.skipped.add(ratchet_key, rest);
        }
        self.skipped.add(message.keys.curve25519, passed);
        self.receiving = Some(Receiving { ratchet_key: message.keys.curve25519, chain, next });
        Ok(plaintext)
    }

    fn open(&self, key: &MessageKey, message: &RatchetMessage) -> Result<Vec<u8>, HybridError> {
        key.cipher(&self.transcript).open(&message.header(), &message.sealed).map_err(|_| HybridError::Altered)
    }

    /// The session, encrypted for storing it.
    pub fn pickle(&self, key: &PickleKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        pickle::seal(Kind::HybridSession, self, key, rng)
    }

    /// The session that was stored.
    ///
    /// # Errors
    /// [`PickleError`] if the key is another or the bytes were altered.
    pub fn unpickle(bytes: &[u8], key: &PickleKey) -> Result<Self, PickleError> {
        pickle::open(Kind::HybridSession, bytes, key)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("hybrid::Session").field("session_id", &self.session_id()).finish_non_exhaustive()
    }
}

impl Pickled for Session {
    fn write(&self, out: &mut Writer) {
        out.bytes(self.transcript.as_bytes());
        self.opening.write(out);
        out.flag(self.initiator);
        out.bytes(&self.root.0);
        self.turn.write(out);
        out.flag(self.receiving.is_some());
        if let Some(receiving) = &self.receiving {
            out.bytes(receiving.ratchet_key.as_bytes());
            out.bytes(&receiving.chain.0);
            out.u32(receiving.next);
        }
        self.skipped.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let transcript = Transcript::from_bytes(*from.array()?);
        let opening = Opening::read(from)?;
        let initiator = from.flag()?;
        let root = RootKey(*from.secret::<32>()?);
        let turn = Turn::read(from)?;
        let receiving = if from.flag()? {
            let ratchet_key = Curve25519PublicKey::from_bytes(*from.array()?);
            Some(Receiving { ratchet_key, chain: ChainKey(*from.secret::<32>()?), next: from.u32()? })
        } else {
            None
        };
        let skipped = SkippedKeys::read(from)?;
        Ok(Self { transcript, opening, initiator, root, turn, receiving, skipped })
    }
}

impl Pickled for Opening {
    fn write(&self, out: &mut Writer) {
        for key in [&self.identity, &self.base_key, &self.prekey] {
            out.bytes(key.as_bytes());
        }
        out.bytes(self.ciphertext.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let mut key = || from.array().map(|bytes| Curve25519PublicKey::from_bytes(*bytes));
        let (identity, base_key, prekey) = (key()?, key()?, key()?);
        Ok(Self { identity, base_key, prekey, ciphertext: read_ciphertext(from)? })
    }
}

impl Pickled for Turn {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Ours { keys, ciphertext, chain, next, previous_length } => {
                out.u8(if ciphertext.is_some() { 1 } else { 0 });
                out.bytes(keys.curve25519.as_bytes());
                out.bytes(keys.kem.as_bytes());
                if let Some(ciphertext) = ciphertext {
                    out.bytes(ciphertext.as_bytes());
                }
                out.bytes(&chain.0);
                out.u32(*next);
                out.u32(*previous_length);
            }
            Self::Answer { theirs, previous_length } => {
                out.u8(2);
                out.bytes(theirs.curve25519.as_bytes());
                out.bytes(theirs.kem.as_bytes());
                out.u32(*previous_length);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FieldError> {
        let kind = from.u8()?;
        match kind {
            0 | 1 => {
                let curve25519 = Curve25519SecretKey::from_bytes(&*from.secret()?);
                let keys = RatchetSecret { curve25519, kem: KemSecretKey::from_bytes(&*from.secret()?) };
                let ciphertext = if kind == 1 { Some(read_ciphertext(from)?) } else { None };
                let chain = ChainKey(*from.secret::<32>()?);
                Ok(Self::Ours { keys, ciphertext, chain, next: from.u32()?, previous_length: from.u32()? })
            }
            2 => {
                let curve25519 = Curve25519PublicKey::from_bytes(*from.array()?);
                let kem = from.array::<{ KemPublicKey::LENGTH }>()?;
                let kem = KemPublicKey::from_slice(kem).map_err(|_| FieldError::Value)?;
                Ok(Self::Answer { theirs: RatchetPublic { curve25519, kem }, previous_length: from.u32()? })
            }
            _ => Err(FieldError::Value),
        }
    }
}

fn read_ciphertext(from: &mut Reader<'_>) -> Result<KemCiphertext, FieldError> {
    let bytes = from.array::<{ KemCiphertext::LENGTH }>()?;
    KemCiphertext::from_slice(bytes).map_err(|_| FieldError::Value)
}
