//! A group comes to what its batches would have come to one after the other, each in a group of its own.

use std::collections::BTreeMap;

use base::{Partition, Position};
use proptest::prelude::*;

use super::*;
use crate::batch::{Kind, Precondition, Template};
use crate::table::TEST;

fn key(number: u8) -> Key {
    Key::of(TEST, &number)
}

/// What a batch of the model does. Few keys and versions, so that batches meet.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    PutStamped(u8),
    Delete(u8),
    Append(u16),
    RequireAbsent(u8),
    RequireVersion(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5u8).prop_map(Step::Put),
        (0..5u8).prop_map(Step::PutStamped),
        (0..5u8).prop_map(Step::Delete),
        (0..2u16).prop_map(Step::Append),
        (0..5u8).prop_map(Step::RequireAbsent),
        ((0..5u8), (1..12u64)).prop_map(|(number, version)| Step::RequireVersion(number, version)),
    ];
    prop::collection::vec(step, 0..6)
}

fn batch(steps: &[Step]) -> Batch {
    let mut batch = Batch::new();
    for step in steps {
        match step {
            Step::Put(number) => batch.put(&key(*number), vec![*number]),
            Step::PutStamped(number) => {
                let stamp = batch.append(Partition(0), Kind(1), "stamped");
                batch.put_template(Template::plain(key(*number).to_bytes()), Template::with_stamp("at", stamp));
            }
            Step::Delete(number) => batch.delete(&key(*number)),
            Step::Append(partition) => {
                batch.append(Partition(*partition), Kind(2), "entry");
            }
            Step::RequireAbsent(number) => batch.require_absent(&key(*number)),
            Step::RequireVersion(number, version) => {
                batch.require(Precondition::Unchanged(key(*number), Version(*version)));
            }
        }
    }
    batch
}

/// Rows as an engine would hold them, and the verdicts on the batches.
type Outcome = (BTreeMap<Bytes, Write>, Vec<Position>, Vec<Option<Committed>>);

fn run(batches: &[Vec<Step>], group_size: usize) -> Outcome {
    let (mut rows, mut heads, mut verdicts): Outcome = (BTreeMap::new(), vec![Position::START; 2], Vec::new());
    let mut number = 0;
    for group_of in batches.chunks(group_size) {
        let mut group = Group::new(&mut heads);
        for steps in group_of {
            let stored = |key: &Key| Ok(rows.get(key.as_bytes()).map(|write: &Write| write.version));
            let verdict = group.add(batch(steps), Version(number + 1), stored).ok();
            number += u64::from(verdict.is_some());
            verdicts.push(verdict);
        }
        for (key, write) in group.seal(Version(number)) {
            match write.value {
                Some(_) => rows.insert(key, write),
                None => rows.remove(&key),
            };
        }
    }
    // The row of a head is written once a group: its version is the group's last.
    rows.retain(|key, _| key.first() != Some(&HEAD.0));
    (rows, heads, verdicts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_group_comes_to_what_its_batches_come_to_one_by_one(
        batches in prop::collection::vec(steps(), 1..12), size in 2..12usize,
    ) {
        prop_assert_eq!(run(&batches, size), run(&batches, 1));
    }
}

#[test]
fn a_key_removed_before_in_the_group_is_absent() {
    let steps = [vec![Step::Put(1)], vec![Step::Delete(1)], vec![Step::RequireAbsent(1), Step::Append(0)]];
    let (_, heads, verdicts) = run(&steps, 3);
    assert!(verdicts.iter().all(Option::is_some));
    assert_eq!(heads, [Position(1), Position(0)]);
}
