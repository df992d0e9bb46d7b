//! Forgetting a room that was left: it is told of no more, and nothing of it can be read any more. Who comes back, or is
//! invited again, has it back.
//! <https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms>

use base::limits;
use ruma::{RoomId, UserId};

use crate::append::forget_membership;
use crate::error::{Error, Refusal};
use crate::rooms::Rooms;

impl Rooms {
    /// Forgets `room` for `user`. Who was never there has nothing to forget.
    ///
    /// # Errors
    /// [`Refusal::StillThere`] when they are joined, invited or knocking, [`Refusal::NoSuchRoom`]; as every commit.
    pub async fn forget(&self, room: &RoomId, user: &UserId) -> Result<(), Error> {
        let number = self.number_of(room).await?;
        for _ in 0..limits::APPEND_ATTEMPTS {
            let Some(batch) = forget_membership(self.store(), number, user).await? else { return Ok(()) };
            match self.store().commit(batch).await {
                Err(error) if error.is_conflict() => {}
                other => return other.map(drop).map_err(Error::storage("forgetting a room")),
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }
}

/// Whether a membership is one that can be forgotten.
pub(crate) fn may_forget(membership: &str) -> Result<(), Refusal> {
    if matches!(membership, "leave" | "ban") { Ok(()) } else { Err(Refusal::StillThere) }
}
