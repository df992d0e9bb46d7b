//! Which events a user was notified of (<https://spec.matrix.org/v1.19/client-server-api/#listing-notifications>), by the
//! rules as they are now: nothing of it is stored.

use std::collections::BTreeMap;

use base::{Position, limits};
use ruma::push::Action;
use ruma::{OwnedEventId, OwnedRoomId};
use serde_json::value::RawValue;
use storage::Direction;

use crate::append::rooms_of_user;
use crate::error::Error;
use crate::event::RoomVersion;
use crate::graph::{Graph, head_of};
use crate::notice::receipt::Stored;
use crate::notice::rules::{Reader, highlights, notifies};
use crate::notice::thread;
use crate::notice::unread::Read;
use crate::number::{EventNumber, RoomNumber};
use crate::read::{Format, Shown, Viewer};
use crate::rooms::Rooms;
use crate::timeline::{self, Order};

/// An event that a user was notified of.
#[derive(Clone, Debug)]
pub struct Notified {
    /// When it was sent, by its server, in milliseconds; with the id, the order of the list.
    pub at: u64,
    /// The event's id.
    pub id: OwnedEventId,
    /// The event as the user sees it; `None` for one that they may not see.
    pub event: Option<Box<RawValue>>,
    /// Its room's id.
    pub room_id: OwnedRoomId,
    /// What was done about it.
    pub actions: Vec<Action>,
    /// Whether the user has read it.
    pub read: bool,
    place: (RoomNumber, EventNumber, Order),
}

/// Some of the events that a user was notified of, newest first.
#[derive(Clone, Debug, Default)]
pub struct NotifiedPage {
    /// The events.
    pub events: Vec<Notified>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<(u64, OwnedEventId)>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NotifiedQuery {
    /// Only events before this one.
    pub before: Option<(u64, OwnedEventId)>,
    /// Only those that were highlighted.
    pub highlights_only: bool,
    /// At most so many.
    pub limit: usize,
}

impl Rooms {
    /// The events in the rooms where `reader` is that they were notified of. Of each room the newest
    /// [`limits::NOTIFIED_EVENTS`] events are looked at.
    ///
    /// # Errors
    /// As every read.
    pub async fn notified(&self, reader: Reader<'_>, query: &NotifiedQuery) -> Result<NotifiedPage, Error> {
        let mut events = Vec::new();
        for membership in rooms_of_user(self.store(), reader.user).await? {
            if membership.membership == "join" {
                events.extend(self.notified_in(membership.room, reader, query).await?);
            }
        }
        events.sort_unstable_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        let next = (events.len() > query.limit).then(|| events.get(query.limit.checked_sub(1)?)).flatten();
        let next = next.map(|last| (last.at, last.id.clone()));
        events.truncate(query.limit);
        self.render_notified(reader, &mut events).await?;
        Ok(NotifiedPage { events, next })
    }

    /// Writes the events as the user sees them, room by room.
    async fn render_notified(&self, reader: Reader<'_>, notified: &mut [Notified]) -> Result<(), Error> {
        let viewer = Viewer { user: reader.user, device: None, ignored: reader.ignored };
        let mut by_room: BTreeMap<RoomNumber, Vec<&mut Notified>> = BTreeMap::new();
        for one in notified {
            by_room.entry(one.place.0).or_default().push(one);
        }
        for (room, notified) in by_room {
            let Some(mut reading) = self.read_number(room).await? else { continue };
            let numbers: Vec<EventNumber> = notified.iter().map(|one| one.place.1).collect();
            let stored = reading.stored(&numbers).await?;
            let events: Vec<_> = stored.into_iter().zip(notified.iter().map(|one| one.place.2)).collect();
            let mut sight = reading.sight(reader.user).await?;
            let seen = reading.visible(&mut sight, &events).await?;
            let (mut shown, mut slots) = (Vec::new(), Vec::new());
            for ((membership, (stored, order)), slot) in seen.into_iter().zip(events).zip(notified) {
                let Some(membership) = membership else { continue };
                shown.push(Shown { stored, order, membership, gap_before: false });
                slots.push(slot);
            }
            let rendered = reading.render(&viewer, &shown, Format::CLIENT).await?;
            rendered.into_iter().zip(slots).for_each(|(event, slot)| slot.event = Some(event));
        }
        Ok(())
    }

    /// Those of one room; one more than was asked for, if there are more.
    async fn notified_in(
        &self,
        room: RoomNumber,
        reader: Reader<'_>,
        query: &NotifiedQuery,
    ) -> Result<Vec<Notified>, Error> {
        let Some((head, _)) = head_of(self.store(), room).await? else { return Ok(Vec::new()) };
        let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
        let facts = self.room_facts(&graph).await?;
        let read = Read::of(Stored::of(self.store(), room, reader.user).await?.marks);
        let names = self.names(&graph, &[reader.user]).await?;
        let name = names.get(reader.user).map(String::as_str);
        let (mut found, mut end) = (Vec::new(), Order::Live(Position(u64::MAX)));
        for _ in 0..limits::NOTIFIED_EVENTS / limits::UNREAD_PAGE {
            let (span, limit) = ([Order::START, end], limits::UNREAD_PAGE);
            let page = timeline::entries(self.store(), room, span, Direction::Backward, limit).await?;
            let numbers: Vec<EventNumber> = page.iter().map(|entry| entry.event).collect();
            for (entry, seen) in page.iter().zip(self.seen(&graph, &numbers).await?) {
                let Some(seen) = seen else { continue };
                let is_wanted = query.before.as_ref().is_none_or(|(at, id)| (seen.at, &seen.id) < (*at, id));
                let actions = reader.actions(&seen, &facts.1, name);
                if !is_wanted || !notifies(actions) || query.highlights_only && !highlights(actions) {
                    continue;
                }
                let root = thread::root_of(self, &graph, &seen).await?;
                found.push(Notified {
                    at: seen.at,
                    id: seen.id.clone(),
                    event: None,
                    place: (room, entry.event, entry.order),
                    room_id: head.room_id.clone(),
                    actions: actions.to_vec(),
                    read: read.covers(entry.order, root.as_ref()),
                });
                if found.len() > query.limit {
                    return Ok(found);
                }
            }
            match page.last().filter(|_| page.len() == limits::UNREAD_PAGE) {
                Some(last) => end = last.order,
                None => break,
            }
        }
        Ok(found)
    }
}
