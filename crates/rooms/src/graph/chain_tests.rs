//! Auth chains against sets: whatever the graph looks like, what is stored gives the whole chain back, and is small.

use std::collections::BTreeSet;

use proptest::prelude::*;
use storage::Record;

use crate::graph::{AuthChain, StoredChain};
use crate::number::EventNumber;

/// The chains of events 0, 1, 2, …, each leaning on the earlier ones listed, and their stored forms.
fn chains(leans_on: &[Vec<usize>]) -> Vec<(EventNumber, AuthChain, StoredChain)> {
    let mut made: Vec<(EventNumber, AuthChain, StoredChain)> = Vec::new();
    for (number, on) in (0..).zip(leans_on) {
        let parents: Vec<_> = on.iter().map(|on| made[*on].clone()).collect();
        let stored = StoredChain::decode(&StoredChain::above(&parents).encode()).unwrap();
        let base = stored.base().map(|base| made[usize::try_from(base.0).unwrap()].1.clone()).unwrap_or_default();
        made.push((EventNumber(number), stored.whole(&base).unwrap(), stored));
    }
    made
}

fn model(leans_on: &[Vec<usize>]) -> Vec<BTreeSet<EventNumber>> {
    let mut made: Vec<BTreeSet<EventNumber>> = Vec::new();
    for on in leans_on {
        let direct = on.iter().map(|on| EventNumber(*on as u64));
        made.push(on.iter().flat_map(|on| made[*on].iter().copied()).chain(direct).collect());
    }
    made
}

fn any_graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..5), 1..60).prop_map(|graph| {
        let lean = |(number, on): (usize, Vec<prop::sample::Index>)| {
            let on = on.iter().filter(|_| number > 0).map(|on| on.index(number));
            on.collect::<BTreeSet<usize>>().into_iter().collect()
        };
        graph.into_iter().enumerate().map(lean).collect()
    })
}

proptest! {
    #[test]
    fn what_is_stored_gives_the_whole_chain_back(graph in any_graph()) {
        for ((_, chain, _), expected) in chains(&graph).iter().zip(model(&graph)) {
            prop_assert_eq!(chain.iter().collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn the_difference_is_what_some_have_and_not_all(graph in any_graph(), picked in prop::collection::vec(any::<prop::sample::Index>(), 1..5)) {
        let (chains, sets) = (chains(&graph), model(&graph));
        let picked: Vec<usize> = picked.iter().map(|index| index.index(graph.len())).collect();
        let of: Vec<AuthChain> = picked.iter().map(|event| chains[*event].1.clone()).collect();
        let any: BTreeSet<EventNumber> = picked.iter().flat_map(|event| sets[*event].iter().copied()).collect();
        let expected: BTreeSet<_> =
            any.into_iter().filter(|event| !picked.iter().all(|of| sets[*of].contains(event))).collect();
        prop_assert_eq!(AuthChain::difference(&of).iter().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn arbitrary_bytes_are_a_chain_or_refused(bytes in any::<Vec<u8>>()) {
        if let Ok(chain) = StoredChain::decode(&bytes) {
            let _ = chain.whole(&AuthChain::empty());
        }
    }
}

#[test]
fn a_chain_of_a_thousand_costs_tens_of_bytes_and_few_bases() {
    // Power levels changed a thousand times, each change leaning on the one before and on a member event of its own.
    let graph: Vec<Vec<usize>> = (0..2_000)
        .map(|number| match number {
            0 => vec![],
            1 => vec![0],
            n if n % 2 == 1 => vec![0, n - 2, n - 1],
            n => vec![0, n - 1],
        })
        .collect();
    let chains = chains(&graph);
    let bytes: usize = chains.iter().map(|(_, _, stored)| stored.encode().len()).sum();
    println!("{} bytes a chain on average, {} events in the longest", bytes / chains.len(), chains.len() - 1);
    assert!(bytes / chains.len() < 200, "{}", bytes / chains.len());
    for (event, chain, _) in &chains {
        let (mut at, mut hops) = (*event, 0);
        while let Some(base) = chains[usize::try_from(at.0).unwrap()].2.base() {
            (at, hops) = (base, hops + 1);
        }
        assert!(hops <= 16, "{event:?} takes {hops} bases");
        assert_eq!(chain.len(), event.0);
    }
}
