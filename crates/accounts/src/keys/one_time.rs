//! One-time and fallback keys as they are stored.

use protocol::bundle::OneTimeKey;
use protocol::canonical::Value;
use ruma::OwnedOneTimeKeyId;
use ruma::serde::Raw;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use storage::table::{FALLBACK_KEY, ONE_TIME_KEY};
use storage::{Key, KeyRange};

use crate::error::Error;
use crate::keys::leftover::Number;

/// A key, under the name and in the JSON that it was uploaded with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredKey {
    /// `<algorithm>:<key id>`.
    pub(super) name: String,
    pub(super) json: String,
}

storage::first_version!(StoredKey);

impl StoredKey {
    pub(super) fn of(key: &OneTimeKey) -> Self {
        Self { name: key.name().to_owned(), json: key.value().to_canonical() }
    }

    /// Whether `key` is the same key: its signatures do not count.
    pub(super) fn is(&self, key: &OneTimeKey) -> bool {
        if self.json == key.value().to_canonical() {
            return true;
        }
        match (Value::parse(self.json.as_bytes()), key.value()) {
            (Ok(Value::Object(mine)), Value::Object(theirs)) => mine.signed_bytes() == theirs.signed_bytes(),
            _ => false,
        }
    }

    /// As it is given out.
    pub(super) fn into_ruma(self) -> Result<(OwnedOneTimeKeyId, Raw<ruma::encryption::OneTimeKey>), Error> {
        let name = OwnedOneTimeKeyId::try_from(self.name);
        let name = name.map_err(|error| Error::damaged(format!("the name of a one-time key: {error}")))?;
        let json = RawValue::from_string(self.json);
        let json = json.map_err(|error| Error::damaged(format!("a one-time key: {error}")))?;
        Ok((name, Raw::from_json(json)))
    }
}

/// Where the one-time key with this place in the order of the stock at `stock` is.
pub(super) fn one_time_key(number: Number, stock: usize, order: u64) -> Key {
    Key::of(ONE_TIME_KEY, &(number, place(stock), order))
}

/// All keys of a stock, those that are remembered included.
pub(super) fn one_time_keys(number: Number, stock: usize) -> KeyRange {
    KeyRange::prefix(ONE_TIME_KEY, &(number, place(stock)))
}

/// The order in a row's key.
pub(super) fn order_of(key: &Key) -> Result<u64, Error> {
    let parts = key.parts::<(Number, u8, u64)>();
    Ok(parts.map_err(|error| Error::damaged(format!("a one-time key: {error}")))?.2)
}

/// Where the fallback key of the algorithm at `place` is.
pub(super) fn fallback_key(number: Number, fallback: usize) -> Key {
    Key::of(FALLBACK_KEY, &(number, place(fallback)))
}

/// There are no more than [`base::limits::ONE_TIME_KEY_ALGORITHMS`].
fn place(at: usize) -> u8 {
    u8::try_from(at).unwrap_or(u8::MAX)
}
