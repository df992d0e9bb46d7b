//! Opening, in the order in which trust grows: for our key, whole, from this sender, for the first time.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::schedule::Transcript;
use super::seal::LETTER_FIXED;
use super::{EnvelopeError, EnvelopeSecretKey, HEADER_LENGTH, NAME_MAX, PAYLOAD_MAX, VERSION, padded_length};
use crate::cipher::aead::TAG_LENGTH;
use crate::encoding;
use crate::key::{Curve25519PublicKey, Ed25519PublicKey, Ed25519Signature, KemCiphertext};

/// An envelope as it arrived: for whom, and nothing else, can be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedEnvelope {
    key_id: [u8; 16],
    ephemeral: Curve25519PublicKey,
    ciphertext: KemCiphertext,
    bytes: Vec<u8>,
}

impl SealedEnvelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::NotAnEnvelope`] or [`EnvelopeError::TooLong`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > HEADER_LENGTH + padded_length(LETTER_FIXED + 2 * NAME_MAX + PAYLOAD_MAX) + TAG_LENGTH {
            return Err(EnvelopeError::TooLong);
        }
        let malformed = || EnvelopeError::NotAnEnvelope;
        let ([version], rest) = bytes.split_first_chunk::<1>().ok_or_else(malformed)?;
        let (key_id, rest) = rest.split_first_chunk::<16>().ok_or_else(malformed)?;
        let (ephemeral, rest) = rest.split_first_chunk::<32>().ok_or_else(malformed)?;
        let (ciphertext, sealed) = rest.split_first_chunk::<{ KemCiphertext::LENGTH }>().ok_or_else(malformed)?;
        if *version != VERSION || sealed.len() < TAG_LENGTH {
            return Err(EnvelopeError::NotAnEnvelope);
        }
        Ok(Self {
            key_id: *key_id,
            ephemeral: Curve25519PublicKey::from_bytes(*ephemeral),
            ciphertext: KemCiphertext::from_slice(ciphertext)?,
            bytes: bytes.to_vec(),
        })
    }

    /// The key that it is sealed to: for finding the secret half.
    #[must_use]
    pub fn key_id(&self) -> [u8; 16] {
        self.key_id
    }

    /// Decrypts an envelope that should be sealed to this key of this server: our own name.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it is for another key or name, was altered, or holds no letter.
    pub fn decrypt(&self, server_name: &str, key: &EnvelopeSecretKey) -> Result<UnverifiedLetter, EnvelopeError> {
        if self.key_id != key.id() {
            return Err(EnvelopeError::OtherKey);
        }
        // RFC 7748 lets a key be written in two ways; only one of them is what the sender's software writes.
        if !self.ephemeral.is_canonical() {
            return Err(EnvelopeError::Altered);
        }
        let (header, sealed) = self.bytes.split_at_checked(HEADER_LENGTH).ok_or(EnvelopeError::NotAnEnvelope)?;
        let classical = key.curve25519.diffie_hellman(&self.ephemeral)?;
        let post_quantum = key.kem.decapsulate(&self.ciphertext);
        let transcript = Transcript::new(server_name, &key.curve25519.public_key(), key.kem.public_key(), header);
        let letter = transcript
            .seal_key(&classical, &post_quantum)
            .open(header, sealed)
            .map(Zeroizing::new)
            .map_err(|_| EnvelopeError::Altered)?;
        UnverifiedLetter::parse(letter, &transcript).ok_or(EnvelopeError::Malformed)
    }
}

impl fmt::Debug for SealedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedEnvelope")
            .field("key_id", &encoding::encode(self.key_id))
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A letter that says who sent it. Whether it is true, that server's key tells.
pub struct UnverifiedLetter {
    sender: String,
    signing_key_id: String,
    sent_at_ms: u64,
    id: [u8; 16],
    bytes: Zeroizing<Vec<u8>>,
    payload: Range<usize>,
    signed: Vec<u8>,
    signature: Ed25519Signature,
}

impl UnverifiedLetter {
    fn parse(letter: Zeroizing<Vec<u8>>, transcript: &Transcript) -> Option<Self> {
        let (sent_at, rest) = letter.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (sender, rest) = name(rest)?;
        let (signing_key_id, rest) = name(rest)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length > PAYLOAD_MAX {
            return None;
        }
        let (_, rest) = rest.split_at_checked(length)?;
        let signed_length = letter.len().checked_sub(rest.len())?;
        let (signature, padding) = rest.split_first_chunk::<64>()?;
        // One plaintext has one padding, so that a sender cannot hide anything in it.
        if padded_length(signed_length + 64) != letter.len() || padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        Some(Self {
            sender,
            signing_key_id,
            sent_at_ms: u64::from_be_bytes(*sent_at),
            id: *id,
            payload: signed_length.checked_sub(length)?..signed_length,
            signed: transcript.signed_bytes(letter.get(..signed_length)?),
            signature: Ed25519Signature::from_bytes(*signature),
            bytes: letter,
        })
    }

    /// The server that the letter names as its sender.
    #[must_use]
    pub fn claimed_sender(&self) -> &str {
        &self.sender
    }

    /// The name of the signing key that the letter names.
    #[must_use]
    pub fn claimed_key_id(&self) -> &str {
        &self.signing_key_id
    }

    /// When the letter says it was sent; the sender's signing key must have been valid then.
    #[must_use]
    pub fn claimed_time_ms(&self) -> u64 {
        self.sent_at_ms
    }

    /// Checks the sender's signature with its key of that name.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongSender`] if the sender did not sign this letter in this envelope.
    pub fn verify(self, sender_key: &Ed25519PublicKey) -> Result<VerifiedLetter, EnvelopeError> {
        match sender_key.verify(&self.signed, &self.signature) {
            Ok(()) => Ok(VerifiedLetter(self)),
            Err(_) => Err(EnvelopeError::WrongSender(self.sender)),
        }
    }
}

/// A name of at least one byte, after its length.
fn name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), rest))
}

impl fmt::Debug for UnverifiedLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedLetter").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// A letter that its sender signed. Perhaps it was here before: [`super::ReplayWindow::admit`] tells.
#[derive(Debug)]
pub struct VerifiedLetter(UnverifiedLetter);

impl VerifiedLetter {
    pub(super) fn sender(&self) -> &str {
        &self.0.sender
    }

    /// When it was sent, and its id: what the window remembers.
    pub(super) fn mark(&self) -> (u64, [u8; 16]) {
        (self.0.sent_at_ms, self.0.id)
    }

    pub(super) fn admitted(self) -> Letter {
        Letter(self.0)
    }
}

/// A letter that is whole, from who it says, and here for the first time.
#[derive(Debug)]
pub struct Letter(UnverifiedLetter);

impl Letter {
    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> &str {
        &self.0.sender
    }

    /// When it was sent, by the sender's clock.
    #[must_use]
    pub fn sent_at_ms(&self) -> u64 {
        self.0.sent_at_ms
    }

    /// What was sent.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.bytes.get(self.0.payload.clone()).unwrap_or_default()
    }
}
