//! What two states differ by. Subtrees with equal hashes are equal and not looked into, so the cost is that of the
//! difference. What a state holds is its difference from the empty one.

use std::sync::Arc;

use crate::number::{EventNumber, KeyNumber};
use crate::state::node::{Node, NodeHash, StateRoot, child_start};
use crate::state::tree::{Missing, Need, Nodes};

/// A key under which two states have different events, or only one of them has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: KeyNumber,
    /// What the first state has.
    pub before: Option<EventNumber>,
    /// What the second state has.
    pub after: Option<EventNumber>,
}

/// A subtree with its level, so that a lower tree can stand beside a higher one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Side {
    hash: NodeHash,
    level: u8,
}

/// What a node has in a place.
enum Entry {
    Event(EventNumber),
    Child(Side),
}

struct Walk<'a> {
    nodes: &'a Nodes,
    missing: Missing,
    from: KeyNumber,
    limit: usize,
    found: Vec<Difference>,
}

impl Nodes {
    /// The first `limit` differences between two states at `from` or later, in the order of their keys. When as many come
    /// back, there may be more: go on after the last one's key.
    ///
    /// # Errors
    /// [`Need`].
    pub fn differences(
        &self,
        before: StateRoot,
        after: StateRoot,
        from: KeyNumber,
        limit: usize,
    ) -> Result<Vec<Difference>, Need> {
        if before == after {
            return Ok(Vec::new());
        }
        let mut walk = Walk { nodes: self, missing: Missing::default(), from, limit, found: Vec::new() };
        let sides = [walk.top(before), walk.top(after)];
        let Walk { missing, .. } = walk;
        let sides = missing.or(sides)?;
        let level = sides.iter().flatten().map(|side| side.level).max().unwrap_or_default();
        let mut walk = Walk { nodes: self, missing: Missing::default(), from, limit, found: Vec::new() };
        walk.compare(sides, level, KeyNumber(0));
        walk.missing.or(walk.found)
    }

    /// The first `limit` entries of a state at `from` or later. When as many come back, go on after the last one's key.
    ///
    /// # Errors
    /// [`Need`].
    pub fn entries(
        &self,
        root: StateRoot,
        from: KeyNumber,
        limit: usize,
    ) -> Result<Vec<(KeyNumber, EventNumber)>, Need> {
        let differences = self.differences(StateRoot::EMPTY, root, from, limit)?;
        Ok(differences.into_iter().filter_map(|difference| Some((difference.key, difference.after?))).collect())
    }
}

impl Walk<'_> {
    fn top(&mut self, root: StateRoot) -> Option<Side> {
        let hash = root.0?;
        let node = self.missing.ask(self.nodes, hash)?;
        Some(Side { hash, level: node.level() })
    }

    fn is_done(&self) -> bool {
        self.missing.is_full() || self.found.len() >= self.limit
    }

    /// Compares two subtrees of which the higher one is of `level`, both beginning at the key `first`.
    fn compare(&mut self, sides: [Option<Side>; 2], level: u8, first: KeyNumber) {
        let [before, after] = sides;
        if before == after || self.is_done() {
            return;
        }
        let (Some(before), Some(after)) = (self.open(before, level), self.open(after, level)) else { return };
        let places = if level == 0 { 64 } else { 16 };
        let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
        for place in 0..places {
            let [old, new] = [&mut before, &mut after].map(|side| side.next_if(|(at, _)| *at == place));
            if old.is_none() && new.is_none() {
                continue;
            }
            let start = child_start(first, level, place);
            if level > 0 {
                // The whole child lies before `from`.
                let last = child_start(first, level, place).0 | (child_start(KeyNumber(0), level, 1).0 - 1);
                if last < self.from.0 {
                    continue;
                }
                let [old, new] = [old, new].map(|entry| match entry {
                    Some((_, Entry::Child(side))) => Some(side),
                    _ => None,
                });
                self.compare([old, new], level - 1, start);
            } else {
                self.note(start, [old, new]);
            }
        }
    }

    fn note(&mut self, key: KeyNumber, entries: [Option<(u8, Entry)>; 2]) {
        let [before, after] = entries.map(|entry| match entry {
            Some((_, Entry::Event(event))) => Some(event),
            _ => None,
        });
        if before != after && key >= self.from && !self.is_done() {
            self.found.push(Difference { key, before, after });
        }
    }

    /// What a subtree has in the places of a node of `level`; `None` when its node is not in memory.
    fn open(&mut self, side: Option<Side>, level: u8) -> Option<Vec<(u8, Entry)>> {
        let Some(side) = side else { return Some(Vec::new()) };
        if side.level < level {
            return Some(vec![(0, Entry::Child(side))]);
        }
        let node: Arc<Node> = self.missing.ask(self.nodes, side.hash)?;
        Some(match &*node {
            Node::Leaf(entries) => entries.iter().map(|(place, event)| (*place, Entry::Event(*event))).collect(),
            Node::Inner { level, children } => {
                let child = |(place, hash): &(u8, NodeHash)| {
                    (*place, Entry::Child(Side { hash: *hash, level: level.saturating_sub(1) }))
                };
                children.iter().map(child).collect()
            }
        })
    }
}
