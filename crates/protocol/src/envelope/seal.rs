//! Sealing: the letter, its signature, its padding, and the envelope around it.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::schedule::Transcript;
use super::{EnvelopeError, EnvelopeKey, HEADER_LENGTH, NAME_MAX, PAYLOAD_MAX, VERSION, padded_length};
use crate::cipher::aead::TAG_LENGTH;
use crate::key::{Curve25519SecretKey, Ed25519SecretKey};

/// Who sends, and signs.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The sender's server name.
    pub server_name: &'a str,
    /// The name of its signing key: `ed25519:` and the key's version.
    pub key_id: &'a str,
    /// The signing key.
    pub key: &'a Ed25519SecretKey,
}

/// Everything in a letter but names, payload and padding: time, id, three lengths, signature.
pub(super) const LETTER_FIXED: usize = 8 + 16 + 1 + 1 + 4 + 64;

/// The length of the envelope around a payload.
#[must_use]
pub fn sealed_length(sender: &Sender<'_>, payload: usize) -> usize {
    HEADER_LENGTH + padded_length(LETTER_FIXED + sender.server_name.len() + sender.key_id.len() + payload) + TAG_LENGTH
}

/// Seals `payload` to `recipient`, as sent now. From `rng` 16 bytes are drawn for the message id, 32 for the ephemeral key, 32 for ML-KEM.
///
/// # Errors
/// [`EnvelopeError`] if the recipient's key is not valid now, or a name or the payload is too long.
pub fn seal(
    payload: &[u8],
    sender: &Sender<'_>,
    recipient: &EnvelopeKey,
    now_ms: u64,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, EnvelopeError> {
    if !recipient.is_valid_at(now_ms) {
        return Err(EnvelopeError::NotValidNow);
    }
    let mut letter = unsigned_letter(payload, sender, now_ms, rng)?;

    let ephemeral = Curve25519SecretKey::generate(rng);
    let classical = ephemeral.diffie_hellman(&recipient.curve25519)?;
    let (ciphertext, post_quantum) = recipient.kem.encapsulate(rng)?;
    let mut envelope = Vec::with_capacity(sealed_length(sender, payload.len()));
    envelope.push(VERSION);
    envelope.extend_from_slice(&recipient.id);
    envelope.extend_from_slice(ephemeral.public_key().as_bytes());
    envelope.extend_from_slice(ciphertext.as_bytes());

    let transcript = Transcript::new(&recipient.server_name, &recipient.curve25519, &recipient.kem, &envelope);
    let signature = sender.key.sign(&transcript.signed_bytes(&letter));
    letter.extend_from_slice(signature.as_bytes());
    let length = padded_length(letter.len());
    letter.resize(length, 0);
    let sealed =
        transcript.seal_key(&classical, &post_quantum).seal(&envelope, &letter).map_err(|_| EnvelopeError::TooLong)?;
    envelope.extend_from_slice(&sealed);
    Ok(envelope)
}

/// Time, message id, sender, key id and payload, each with its length where it has one.
fn unsigned_letter(
    payload: &[u8],
    sender: &Sender<'_>,
    now_ms: u64,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    if payload.len() > PAYLOAD_MAX {
        return Err(EnvelopeError::TooLong);
    }
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let names = sender.server_name.len() + sender.key_id.len();
    let mut letter = Zeroizing::new(Vec::with_capacity(padded_length(LETTER_FIXED + names + payload.len())));
    letter.extend_from_slice(&now_ms.to_be_bytes());
    letter.extend_from_slice(&id);
    for name in [sender.server_name, sender.key_id] {
        let length = u8::try_from(name.len()).ok().filter(|length| *length > 0).ok_or(EnvelopeError::Name)?;
        const { assert!(NAME_MAX == 255, "a name's length is one byte") };
        letter.push(length);
        letter.extend_from_slice(name.as_bytes());
    }
    let length = u32::try_from(payload.len()).map_err(|_| EnvelopeError::TooLong)?;
    letter.extend_from_slice(&length.to_be_bytes());
    letter.extend_from_slice(payload);
    Ok(letter)
}
