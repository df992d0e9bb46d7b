//! Which events a user was notified of (<https://spec.matrix.org/v1.19/client-server-api/#listing-notifications>), by the
//! rules as they are now: nothing of it is stored.

use base::{Position, limits};
use ruma::push::Action;
use ruma::{OwnedEventId, OwnedRoomId};
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
use crate::rooms::Rooms;
use crate::timeline::{self, Order};

/// An event that a user was notified of.
#[derive(Clone, Debug)]
pub struct Notified {
    /// When it was sent, by its server, in milliseconds; with the id, the order of the list.
    pub at: u64,
    /// The event's id.
    pub id: OwnedEventId,
    /// Its number.
    pub event: EventNumber,
    /// Its room.
    pub room: RoomNumber,
    /// Its room's id.
    pub room_id: OwnedRoomId,
    /// What was done about it.
    pub actions: Vec<Action>,
    /// Whether the user has read it.
    pub read: bool,
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
        Ok(NotifiedPage { events, next })
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
                    event: entry.event,
                    room,
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
