//! A room to which the user is invited, or which they have asked to be let into: what they are told of it from outside
//! (<https://spec.matrix.org/v1.19/client-server-api/#stripped-state>).

use rooms::graph::Place;
use ruma::UserId;

use crate::classic::Ask;
use crate::classic::answer::Event;
use crate::error::Error;
use crate::handle::Syncer;
use crate::user_rooms::UserRoom;

impl Syncer {
    /// The room from outside; `None` when who invited is ignored.
    pub(crate) async fn room_from_outside(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<Option<Vec<Event>>, Error> {
        let Some(mut reading) = self.rooms.read_number(room.info.room).await? else { return Ok(None) };
        let stored = reading.stored(&[room.membership.event]).await?;
        let Some(member) = stored.first() else { return Ok(None) };
        let sender = rooms::read::Fields::of(&member.json)?.sender;
        if <&UserId>::try_from(&*sender).is_ok_and(|sender| ask.ignored.contains(sender)) {
            return Ok(None);
        }
        let root = match member.facts.place {
            Place::InGraph { after, .. } => after,
            Place::Outlier => reading.state(),
        };
        let state = reading.stripped_state(root, &ask.viewer.user).await?;
        Ok(Some(reading.stripped(&state).await?))
    }
}
