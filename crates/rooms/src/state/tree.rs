//! Reading and changing state trees, over the nodes that are in memory. What is not there is named, all at once as far as
//! that is known, and the caller loads it and asks again: a question costs as many rounds as the tree has levels.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::collections::{HashMap, HashSet};
use base::limits;

use crate::cache::Cache;
use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::node::{Node, NodeHash, StateRoot, level_for, place};

/// What is to be filed under keys; `None` takes away.
pub type Changes = BTreeMap<KeyNumber, Option<EventNumber>>;

/// Nodes that a question needs and that are not in memory. Never empty, and never more than
/// [`limits::STATE_NODES_AT_ONCE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need(pub Vec<NodeHash>);

/// Nodes of one room's states that are in memory: those read from the store, and those made and not yet stored.
#[derive(Debug)]
pub struct Nodes {
    room: RoomNumber,
    /// Nodes of the store that outlast this.
    cache: Option<Cache>,
    known: HashMap<NodeHash, Arc<Node>>,
    /// Those of `known` that the store need not have.
    made: HashSet<NodeHash>,
}

impl Nodes {
    /// No nodes of `room`'s states.
    pub fn new(room: RoomNumber) -> Self {
        Self { room, cache: None, known: HashMap::default(), made: HashSet::default() }
    }

    /// The same, with those that `cache` has.
    pub(crate) fn with_cache(room: RoomNumber, cache: &Cache) -> Self {
        Self { cache: Some(cache.clone()), ..Self::new(room) }
    }

    /// The room.
    pub fn room(&self) -> RoomNumber {
        self.room
    }

    /// How many are in memory.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds a node as the store holds it; false when it does not have the content that its name stands for.
    pub fn add_stored(&mut self, hash: NodeHash, stored: &[u8]) -> bool {
        let node = (Node::hash(self.room, stored) == hash).then(|| Node::decode(stored)).flatten();
        node.is_some_and(|node| {
            let node = Arc::new(node);
            if let Some(cache) = &self.cache {
                cache.keep_node(self.room, hash, KeptNode(Arc::clone(&node)));
            }
            self.known.insert(hash, node);
            true
        })
    }

    /// Lets go of all nodes that can be read again, when there are more than `most`.
    pub fn shrink(&mut self, most: usize) {
        if self.known.len() > most {
            self.known.retain(|hash, _| self.made.contains(hash));
        }
    }

    /// Notes that the nodes of `root` were stored, and lets go of those made for states that were given up.
    pub fn stored(&mut self, root: StateRoot) {
        let kept: HashSet<NodeHash> = self.to_store(root).into_iter().map(|(hash, _)| hash).collect();
        let made = std::mem::take(&mut self.made);
        self.known.retain(|hash, _| !made.contains(hash) || kept.contains(hash));
    }

    /// The nodes of `root` that were made and not yet stored, with their stored forms: what to write for the state to
    /// last. Nodes made on the way to other roots are not among them.
    pub fn to_store(&self, root: StateRoot) -> Vec<(NodeHash, Vec<u8>)> {
        let mut found: BTreeMap<NodeHash, Vec<u8>> = BTreeMap::new();
        let mut open: Vec<NodeHash> = root.0.into_iter().collect();
        while let Some(hash) = open.pop() {
            let Some(node) = self.known.get(&hash).filter(|_| self.made.contains(&hash)) else { continue };
            if found.insert(hash, node.encode()).is_none()
                && let Node::Inner { children, .. } = &**node
            {
                open.extend(children.iter().map(|(_, child)| *child));
            }
        }
        found.into_iter().collect()
    }

    /// Hands on the nodes of `root` that were made, once they are stored.
    pub(crate) fn made_for(&self, root: StateRoot, mut keep: impl FnMut(NodeHash, KeptNode)) {
        let mut open: Vec<NodeHash> = root.0.into_iter().collect();
        while let Some(hash) = open.pop() {
            let Some(node) = self.known.get(&hash).filter(|_| self.made.contains(&hash)) else { continue };
            keep(hash, KeptNode(Arc::clone(node)));
            if let Node::Inner { children, .. } = &**node {
                open.extend(children.iter().map(|(_, child)| *child));
            }
        }
    }

    pub(super) fn get(&self, hash: NodeHash) -> Option<Arc<Node>> {
        let known = self.known.get(&hash).cloned();
        known.or_else(|| self.cache.as_ref()?.node(self.room, hash).map(|KeptNode(node)| node))
    }

    fn make(&mut self, node: Node) -> NodeHash {
        let hash = Node::hash(self.room, &node.encode());
        self.known.insert(hash, Arc::new(node));
        // Also when it was known: it may be of a state that is gone, and collected from the store since it was read.
        self.made.insert(hash);
        hash
    }

    /// The events filed under `keys`, in their order.
    ///
    /// # Errors
    /// [`Need`].
    pub fn lookup(&self, root: StateRoot, keys: &[KeyNumber]) -> Result<Vec<Option<EventNumber>>, Need> {
        let mut missing = Missing::default();
        let found = keys.iter().map(|key| self.lookup_one(root, *key, &mut missing)).collect();
        missing.or(found)
    }

    fn lookup_one(&self, root: StateRoot, key: KeyNumber, missing: &mut Missing) -> Option<EventNumber> {
        let mut at = root.0?;
        let mut top = true;
        loop {
            let node = missing.ask(self, at)?;
            if std::mem::take(&mut top) && level_for(key) > node.level() {
                return None;
            }
            match &*node {
                Node::Leaf(entries) => return find(entries, place(key, 0)),
                Node::Inner { level, children } => at = find(children, place(key, *level))?,
            }
        }
    }

    /// The state that `changes` make of `root`. The nodes made are in [`Nodes::to_store`].
    ///
    /// # Errors
    /// [`Need`].
    pub fn apply(&mut self, root: StateRoot, changes: &Changes) -> Result<StateRoot, Need> {
        let mut missing = Missing::default();
        let mut level = 0;
        if let Some(hash) = root.0 {
            match missing.ask(self, hash) {
                Some(node) => level = node.level(),
                None => return missing.or(root),
            }
        }
        let changes: Vec<Change> = changes.iter().map(|(key, event)| Change { key: *key, event: *event }).collect();
        let most = changes.iter().filter(|change| change.event.is_some()).map(|change| level_for(change.key)).max();
        let target = level.max(most.unwrap_or_default());
        let mut at = root.0;
        for level in level + 1..=target {
            at = at.map(|child| self.make(Node::Inner { level, children: vec![(0, child)] }));
        }
        // Keys beyond the tree can only be taken away here, and are not in it.
        let within: Vec<Change> = changes.into_iter().filter(|change| level_for(change.key) <= target).collect();
        let mut at = self.update(at, target, &within, &mut missing);
        while let Some(only) = at.and_then(|hash| self.only_child(hash)) {
            // The child decides whether it is the root, so it must be there.
            if missing.ask(self, only).is_none() {
                break;
            }
            at = Some(only);
        }
        missing.or(StateRoot(at))
    }

    /// The child of a node that has no other and begins where the node does: the node is then one too many at the top.
    fn only_child(&self, hash: NodeHash) -> Option<NodeHash> {
        match &*self.get(hash)? {
            Node::Inner { children, .. } => match children.as_slice() {
                [(0, child)] => Some(*child),
                _ => None,
            },
            Node::Leaf(_) => None,
        }
    }

    /// What `changes`, all of them within the node at `at`, make of it. When something is missing the answer means nothing.
    fn update(
        &mut self,
        at: Option<NodeHash>,
        level: u8,
        changes: &[Change],
        missing: &mut Missing,
    ) -> Option<NodeHash> {
        if changes.is_empty() {
            return at;
        }
        let node = match at {
            Some(hash) => Some(missing.ask(self, hash)?),
            None => None,
        };
        if level == 0 {
            let mut entries: BTreeMap<u8, EventNumber> = match node.as_deref() {
                Some(Node::Leaf(entries)) => entries.iter().copied().collect(),
                _ => BTreeMap::new(),
            };
            changes.iter().for_each(|change| set(&mut entries, place(change.key, 0), change.event));
            return (!entries.is_empty()).then(|| self.make(Node::Leaf(entries.into_iter().collect())));
        }
        let mut children: BTreeMap<u8, NodeHash> = match node.as_deref() {
            Some(Node::Inner { children, .. }) => children.iter().copied().collect(),
            _ => BTreeMap::new(),
        };
        for group in changes.chunk_by(|a, b| place(a.key, level) == place(b.key, level)) {
            let slot = group.first().map(|change| place(change.key, level)).unwrap_or_default();
            let child = self.update(children.get(&slot).copied(), level - 1, group, missing);
            set(&mut children, slot, child);
        }
        let children: Vec<_> = children.into_iter().collect();
        (!children.is_empty()).then(|| self.make(Node::Inner { level, children }))
    }
}

#[derive(Clone, Copy)]
struct Change {
    key: KeyNumber,
    event: Option<EventNumber>,
}

/// A node as the cache keeps it.
#[derive(Clone, Debug)]
pub(crate) struct KeptNode(Arc<Node>);

impl KeptNode {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match &*self.0 {
            Node::Leaf(entries) => 48 + 16 * entries.capacity(),
            Node::Inner { children, .. } => 48 + 17 * children.capacity(),
        }
    }
}

/// Collects the nodes that a question lacks.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<NodeHash>);

impl Missing {
    /// The node called `hash`; its absence is noted.
    pub(super) fn ask(&mut self, nodes: &Nodes, hash: NodeHash) -> Option<Arc<Node>> {
        let node = nodes.get(hash);
        if node.is_none() && !self.is_full() && !self.0.contains(&hash) {
            self.0.push(hash);
        }
        node
    }

    /// Whether looking further would find nothing that could be asked for in this round.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= limits::STATE_NODES_AT_ONCE
    }

    /// The answer, if nothing was missing.
    pub(super) fn or<T>(self, answer: T) -> Result<T, Need> {
        if self.0.is_empty() { Ok(answer) } else { Err(Need(self.0)) }
    }
}

fn find<T: Copy>(entries: &[(u8, T)], place: u8) -> Option<T> {
    let at = entries.binary_search_by_key(&place, |(place, _)| *place).ok()?;
    entries.get(at).map(|(_, value)| *value)
}

fn set<T>(entries: &mut BTreeMap<u8, T>, place: u8, value: Option<T>) {
    match value {
        Some(value) => entries.insert(place, value),
        None => entries.remove(&place),
    };
}
