//! How long messages are kept: as long as the room says in `m.room.retention`, within what the operator allows, or as long as
//! the operator says where the room says nothing.
//! <https://github.com/matrix-org/matrix-spec-proposals/pull/1763>

use std::time::Duration;

use base::{Timestamp, limits};
use ruma::events::StateEventType;
use storage::table::ROOM_HEAD;
use storage::{Direction, KeyRange};

use crate::act::content;
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// What the operator has decided about old messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long they are kept in rooms that do not say it; `None` for ever.
    pub unless_said: Option<Duration>,
    /// No room may have them go sooner.
    pub least: Option<Duration>,
    /// No room may have them stay longer.
    pub most: Option<Duration>,
}

impl Retention {
    /// How long messages stay in a room that asks for `asked`.
    fn lifetime(self, asked: Option<Duration>) -> Option<Duration> {
        let wanted = asked.or(self.unless_said).or(self.most)?;
        let wanted = self.most.map_or(wanted, |most| wanted.min(most));
        Some(self.least.map_or(wanted, |least| wanted.max(least)))
    }
}

impl Rooms {
    /// Takes messages that are past their time out of all rooms; how many. One pass; the work of one room never holds up
    /// appends to another. A room where it fails is passed over till the next pass.
    ///
    /// # Errors
    /// As every read of the list of rooms.
    pub async fn purge_expired(&self, retention: Retention) -> Result<u64, Error> {
        let (mut rest, mut purged) = (Some(KeyRange::table(ROOM_HEAD)), 0);
        while let Some(range) = rest.take() {
            let page = self.store().scan(&range, Direction::Forward, limits::SCAN_ROWS).await;
            let page = page.map_err(Error::storage("looking for rooms with old messages"))?;
            for row in page.rows {
                let room = row.key.parts().map_err(|error| Error::damaged(format!("the key of a head: {error}")))?;
                match self.purge_expired_in(room, retention).await {
                    Ok(more) => purged += more,
                    // It is gone meanwhile.
                    Err(Error::Refused(Refusal::NoSuchRoom)) => {}
                    Err(error) => tracing::warn!(%error, "old messages of a room could not be removed"),
                }
            }
            rest = page.rest;
        }
        Ok(purged)
    }

    async fn purge_expired_in(&self, room: RoomNumber, retention: Retention) -> Result<u64, Error> {
        let key = StateKey::new(StateEventType::from("m.room.retention"), "");
        let said = self.entries(room, &[key]).await?;
        let asked: Option<u64> =
            said.iter().next().and_then(|known| content::field(known.pdu.content(), "max_lifetime"));
        let Some(lifetime) = retention.lifetime(asked.map(Duration::from_millis)) else { return Ok(0) };
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(self.store().clock().now().as_millis().saturating_sub(lifetime));
        self.purge_messages(room, before).await
    }
}
