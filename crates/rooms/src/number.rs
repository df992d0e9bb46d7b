//! The small numbers that stand for long names within a store. They are given out in order by a room's own head, so they
//! are dense (bitmaps and trees of them stay small) and no two rooms ever wait for each other to get one.

use std::fmt;

use serde::{Deserialize, Serialize};
use storage::key::{KeyError, KeyReader};
use storage::{KeyParts, KeyWriter};

/// Stands for a room in this store. Drawn at random, never shown outside: it also keys the hashes of the room's state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomNumber(pub u64);

/// Stands for an event within its room: 0, 1, 2, … in the order in which the store first heard of them, be it only by
/// name. It says nothing about the order of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventNumber(pub u64);

/// Stands for a type and state key within a room: 0, 1, 2, … in the order in which the store first heard of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyNumber(pub u32);

/// Not the number, which is a secret.
impl fmt::Debug for RoomNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomNumber(…)")
    }
}

macro_rules! key_part {
    ($($number:ident),*) => {$(
        impl KeyParts for $number {
            fn write(&self, writer: &mut KeyWriter) {
                self.0.write(writer);
            }

            fn read(reader: &mut KeyReader<'_>) -> Result<Self, KeyError> {
                KeyParts::read(reader).map(Self)
            }
        }
    )*};
}

key_part!(RoomNumber, EventNumber, KeyNumber);
