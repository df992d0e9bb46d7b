//! Tokens: 256 random bits each, kept as their SHA-256. Such a hash needs no salt and no cost: there is nothing to guess.

use std::fmt;

use base::Random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::Key;
use storage::table::TOKEN;

/// What a token is stored as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    pub(super) fn key(self) -> Key {
        Key::of(TOKEN, &self.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A new token. The prefix says what it is to those who find one in a log or a repository.
pub(crate) fn new_token(prefix: &str, random: &Random) -> String {
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(random.bytes::<32>()))
}

/// Whose a token is. What it is good for says the device's row.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    pub(super) user: OwnedUserId,
    pub(super) device: OwnedDeviceId,
}

storage::first_version!(TokenRecord);
