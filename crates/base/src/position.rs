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

/// A place in every partition of the log at once: how much a reader of all of them has seen. A client's sync token is
/// one of these, printed as `s` and the positions joined by `_`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Positions(Vec<Position>);

impl Positions {
    /// The positions of partitions 0, 1, 2, …
    pub fn new(positions: Vec<Position>) -> Self {
        Self(positions)
    }

    /// The place in `partition`; before everything in one that is not named.
    pub fn of(&self, partition: Partition) -> Position {
        self.0.get(usize::from(partition.0)).copied().unwrap_or_default()
    }

    /// Moves to `position` in `partition`, which must be one of those named.
    pub fn set(&mut self, partition: Partition, position: Position) {
        if let Some(slot) = self.0.get_mut(usize::from(partition.0)) {
            *slot = position;
        }
    }

    /// The positions, by partition.
    pub fn as_slice(&self) -> &[Position] {
        &self.0
    }

    /// Whether nothing that `other` has seen is unseen here.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().zip(0..).all(|(position, partition)| self.of(Partition(partition)) >= *position)
    }

    /// In each partition the lower of both, with the partitions of `self`.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(0..).map(|(mine, partition)| (*mine).min(other.of(Partition(partition)))).collect())
    }

    /// Reads the positions at the beginning of a sync token, and gives back what stands behind them; `None` when it does
    /// not begin like one. Tokens come from outside: the numbers may be any.
    pub fn parse(token: &str) -> Option<(Self, &str)> {
        let numbers = token.strip_prefix('s')?;
        let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(numbers.len());
        let (numbers, rest) = numbers.split_at(end);
        let positions: Option<Vec<Position>> = numbers.split('_').map(|n| n.parse().ok().map(Position)).collect();
        Some((Self(positions?), rest))
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("s")?;
        self.0.iter().enumerate().try_for_each(|(at, position)| match at {
            0 => write!(f, "{position}"),
            _ => write!(f, "_{position}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_printed_and_read_back_and_nothing_else_is() {
        let positions = Positions::new(vec![Position(7), Position(0), Position(u64::MAX)]);
        let printed = positions.to_string();
        assert_eq!(printed, "s7_0_18446744073709551615");
        assert_eq!(Positions::parse(&printed), Some((positions.clone(), "")));
        assert_eq!(Positions::parse("s7~rest"), Some((Positions::new(vec![Position(7)]), "~rest")));
        for wrong in ["", "s", "7", "s_", "s1__2", "s18446744073709551616", "t7"] {
            assert_eq!(Positions::parse(wrong), None, "{wrong}");
        }
        assert_eq!(positions.of(Partition(9)), Position::START);
        assert!(positions.covers(&Positions::new(vec![Position(7)])));
        assert!(!positions.covers(&Positions::new(vec![Position(8)])));
        assert_eq!(positions.min(&Positions::new(vec![Position(9), Position(3)])).as_slice(), [7, 0, 0].map(Position));
    }

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
