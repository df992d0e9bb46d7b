//! Which events our next one must name. Events that were soft-failed or rejected are passed over: who follows only such an
//! event follows what lies before it.
//! <https://spec.matrix.org/v1.19/server-server-api/#soft-failure>

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Standing;
use crate::graph::{EventFacts, Place};
use crate::number::EventNumber;

/// Events and their followers as far as they are in memory: `None` stands for one that is known by name only.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What the graph knows of events.
    pub events: BTreeMap<EventNumber, Option<EventFacts>>,
    /// Who names an event as one before it.
    pub followers: BTreeMap<EventNumber, Vec<EventNumber>>,
}

/// What is not in memory and must be, to say more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NeedEvents {
    /// Events.
    pub events: BTreeSet<EventNumber>,
    /// Events whose followers are needed.
    pub followers: BTreeSet<EventNumber>,
}

impl NeedEvents {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.followers.is_empty()
    }
}

/// The forward extremities after `event` came to those that were `now`. Events may come in any order: the outcome depends
/// only on which came.
///
/// # Errors
/// [`NeedEvents`]: ask again with these.
pub fn extremities_after(
    now: &[EventNumber],
    event: EventNumber,
    facts: &EventFacts,
    seen: &Seen,
) -> Result<Vec<EventNumber>, NeedEvents> {
    if facts.place == Place::Outlier {
        return Ok(now.to_vec());
    }
    let mut need = NeedEvents::default();
    let accepted = facts.standing == Standing::Accepted;
    let followed = is_followed(event, seen, &mut need);
    let mut after: BTreeSet<EventNumber> = now.iter().copied().collect();
    if accepted || followed {
        for before in before(facts, seen, &mut need) {
            after.remove(&before);
        }
    }
    if accepted && !followed {
        after.insert(event);
    }
    if need.is_empty() { Ok(after.into_iter().collect()) } else { Err(need) }
}

/// Whether an accepted event follows `event`, be it past others.
fn is_followed(event: EventNumber, seen: &Seen, need: &mut NeedEvents) -> bool {
    let (mut open, mut done) = (vec![event], BTreeSet::from([event]));
    while let Some(at) = open.pop() {
        let Some(followers) = seen.followers.get(&at) else {
            need.followers.insert(at);
            continue;
        };
        for follower in followers {
            match seen.events.get(follower) {
                None => {
                    need.events.insert(*follower);
                }
                Some(Some(facts)) if facts.place != Place::Outlier => {
                    if facts.standing == Standing::Accepted {
                        return true;
                    }
                    if done.insert(*follower) {
                        open.push(*follower);
                    }
                }
                Some(_) => {}
            }
        }
    }
    false
}

/// The events that one with `facts` follows: those it names and, past those that were not accepted, those before them.
fn before(facts: &EventFacts, seen: &Seen, need: &mut NeedEvents) -> BTreeSet<EventNumber> {
    let mut done = BTreeSet::new();
    let mut open = facts.prev.clone();
    while let Some(at) = open.pop() {
        if !done.insert(at) {
            continue;
        }
        match seen.events.get(&at) {
            None => {
                need.events.insert(at);
            }
            Some(Some(facts)) if facts.standing != Standing::Accepted => open.extend(&facts.prev),
            Some(_) => {}
        }
    }
    done
}
