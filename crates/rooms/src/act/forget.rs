//! Forgetting a room that was left: it is told of no more, and nothing of it can be read any more. Who comes back, or is
//! invited again, has it back.
//! <https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms>

use base::limits;
use ruma::{OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use storage::{Kind, Record};

use crate::append::{forget_membership, is_remembered};
use crate::error::{Error, Refusal};
use crate::number::RoomNumber;
use crate::rooms::Rooms;

/// Log entries of this kind say that a user has forgotten a room; their payload is a [`ForgottenLog`].
pub const ROOM_FORGOTTEN: Kind = Kind(33);

/// What the log says of a room that was forgotten: whoever remembers a user's rooms reads them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenLog {
    /// The room.
    pub room: RoomNumber,
    /// Who forgot it.
    pub user: OwnedUserId,
}

storage::first_version!(ForgottenLog);

impl Rooms {
    /// Forgets `room` for `user`. Who was never there has nothing to forget. When nobody of this server remembers the room it
    /// goes, and true comes back: [`Rooms::finish_purges`] then takes the rest of it away.
    ///
    /// # Errors
    /// [`Refusal::StillThere`] when they are joined, invited or knocking, [`Refusal::NoSuchRoom`]; as every commit.
    pub async fn forget(&self, room: &RoomId, user: &UserId) -> Result<bool, Error> {
        let number = self.number_of(room).await?;
        let partition = self.store().partition_of(room.as_str());
        let log = ForgottenLog { room: number, user: user.to_owned() }.encode();
        for _ in 0..limits::APPEND_ATTEMPTS {
            let Some(mut batch) = forget_membership(self.store(), number, user).await? else { return Ok(false) };
            batch.append(partition, ROOM_FORGOTTEN, log.clone());
            match self.store().commit(batch).await {
                Err(error) if error.is_conflict() => {}
                other => {
                    other.map_err(Error::storage("forgetting a room"))?;
                    return self.leave_to_nobody(room).await;
                }
            }
        }
        Err(Error::Busy { attempts: limits::APPEND_ATTEMPTS })
    }
}

impl Rooms {
    async fn leave_to_nobody(&self, room: &RoomId) -> Result<bool, Error> {
        if is_remembered(self.store(), self.server(), self.number_of(room).await?).await? {
            return Ok(false);
        }
        match self.begin_purge(room).await {
            Ok(_) => Ok(true),
            // Somebody has come back in this moment, or somebody else was the last.
            Err(Error::Refused(_)) => Ok(false),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether a membership is one that can be forgotten.
pub(crate) fn may_forget(membership: &str) -> Result<(), Refusal> {
    if matches!(membership, "leave" | "ban") { Ok(()) } else { Err(Refusal::StillThere) }
}
