//! A room in which the user is not any more: what they may see up to how they left.

use rooms::read::{Reading, Shown};
use rooms::timeline::{Order, orders};
use ruma::events::room::member::MembershipState;

use crate::classic::Ask;
use crate::classic::answer::Room;
use crate::classic::joined::Told;
use crate::devices::Movement;
use crate::error::Error;
use crate::handle::{RoomInfo, Syncer};
use crate::user_rooms::UserRoom;

impl Syncer {
    /// The room up to how the user left it.
    pub(crate) async fn left_room(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<Option<Told>, Error> {
        let info: &RoomInfo = &room.info;
        let Some(mut reading) = self.rooms.read_number(info.room).await? else { return Ok(None) };
        let event = room.membership.event;
        let left = orders(self.rooms.store(), info.room, &[event]).await?.into_iter().next().flatten();
        let was_in = room.membership.left.is_some();
        let (Some(left), true) = (left, was_in) else {
            return self.never_joined(ask, &mut reading, room, left).await.map(Some);
        };
        let has = self.what_client_has(ask, &mut reading, info).await?;
        let mut told = self.room_until(ask, &mut reading, info, has, left).await?;
        // Of how many are in it now they are not told.
        told.room.summary = None;
        Ok(Some(told))
    }

    /// Of a room in which they never were, they are told how they ceased to be invited or to knock, and nothing else.
    async fn never_joined(
        &self,
        ask: &Ask<'_>,
        reading: &mut Reading<'_>,
        room: &UserRoom,
        left: Option<Order>,
    ) -> Result<Told, Error> {
        let stored = reading.stored(&[room.membership.event]).await?;
        let order = left.unwrap_or(Order::START);
        let membership = MembershipState::from(&*room.membership.membership);
        let shown = |stored| Shown { stored, order, membership: membership.clone(), gap_before: false };
        let mut shown: Vec<Shown> = stored.into_iter().map(shown).collect();
        let allowed = ask.filter.timeline.allows_room(&room.info.id) && ask.filter.timeline_limit() > 0;
        let mut kept = Vec::new();
        for shown in shown.drain(..) {
            if allowed && ask.filter.timeline.allows(&rooms::read::Fields::of(&shown.stored.json)?) {
                kept.push(shown);
            }
        }
        let format = rooms::read::Format { with_room: false, bundles: rooms::read::Bundles::None };
        let timeline = reading.render(&ask.reader(), &kept, format).await?;
        let prev_batch = rooms::read::Token(order).to_string();
        let room = Room { timeline, prev_batch, ..Room::default() };
        Ok(Told { room, moved: Movement::default(), is_new: true })
    }
}
