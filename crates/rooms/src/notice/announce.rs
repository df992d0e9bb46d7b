//! What is to be known to tell somebody of an event who does not listen: whom it concerns, what their rules say, and what it
//! and its room are called.

use base::{Partition, Position};
use ruma::events::TimelineEventType;
use ruma::push::Action;
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use storage::Direction;

use crate::append::{Membership, memberships, rooms_of_user};
use crate::error::Error;
use crate::event::{Pdu, RoomVersion};
use crate::graph::{Graph, head_of};
use crate::notice::Reader;
use crate::number::{EventNumber, RoomNumber};
use crate::read::card::cards;
use crate::rooms::Rooms;
use crate::timeline::{self, Order};

/// What is told of an event.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Its room.
    pub room_id: OwnedRoomId,
    /// The event.
    pub pdu: Pdu,
    /// What its sender is called in the room.
    pub sender_name: Option<String>,
    /// What the room is called.
    pub room_name: Option<String>,
}

impl Announcement {
    /// Whether nobody but those in the room can read it.
    pub fn is_encrypted(&self) -> bool {
        *self.pdu.kind() == TimelineEventType::RoomEncrypted
    }
}

/// An accepted event and where the log says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// The position in the log's partition of the room.
    pub position: Position,
    /// The room.
    pub room: RoomNumber,
    /// The event.
    pub event: EventNumber,
}

impl Rooms {
    /// Those of `among` who are in `room`.
    ///
    /// # Errors
    /// As every read.
    pub async fn joined_among(&self, room: RoomNumber, among: &[OwnedUserId]) -> Result<Vec<OwnedUserId>, Error> {
        let users: Vec<&UserId> = among.iter().map(|user| &**user).collect();
        let found = memberships(self.store(), room, &users).await?;
        let is_in =
            |membership: Option<Membership>| membership.is_some_and(|membership| membership.membership == "join");
        let joined = among.iter().zip(found).filter_map(|(user, membership)| is_in(membership).then_some(user));
        Ok(joined.cloned().collect())
    }

    /// Whom `event` of `room` invites.
    ///
    /// # Errors
    /// As every read.
    pub async fn invited_by(&self, room: RoomNumber, event: EventNumber) -> Result<Option<OwnedUserId>, Error> {
        let Some(graph) = self.graph(room).await? else { return Ok(None) };
        let seen = self.seen(&graph, &[event]).await?.into_iter().next().flatten();
        let invite = seen.filter(|seen| seen.flat.get_str("content.membership") == Some("invite"));
        Ok(invite.and_then(|seen| seen.member.clone()))
    }

    /// What is to be done about `event` of `room` for each of `readers`, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn actions<'a>(
        &self,
        room: RoomNumber,
        event: EventNumber,
        readers: &[Reader<'a>],
    ) -> Result<Vec<&'a [Action]>, Error> {
        let nothing: Vec<&'a [Action]> = vec![&[]; readers.len()];
        let Some(graph) = self.graph(room).await? else { return Ok(nothing) };
        let Some(seen) = self.seen(&graph, &[event]).await?.into_iter().next().flatten() else { return Ok(nothing) };
        let facts = self.room_facts(&graph).await?;
        let users: Vec<&UserId> = readers.iter().map(|reader| reader.user).collect();
        let names = if seen.has_text { self.names(&graph, &users).await? } else { Default::default() };
        let actions = readers.iter().map(|reader| {
            let name = names.get(reader.user).map(String::as_str);
            reader.actions(&seen, &facts.1, name)
        });
        Ok(actions.collect())
    }

    /// What is told of `event`; `None` for one that is not there any more.
    ///
    /// # Errors
    /// As every read.
    pub async fn announcement(&self, room: RoomNumber, event: EventNumber) -> Result<Option<Announcement>, Error> {
        let Some(graph) = self.graph(room).await? else { return Ok(None) };
        let Some(stored) = graph.stored(&[event]).await?.into_iter().next().flatten() else { return Ok(None) };
        if stored.facts.redacted_by.is_some() {
            return Ok(None);
        }
        let pdu = Pdu::read(graph.version(), stored.facts.id, stored.json);
        let pdu = pdu.map_err(|error| Error::damaged(format!("a stored event: {error}")))?;
        let sender_name = self.names(&graph, &[pdu.sender()]).await?.remove(pdu.sender());
        let card = cards(self.store(), &[room]).await?.into_iter().next().map(|(_, card)| card);
        let room_name = card.and_then(|card| card.name.or_else(|| card.alias.map(|alias| alias.to_string())));
        Ok(Some(Announcement { room_id: pdu.room_id().to_owned(), pdu, sender_name, room_name }))
    }

    /// The events accepted after `from` up to and including `until` in those rooms of `partition` in which `user` is, oldest
    /// first; of each room the newest `limit`.
    ///
    /// # Errors
    /// As every read.
    pub async fn accepted_for(
        &self,
        user: &UserId,
        partition: Partition,
        [from, until]: [Position; 2],
        limit: usize,
    ) -> Result<Vec<Accepted>, Error> {
        let mut accepted = Vec::new();
        for membership in rooms_of_user(self.store(), user).await? {
            let room = membership.room;
            let Some((head, _)) = head_of(self.store(), room).await? else { continue };
            if self.store().partition_of(head.room_id.as_str()) != partition {
                continue;
            }
            let span = [Order::Live(from.next()), Order::Live(until.next())];
            for entry in timeline::entries(self.store(), room, span, Direction::Backward, limit).await? {
                if let Order::Live(position) = entry.order {
                    accepted.push(Accepted { position, room, event: entry.event });
                }
            }
        }
        accepted.sort_unstable();
        Ok(accepted)
    }

    async fn graph(&self, room: RoomNumber) -> Result<Option<Graph<'_>>, Error> {
        let Some((head, _)) = head_of(self.store(), room).await? else { return Ok(None) };
        Ok(Some(Graph::new(self.store(), room, RoomVersion::of(&head.version)?)))
    }
}
