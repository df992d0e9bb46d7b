//! What one user may see of a room: finds the moments by which `visibility` judges, for many events at once. States are
//! never read whole: of each that the events stand in, two entries are looked up, and most events share theirs.

use std::collections::{BTreeMap, BTreeSet};

use base::collections::HashSet;
use ruma::events::StateEventType;
use ruma::events::room::member::MembershipState;
use ruma::{DeviceId, OwnedUserId, RoomId, UserId};
use serde_json::Value;

use crate::append::Membership;
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::graph::{Place, Stored};
use crate::number::{EventNumber, KeyNumber};
use crate::read::fields::content_of;
use crate::read::page::END;
use crate::read::reading::Reading;
use crate::read::token::Token;
use crate::read::visibility::{HistoryVisibility, Joined, Moment, may_see};
use crate::rooms::Rooms;
use crate::state::StateRoot;
use crate::timeline::{Order, last_until, orders};

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The device with which they read, which is told its own transaction ids.
    pub device: Option<&'a DeviceId>,
    /// Those whom the user ignores; their events are not shown, but for state
    /// (<https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-16>).
    pub ignored: &'a HashSet<OwnedUserId>,
}

/// An event that a user may see, in its place.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The event.
    pub stored: Stored,
    /// Its place.
    pub order: Order,
    /// What the user was to the room after it.
    pub membership: MembershipState,
    /// Whether an event before it is missing here, so that what comes before it on the timeline is not all there is.
    pub gap_before: bool,
}

/// What one user has seen of a room's states so far.
#[derive(Debug)]
pub struct Sight {
    joined: Joined,
    history: Option<KeyNumber>,
    member: Option<KeyNumber>,
    moments: BTreeMap<StateRoot, Moment>,
    contents: BTreeMap<EventNumber, Value>,
}

/// What a user may read of a room at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The room as it is now: the user is in it, or everybody may read it.
    Now,
    /// The room as it was when the user left, in this place.
    Until(Order),
    /// Nothing.
    Nothing,
}

impl Rooms {
    /// Begins to read `room_id` as `user`, with what they may read of it: never [`Access::Nothing`].
    ///
    /// # Errors
    /// [`Refusal::NotJoined`] when that is nothing, also because there is no such room; as every read.
    pub async fn readable(&self, room_id: &RoomId, user: &UserId) -> Result<(Reading<'_>, Access), Error> {
        let mut reading = self.read(room_id).await?.ok_or(Refusal::NotJoined)?;
        match reading.access(user).await? {
            Access::Nothing => Err(Refusal::NotJoined.into()),
            access => Ok((reading, access)),
        }
    }
}

impl Reading<'_> {
    /// The room's state as it may be read: now, or as it was when the user left.
    ///
    /// # Errors
    /// As every read.
    pub async fn state_for(&self, access: Access) -> Result<StateRoot, Error> {
        match access {
            Access::Now => Ok(self.state()),
            Access::Until(order) => self.state_at(order.next()).await,
            Access::Nothing => Ok(StateRoot::EMPTY),
        }
    }

    /// Right after the last event that there is to read.
    ///
    /// # Errors
    /// As every read.
    pub async fn end_for(&self, access: Access) -> Result<Token, Error> {
        let end = match access {
            Access::Now => last_until(self.store(), self.number(), END).await?.map(|entry| entry.order.next()),
            Access::Until(order) => Some(order.next()),
            Access::Nothing => None,
        };
        Ok(Token(end.unwrap_or(Order::START)))
    }

    /// What `user` may read of the room (<https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility>).
    ///
    /// # Errors
    /// As every read.
    pub async fn access(&mut self, user: &UserId) -> Result<Access, Error> {
        let membership = self.membership(user).await?;
        if membership.as_ref().is_some_and(|membership| membership.membership == "join") {
            return Ok(Access::Now);
        }
        if self.is_world_readable().await? {
            return Ok(Access::Now);
        }
        Ok(match self.joined(membership.as_ref()).await? {
            // Of whoever was in the room, the last that they see is how they left.
            Joined::Until(order) => Access::Until(order),
            Joined::Now | Joined::Never => Access::Nothing,
        })
    }

    /// Whether everybody may read the room as it is now.
    ///
    /// # Errors
    /// As every read.
    pub async fn is_world_readable(&mut self) -> Result<bool, Error> {
        let history = self.entry(self.state(), StateEventType::RoomHistoryVisibility, "").await?;
        let Some(history) = history else { return Ok(false) };
        let stored = self.stored(&[history]).await?;
        let content = stored.first().map(|stored| content_of(&stored.json)).unwrap_or_default();
        Ok(HistoryVisibility::of(&content) == HistoryVisibility::WorldReadable)
    }

    async fn joined(&self, membership: Option<&Membership>) -> Result<Joined, Error> {
        let Some(membership) = membership else { return Ok(Joined::Never) };
        if membership.membership == "join" {
            return Ok(Joined::Now);
        }
        let Some(left) = membership.left else { return Ok(Joined::Never) };
        let order = orders(self.store(), self.number(), &[left]).await?.into_iter().next().flatten();
        Ok(order.map_or(Joined::Never, Joined::Until))
    }

    /// Begins to look at the room with the eyes of `user`.
    ///
    /// # Errors
    /// As every read.
    pub async fn sight(&self, user: &UserId) -> Result<Sight, Error> {
        let keys = [
            StateKey::new(StateEventType::RoomHistoryVisibility, ""),
            StateKey::new(StateEventType::RoomMember, user.as_str()),
        ];
        let mut numbers = self.graph.key_numbers(&keys).await?.into_iter();
        let (history, member) = (numbers.next().flatten(), numbers.next().flatten());
        let joined = self.joined(self.membership(user).await?.as_ref()).await?;
        Ok(Sight { joined, history, member, moments: BTreeMap::new(), contents: BTreeMap::new() })
    }

    /// What the user was to the room after each of `events`, for those that the user may see, in their order.
    ///
    /// # Errors
    /// As every read.
    pub async fn visible(
        &mut self,
        sight: &mut Sight,
        events: &[(Stored, Order)],
    ) -> Result<Vec<Option<MembershipState>>, Error> {
        let roots = events.iter().filter_map(|(stored, _)| states(stored)).flatten();
        self.look(sight, roots.collect()).await?;
        let seen = events.iter().map(|(stored, order)| {
            let [before, after] = states(stored)?.map(|root| sight.moments.get(&root));
            let (before, after) = (before?, after?);
            may_see(before, after, sight.joined.after(*order)).then(|| after.membership.clone())
        });
        Ok(seen.collect())
    }

    /// Finds the moments of `roots`.
    async fn look(&mut self, sight: &mut Sight, roots: BTreeSet<StateRoot>) -> Result<(), Error> {
        let new: Vec<StateRoot> = roots.into_iter().filter(|root| !sight.moments.contains_key(root)).collect();
        let keys = [sight.history, sight.member];
        let asked = new.iter().flat_map(|root| keys.into_iter().flatten().map(|key| (*root, key)));
        let found = self.lookup(&asked.collect::<Vec<_>>()).await?;
        let unread: BTreeSet<EventNumber> =
            found.iter().flatten().filter(|event| !sight.contents.contains_key(event)).copied().collect();
        let unread: Vec<EventNumber> = unread.into_iter().collect();
        // These are the same few for nearly all readers, so they are remembered.
        for (event, known) in unread.iter().zip(self.graph.events(&unread).await?) {
            let known = known.ok_or_else(|| Error::damaged(format!("{event:?} is in a state and not there")))?;
            sight.contents.insert(*event, serde_json::from_str(known.pdu.content().get()).unwrap_or_default());
        }
        let mut found = found.into_iter();
        for root in new {
            let [history, member] = keys.map(|key| {
                let event = key.and_then(|_| found.next().flatten())?;
                sight.contents.get(&event)
            });
            let history = history.map(HistoryVisibility::of).unwrap_or_default();
            let membership = member.and_then(|content| content.get("membership")?.as_str());
            let membership = membership.map_or(MembershipState::Leave, MembershipState::from);
            sight.moments.insert(root, Moment { history, membership });
        }
        Ok(())
    }
}

/// The states before and after an event of the graph.
fn states(stored: &Stored) -> Option<[StateRoot; 2]> {
    match stored.facts.place {
        Place::InGraph { before, after } => Some([before, after]),
        Place::Outlier => None,
    }
}
