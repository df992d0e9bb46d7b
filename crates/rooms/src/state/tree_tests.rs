//! State trees against a map: whatever is done to both, they hold the same, and the tree pays only for what changed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::number::{EventNumber, KeyNumber, RoomNumber};
use crate::state::node::{Node, NodeHash};
use crate::state::{Changes, Difference, Need, Nodes, StateRoot};

type Model = BTreeMap<KeyNumber, EventNumber>;

const ROOM: RoomNumber = RoomNumber(42);

/// Where nodes are stored; reading is counted.
#[derive(Default)]
struct Shelf {
    stored: BTreeMap<NodeHash, Vec<u8>>,
    read: usize,
    rounds: usize,
}

impl Shelf {
    /// Asks beginning with no node in memory, so that every node has to go through its stored form.
    fn ask<T>(&mut self, question: impl FnMut(&mut Nodes) -> Result<T, Need>) -> T {
        self.ask_of(&mut Nodes::new(ROOM), question)
    }

    fn ask_of<T>(&mut self, nodes: &mut Nodes, mut question: impl FnMut(&mut Nodes) -> Result<T, Need>) -> T {
        loop {
            match question(nodes) {
                Ok(answer) => return answer,
                Err(Need(hashes)) => {
                    assert!(!hashes.is_empty());
                    self.read += hashes.len();
                    self.rounds += 1;
                    for hash in hashes {
                        assert!(nodes.add_stored(hash, &self.stored[&hash]), "{hash:?}");
                    }
                }
            }
        }
    }

    /// Applies and stores; gives the root and the stored forms of the new nodes.
    fn apply(&mut self, root: StateRoot, changes: &Changes) -> (StateRoot, Vec<Vec<u8>>) {
        let mut nodes = Nodes::new(ROOM);
        let root = self.ask_of(&mut nodes, |nodes| nodes.apply(root, changes));
        let written = nodes.to_store(root);
        self.stored.extend(written.iter().cloned());
        nodes.stored(root);
        assert_eq!(nodes.to_store(root), []);
        (root, written.into_iter().map(|(_, node)| node).collect())
    }

    fn all(&mut self, root: StateRoot) -> Model {
        self.ask(|nodes| nodes.entries(root, KeyNumber(0), usize::MAX)).into_iter().collect()
    }
}

fn whole(model: &Model) -> Changes {
    model.iter().map(|(key, event)| (*key, Some(*event))).collect()
}

fn model_difference(before: &Model, after: &Model) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let difference =
        |key: &&KeyNumber| Difference { key: **key, before: before.get(key).copied(), after: after.get(key).copied() };
    keys.iter().map(difference).filter(|found| found.before != found.after).collect()
}

/// Mostly keys that lie close together, as they do, and now and then one from the ends.
fn any_key() -> impl Strategy<Value = KeyNumber> {
    prop_oneof![
        6 => 0..80u32,
        6 => 0..2_000u32,
        1 => Just(u32::MAX),
        1 => any::<u32>(),
        1 => prop::sample::select(vec![63, 64, 1_023, 1_024, 16_383, 16_384, 262_143, 262_144]),
    ]
    .prop_map(KeyNumber)
}

fn any_changes() -> impl Strategy<Value = Changes> {
    let event = prop_oneof![3 => (0..1_000u64).prop_map(Some), 1 => any::<u64>().prop_map(Some), 3 => Just(None)];
    prop::collection::btree_map(any_key(), event.prop_map(|event| event.map(EventNumber)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_tree_holds_what_a_map_holds(steps in prop::collection::vec(any_changes(), 1..8)) {
        let mut shelf = Shelf::default();
        let (mut root, mut model) = (StateRoot::EMPTY, Model::new());
        let mut history = vec![(root, model.clone())];
        for changes in steps {
            for (key, event) in &changes {
                match event {
                    Some(event) => model.insert(*key, *event),
                    None => model.remove(key),
                };
            }
            root = shelf.apply(root, &changes).0;
            prop_assert_eq!(shelf.all(root), model.clone());
            let keys: Vec<KeyNumber> = changes.keys().copied().collect();
            let expected: Vec<_> = keys.iter().map(|key| model.get(key).copied()).collect();
            prop_assert_eq!(shelf.ask(|nodes| nodes.lookup(root, &keys)), expected);
            history.push((root, model.clone()));
        }
        // Equal states have equal roots, however they came about.
        let (afresh, _) = shelf.apply(StateRoot::EMPTY, &whole(&model));
        prop_assert_eq!(afresh, root);
        for (before, old) in &history {
            prop_assert_eq!(shelf.all(*before), old.clone(), "earlier states stay");
            for (after, new) in &history {
                prop_assert_eq!(before == after, old == new);
                let found = shelf.ask(|nodes| nodes.differences(*before, *after, KeyNumber(0), usize::MAX));
                prop_assert_eq!(found, model_difference(old, new));
            }
        }
    }

    #[test]
    fn pages_of_any_size_put_together_are_the_whole(changes in any_changes(), limit in 1usize..20) {
        let mut shelf = Shelf::default();
        let (root, _) = shelf.apply(StateRoot::EMPTY, &changes);
        let (mut from, mut pages) = (KeyNumber(0), Model::new());
        loop {
            let page = shelf.ask(|nodes| nodes.entries(root, from, limit));
            prop_assert!(page.len() <= limit);
            pages.extend(page.iter().copied());
            match page.last().and_then(|(key, _)| key.0.checked_add(1)) {
                Some(next) if page.len() == limit => from = KeyNumber(next),
                _ => break,
            }
        }
        prop_assert_eq!(pages, shelf.all(root));
    }

    #[test]
    fn arbitrary_bytes_are_no_node_or_one_in_its_only_form(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for first in [0x10, 0x11, 0x17, 0x18, 0x20] {
            let mut bytes = bytes.clone();
            bytes.insert(0, first);
            if let Some(node) = Node::decode(&bytes) {
                prop_assert_eq!(node.encode(), bytes);
            }
        }
    }
}

/// The event of a member: anywhere among ten million, which is the worst for its leaf.
fn event_of(member: u32) -> EventNumber {
    EventNumber(u64::from(member) * 2_654_435_761 % 10_000_000)
}

fn room_of(shelf: &mut Shelf, members: u32) -> StateRoot {
    let changes = (0..members).map(|member| (KeyNumber(member), Some(event_of(member)))).collect();
    shelf.apply(StateRoot::EMPTY, &changes).0
}

#[test]
fn a_change_writes_one_node_a_level_and_shares_the_rest() {
    for (members, levels, most_bytes) in [(10, 1, 60), (1_000, 2, 550), (50_000, 4, 900), (1_000_000, 5, 1_200)] {
        let mut shelf = Shelf::default();
        let root = room_of(&mut shelf, members);
        let before = shelf.stored.len();
        let change = [(KeyNumber(members / 2), Some(EventNumber(10_000_001)))].into();
        let (changed, written) = shelf.apply(root, &change);
        assert_ne!(changed, root);
        let bytes: usize = written.iter().map(Vec::len).sum();
        println!("{members} members: {before} nodes in all, {} new with {bytes} bytes", written.len());
        assert_eq!(written.len(), levels, "{members} members");
        assert!(bytes < most_bytes, "{members} members: {bytes} bytes");
        assert_eq!(shelf.stored.len(), before + levels);
        let (back, _) = shelf.apply(changed, &[(KeyNumber(members / 2), Some(event_of(members / 2)))].into());
        assert_eq!(back, root);
        assert_eq!(shelf.stored.len(), before + levels, "what was there is used again");
    }
}

#[test]
fn a_difference_costs_what_differs_and_not_what_there_is() {
    let mut shelf = Shelf::default();
    let root = room_of(&mut shelf, 50_000);
    let changes: Changes = [3, 25_000, 49_999].map(|member| (KeyNumber(member), Some(EventNumber(10_000_001)))).into();
    let (changed, _) = shelf.apply(root, &changes);
    (shelf.read, shelf.rounds) = (0, 0);
    let found = shelf.ask(|nodes| nodes.differences(root, changed, KeyNumber(0), usize::MAX));
    assert_eq!(found.iter().map(|found| found.key.0).collect::<Vec<_>>(), [3, 25_000, 49_999]);
    assert_eq!(shelf.rounds, 4, "one for each level");
    assert_eq!(shelf.read, 2 * (1 + 3 + 3 + 3));
    shelf.read = 0;
    assert_eq!(shelf.ask(|nodes| nodes.differences(root, root, KeyNumber(0), usize::MAX)), []);
    assert_eq!(shelf.read, 0, "equal states are not looked into");
}

#[test]
fn a_key_is_found_with_one_node_a_level_and_one_beyond_the_tree_with_the_root() {
    let mut shelf = Shelf::default();
    let root = room_of(&mut shelf, 50_000);
    (shelf.read, shelf.rounds) = (0, 0);
    assert_eq!(shelf.ask(|nodes| nodes.lookup(root, &[KeyNumber(40_000)])), [Some(event_of(40_000))]);
    assert_eq!((shelf.read, shelf.rounds), (4, 4));
    shelf.read = 0;
    assert_eq!(shelf.ask(|nodes| nodes.lookup(root, &[KeyNumber(u32::MAX), KeyNumber(262_144)])), [None, None]);
    assert_eq!(shelf.read, 1);
}

#[test]
fn reading_a_page_loads_only_what_lies_in_it() {
    let mut shelf = Shelf::default();
    let root = room_of(&mut shelf, 50_000);
    shelf.read = 0;
    let page = shelf.ask(|nodes| nodes.entries(root, KeyNumber(49_900), 1_000));
    assert_eq!(page.len(), 100);
    assert!(shelf.read < 10, "{} nodes were read", shelf.read);
}

#[test]
fn no_question_asks_for_more_nodes_at_once_than_it_may() {
    let mut shelf = Shelf::default();
    let root = room_of(&mut shelf, 500_000);
    let mut nodes = Nodes::new(ROOM);
    let entries = shelf.ask_of(&mut nodes, |nodes| {
        nodes.entries(root, KeyNumber(0), usize::MAX).inspect_err(|need| {
            assert!(need.0.len() <= base::limits::STATE_NODES_AT_ONCE, "{}", need.0.len());
        })
    });
    assert_eq!(entries.len(), 500_000);
    nodes.shrink(10);
    assert!(nodes.is_empty(), "all of them can be read again");
}

#[test]
fn nodes_of_a_state_that_was_given_up_are_not_written() {
    let mut nodes = Nodes::new(ROOM);
    let change = |event| [(KeyNumber(1), Some(EventNumber(event)))].into();
    let given_up = nodes.apply(StateRoot::EMPTY, &change(1)).unwrap();
    let root = nodes.apply(StateRoot::EMPTY, &change(2)).unwrap();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes.to_store(root).len(), 1);
    nodes.stored(root);
    assert_eq!(nodes.len(), 1);
    assert!(nodes.lookup(given_up, &[KeyNumber(1)]).is_err());
}

#[test]
fn a_node_is_written_again_when_it_may_have_been_collected() {
    let mut nodes = Nodes::new(ROOM);
    let change = [(KeyNumber(1), Some(EventNumber(1)))].into();
    let root = nodes.apply(StateRoot::EMPTY, &change).unwrap();
    nodes.stored(root);
    assert_eq!(nodes.apply(StateRoot::EMPTY, &change).unwrap(), root);
    assert_eq!(nodes.to_store(root).len(), 1);
}

#[test]
fn a_node_with_other_content_or_of_another_room_is_not_taken() {
    let mut nodes = Nodes::new(ROOM);
    let root = nodes.apply(StateRoot::EMPTY, &[(KeyNumber(1), Some(EventNumber(1)))].into()).unwrap();
    let (hash, stored) = nodes.to_store(root).remove(0);
    let mut damaged = stored.clone();
    *damaged.last_mut().unwrap() ^= 2;
    assert!(!Nodes::new(ROOM).add_stored(hash, &damaged));
    assert!(!Nodes::new(RoomNumber(43)).add_stored(hash, &stored));
    assert!(Nodes::new(ROOM).add_stored(hash, &stored));
}
