//! What people do in rooms of this server: make one, say something, come and go, and all else that ends in events of our own.
//! Each becomes one batch: the event with everything that follows from it, or for what takes several events (a new room, an
//! upgrade) all of them together (spec/decisions/0020-rooms-are-made-whole.md).
//!
//! Must not read for its own sake (`read` does), nor know of accounts: profiles and who is a guest are arguments.
//!
//! Where to go: `say` is the way every event of ours goes; one file a verb beside it: `create`, `send`, `membership` and so
//! on; `content` checks what clients write.

mod alias;
mod content;
mod create;
mod directory;
mod encryption;
mod forget;
mod membership;
mod power;
mod preset;
mod profile;
mod purge;
mod redact;
mod report;
mod restricted;
mod retention;
mod say;
mod send;
mod third_party;
mod upgrade;

#[cfg(test)]
mod create_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod membership_tests;
#[cfg(test)]
mod purge_tests;
#[cfg(test)]
mod send_tests;
#[cfg(test)]
mod third_party_tests;
#[cfg(test)]
mod upgrade_tests;
#[cfg(test)]
mod verbs_tests;

use ruma::{RoomId, UserId};

use crate::append::{View, memberships};
use crate::error::{Error, Refusal};
use crate::event::{AuthState, StateKey};
use crate::graph::find_room;
use crate::number::RoomNumber;
use crate::rooms::Rooms;

pub use alias::{AliasRecord, aliases_of, find_alias};
pub use content::read as read_content;
pub use create::NewRoom;
pub use directory::{is_listed, listed};
pub(crate) use forget::may_forget;
pub use forget::{ForgottenLog, ROOM_FORGOTTEN};
pub use membership::{Change, MembershipChange};
pub use profile::Profile;
pub use report::{Report, Reported};
pub use retention::Retention;
pub use send::Saying;
pub use upgrade::Upgrade;

impl Rooms {
    /// The number of `room`.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read.
    pub async fn number_of(&self, room: &RoomId) -> Result<RoomNumber, Error> {
        if let Some(number) = self.cache().room(room) {
            return Ok(number);
        }
        let number = find_room(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?;
        self.cache().keep_room(room, number);
        Ok(number)
    }

    /// What the room's state has under `keys`.
    async fn entries(&self, room: RoomNumber, keys: &[StateKey]) -> Result<AuthState, Error> {
        let mut view = self.view(room).await?;
        view.entries(view.head.state, keys).await
    }

    /// `room` as it stands.
    async fn view(&self, room: RoomNumber) -> Result<View<'_>, Error> {
        View::now(self.store(), Some(self.cache()), room).await
    }

    /// Refuses who is not joined to `room`.
    async fn require_joined(&self, room: RoomNumber, user: &UserId) -> Result<(), Error> {
        let there = memberships(self.store(), room, &[user]).await?.into_iter().flatten().next();
        there.filter(|there| there.membership == "join").map(drop).ok_or_else(|| Refusal::NotJoined.into())
    }
}

/// What is told of a room that is not known, where only those in it may act.
fn not_in(error: Error) -> Error {
    match error {
        Error::Refused(Refusal::NoSuchRoom) => Refusal::NotJoined.into(),
        other => other,
    }
}
