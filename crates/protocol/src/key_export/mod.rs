//! Key export files: Megolm sessions in a file that a person carries from one client to another, under a passphrase.
//!
//! The content is a JSON array of exported sessions ([`ExportedSession`]); the file is that text encrypted with AES-CTR, a MAC over
//! everything, and armour. A file names its own number of PBKDF2 rounds, so a hostile one could keep us busy: rounds and size are
//! bounded.
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#key-exports>

mod session;
#[cfg(test)]
mod tests;

use rand_core::CryptoRng;
use sha2::Sha512;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use session::{ExportedSession, SessionFields};

use crate::canonical::{FieldError, JsonError};
use crate::cipher::{ctr, kdf};
use crate::encoding;

/// The fewest rounds that we write. The specification says 100,000; passphrases have not become better since.
pub const ROUNDS: u32 = 500_000;

/// The most rounds that we do for a file.
pub const ROUNDS_MAX: u32 = 10_000_000;

/// The largest file: some hundred thousand sessions.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

const HEADER: &str = "-----BEGIN MEGOLM SESSION DATA-----";
const TRAILER: &str = "-----END MEGOLM SESSION DATA-----";
const VERSION: u8 = 1;
const LINE: usize = 96;
const PREFIX_LENGTH: usize = 1 + 16 + 16 + 4;

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyExportError {
    /// The lines that begin and end a file are not there.
    #[error("reading a key export: this is no key export file")]
    Armour,
    /// The text between them is not base64.
    #[error("reading a key export: the file is damaged")]
    Base64,
    /// Another version of the format.
    #[error("reading a key export: unknown version {0}")]
    Version(u8),
    /// Shorter than the shortest or longer than [`FILE_BYTES_MAX`].
    #[error("reading a key export: the file is too short or too long")]
    Length,
    /// No rounds, or more than [`ROUNDS_MAX`].
    #[error("reading a key export: {0} rounds is out of bounds")]
    Rounds(u32),
    /// The passphrase is another, or the file was altered.
    #[error("reading a key export: the passphrase is wrong or the file is damaged")]
    WrongPassphrase,
    /// The content is not JSON.
    #[error("reading a key export: {0}")]
    Json(#[from] JsonError),
    /// The content is not sessions.
    #[error("reading a key export: {0}")]
    Field(#[from] FieldError),
}

/// Writes a file with [`ROUNDS`] rounds. Slow on purpose.
#[must_use]
pub fn encrypt(content: &str, passphrase: &str, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    encrypt_with_rounds(content, passphrase, ROUNDS, rng)
}

fn encrypt_with_rounds(content: &str, passphrase: &str, rounds: u32, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let iv = ctr::random_iv(rng);
    let keys = Keys::derive(passphrase, &salt, rounds);

    let mut body = vec![VERSION];
    body.extend_from_slice(&salt);
    body.extend_from_slice(&iv);
    body.extend_from_slice(&rounds.to_be_bytes());
    let mut ciphertext = content.as_bytes().to_vec();
    ctr::apply(&keys.aes, &iv, &mut ciphertext);
    body.extend_from_slice(&ciphertext);
    let mac = kdf::hmac(&keys.mac, &body);
    body.extend_from_slice(&mac);
    armour(&body)
}

fn armour(body: &[u8]) -> String {
    let text = encoding::encode(body);
    let mut file = format!("{HEADER}\n");
    for (index, char) in text.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            file.push('\n');
        }
        file.push(char);
    }
    file.push('\n');
    file.push_str(TRAILER);
    file.push('\n');
    file
}

/// Reads a file: its content, as text. Slow, by as many rounds as the file says.
///
/// # Errors
/// [`KeyExportError`] that says whether the passphrase or the file is the matter.
pub fn decrypt(file: &str, passphrase: &str) -> Result<Zeroizing<String>, KeyExportError> {
    let body = disarm(file)?;
    let parts = Parts::split(&body)?;
    let keys = Keys::derive(passphrase, &parts.salt, parts.rounds);
    if !bool::from(kdf::hmac(&keys.mac, parts.authenticated).ct_eq(parts.mac)) {
        return Err(KeyExportError::WrongPassphrase);
    }
    let mut content = Zeroizing::new(parts.ciphertext.to_vec());
    ctr::apply(&keys.aes, &parts.iv, &mut content);
    let text = std::str::from_utf8(&content).map_err(|_| KeyExportError::Json(JsonError::Utf8))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The bytes between the first header and the first trailer after it.
fn disarm(file: &str) -> Result<Vec<u8>, KeyExportError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(KeyExportError::Length);
    }
    let (_, rest) = file.split_once(HEADER).ok_or(KeyExportError::Armour)?;
    let (inside, _) = rest.split_once(TRAILER).ok_or(KeyExportError::Armour)?;
    let text: String = inside.chars().filter(|char| !char.is_ascii_whitespace()).collect();
    encoding::decode_lenient(text).map_err(|_| KeyExportError::Base64)
}

struct Parts<'a> {
    salt: [u8; 16],
    iv: ctr::Iv,
    rounds: u32,
    ciphertext: &'a [u8],
    authenticated: &'a [u8],
    mac: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(body: &'a [u8]) -> Result<Self, KeyExportError> {
        let (version, rest) = body.split_first().ok_or(KeyExportError::Length)?;
        if *version != VERSION {
            return Err(KeyExportError::Version(*version));
        }
        let (salt, rest) = rest.split_first_chunk::<16>().ok_or(KeyExportError::Length)?;
        let (iv, rest) = rest.split_first_chunk::<16>().ok_or(KeyExportError::Length)?;
        let (rounds, rest) = rest.split_first_chunk::<4>().ok_or(KeyExportError::Length)?;
        let (ciphertext, mac) = rest.split_last_chunk::<32>().ok_or(KeyExportError::Length)?;
        let (authenticated, _) =
            body.split_at_checked(PREFIX_LENGTH + ciphertext.len()).ok_or(KeyExportError::Length)?;
        let rounds = u32::from_be_bytes(*rounds);
        if rounds == 0 || rounds > ROUNDS_MAX {
            return Err(KeyExportError::Rounds(rounds));
        }
        Ok(Self { salt: *salt, iv: *iv, rounds, ciphertext, authenticated, mac })
    }
}

struct Keys {
    aes: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn derive(passphrase: &str, salt: &[u8; 16], rounds: u32) -> Self {
        let mut bytes = Zeroizing::new([0; 64]);
        pbkdf2::pbkdf2_hmac::<Sha512>(passphrase.as_bytes(), salt, rounds, bytes.as_mut());
        let mut keys = Self { aes: Zeroizing::new([0; 32]), mac: Zeroizing::new([0; 32]) };
        let (aes, mac) = bytes.split_at(32);
        keys.aes.copy_from_slice(aes);
        keys.mac.copy_from_slice(mac);
        keys
    }
}
