//! Which rooms an answer tells of: those that have moved since the client's token, and those of which something that is no
//! event has changed.

use crate::classic::Ask;
use crate::classic::answer::{Answer, Room};
use crate::devices::Movement;
use crate::error::Error;
use crate::extras::Extras;
use crate::filter::takes;
use crate::handle::Syncer;
use crate::user_rooms::{UserRoom, UserRooms};

impl Syncer {
    /// Adds the rooms, and whose devices the client must look at anew because of them.
    pub(crate) async fn add_rooms(
        &self,
        ask: &Ask<'_>,
        all: &UserRooms,
        extras: &Extras,
        answer: &mut Answer,
    ) -> Result<(), Error> {
        let mut movement = Movement::default();
        for room in all.rooms.iter().filter(|room| ask.filter.takes_room(&room.info.id)) {
            self.add_room(ask, all, room, extras, answer, &mut movement).await?;
            if ask.since.is_none() {
                // An account in a thousand rooms does not keep all others waiting.
                tokio::task::yield_now().await;
            }
        }
        let presence = &ask.filter.presence;
        if takes(presence, "m.presence", None) {
            let seen = ask.since.and_then(|since| since.volatile);
            let told = self.presence_told(&ask.viewer.user, all, seen, &movement.came).await?.into_iter();
            let told = told.filter(|(sender, _)| takes(presence, "m.presence", Some(sender)));
            answer.presence = told.map(|(_, event)| event).collect();
        }
        self.add_devices(ask, all, movement, answer).await
    }

    async fn add_room(
        &self,
        ask: &Ask<'_>,
        all: &UserRooms,
        room: &UserRoom,
        extras: &Extras,
        answer: &mut Answer,
        movement: &mut Movement,
    ) -> Result<(), Error> {
        let Some(room) = self.membership_at(&ask.viewer.user, all, room, ask.to).await? else { return Ok(()) };
        let (room, id) = (&*room, || room.info.id.clone());
        match &*room.membership.membership {
            "join" => {
                let told = self.joined(ask, room, extras, movement).await?;
                answer.joined.extend(told.map(|told| (id(), told)));
            }
            "invite" if self.has_changed(ask, room).await? => {
                let state = self.room_from_outside(ask, room).await?;
                answer.invited.extend(state.map(|state| (id(), state)));
            }
            "knock" if self.has_changed(ask, room).await? => {
                let state = self.room_from_outside(ask, room).await?;
                answer.knocked.extend(state.map(|state| (id(), state)));
            }
            "leave" | "ban" if self.is_left_told(ask, room).await? => {
                if let Some(mut told) = self.left_room(ask, room).await? {
                    movement.left_rooms.push(room.info.room);
                    told.room.account_data = extras.account_data_of(&room.info.id);
                    answer.left.push((id(), told.room));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What there is to tell of a room in which the user is.
    async fn joined(
        &self,
        ask: &Ask<'_>,
        room: &UserRoom,
        extras: &Extras,
        movement: &mut Movement,
    ) -> Result<Option<Room>, Error> {
        let info = &room.info;
        let moved = match ask.since_in(info.partition) {
            Some(since) if !ask.request.full_state => self.has_moved(info, since, ask.to.of(info.partition)).await?,
            _ => true,
        };
        let told = if moved { self.joined_room(ask, info).await? } else { None };
        let is_new = told.as_ref().is_some_and(|told| told.is_new);
        let mut of_room = match told {
            Some(told) => {
                movement.add(told.moved);
                told.room
            }
            None => Room { prev_batch: ask.prev_batch(info), ..Room::default() },
        };
        self.add_extras(ask, info, extras, is_new, &mut of_room).await?;
        let is_told = is_new || ask.request.full_state || !of_room.is_empty() || of_room.summary.is_some();
        if !is_told {
            return Ok(None);
        }
        of_room.unread = self.unread(ask, info).await?;
        Ok(Some(of_room))
    }

    /// Whether the user's membership has become what it is since the client's token.
    async fn has_changed(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<bool, Error> {
        let Some(since) = ask.since_in(room.info.partition) else { return Ok(true) };
        let (user, to) = (&ask.viewer.user, ask.to.of(room.info.partition));
        Ok(self.has_moved(&room.info, since, to).await? && self.changed_at(user, room).await? > since)
    }

    /// Whether a room that the user has left is told of: when they left it since the client's token, and otherwise only to
    /// whom asks for all of them.
    async fn is_left_told(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<bool, Error> {
        let asks_for_all = ask.filter.include_leave && (ask.since.is_none() || ask.request.full_state);
        Ok(asks_for_all || (ask.since.is_some() && self.has_changed(ask, room).await?))
    }
}
