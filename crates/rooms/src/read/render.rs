//! Events as clients see them (<https://spec.matrix.org/v1.19/client-server-api/#room-event-format>): the stored content as it
//! is, and beside it what this server knows and one reader may be told.
//!
//! Where an answer holds many events, all that they need is read at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ruma::{EventId, RoomId, TransactionId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;
use crate::graph::{Place, Stored};
use crate::number::{EventNumber, KeyNumber};
use crate::read::fields::Fields;
use crate::read::reading::Reading;
use crate::read::relation::Bundle;
use crate::read::sight::{Shown, Viewer};
use crate::state::StateRoot;
use crate::timeline::{Order, orders};

/// What relates to an event and goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bundles {
    /// Nothing.
    None,
    /// Edits and references.
    WithoutThreads,
    /// What the specification has
    /// (<https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events>).
    All,
}

/// How events are written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Whether each says in which room it is: everywhere but in `/sync`.
    pub with_room: bool,
    /// What goes with them.
    pub bundles: Bundles,
}

impl Format {
    /// As all endpoints but `/sync` answer.
    pub const CLIENT: Self = Self { with_room: true, bundles: Bundles::All };
    /// As `/sync` answers.
    pub const SYNC: Self = Self { with_room: false, bundles: Bundles::All };
}

/// An event as a client sees it.
#[derive(Serialize)]
struct Client<'a> {
    content: Cow<'a, RawValue>,
    event_id: &'a EventId,
    origin_server_ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
    sender: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
    unsigned: Unsigned<'a>,
}

/// What is added to it for one reader.
#[derive(Serialize)]
struct Unsigned<'a> {
    /// In milliseconds; negative when its server's clock is ahead of ours.
    age: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted_because: Option<Box<RawValue>>,
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    relations: Option<&'a Bundle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces_state: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a TransactionId>,
}

/// An event of a state as those see it who are not in the room
/// (<https://spec.matrix.org/v1.19/client-server-api/#stripped-state>).
#[derive(Serialize)]
struct Stripped<'a> {
    content: &'a RawValue,
    sender: &'a str,
    state_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// What events need beside themselves.
#[derive(Debug, Default)]
struct Beside {
    /// By the event that replaced it: an entry of the state before, and whether its content may be told.
    replaced: BTreeMap<EventNumber, (Stored, Told)>,
    /// By their own number.
    redactions: BTreeMap<EventNumber, Stored>,
    bundles: BTreeMap<EventNumber, Bundle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Whole,
    NameOnly,
}

impl Reading<'_> {
    /// Writes events for `viewer`, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn render(
        &mut self,
        viewer: &Viewer<'_>,
        events: &[Shown],
        format: Format,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        let mut beside = self.beside(viewer, events).await?;
        if format.bundles != Bundles::None {
            beside.bundles = Box::pin(self.bundles(viewer, events, format)).await?;
        }
        events.iter().map(|shown| self.client(viewer, shown, format, &beside)).collect()
    }

    /// Writes entries of a state, in their order. All of them may be seen, because the state may. What the reader was to the
    /// room when each came, and what each replaced, is left out: for the state of a large room that would take longer than
    /// everything else.
    ///
    /// # Errors
    /// As every read.
    pub async fn render_state(&self, events: &[Stored], with_room: bool) -> Result<Vec<Box<RawValue>>, Error> {
        let format = Format { with_room, bundles: Bundles::None };
        let redactions: BTreeSet<EventNumber> = events.iter().filter_map(|stored| stored.facts.redacted_by).collect();
        let redactions = self.stored(&redactions.into_iter().collect::<Vec<_>>()).await?;
        let client = |stored: &Stored| {
            let fields = Fields::of(&stored.json)?;
            let redaction = stored.facts.redacted_by;
            let redaction = redactions.iter().find(|redaction_event| Some(redaction_event.number) == redaction);
            let mut unsigned = self.unsigned(&fields);
            unsigned.redacted_because = redaction.map(|redaction| self.redaction(redaction, format)).transpose()?;
            self.write(stored, &fields, format, unsigned)
        };
        events.iter().map(client).collect()
    }

    /// Writes entries of a state as those see it who are not in the room, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn stripped(&self, events: &[EventNumber]) -> Result<Vec<Box<RawValue>>, Error> {
        let stored = self.stored(events).await?;
        stored.iter().map(|stored| stripped(&stored.json)).collect()
    }

    async fn beside(&mut self, viewer: &Viewer<'_>, events: &[Shown]) -> Result<Beside, Error> {
        let (mut of, mut asked) = (Vec::new(), Vec::<(StateRoot, KeyNumber)>::new());
        for Shown { stored, .. } in events {
            if let (Some(key), Place::InGraph { before, .. }) = (stored.facts.files, stored.facts.place) {
                of.push(stored.number);
                asked.push((before, key));
            }
        }
        let replaced = self.lookup(&asked).await?;
        let replaced: Vec<(EventNumber, EventNumber)> =
            of.into_iter().zip(replaced).filter_map(|(by, event)| Some((by, event?))).collect();
        let redactions = events.iter().filter_map(|shown| shown.stored.facts.redacted_by);
        let numbers: BTreeSet<EventNumber> = replaced.iter().map(|(_, event)| *event).chain(redactions).collect();
        let numbers: Vec<EventNumber> = numbers.into_iter().collect();
        if numbers.is_empty() {
            return Ok(Beside::default());
        }
        let known: BTreeMap<EventNumber, Stored> =
            self.stored(&numbers).await?.into_iter().map(|stored| (stored.number, stored)).collect();
        let orders = orders(self.store(), self.number(), &numbers).await?;
        let placed: Vec<(Stored, Order)> =
            known.values().zip(orders).map(|(stored, order)| (stored.clone(), order.unwrap_or(Order::START))).collect();
        let mut sight = self.sight(viewer.user).await?;
        let seen = self.visible(&mut sight, &placed).await?;
        let told: BTreeMap<EventNumber, Told> = placed
            .iter()
            .zip(seen)
            .map(|((stored, _), seen)| (stored.number, if seen.is_some() { Told::Whole } else { Told::NameOnly }))
            .collect();
        let entry = |(by, event): (EventNumber, EventNumber)| {
            Some((by, (known.get(&event)?.clone(), told.get(&event).copied()?)))
        };
        let replaced = replaced.into_iter().filter_map(entry).collect();
        Ok(Beside { replaced, redactions: known, bundles: BTreeMap::new() })
    }

    fn client(
        &self,
        viewer: &Viewer<'_>,
        shown: &Shown,
        format: Format,
        beside: &Beside,
    ) -> Result<Box<RawValue>, Error> {
        let Shown { stored, membership, .. } = shown;
        let fields = Fields::of(&stored.json)?;
        let replaced = beside.replaced.get(&stored.number);
        let told = replaced.filter(|(_, told)| *told == Told::Whole).map(|(stored, _)| stored);
        let before = told.map(|stored| Fields::of(&stored.json)).transpose()?;
        let redaction = stored.facts.redacted_by.and_then(|redaction| beside.redactions.get(&redaction));
        let mut unsigned = self.unsigned(&fields);
        unsigned.membership = Some(membership.as_str());
        unsigned.prev_content = before.as_ref().map(|before| before.content);
        unsigned.replaces_state = replaced.map(|(stored, _)| &*stored.facts.id);
        unsigned.redacted_because = redaction.map(|redaction| self.redaction(redaction, format)).transpose()?;
        unsigned.relations = beside.bundles.get(&stored.number);
        let sent = stored.facts.sent.as_ref().filter(|_| *fields.sender == *viewer.user.as_str());
        let sent = sent.filter(|sent| viewer.device.is_some_and(|device| *device == *sent.device));
        unsigned.transaction_id = sent.map(|sent| &*sent.id);
        self.write(stored, &fields, format, unsigned)
    }

    /// The event that took another's content away, as it stands beside that.
    fn redaction(&self, stored: &Stored, format: Format) -> Result<Box<RawValue>, Error> {
        let fields = Fields::of(&stored.json)?;
        self.write(stored, &fields, format, self.unsigned(&fields))
    }

    fn unsigned<'a>(&self, fields: &Fields<'_>) -> Unsigned<'a> {
        let now = self.store().clock().now().as_millis();
        let age = i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(fields.origin_server_ts).unwrap_or(i64::MAX);
        Unsigned {
            age,
            membership: None,
            prev_content: None,
            redacted_because: None,
            relations: None,
            replaces_state: None,
            transaction_id: None,
        }
    }

    fn write(
        &self,
        stored: &Stored,
        fields: &Fields<'_>,
        format: Format,
        unsigned: Unsigned<'_>,
    ) -> Result<Box<RawValue>, Error> {
        let (content, redacts) = self.redacts(fields)?;
        let room_id = format.with_room.then(|| self.id());
        let event = Client {
            content,
            event_id: &stored.facts.id,
            origin_server_ts: fields.origin_server_ts,
            redacts,
            room_id,
            sender: &fields.sender,
            state_key: fields.state_key.as_deref(),
            kind: &fields.kind,
            unsigned,
        };
        written(&event)
    }

    /// What a redaction says that it redacts: room versions differ in where, and clients are told in both places
    /// (<https://spec.matrix.org/v1.19/client-server-api/#redactions>).
    fn redacts<'a>(&self, fields: &Fields<'a>) -> Result<(Cow<'a, RawValue>, Option<Cow<'a, str>>), Error> {
        let plain = Cow::Borrowed(fields.content);
        if fields.kind != "m.room.redaction" {
            return Ok((plain, None));
        }
        let in_content = self.version().rules().redaction.content_field_redacts;
        let content: Option<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(fields.content.get()).ok();
        let mut content = content.unwrap_or_default();
        if in_content {
            let redacts = content.get("redacts").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
            return Ok((plain, redacts.map(Cow::Owned)));
        }
        let Some(redacts) = fields.redacts.clone() else { return Ok((plain, None)) };
        let raw = written(&redacts)?;
        content.insert(Cow::Borrowed("redacts"), &raw);
        Ok((Cow::Owned(written(&content)?), Some(redacts)))
    }
}

fn stripped(json: &[u8]) -> Result<Box<RawValue>, Error> {
    let fields = Fields::of(json)?;
    let state_key = fields.state_key.as_deref().unwrap_or_default();
    written(&Stripped { content: fields.content, sender: &fields.sender, state_key, kind: &fields.kind })
}

pub(crate) fn written(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(|error| Error::damaged(format!("writing an event: {error}")))
}
