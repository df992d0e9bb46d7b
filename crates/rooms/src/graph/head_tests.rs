//! Forward extremities against their definition, with events in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::event::Standing;
use crate::graph::{EventFacts, Place, Seen, extremities_after};
use crate::number::EventNumber;
use crate::state::StateRoot;

const IN_GRAPH: Place = Place::InGraph { before: StateRoot::EMPTY, after: StateRoot::EMPTY };

fn facts(number: u64, standing: Standing, prev: Vec<EventNumber>) -> EventFacts {
    let id = format!("${number:043}").try_into().unwrap();
    EventFacts {
        id,
        standing,
        place: IN_GRAPH,
        depth: 1,
        prev,
        auth: Vec::new(),
        files: None,
        sent: None,
        redacted_by: None,
    }
}

#[derive(Default)]
struct Arrivals {
    known: BTreeMap<EventNumber, EventFacts>,
    extremities: Vec<EventNumber>,
}

impl Arrivals {
    fn followers(&self, of: EventNumber) -> Vec<EventNumber> {
        let names = |(_, facts): &(&EventNumber, &EventFacts)| facts.prev.contains(&of);
        self.known.iter().filter(names).map(|(number, _)| *number).collect()
    }

    fn arrive(&mut self, number: EventNumber, facts: EventFacts) {
        let mut seen = Seen::default();
        loop {
            match extremities_after(&self.extremities, number, &facts, &seen) {
                Ok(after) => {
                    self.extremities = after;
                    self.known.insert(number, facts);
                    return;
                }
                Err(need) => {
                    assert!(!need.events.is_empty() || !need.followers.is_empty());
                    seen.events.extend(need.events.iter().map(|event| (*event, self.known.get(event).cloned())));
                    seen.followers.extend(need.followers.iter().map(|event| (*event, self.followers(*event))));
                }
            }
        }
    }
}

/// The accepted events that no accepted one follows, be it past others.
fn by_definition(graph: &[EventFacts]) -> Vec<EventNumber> {
    let index = |number: &EventNumber| usize::try_from(number.0).unwrap();
    let mut followed = BTreeSet::new();
    for facts in graph.iter().filter(|facts| facts.standing == Standing::Accepted) {
        let mut open = facts.prev.clone();
        while let Some(before) = open.pop() {
            if followed.insert(before) && graph[index(&before)].standing != Standing::Accepted {
                open.extend(&graph[index(&before)].prev);
            }
        }
    }
    let numbers = (0..graph.len() as u64).map(EventNumber);
    numbers.filter(|n| graph[index(n)].standing == Standing::Accepted && !followed.contains(n)).collect()
}

fn any_graph() -> impl Strategy<Value = Vec<EventFacts>> {
    let standing = prop::sample::select(vec![
        Standing::Accepted,
        Standing::Accepted,
        Standing::Accepted,
        Standing::SoftFailed,
        Standing::Rejected,
    ]);
    let event = (standing, prop::collection::vec(any::<prop::sample::Index>(), 1..4));
    prop::collection::vec(event, 1..25).prop_map(|events| {
        let event = |(number, (standing, prev)): (usize, (Standing, Vec<prop::sample::Index>))| {
            let recent = number.min(6);
            let prev: BTreeSet<usize> =
                prev.iter().filter(|_| number > 0).map(|prev| number - 1 - prev.index(recent)).collect();
            let standing = if number == 0 { Standing::Accepted } else { standing };
            facts(number as u64, standing, prev.into_iter().map(|prev| EventNumber(prev as u64)).collect())
        };
        events.into_iter().enumerate().map(event).collect()
    })
}

proptest! {
    #[test]
    fn in_whatever_order_events_come_the_extremities_are_those_by_definition(
        graph in any_graph(), order in prop::collection::vec(any::<u32>(), 25),
    ) {
        let mut numbers: Vec<usize> = (0..graph.len()).collect();
        numbers.sort_by_key(|number| order[*number]);
        let mut arrivals = Arrivals::default();
        for number in numbers {
            arrivals.arrive(EventNumber(number as u64), graph[number].clone());
        }
        prop_assert_eq!(arrivals.extremities, by_definition(&graph));
    }
}

#[test]
fn an_outlier_changes_nothing() {
    let outlier = EventFacts { place: Place::Outlier, ..facts(7, Standing::Accepted, vec![EventNumber(3)]) };
    let now = [EventNumber(3), EventNumber(5)];
    assert_eq!(extremities_after(&now, EventNumber(7), &outlier, &Seen::default()), Ok(now.to_vec()));
}

#[test]
fn what_follows_a_soft_failed_event_follows_what_lies_before_that() {
    let mut arrivals = Arrivals::default();
    let numbers = |numbers: &[u64]| numbers.iter().copied().map(EventNumber).collect::<Vec<_>>();
    arrivals.arrive(EventNumber(0), facts(0, Standing::Accepted, vec![]));
    arrivals.arrive(EventNumber(1), facts(1, Standing::SoftFailed, numbers(&[0])));
    assert_eq!(arrivals.extremities, numbers(&[0]), "a soft-failed event is not followed by ours");
    arrivals.arrive(EventNumber(2), facts(2, Standing::Rejected, numbers(&[1])));
    assert_eq!(arrivals.extremities, numbers(&[0]));
    arrivals.arrive(EventNumber(3), facts(3, Standing::Accepted, numbers(&[2])));
    assert_eq!(arrivals.extremities, numbers(&[3]));
}
