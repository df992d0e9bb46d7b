//! What relates to an event (<https://spec.matrix.org/v1.19/client-server-api/#relationships-api>) and which threads a room
//! has (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads>), in pages.

use std::collections::{BTreeMap, BTreeSet};

use base::limits;
use storage::{Direction, Record};

use crate::error::Error;
use crate::graph::Stored;
use crate::number::EventNumber;
use crate::read::EventFilter;
use crate::read::fields::Fields;
use crate::read::page::{END, Page, is_ignored};
use crate::read::reading::Reading;
use crate::read::relation::bundle::More;
use crate::read::relation::record::{
    CountRecord, RelationRecord, RootRecord, participant_key, rel_digest, relates_between, relates_parts,
    relates_range, thread_order, threads_between,
};
use crate::read::sight::{Shown, Sight, Viewer};
use crate::read::token::Token;
use crate::timeline::{Order, orders};

/// Which related events are asked for.
#[derive(Clone, Debug)]
pub struct RelatedTo<'a> {
    /// By this type of relation only.
    pub rel_type: Option<&'a str>,
    /// Of this type only.
    pub kind: Option<&'a str>,
    /// How many relations may lie between; 1 for those that relate themselves.
    pub depth: u32,
    /// Where to begin.
    pub from: Option<Order>,
    /// Where to end at the latest.
    pub to: Option<Order>,
    /// Which way.
    pub direction: Direction,
    /// Most events.
    pub limit: usize,
}

/// Which threads are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All.
    All,
    /// Those in which the user has said something.
    Participated,
}

impl Reading<'_> {
    /// The events that relate to `parent` and that `viewer` may see.
    ///
    /// # Errors
    /// As every read.
    pub async fn relating(
        &mut self,
        viewer: &Viewer<'_>,
        parent: EventNumber,
        asked: &RelatedTo<'_>,
    ) -> Result<Page, Error> {
        let mut sight = self.sight(viewer.user).await?;
        let range = match asked.direction {
            Direction::Forward => [asked.from.unwrap_or(Order::START), asked.to.unwrap_or(END)],
            Direction::Backward => [asked.to.unwrap_or(Order::START), asked.from.unwrap_or(END)],
        };
        match asked.rel_type {
            Some(rel_type) if asked.depth <= 1 => self.direct(viewer, &mut sight, parent, rel_type, asked, range).await,
            _ => self.gathered(viewer, &mut sight, parent, asked, range).await,
        }
    }

    /// Relations of one type, which are stored in the order asked for: no more is read than is told.
    async fn direct(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        parent: EventNumber,
        rel_type: &str,
        asked: &RelatedTo<'_>,
        [mut from, mut to]: [Order; 2],
    ) -> Result<Page, Error> {
        let rel = rel_digest(rel_type);
        let (mut page, mut looked_at) = (Page::default(), 0);
        while page.events.len() < asked.limit && looked_at < limits::TIMELINE_LOOKED_AT {
            let range = relates_between(self.number(), parent, rel, [from, to]);
            let most = asked.limit - page.events.len();
            let (found, more) = self.related(range, asked.direction, most).await?;
            let Some((last, _)) = found.last() else { break };
            looked_at += found.len();
            match asked.direction {
                Direction::Forward => from = last.next(),
                Direction::Backward => to = *last,
            }
            page.end =
                (more == More::Yes).then_some(Token(if asked.direction == Direction::Forward { from } else { to }));
            page.events.extend(self.told(viewer, sight, found, asked.kind).await?);
            if more == More::No {
                break;
            }
        }
        Ok(page)
    }

    /// Relations of all types, or over several steps: all are found first, within bounds.
    async fn gathered(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        parent: EventNumber,
        asked: &RelatedTo<'_>,
        [from, to]: [Order; 2],
    ) -> Result<Page, Error> {
        let rel = asked.rel_type.map(rel_digest);
        let (mut all, mut seen, mut open) = (BTreeMap::new(), BTreeSet::from([parent]), vec![parent]);
        for _ in 0..asked.depth {
            let mut next = Vec::new();
            for parent in open {
                if seen.len() > limits::RELATIONS_LOOKED_AT {
                    break;
                }
                for (order, found_rel, record) in self.relations_of(parent).await? {
                    if !seen.insert(record.event) {
                        continue;
                    }
                    next.push(record.event);
                    if rel.is_none_or(|rel| rel == found_rel) && order >= from && order < to {
                        all.insert(order, record);
                    }
                }
            }
            open = next;
        }
        let mut all: Vec<(Order, RelationRecord)> = all.into_iter().collect();
        if asked.direction == Direction::Backward {
            all.reverse();
        }
        let (mut page, mut rest) = (Page::default(), all.into_iter().peekable());
        while page.events.len() < asked.limit && rest.peek().is_some() {
            let some: Vec<_> = rest.by_ref().take(asked.limit - page.events.len()).collect();
            let last = some.last().map(|(order, _)| *order);
            page.end = last.filter(|_| rest.peek().is_some()).map(|last| match asked.direction {
                Direction::Forward => Token(last.next()),
                Direction::Backward => Token(last),
            });
            page.events.extend(self.told(viewer, sight, some, asked.kind).await?);
        }
        Ok(page)
    }

    async fn relations_of(&self, parent: EventNumber) -> Result<Vec<(Order, u64, RelationRecord)>, Error> {
        let range = relates_range(self.number(), parent, None);
        let page = self.store().scan(&range, Direction::Forward, limits::RELATIONS_LOOKED_AT).await;
        let mut found = Vec::new();
        for row in page.map_err(Error::storage("reading what relates to an event"))?.rows {
            let (rel, order) = relates_parts(&row.key)?;
            let record = RelationRecord::decode(&row.value);
            found.push((order, rel, record.map_err(|error| Error::damaged(format!("a relation: {error}")))?));
        }
        Ok(found)
    }

    /// Those of the related events that the viewer is told of.
    async fn told(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        mut found: Vec<(Order, RelationRecord)>,
        kind: Option<&str>,
    ) -> Result<Vec<Shown>, Error> {
        found.retain(|(_, record)| {
            kind.is_none_or(|kind| record.kind == kind) && !viewer.ignored.contains(&record.sender)
        });
        let numbers: Vec<EventNumber> = found.iter().map(|(_, record)| record.event).collect();
        let stored = self.stored(&numbers).await?;
        let placed = stored.into_iter().zip(found).map(|(stored, (order, _))| (stored, order)).collect();
        self.those_visible(sight, placed).await
    }

    /// Whether something relates to each of `events` as `filter` asks. Of what relates to one, the first
    /// [`limits::RELATIONS_FILTERED`] of each type are looked at.
    pub(crate) async fn are_related(
        &self,
        events: &[(Stored, Order)],
        filter: &EventFilter,
    ) -> Result<Vec<bool>, Error> {
        let rels: Vec<Option<u64>> = match &filter.related_by_rel_types {
            Some(types) => types.iter().take(limits::FILTER_REL_TYPES).map(|kind| Some(rel_digest(kind))).collect(),
            None => vec![None],
        };
        let is_asked = |record: &RelationRecord| {
            filter.related_by_senders.as_ref().is_none_or(|senders| senders.contains(&record.sender))
        };
        // Any will do where nobody in particular is asked for.
        let most = if filter.related_by_senders.is_some() { limits::RELATIONS_FILTERED } else { 1 };
        let mut related = vec![false; events.len()];
        for ((stored, _), related) in events.iter().zip(&mut related) {
            for rel in &rels {
                let range = relates_range(self.number(), stored.number, *rel);
                let (found, _) = self.related(range, Direction::Forward, most).await?;
                *related |= found.iter().any(|(_, record)| is_asked(record));
            }
        }
        Ok(related)
    }

    /// The room's threads, that with the newest event first: the events with which they begin, as far as `viewer` may see
    /// them. `from` is where to go on.
    ///
    /// # Errors
    /// As every read.
    pub async fn threads(
        &mut self,
        viewer: &Viewer<'_>,
        asked: Threads,
        from: Option<Order>,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut sight = self.sight(viewer.user).await?;
        let (mut page, mut looked_at) = (Page::default(), 0);
        let mut range = threads_between(self.number(), [Order::START, from.unwrap_or(END)]);
        while page.events.len() < limit && looked_at < limits::TIMELINE_LOOKED_AT {
            let scan = self.store().scan(&range, Direction::Backward, limit - page.events.len()).await;
            let scan = scan.map_err(Error::storage("reading a room's threads"))?;
            let (mut roots, mut last) = (Vec::new(), None);
            for row in &scan.rows {
                last = Some(Token(thread_order(&row.key)?));
                let root = RootRecord::decode(&row.value);
                let RootRecord(root) = root.map_err(|error| Error::damaged(format!("a thread: {error}")))?;
                roots.push(root);
            }
            looked_at += roots.len();
            page.end = last.filter(|_| scan.rest.is_some());
            page.events.extend(self.roots(viewer, &mut sight, &roots, asked).await?);
            match scan.rest {
                Some(rest) => range = rest,
                None => break,
            }
        }
        Ok(page)
    }

    /// Those of `roots` that are there and that the viewer is told of.
    async fn roots(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        roots: &[EventNumber],
        asked: Threads,
    ) -> Result<Vec<Shown>, Error> {
        let keys: Vec<_> = roots.iter().map(|root| participant_key(self.number(), *root, viewer.user)).collect();
        let participates = match asked {
            Threads::All => Vec::new(),
            Threads::Participated => {
                let rows = self.store().engine().get_many(&keys).await;
                rows.map_err(Error::storage("reading who is in a thread"))?
            }
        };
        let stored = self.graph.stored(roots).await?;
        let orders = orders(self.store(), self.number(), roots).await?;
        let mut told = Vec::new();
        for (at, (stored, order)) in stored.into_iter().zip(orders).enumerate() {
            let (Some(stored), Some(order)) = (stored, order) else { continue };
            let fields = Fields::of(&stored.json)?;
            let counted = participates.get(at).and_then(Option::as_ref).map(|row| CountRecord::decode(&row.value));
            let takes_part = asked == Threads::All
                || counted.is_some_and(|count| count.is_ok_and(|CountRecord(count)| count > 0))
                || *fields.sender == *viewer.user.as_str();
            if takes_part && !is_ignored(viewer, &fields) {
                told.push((stored, order));
            }
        }
        self.those_visible(sight, told).await
    }
}
