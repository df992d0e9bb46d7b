//! The numbers of what state is filed under. A type and a state key may take 510 bytes and stand in every state of a room
//! for ever; their number takes two or three.
//!
//! A number once given is kept, also when nothing is filed under it any more. Who appends gives the numbers, in order,
//! from a counter in the room's head; the head's precondition sees to it that none is given twice.

use base::limits;
use ruma::events::StateEventType;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::table::{STATE_KEY, STATE_KEY_NAME};
use storage::{Batch, Key, Record, Store};

use crate::error::Error;
use crate::event::StateKey;
use crate::number::{KeyNumber, RoomNumber};

/// A type and state key as stored.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NameRecord {
    kind: String,
    key: String,
}

storage::first_version!(NameRecord);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NumberRecord(KeyNumber);

storage::first_version!(NumberRecord);

/// The row of a type and state key. They are too long for a key, so it has their hash; whole, because they are chosen by
/// whoever sends an event.
fn number_row(room: RoomNumber, key: &StateKey) -> Key {
    let kind = key.kind.to_string();
    // A type has at most 255 bytes, so its length fits and keeps the two apart.
    let length = u16::try_from(kind.len()).unwrap_or(u16::MAX);
    let digest = Sha256::new().chain_update(length.to_be_bytes()).chain_update(&kind).chain_update(&key.key).finalize();
    let digest: [u8; 32] = digest.into();
    Key::of(STATE_KEY, &(room, digest))
}

fn name_row(room: RoomNumber, number: KeyNumber) -> Key {
    Key::of(STATE_KEY_NAME, &(room, number))
}

/// The numbers of `keys`, in their order; `None` for one that has none yet.
///
/// # Errors
/// As every read.
pub async fn key_numbers(store: &Store, room: RoomNumber, keys: &[StateKey]) -> Result<Vec<Option<KeyNumber>>, Error> {
    let mut numbers = Vec::with_capacity(keys.len());
    for keys in keys.chunks(limits::STATE_ENTRIES_AT_ONCE) {
        let rows: Vec<Key> = keys.iter().map(|key| number_row(room, key)).collect();
        let found = store.engine().get_many(&rows).await.map_err(Error::storage("reading a state key's number"))?;
        for stored in found {
            let record = stored.map(|stored| NumberRecord::decode(&stored.value)).transpose();
            let record = record.map_err(|error| Error::damaged(format!("a state key's number: {error}")))?;
            numbers.push(record.map(|NumberRecord(number)| number));
        }
    }
    Ok(numbers)
}

/// What `numbers` stand for, in their order.
///
/// # Errors
/// As every read; [`Error::Damaged`] when one stands for nothing.
pub async fn key_names(store: &Store, room: RoomNumber, numbers: &[KeyNumber]) -> Result<Vec<StateKey>, Error> {
    let mut names = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(limits::STATE_ENTRIES_AT_ONCE) {
        let rows: Vec<Key> = numbers.iter().map(|number| name_row(room, *number)).collect();
        let found = store.engine().get_many(&rows).await.map_err(Error::storage("reading a state key"))?;
        for (number, stored) in numbers.iter().zip(found) {
            let stored = stored.ok_or_else(|| Error::damaged(format!("{number:?} stands for nothing")))?;
            let record = NameRecord::decode(&stored.value);
            let record = record.map_err(|error| Error::damaged(format!("a state key: {error}")))?;
            names.push(StateKey::new(StateEventType::from(record.kind), record.key));
        }
    }
    Ok(names)
}

/// Gives `key`, which has none, the number `number`.
pub fn add_key(batch: &mut Batch, room: RoomNumber, key: &StateKey, number: KeyNumber) {
    batch.put_record(&number_row(room, key), &NumberRecord(number));
    let name = NameRecord { kind: key.kind.to_string(), key: key.key.clone() };
    batch.put_record(&name_row(room, number), &name);
}
