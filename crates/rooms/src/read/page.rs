//! Pages of a room's timeline, both ways, as one user may see them
//! (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>).

use std::collections::BTreeSet;

use base::{Position, limits};
use ruma::events::room::member::MembershipState;
use storage::Direction;

use crate::error::Error;
use crate::graph::Stored;
use crate::number::EventNumber;
use crate::read::fields::Fields;
use crate::read::filter::EventFilter;
use crate::read::reading::Reading;
use crate::read::sight::{Access, Shown, Sight, Viewer};
use crate::read::token::Token;
use crate::timeline::{Entry, Order, entries};

/// After every event.
pub const END: Order = Order::Live(Position(u64::MAX));

/// A stretch of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// Where it begins: forward, this place is the first of it; backward, the first right after it.
    pub from: Order,
    /// Where it ends at the latest: forward, right before this place; backward, with it.
    pub to: Option<Order>,
    /// Which way.
    pub direction: Direction,
    /// Most events.
    pub limit: usize,
    /// Which events.
    pub filter: &'a EventFilter,
}

impl Stretch<'_> {
    /// The part of it that lies in what may be read: nothing that came after its reader left need be looked at.
    #[must_use]
    pub fn within(mut self, access: Access) -> Self {
        let end = match access {
            Access::Now => return self,
            Access::Until(order) => order.next(),
            Access::Nothing => Order::START,
        };
        match self.direction {
            Direction::Forward => self.to = Some(self.to.map_or(end, |to| to.min(end))),
            Direction::Backward => self.from = self.from.min(end),
        }
        self
    }
}

/// Events of a stretch, in its direction.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events.
    pub events: Vec<Shown>,
    /// Where to go on; `None` when nothing is left, here, of the stretch.
    pub end: Option<Token>,
}

impl Reading<'_> {
    /// The events of a stretch that `viewer` may see. Looks at no more than [`limits::TIMELINE_LOOKED_AT`] events, and ends
    /// once there are [`limits::PAGE_BYTES`] of them, so a page may have fewer than were asked for, even none, and yet not be
    /// the last.
    ///
    /// # Errors
    /// As every read.
    pub async fn timeline(&mut self, viewer: &Viewer<'_>, stretch: &Stretch<'_>) -> Result<Page, Error> {
        let mut page = Page::default();
        if !stretch.filter.allows_room(self.id()) {
            return Ok(page);
        }
        let mut sight = self.sight(viewer.user).await?;
        let (mut from, mut looked_at, mut bytes) = (stretch.from, 0, 0);
        let is_full = |page: &Page, bytes| page.events.len() >= stretch.limit || bytes >= limits::PAGE_BYTES;
        while !is_full(&page, bytes) && looked_at < limits::TIMELINE_LOOKED_AT {
            let lacking = stretch.limit - page.events.len();
            let most = lacking.min(limits::TIMELINE_LOOKED_AT - looked_at).min(limits::EVENTS_AT_ONCE);
            let range = match stretch.direction {
                Direction::Forward => [from, stretch.to.unwrap_or(END)],
                Direction::Backward => [stretch.to.unwrap_or(Order::START), from],
            };
            let found = entries(self.store(), self.number(), range, stretch.direction, most).await?;
            let Some(last) = found.last() else { break };
            from = match stretch.direction {
                Direction::Forward => last.order.next(),
                Direction::Backward => last.order,
            };
            page.end = Some(Token(from));
            looked_at += found.len();
            let is_last = found.len() < most;
            let shown = self.shown(viewer, &mut sight, found, stretch.filter).await?;
            bytes += shown.iter().map(|shown| shown.stored.json.len()).sum::<usize>();
            page.events.extend(shown);
            if is_last {
                break;
            }
        }
        self.mark_gaps(&mut page.events).await?;
        Ok(page)
    }

    /// A page with the members that a client which loads these lazily is told beside it: those who sent something of it.
    ///
    /// # Errors
    /// As every read.
    pub async fn messages(&mut self, viewer: &Viewer<'_>, stretch: &Stretch<'_>) -> Result<(Page, Vec<Stored>), Error> {
        let page = self.timeline(viewer, stretch).await?;
        let newest = page.events.iter().map(|shown| shown.order).max();
        let Some(newest) = newest.filter(|_| stretch.filter.lazy_load_members) else { return Ok((page, Vec::new())) };
        let senders = self.senders(&page.events.iter().collect::<Vec<_>>())?;
        let root = self.state_at(newest.next()).await?;
        let members: Vec<EventNumber> = self.member_events(root, &senders).await?.into_values().collect();
        let members = self.stored(&members).await?;
        Ok((page, members))
    }

    /// Those of `found` that `viewer` may see and `filter` asks for.
    async fn shown(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        found: Vec<Entry>,
        filter: &EventFilter,
    ) -> Result<Vec<Shown>, Error> {
        let numbers: Vec<EventNumber> = found.iter().map(|entry| entry.event).collect();
        let mut events: Vec<(Stored, Order)> = Vec::with_capacity(found.len());
        for (stored, entry) in self.stored(&numbers).await?.into_iter().zip(&found) {
            let fields = Fields::of(&stored.json)?;
            if filter.allows(&fields) && !is_ignored(viewer, &fields) {
                events.push((stored, entry.order));
            }
        }
        if filter.asks_for_relations() {
            let related = self.are_related(&events, filter).await?;
            let mut related = related.into_iter();
            events.retain(|_| related.next().unwrap_or_default());
        }
        self.those_visible(sight, events).await
    }

    /// Those of `events` that whoever `sight` is of may see.
    ///
    /// # Errors
    /// As every read.
    pub async fn those_visible(
        &mut self,
        sight: &mut Sight,
        events: Vec<(Stored, Order)>,
    ) -> Result<Vec<Shown>, Error> {
        let memberships: Vec<Option<MembershipState>> = self.visible(sight, &events).await?;
        let shown = events.into_iter().zip(memberships).filter_map(|((stored, order), membership)| {
            Some(Shown { stored, order, membership: membership?, gap_before: false })
        });
        Ok(shown.collect())
    }

    /// Marks the events before which some are missing. Most follow one that is beside them, so little is looked up.
    async fn mark_gaps(&mut self, events: &mut [Shown]) -> Result<(), Error> {
        let here: BTreeSet<EventNumber> = events.iter().map(|shown| shown.stored.number).collect();
        let before = events.iter().flat_map(|shown| &shown.stored.facts.prev);
        let asked: BTreeSet<EventNumber> = before.filter(|event| !here.contains(event)).copied().collect();
        let asked: Vec<EventNumber> = asked.into_iter().collect();
        let facts = self.graph.facts(&asked).await?;
        let missing: BTreeSet<EventNumber> =
            asked.iter().zip(facts).filter(|(_, facts)| facts.is_none()).map(|(event, _)| *event).collect();
        if !missing.is_empty() {
            for shown in events {
                shown.gap_before = shown.stored.facts.prev.iter().any(|event| missing.contains(event));
            }
        }
        Ok(())
    }
}

/// Whether an event is not shown because of who sent it.
pub(crate) fn is_ignored(viewer: &Viewer<'_>, fields: &Fields<'_>) -> bool {
    let is_ignored = || viewer.ignored.iter().any(|ignored| *ignored == *fields.sender);
    fields.state_key.is_none() && !viewer.ignored.is_empty() && is_ignored()
}
