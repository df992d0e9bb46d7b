//! The last step of fetching what lies before the known: events that are in the graph by now get their places in what is
//! shown, and the room's forward extremities are looked at again, because what was a loose end may be followed now.
//!
//! All in one batch. If the process dies before it, the events are in the graph and not shown; fetching again comes here
//! again.

use std::collections::BTreeSet;

use base::backoff::Backoff;
use base::{Position, limits};
use ruma::OwnedEventId;
use storage::{Batch, Direction, Record, Store};

use crate::append::{RoomChanged, STATE_CHANGED, put_room_state, put_shown};
use crate::error::{Error, Refusal};
use crate::event::{RoomVersion, Standing};
use crate::graph::{EventFacts, Graph, Place, head_of, put_head};
use crate::number::{EventNumber, RoomNumber};
use crate::read::card;
use crate::read::relation::{At, Relations};
use crate::state::{Nodes, StateRoot, put_new_nodes};
use crate::timeline::{self, Order};

/// Gives those of `events` their places that are shown and have none yet.
///
/// # Errors
/// As every read and commit; [`Error::Busy`] when others wrote to the room at the same time too often.
pub(super) async fn link(store: &Store, room: RoomNumber, events: &[OwnedEventId]) -> Result<(), Error> {
    let backoff = Backoff { first: limits::APPEND_RETRY_FIRST, most: limits::APPEND_RETRY_MOST };
    for attempt in 1..=limits::APPEND_ATTEMPTS {
        match once(store, room, events).await {
            Err(error) if error.is_conflict() => store.clock().sleep(backoff.wait(attempt, store.random())).await,
            outcome => return outcome,
        }
    }
    Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
}

async fn once(store: &Store, room: RoomNumber, events: &[OwnedEventId]) -> Result<(), Error> {
    let (mut head, was) = head_of(store, room).await?.ok_or(Refusal::NoSuchRoom)?;
    let graph = Graph::new(store, room, RoomVersion::of(&head.version)?);
    let run = followed(&graph, unplaced(&graph, events).await?).await?;
    if run.is_empty() {
        return Ok(());
    }
    let (mut batch, mut relations) = (Batch::new(), Relations::default());
    let gap = Gap::of(&graph, &run).await?;
    for ((event, facts), place) in run.iter().zip(gap.lowest.saturating_sub(run.len() as u64)..) {
        let Place::InGraph { after, .. } = facts.place else { continue };
        match gap.after {
            Some((position, state)) => timeline::put_filled(&mut batch, room, (position, place), *event, state),
            None => timeline::put_history(&mut batch, room, place, *event, after),
        }
        let order = gap.after.map_or(Order::History(place), |(position, _)| Order::Filled(position, place));
        put_shown(&mut batch, &graph, (&head, &mut relations), *event, At::Place(order)).await?;
    }
    let (mut nodes, before) = (Nodes::new(room), head.clone());
    for (event, facts) in &run {
        head.extremities = graph.extremities_after(&head.extremities, *event, facts, false).await?;
    }
    relations.put(&mut batch, room, None);
    let (changed, moved) = put_room_state(&mut batch, &graph, &mut nodes, &before, &mut head).await?;
    put_new_nodes(&mut batch, &nodes, head.state);
    card::put_changes(&mut batch, &graph, None, &changed, &moved).await?;
    put_head(&mut batch, room, &head, Some(was));
    let partition = store.partition_of(head.room_id.as_str());
    batch.append(partition, STATE_CHANGED, RoomChanged { room }.encode());
    store.commit(batch).await.map(drop).map_err(Error::storage("placing fetched events"))
}

/// Those of `run` that something which came in another way follows. An end that nothing follows is no history: it was not
/// judged by the room's state now, so it is neither shown nor followed.
async fn followed(
    graph: &Graph<'_>,
    run: Vec<(EventNumber, EventFacts)>,
) -> Result<Vec<(EventNumber, EventFacts)>, Error> {
    let in_run: BTreeSet<EventNumber> = run.iter().map(|(event, _)| *event).collect();
    let mut by = Vec::with_capacity(run.len());
    for (event, _) in &run {
        by.push(accepted_followers(graph, *event).await?);
    }
    let mut kept: BTreeSet<EventNumber> = BTreeSet::new();
    loop {
        let before = kept.len();
        for ((event, _), by) in run.iter().zip(&by).rev() {
            if by.iter().any(|follower| !in_run.contains(follower) || kept.contains(follower)) {
                kept.insert(*event);
            }
        }
        // Each round keeps more, of finitely many.
        if kept.len() == before {
            return Ok(run.into_iter().filter(|(event, _)| kept.contains(event)).collect());
        }
    }
}

/// The accepted events that follow `event`, be it past others.
async fn accepted_followers(graph: &Graph<'_>, event: EventNumber) -> Result<BTreeSet<EventNumber>, Error> {
    let (mut open, mut seen, mut found) = (vec![event], BTreeSet::from([event]), BTreeSet::new());
    while let Some(at) = open.pop() {
        let followers = graph.followers(at).await?;
        for (follower, facts) in followers.iter().zip(graph.facts(&followers).await?) {
            let Some(facts) = facts.filter(|facts| facts.place != Place::Outlier) else { continue };
            if facts.standing == Standing::Accepted {
                found.insert(*follower);
            } else if seen.insert(*follower) {
                open.push(*follower);
            }
        }
    }
    Ok(found)
}

/// Those that are to be shown and are not, the oldest first, in an order in which each comes after those before it.
async fn unplaced(graph: &Graph<'_>, events: &[OwnedEventId]) -> Result<Vec<(EventNumber, EventFacts)>, Error> {
    let numbers: Vec<EventNumber> = graph.numbers(events).await?.into_values().collect();
    let orders = timeline::orders(graph.store(), graph.room(), &numbers).await?;
    let facts = graph.facts(&numbers).await?.into_iter().zip(orders);
    let mut run: Vec<(EventNumber, EventFacts)> = numbers
        .iter()
        .zip(facts)
        .filter_map(|(number, (facts, order))| Some((*number, facts.filter(|_| order.is_none())?)))
        .filter(|(_, facts)| facts.standing == Standing::Accepted && facts.place != Place::Outlier)
        .collect();
    run.sort_by(|(_, one), (_, other)| (one.depth, &one.id).cmp(&(other.depth, &other.id)));
    // Depths are what servers say; the order of the graph is what is true.
    let mut sorted: Vec<(EventNumber, EventFacts)> = Vec::with_capacity(run.len());
    let mut open: BTreeSet<EventNumber> = run.iter().map(|(number, _)| *number).collect();
    let is_free = |(number, facts): &(EventNumber, EventFacts), open: &BTreeSet<EventNumber>| {
        !facts.prev.iter().any(|prev| prev != number && open.contains(prev))
    };
    while let Some(at) = run.iter().position(|event| is_free(event, &open)) {
        let (number, facts) = run.remove(at);
        open.remove(&number);
        sorted.push((number, facts));
    }
    // Only in versions 1 and 2, where ids are given, can events name each other in a circle.
    sorted.append(&mut run);
    Ok(sorted)
}

/// Where a run of fetched events goes.
struct Gap {
    /// What came live before the gap, with the room's state after it; `None` for the time before all that came live.
    after: Option<(Position, StateRoot)>,
    /// The run's places end below this one.
    lowest: u64,
}

impl Gap {
    /// The gap before the first event that is shown and follows one of `run`.
    async fn of(graph: &Graph<'_>, run: &[(EventNumber, EventFacts)]) -> Result<Self, Error> {
        let mut followers = BTreeSet::new();
        for (event, _) in run {
            followers.extend(accepted_followers(graph, *event).await?);
        }
        let followers: Vec<EventNumber> = followers.into_iter().collect();
        let (store, room) = (graph.store(), graph.room());
        let first = timeline::orders(store, room, &followers).await?.into_iter().flatten().min();
        let end = first.unwrap_or(Order::START);
        if !matches!(end, Order::History(_)) {
            let before = timeline::entries(store, room, [Order::START, end], Direction::Backward, 1).await?;
            match before.first().map(|entry| (entry.order, entry.state)) {
                Some((Order::Live(position) | Order::Filled(position, _), state)) => {
                    let filled = [Order::Filled(position, 0), Order::Filled(position, u64::MAX)];
                    let lowest = lowest(store, room, filled).await?;
                    return Ok(Self { after: Some((position, state)), lowest });
                }
                Some((Order::History(_), _)) | None => {}
            }
        }
        let lowest = lowest(store, room, [Order::START, Order::History(u64::MAX)]).await?;
        Ok(Self { after: None, lowest })
    }
}

/// The lowest place taken in a range.
async fn lowest(store: &Store, room: RoomNumber, range: [Order; 2]) -> Result<u64, Error> {
    let first = timeline::entries(store, room, range, Direction::Forward, 1).await?;
    Ok(first.first().map_or(u64::MAX, |entry| match entry.order {
        Order::History(place) | Order::Filled(_, place) => place,
        Order::Live(_) => u64::MAX,
    }))
}
