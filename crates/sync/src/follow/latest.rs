//! The last position of each of many things, in bounded memory: what is not there has no position after the floor.

use std::hash::Hash;

use base::Position;
use base::collections::HashMap;

/// Whether something has happened after a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// It was too long ago to be known here: ask the store.
    Unknown,
}

/// Last positions by key.
#[derive(Debug)]
pub(crate) struct Latest<K> {
    last: HashMap<K, Position>,
    floor: Position,
    most: usize,
}

impl<K: Eq + Hash + Clone> Latest<K> {
    /// Knows what comes after `floor`, of at most `most` things.
    pub(crate) fn new(floor: Position, most: usize) -> Self {
        Self { last: HashMap::default(), floor, most }
    }

    /// Notes that something happened to `key` at `position`.
    pub(crate) fn note(&mut self, key: K, position: Position) {
        let slot = self.last.entry(key).or_default();
        *slot = position.max(*slot);
        if self.last.len() > self.most {
            self.shrink();
        }
    }

    /// Lets go of the half that was quiet for longest.
    fn shrink(&mut self) {
        let mut positions: Vec<Position> = self.last.values().copied().collect();
        let middle = positions.len() / 2;
        let (_, median, _) = positions.select_nth_unstable(middle);
        let median = *median;
        self.floor = self.floor.max(median);
        self.last.retain(|_, position| *position > median);
    }

    /// The last position of `key`, if that is known.
    pub(crate) fn last(&self, key: &K) -> Option<Position> {
        self.last.get(key).copied()
    }

    /// Whether something happened to `key` after `since`.
    pub(crate) fn moved(&self, key: &K, since: Position) -> Moved {
        match self.last.get(key) {
            Some(last) if *last > since => Moved::Yes,
            Some(_) => Moved::No,
            None if since >= self.floor => Moved::No,
            None => Moved::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_answered_and_what_is_below_the_floor_is_not() {
        let mut latest = Latest::new(Position(10), 100);
        latest.note('a', Position(12));
        latest.note('a', Position(11));
        assert_eq!(latest.last(&'a'), Some(Position(12)));
        assert_eq!(latest.moved(&'a', Position(11)), Moved::Yes);
        assert_eq!(latest.moved(&'a', Position(12)), Moved::No);
        assert_eq!(latest.moved(&'a', Position(3)), Moved::Yes);
        assert_eq!(latest.moved(&'b', Position(10)), Moved::No);
        assert_eq!(latest.moved(&'b', Position(9)), Moved::Unknown);
    }

    #[test]
    fn memory_is_bounded_and_nothing_false_is_said_for_it() {
        let mut latest = Latest::new(Position::START, 64);
        for n in 0..1_000u64 {
            latest.note(n, Position(n + 1));
            assert!(latest.last.len() <= 64);
        }
        for n in 0..1_000u64 {
            for since in [0, n, n + 1, 999] {
                match latest.moved(&n, Position(since)) {
                    Moved::Yes => assert!(n + 1 > since),
                    Moved::No => assert!(n < since),
                    Moved::Unknown => assert!(n < 970 && since < 970),
                }
            }
        }
        assert_eq!(latest.moved(&999, Position(999)), Moved::Yes);
    }
}
