//! Places in the log. Rooms and users are hashed to partitions; each partition numbers its entries 1, 2, 3, … in commit
//! order and without gaps.

use std::fmt;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

/// One partition of the log. An embedded server has one; a cluster has as many as its data directory was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of `name` (a room or user id) among `count`. Stable for ever: it is part of the stored format.
    pub fn of(name: &str, count: u16) -> Self {
        let mut hasher = SipHasher24::new_with_keys(0x686f_6c64_6661_7374, 0);
        hasher.write(name.as_bytes());
        let slot = hasher.finish() % u64::from(count.max(1));
        Self(u16::try_from(slot).unwrap_or_default())
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a log entry within its partition. The first entry is 1; 0 is before every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry: where a reader that has seen nothing stands.
    pub const START: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many entries lie after this position up to and including `head`.
    pub const fn lag_to(self, head: Self) -> u64 {
        head.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These values are on people's disks: a change here strands their rooms in the wrong partition.
    #[test]
    fn partitions_of_names_never_change() {
        assert_eq!(Partition::of("!room:example.org", 1), Partition(0));
        let spread: Vec<u16> =
            ["!a:hs", "!b:hs", "@alice:hs", "@bob:hs"].map(|name| Partition::of(name, 16).0).to_vec();
        assert_eq!(spread, [8, 15, 7, 7]);
    }

    #[test]
    fn lag_counts_entries_not_yet_seen() {
        assert_eq!(Position::START.lag_to(Position(3)), 3);
        assert_eq!(Position(5).lag_to(Position(3)), 0);
    }
}
