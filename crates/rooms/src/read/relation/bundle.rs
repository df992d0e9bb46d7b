//! What relates to an event and goes with it to a client: its newest valid edit, the references to it, the thread that it
//! begins (<https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events>).
//!
//! One row an event says whether there is anything at all; only then is more read.

use std::collections::BTreeMap;

use base::limits;
use ruma::OwnedEventId;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use storage::{Direction, Key, Record};

use crate::error::Error;
use crate::graph::Stored;
use crate::number::EventNumber;
use crate::read::fields::{Fields, content_of};
use crate::read::reading::Reading;
use crate::read::relation::index::decode_aggregate;
use crate::read::relation::record::{
    Aggregate, CountRecord, REFERENCE, REPLACE, RelationRecord, THREADED, aggregate_key, participant_key, rel_digest,
    relates_parts, relates_range, relation,
};
use crate::read::render::{Bundles, Format};
use crate::read::sight::{Shown, Sight, Viewer};
use crate::timeline::Order;

/// What relates to one event, as it stands under `m.relations`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Bundle {
    #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
    edit: Option<Box<RawValue>>,
    #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
    references: Option<References>,
    #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
    thread: Option<Thread>,
}

#[derive(Debug, Serialize)]
struct References {
    chunk: Vec<Reference>,
}

#[derive(Debug, Serialize)]
struct Reference {
    event_id: OwnedEventId,
}

#[derive(Debug, Serialize)]
struct Thread {
    latest_event: Box<RawValue>,
    count: u64,
    current_user_participated: bool,
}

impl Bundle {
    fn is_empty(&self) -> bool {
        self.edit.is_none() && self.references.is_none() && self.thread.is_none()
    }
}

impl Reading<'_> {
    /// What goes with `events` to `viewer`.
    pub(crate) async fn bundles(
        &mut self,
        viewer: &Viewer<'_>,
        events: &[Shown],
        format: Format,
    ) -> Result<BTreeMap<EventNumber, Bundle>, Error> {
        let mut sight = None;
        let mut bundles = BTreeMap::new();
        for (shown, aggregate) in self.aggregates(events).await? {
            let sight = match &mut sight {
                Some(sight) => sight,
                empty => empty.insert(self.sight(viewer.user).await?),
            };
            let mut bundle = Bundle::default();
            if aggregate.edits > 0 {
                bundle.edit = self.edit(viewer, sight, &shown.stored, format).await?;
            }
            if aggregate.references > 0 {
                bundle.references = self.references(sight, &shown.stored).await?;
            }
            if aggregate.thread > 0 && format.bundles == Bundles::All {
                bundle.thread = self.thread(viewer, sight, shown, &aggregate, format).await?;
            }
            if !bundle.is_empty() {
                bundles.insert(shown.stored.number, bundle);
            }
        }
        Ok(bundles)
    }

    /// Those of `events` to which something relates that goes with them.
    async fn aggregates<'a>(&self, events: &'a [Shown]) -> Result<Vec<(&'a Shown, Aggregate)>, Error> {
        let keys: Vec<Key> = events.iter().map(|shown| aggregate_key(self.number(), shown.stored.number)).collect();
        let rows = self.store().engine().get_many(&keys).await;
        let rows = rows.map_err(Error::storage("reading what relates to events"))?;
        let found = events.iter().zip(rows).filter_map(|(shown, row)| Some((shown, row?)));
        found.map(|(shown, row)| Ok((shown, decode_aggregate(&row.value)?.0))).collect()
    }

    /// The newest edit of `original` that is one by the rules of
    /// <https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events>.
    async fn edit(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        original: &Stored,
        format: Format,
    ) -> Result<Option<Box<RawValue>>, Error> {
        let fields = Fields::of(&original.json)?;
        let is_edit = relation(fields.content.get()).is_some_and(|relation| relation.rel_type == REPLACE);
        if original.facts.redacted_by.is_some() || fields.state_key.is_some() || is_edit {
            return Ok(None);
        }
        let mut edits = self.children(original.number, REPLACE, limits::EDITS_LOOKED_AT).await?;
        edits.retain(|(_, edit)| edit.sender == *fields.sender && edit.kind == fields.kind);
        let numbers: Vec<EventNumber> = edits.iter().map(|(_, edit)| edit.event).collect();
        let stored = self.stored(&numbers).await?;
        let mut edits: Vec<(u64, Stored, Order)> =
            edits.into_iter().zip(stored).map(|((order, edit), stored)| (edit.at, stored, order)).collect();
        edits.sort_by(|a, b| (b.0, &b.1.facts.id).cmp(&(a.0, &a.1.facts.id)));
        let valid = |stored: &Stored| {
            let content = content_of(&stored.json);
            let encrypted = fields.kind == "m.room.encrypted";
            stored.facts.files.is_none() && (encrypted || content.get("m.new_content").is_some_and(Value::is_object))
        };
        let edits = edits.into_iter().filter(|(_, stored, _)| valid(stored));
        let edits: Vec<(Stored, Order)> = edits.map(|(_, stored, order)| (stored, order)).collect();
        let mut seen = self.those_visible(sight, edits).await?;
        seen.truncate(1);
        let format = Format { bundles: Bundles::None, ..format };
        Ok(Box::pin(self.render(viewer, &seen, format)).await?.pop())
    }

    async fn references(&mut self, sight: &mut Sight, original: &Stored) -> Result<Option<References>, Error> {
        let children = self.children(original.number, REFERENCE, limits::REFERENCES_BUNDLED).await?;
        let numbers: Vec<EventNumber> = children.iter().map(|(_, record)| record.event).collect();
        let stored = self.stored(&numbers).await?;
        let placed = stored.into_iter().zip(children).map(|(stored, (order, _))| (stored, order)).collect();
        let seen = self.those_visible(sight, placed).await?;
        let chunk: Vec<Reference> =
            seen.into_iter().rev().map(|shown| Reference { event_id: shown.stored.facts.id }).collect();
        Ok((!chunk.is_empty()).then_some(References { chunk }))
    }

    async fn thread(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        root: &Shown,
        aggregate: &Aggregate,
        format: Format,
    ) -> Result<Option<Thread>, Error> {
        let sender = Fields::of(&root.stored.json)?.sender;
        // How many are by those whom the user ignores is known without looking at any of them.
        let counts = self.participants(root.stored.number, viewer).await?;
        let (own, ignored) = counts;
        let count = aggregate.thread.saturating_sub(ignored);
        let Some(latest) = self.latest(viewer, sight, root.stored.number).await? else { return Ok(None) };
        let format = Format { bundles: Bundles::WithoutThreads, ..format };
        let Some(latest_event) = Box::pin(self.render(viewer, &[latest], format)).await?.pop() else {
            return Ok(None);
        };
        let current_user_participated = own > 0 || *sender == *viewer.user.as_str();
        Ok(Some(Thread { latest_event, count, current_user_participated }))
    }

    /// How many events of a thread are by the viewer, and how many by those whom they ignore.
    async fn participants(&self, root: EventNumber, viewer: &Viewer<'_>) -> Result<(u64, u64), Error> {
        let users = std::iter::once(viewer.user).chain(viewer.ignored.iter().map(|user| &**user));
        let keys: Vec<Key> = users.map(|user| participant_key(self.number(), root, user)).collect();
        let rows = self.store().engine().get_many(&keys).await;
        let rows = rows.map_err(Error::storage("reading who is in a thread"))?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let count = row.map(|row| CountRecord::decode(&row.value)).transpose();
            let count = count.map_err(|error| Error::damaged(format!("who is in a thread: {error}")))?;
            counts.push(count.map_or(0, |CountRecord(count)| count));
        }
        let own = counts.first().copied().unwrap_or_default();
        Ok((own, counts.iter().skip(1).sum()))
    }

    /// The last event of a thread that `viewer` may see and that is by nobody they ignore.
    async fn latest(
        &mut self,
        viewer: &Viewer<'_>,
        sight: &mut Sight,
        root: EventNumber,
    ) -> Result<Option<Shown>, Error> {
        // Nearly always it is the very last.
        for most in [1, limits::THREAD_LOOKED_AT] {
            let mut children = self.children(root, THREADED, most).await?;
            children.retain(|(_, record)| !viewer.ignored.contains(&record.sender));
            let numbers: Vec<EventNumber> = children.iter().map(|(_, record)| record.event).collect();
            let stored = self.stored(&numbers).await?;
            let placed = stored.into_iter().zip(children).map(|(stored, (order, _))| (stored, order)).collect();
            let seen = self.those_visible(sight, placed).await?;
            if let Some(latest) = seen.into_iter().next() {
                return Ok(Some(latest));
            }
        }
        Ok(None)
    }

    /// What relates to `parent` by `rel_type`, the last first, at most `limit`.
    async fn children(
        &self,
        parent: EventNumber,
        rel_type: &str,
        limit: usize,
    ) -> Result<Vec<(Order, RelationRecord)>, Error> {
        let range = relates_range(self.number(), parent, Some(rel_digest(rel_type)));
        self.related(range, Direction::Backward, limit).await.map(|(found, _)| found)
    }

    /// The rows of a range of relations, at most `limit`, and whether there are more.
    pub(super) async fn related(
        &self,
        mut range: storage::KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<(Vec<(Order, RelationRecord)>, More), Error> {
        let mut found = Vec::new();
        loop {
            let page = self.store().scan(&range, direction, limit.saturating_sub(found.len()).max(1)).await;
            let page = page.map_err(Error::storage("reading what relates to an event"))?;
            for row in page.rows {
                let (_, order) = relates_parts(&row.key)?;
                let record = RelationRecord::decode(&row.value);
                found.push((order, record.map_err(|error| Error::damaged(format!("a relation: {error}")))?));
            }
            match page.rest {
                Some(_) if found.len() >= limit => return Ok((found, More::Yes)),
                Some(rest) => range = rest,
                None => return Ok((found, More::No)),
            }
        }
    }
}

/// Whether a range was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}
