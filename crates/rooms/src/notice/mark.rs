//! Marking what was read. A mark never goes back in the order in which the room is shown, whoever asks for that and however
//! many ask at once: the row is written under the precondition that it is as it was read.

use base::{Position, Timestamp, limits};
use ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};
use storage::{Batch, Record, Template};

use crate::error::{Error, Refusal};
use crate::event::RoomVersion;
use crate::graph::{Graph, find_room, head_of};
use crate::notice::receipt::{Mark, MarkMoved, Marks, Stored, marks_key, moved_key, moved_template};
use crate::notice::{RECEIPT_MOVED, ReceiptKind, ReceiptLog, Thread, seen, thread};
use crate::number::RoomNumber;
use crate::rooms::Rooms;
use crate::timeline::{self, Order};

/// What somebody has read.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    /// Who.
    pub user: OwnedUserId,
    /// Who is to learn of it.
    pub kind: ReceiptKind,
    /// Which events it speaks of.
    pub thread: Thread,
    /// Up to this event, included.
    pub event: OwnedEventId,
    /// When they read it.
    pub at: Timestamp,
}

impl Rooms {
    /// Marks what a user of this server, who must be in `room_id`, has read. True when that is more than before.
    /// <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid>
    ///
    /// # Errors
    /// [`Refusal::NoSuchEvent`] for an event that the room does not show; [`Refusal::InvalidParam`] for one that has nothing
    /// to do with the thread; [`Refusal::NotJoined`].
    pub async fn read_up_to(&self, room_id: &RoomId, receipt: NewReceipt) -> Result<bool, Error> {
        let room = self.joined_room(room_id, &receipt.user).await?;
        if receipt.thread != Thread::Unthreaded {
            let (head, _) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
            let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
            if !thread::may_mark(self, &graph, &receipt.event, &receipt.thread).await? {
                return Err(Refusal::InvalidParam { what: "the event has nothing to do with the thread" }.into());
            }
        }
        self.put_receipt(room, receipt).await
    }

    /// Whether `event` stands after `other`, the last that `user` had marked, in the order in which the room is shown.
    ///
    /// # Errors
    /// [`Refusal::NotJoined`]; [`Refusal::NoSuchEvent`] when the room does not show `event`. What `other` was may be gone: it
    /// is then before.
    pub async fn is_further(
        &self,
        room_id: &RoomId,
        user: &UserId,
        event: &OwnedEventId,
        other: Option<&OwnedEventId>,
    ) -> Result<bool, Error> {
        let room = self.joined_room(room_id, user).await?;
        let order = self.order_of(room, event).await?;
        let Some(other) = other else { return Ok(true) };
        match self.order_of(room, other).await {
            Ok(other) => Ok(order > other),
            Err(Error::Refused(Refusal::NoSuchEvent)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Marks what anybody has read, by what is known of the room. True when that is more than before.
    ///
    /// # Errors
    /// [`Refusal::NoSuchEvent`]; [`Error::Busy`]; as every commit.
    pub async fn put_receipt(&self, room: RoomNumber, receipt: NewReceipt) -> Result<bool, Error> {
        let (head, _) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
        let partition = self.store().partition_of(head.room_id.as_str());
        let order = self.order_of(room, &receipt.event).await?;
        for _ in 0..limits::APPEND_ATTEMPTS {
            let stored = Stored::of(self.store(), room, &receipt.user).await?;
            let Some(batch) = moved(room, &receipt, order, stored, partition) else { return Ok(false) };
            match self.store().commit(batch).await {
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(Error::storage("storing a receipt")(error)),
                Ok(_) => return Ok(true),
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }

    /// The number of `room_id`, in which `user` must be.
    pub(super) async fn joined_room(&self, room_id: &RoomId, user: &UserId) -> Result<RoomNumber, Error> {
        let room = find_room(self.store(), room_id).await?.ok_or(Refusal::NotJoined)?;
        let membership = seen::membership(self.store(), room, user).await?;
        let is_joined = membership.is_some_and(|membership| membership.membership == "join");
        is_joined.then_some(room).ok_or_else(|| Refusal::NotJoined.into())
    }

    async fn order_of(&self, room: RoomNumber, event: &OwnedEventId) -> Result<Order, Error> {
        let (head, _) = head_of(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
        let graph = Graph::new(self.store(), room, RoomVersion::of(&head.version)?);
        let number = graph.numbers(std::slice::from_ref(event)).await?.remove(event);
        let number = number.ok_or(Refusal::NoSuchEvent)?;
        let order = timeline::orders(self.store(), room, &[number]).await?.into_iter().next().flatten();
        order.ok_or_else(|| Refusal::NoSuchEvent.into())
    }
}

/// The batch by which a mark moves; `None` when it would not move forward.
fn moved(
    room: RoomNumber,
    receipt: &NewReceipt,
    order: Order,
    stored: Stored,
    partition: base::Partition,
) -> Option<Batch> {
    let mut batch = Batch::new();
    let Stored { mut marks, version } = stored;
    let is_same = |mark: &Mark| mark.kind == receipt.kind && mark.thread == receipt.thread;
    if let Some(at) = marks.iter().position(is_same) {
        if marks[at].order >= order {
            return None;
        }
        batch.delete(&moved_key(room, marks.remove(at).moved));
    }
    if marks.len() >= limits::RECEIPT_THREADS {
        batch.delete(&moved_key(room, marks.remove(dispensable(&marks)).moved));
    }
    let NewReceipt { user, kind, thread, event, at } = receipt.clone();
    let mark = Mark { kind, thread, event, order, at, moved: Position::START };
    let log = ReceiptLog { room, user: user.clone(), kind };
    let stamp = batch.append(partition, RECEIPT_MOVED, log.encode());
    let by_position = MarkMoved { user: user.clone(), mark: mark.clone() };
    batch.put_template(moved_template(room, stamp), Template::plain(by_position.encode()));
    marks.push(mark);
    let key = marks_key(room, &user);
    batch.require_version(&key, version);
    batch.put_template(Template::plain(key.to_bytes()), Marks { user, marks }.template(stamp));
    Some(batch)
}

/// The mark that is missed least: of a thread, the one that lies furthest back, which the unthreaded one often covers.
fn dispensable(marks: &[Mark]) -> usize {
    let of_threads = marks.iter().enumerate().filter(|(_, mark)| mark.thread.root().is_some());
    of_threads.min_by_key(|(_, mark)| mark.order).map_or(0, |(at, _)| at)
}
