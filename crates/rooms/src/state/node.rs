//! A node of a state tree and its stored form.
//!
//! A leaf holds the events of 64 neighbouring keys, an inner node leads to 16 nodes of the level below. Keys are dense, so
//! the tree is balanced by itself and its shape follows from its entries alone: no state has two forms.
//!
//! Stored, a node is one byte (the format above, the level below), a bitmap of the places taken, and for each of these the
//! event's number as a zigzag varint of what it lies after the one before (a leaf), or the child's hash (an inner node).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::number::{EventNumber, KeyNumber, RoomNumber};

/// The number of keys' bits that a leaf decides: 64 places, because an event takes a byte or two.
const LEAF_BITS: u32 = 6;
/// The number of bits that an inner node decides: 16 places, because a child takes 16 bytes.
const INNER_BITS: u32 = 4;
/// The level at which every key has a place.
pub(super) const TOP_LEVEL: u8 = 7;
/// The format of stored nodes, in the upper half of the first byte.
const FORMAT: u8 = 1;

/// Names a node by its content: the first half of a SHA-256 over the room's number and the stored form. The number is
/// drawn at random and never shown, so nobody outside can look for two nodes of one name; within one room, chance will
/// not find them either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeHash(pub [u8; 16]);

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Names a whole state. Within one room, two states are equal if and only if their roots are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateRoot(pub Option<NodeHash>);

impl StateRoot {
    /// The state with nothing in it, before a room's first event.
    pub const EMPTY: Self = Self(None);
}

/// A node. Never empty; places ascend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Leaf(Vec<(u8, EventNumber)>),
    Inner { level: u8, children: Vec<(u8, NodeHash)> },
}

impl Node {
    pub(super) fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// The name of a node with this stored form in `room`.
    pub(super) fn hash(room: RoomNumber, stored: &[u8]) -> NodeHash {
        let digest = Sha256::new().chain_update(room.0.to_be_bytes()).chain_update(stored).finalize();
        NodeHash(digest.first_chunk().copied().unwrap_or_default())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT << 4 | self.level()];
        match self {
            Self::Leaf(entries) => {
                let bitmap = entries.iter().fold(0u64, |bitmap, (place, _)| bitmap | 1 << place);
                out.extend_from_slice(&bitmap.to_le_bytes());
                let mut last = 0;
                for (_, EventNumber(number)) in entries {
                    put_varint(&mut out, zigzag(number.wrapping_sub(last)));
                    last = *number;
                }
            }
            Self::Inner { children, .. } => {
                let bitmap = children.iter().fold(0u16, |bitmap, (place, _)| bitmap | 1 << place);
                out.extend_from_slice(&bitmap.to_le_bytes());
                children.iter().for_each(|(_, hash)| out.extend_from_slice(&hash.0));
            }
        }
        out
    }

    /// Reads a stored form; `None` when it is none, or not the one form its node has.
    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        let (first, rest) = stored.split_first()?;
        let node = match (first >> 4, first & 15) {
            (FORMAT, 0) => Self::decode_leaf(rest)?,
            (FORMAT, level @ 1..=TOP_LEVEL) => Self::decode_inner(level, rest)?,
            _ => return None,
        };
        (node.encode() == stored).then_some(node)
    }

    fn decode_leaf(stored: &[u8]) -> Option<Self> {
        let (bitmap, mut rest) = stored.split_first_chunk()?;
        let bitmap = u64::from_le_bytes(*bitmap);
        let mut last = 0u64;
        let mut entries = Vec::with_capacity(64);
        for place in (0..64u8).filter(|place| bitmap >> place & 1 == 1) {
            last = last.wrapping_add(unzigzag(take_varint(&mut rest)?));
            entries.push((place, EventNumber(last)));
        }
        (!entries.is_empty() && rest.is_empty()).then_some(Self::Leaf(entries))
    }

    fn decode_inner(level: u8, stored: &[u8]) -> Option<Self> {
        let (bitmap, mut rest) = stored.split_first_chunk()?;
        let bitmap = u16::from_le_bytes(*bitmap);
        let mut children = Vec::with_capacity(16);
        for place in (0..16u8).filter(|place| bitmap >> place & 1 == 1) {
            let (hash, after) = rest.split_first_chunk()?;
            rest = after;
            children.push((place, NodeHash(*hash)));
        }
        (!children.is_empty() && rest.is_empty()).then_some(Self::Inner { level, children })
    }
}

/// The place of `key` in a node of `level`.
pub(super) fn place(key: KeyNumber, level: u8) -> u8 {
    let (shift, mask) = match level {
        0 => (0, (1 << LEAF_BITS) - 1),
        _ => (shift(level), (1 << INNER_BITS) - 1),
    };
    u8::try_from(key.0 >> shift & mask).unwrap_or_default()
}

/// The first key of the child in `place` of a node of `level` whose own first key is `first`.
pub(super) fn child_start(first: KeyNumber, level: u8, place: u8) -> KeyNumber {
    KeyNumber(first.0 | u32::from(place) << if level == 0 { 0 } else { shift(level) })
}

/// The lowest level at which a node has a place for `key`, beginning at key 0.
pub(super) fn level_for(key: KeyNumber) -> u8 {
    (0..TOP_LEVEL).find(|level| key.0 >> shift(level + 1) == 0).unwrap_or(TOP_LEVEL)
}

/// The bits below those that a node of `level`, above the leaves, decides.
fn shift(level: u8) -> u32 {
    LEAF_BITS + INNER_BITS * u32::from(level.saturating_sub(1))
}

/// Small numbers for small differences either way; the sign goes into the last bit.
fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ (difference >> 63).wrapping_neg()
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
