//! The stretch of a room's timeline that an answer shows, and the state that goes with it: what of it the client lacks.

use std::collections::BTreeSet;

use base::{Position, limits};
use rooms::event::StateKey;
use rooms::graph::Stored;
use rooms::read::{EventFilter, Fields, Members, Reading, Shown, Stretch, Token, Viewer};
use rooms::state::StateRoot;
use rooms::timeline::{self, Order};
use rooms::{EventNumber, Rooms};
use ruma::events::StateEventType;
use ruma::{OwnedUserId, UserId};
use storage::Direction;

use crate::error::Error;
use crate::filter::asks_for_nothing;

/// Which stretch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// What the client has seen of the room's partition; `None` for all.
    pub(crate) since: Option<Position>,
    /// The last place that may be shown.
    pub(crate) until: Order,
    /// Most events.
    pub(crate) limit: usize,
    /// Which events.
    pub(crate) filter: &'a EventFilter,
}

/// A stretch of a timeline, as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The events, oldest first.
    pub(crate) shown: Vec<Shown>,
    /// Whether there are more before them that the client has not seen.
    pub(crate) limited: bool,
    /// The point before them.
    pub(crate) prev: Token,
    /// The room's state right before them.
    pub(crate) start: StateRoot,
    /// The room's state right after them.
    pub(crate) end: StateRoot,
}

/// The last events of a stretch.
pub(crate) async fn section(
    rooms: &Rooms,
    reading: &mut Reading<'_>,
    viewer: &Viewer<'_>,
    bounds: Bounds<'_>,
) -> Result<Section, Error> {
    let Bounds { since, until, limit, filter } = bounds;
    let after = until.next();
    let from = since.map(|since| Order::Live(since.next()));
    let end = reading.state_at(after).await?;
    if limit == 0 || asks_for_nothing(filter) {
        let limited = limit == 0 && is_any(rooms, reading, [from.unwrap_or(Order::START), after]).await?;
        return Ok(Section { shown: Vec::new(), limited, prev: Token(after), start: end, end });
    }
    let stretch = Stretch { from: after, to: from, direction: Direction::Backward, limit: limit + 1, filter };
    let page = reading.timeline(viewer, &stretch).await?;
    let mut shown = page.events;
    let mut limited = shown.len() > limit;
    shown.truncate(limit);
    // Events are missing here: what lies before the gap is not told as if it were next to what lies after.
    if let Some(gap) = shown.iter().position(|shown| shown.gap_before) {
        shown.truncate(gap + 1);
        limited = true;
    }
    if !limited && may_have_stopped(since, until) {
        let rest = page.end.map(|Token(rest)| [from.unwrap_or(Order::START), rest]);
        limited = match rest {
            Some(rest) => is_any(rooms, reading, rest).await?,
            None => false,
        };
    }
    shown.reverse();
    let (prev, start) = match (shown.first().map(|first| first.order), from) {
        (Some(first), None) => (first, reading.state_at(first).await?),
        (Some(first), Some(_)) if limited => (first, reading.state_at(first).await?),
        (Some(first), Some(from)) => (first, reading.state_at(from).await?),
        (None, Some(from)) if !limited => (from, reading.state_at(from).await?),
        (None, _) => (after, end),
    };
    Ok(Section { shown, limited, prev: Token(prev), start, end })
}

/// Whether a page may have ended because enough was looked at: there are no more entries than positions.
fn may_have_stopped(since: Option<Position>, until: Order) -> bool {
    match (since, until) {
        (Some(since), Order::Live(until)) => since.lag_to(until) >= limits::TIMELINE_LOOKED_AT as u64,
        _ => true,
    }
}

async fn is_any(rooms: &Rooms, reading: &Reading<'_>, range: [Order; 2]) -> Result<bool, Error> {
    let found = timeline::entries(rooms.store(), reading.number(), range, Direction::Backward, 1).await?;
    Ok(!found.is_empty())
}

/// Which state goes with a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// What makes, with the state events of the timeline applied to it, the state after it.
    Before,
    /// The state after it, and the timeline is not applied.
    After,
}

/// Whose memberships are told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    /// Everybody's.
    All,
    /// These users', as far as they are needed to show the timeline.
    Of(&'a BTreeSet<OwnedUserId>),
}

/// State events to be told, sorted by when this server heard of them.
#[derive(Debug, Default)]
pub(crate) struct ToTell {
    /// What the client lacks.
    pub(crate) lacking: Vec<Stored>,
    /// Members who speak in the timeline, of whom it may have been told.
    pub(crate) speaking: Vec<Stored>,
}

/// The state events that a client must be told with `section`, if it has the state `has`, or nothing.
pub(crate) async fn state_to_tell(
    reading: &mut Reading<'_>,
    section: &Section,
    has: Option<StateRoot>,
    goes: Goes,
    whose: Whose<'_>,
) -> Result<ToTell, Error> {
    let numbers = match (has, whose) {
        (Some(has), _) if has == section.end => Vec::new(),
        (Some(has), _) => reading.state_changes(has, section.end).await?,
        (None, Whose::All) => reading.state_numbers(section.end, Members::All).await?,
        (None, Whose::Of(users)) => reading.state_numbers(section.end, Members::Of(users)).await?,
    };
    let mut told: Vec<Stored> = reading.stored(&numbers).await?;
    let keys = if goes == Goes::Before { keys_of(&section.shown)? } else { Vec::new() };
    if !keys.is_empty() {
        // Of what the timeline changes, the client needs what was there before it; it finds the rest in the timeline.
        let files: BTreeSet<_> = section.shown.iter().filter_map(|shown| shown.stored.facts.files).collect();
        told.retain(|stored| stored.facts.files.is_none_or(|key| !files.contains(&key)));
        let before = reading.entries(section.start, &keys).await?;
        let known = match has {
            Some(has) if has == section.start => before.clone(),
            Some(has) => reading.entries(has, &keys).await?,
            None => vec![None; keys.len()],
        };
        let lacking = before.into_iter().zip(known).filter(|(before, known)| before != known);
        let lacking: Vec<EventNumber> = lacking.filter_map(|(before, _)| before).collect();
        told.extend(reading.stored(&lacking).await?);
        if let (None, Whose::Of(users)) = (has, whose) {
            let wanted = |stored: &Stored| match member_of(&stored.json) {
                Ok(Some(user)) => users.contains(&user),
                _ => true,
            };
            told.retain(wanted);
        }
    }
    told.sort_by_key(|stored| stored.number);
    told.dedup_by_key(|stored| stored.number);
    let mut speaking = Vec::new();
    if let (Some(_), Whose::Of(users)) = (has, whose)
        && !users.is_empty()
    {
        let root = if goes == Goes::Before { section.start } else { section.end };
        let members = reading.member_events(root, users).await?.into_iter();
        let there = |event: &EventNumber| told.binary_search_by_key(event, |stored| stored.number).is_ok();
        let is_member = |key: &&StateKey| key.kind == StateEventType::RoomMember;
        let in_timeline: BTreeSet<&str> = keys.iter().filter(is_member).map(|key| &*key.key).collect();
        let members = members.filter(|(user, event)| !there(event) && !in_timeline.contains(user.as_str()));
        let members: Vec<EventNumber> = members.map(|(_, event)| event).collect();
        speaking = reading.stored(&members).await?;
    }
    Ok(ToTell { lacking: told, speaking })
}

/// What the state events among `shown` are filed under, each once.
fn keys_of(shown: &[Shown]) -> Result<Vec<StateKey>, Error> {
    let mut keys = BTreeSet::new();
    for shown in shown.iter().filter(|shown| shown.stored.facts.files.is_some()) {
        let fields = Fields::of(&shown.stored.json)?;
        if let Some(key) = fields.state_key {
            keys.insert(StateKey::new(fields.kind.into_owned(), key));
        }
    }
    Ok(keys.into_iter().collect())
}

/// Whose membership an event is about, if it is about one.
pub(crate) fn member_of(json: &[u8]) -> Result<Option<OwnedUserId>, Error> {
    let fields = Fields::of(json)?;
    let key = fields.state_key.filter(|_| fields.kind == "m.room.member");
    Ok(key.and_then(|user| UserId::parse(&*user).ok()))
}

/// Who sent the events of a timeline.
pub(crate) fn senders(shown: &[Shown]) -> Result<BTreeSet<OwnedUserId>, Error> {
    let mut senders = BTreeSet::new();
    for shown in shown {
        let fields = Fields::of(&shown.stored.json)?;
        if let Ok(sender) = UserId::parse(&*fields.sender) {
            senders.insert(sender);
        }
    }
    Ok(senders)
}
