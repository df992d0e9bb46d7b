//! Keys of servers, as an argument: who signs with which key, and until when that key may be believed. Fetching keys and
//! believing them is the business of who fills the ring (`federation`).

use std::collections::BTreeMap;

use base::Timestamp;
use ruma::serde::Base64;
use ruma::{OwnedServerName, ServerName};

/// A server's key for verifying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyKey {
    /// The public key.
    pub key: Base64,
    /// The last moment for whose events it holds: `valid_until_ts`, or `expired_ts` of a key no longer in use
    /// (<https://spec.matrix.org/v1.19/server-server-api/#publishing-keys>).
    pub valid_until: Timestamp,
}

/// A key that is needed to verify an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededKey {
    /// Whose key.
    pub server: OwnedServerName,
    /// Its id, as `ed25519:name`.
    pub key_id: String,
    /// The moment at which it must have been valid.
    pub valid_at: Timestamp,
}

/// Keys by server and key id.
#[derive(Clone, Debug, Default)]
pub struct KeyRing(BTreeMap<OwnedServerName, BTreeMap<String, VerifyKey>>);

impl KeyRing {
    /// A ring without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. Of two under one id the one that is valid longer stays: a server can only have extended it.
    pub fn add(&mut self, server: OwnedServerName, key_id: impl Into<String>, key: VerifyKey) {
        let keys = self.0.entry(server).or_default();
        let slot = keys.entry(key_id.into()).or_insert_with(|| key.clone());
        if slot.valid_until < key.valid_until {
            *slot = key;
        }
    }

    /// Adds all keys of another ring.
    pub fn extend(&mut self, other: Self) {
        for (server, keys) in other.0 {
            for (key_id, key) in keys {
                self.add(server.clone(), key_id, key);
            }
        }
    }

    /// The key of `server` called `key_id`.
    pub fn get(&self, server: &ServerName, key_id: &str) -> Option<&VerifyKey> {
        self.0.get(server)?.get(key_id)
    }
}
