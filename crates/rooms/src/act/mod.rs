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
mod membership;
mod power;
mod preset;
mod profile;
mod redact;
mod report;
mod restricted;
mod say;
mod send;
mod upgrade;

#[cfg(test)]
mod create_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod membership_tests;
#[cfg(test)]
mod send_tests;
#[cfg(test)]
mod upgrade_tests;
#[cfg(test)]
mod verbs_tests;

use ruma::{RoomId, UserId};
use storage::Store;

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
pub use membership::{Change, MembershipChange};
pub use profile::Profile;
pub use report::{Report, Reported};
pub use send::Saying;
pub use upgrade::Upgrade;

impl Rooms {
    /// The number of `room`.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRoom`]; as every read.
    pub async fn number_of(&self, room: &RoomId) -> Result<RoomNumber, Error> {
        Ok(find_room(self.store(), room).await?.ok_or(Refusal::NoSuchRoom)?)
    }

    /// What the room's state has under `keys`.
    async fn entries(&self, room: RoomNumber, keys: &[StateKey]) -> Result<AuthState, Error> {
        entries(self.store(), room, keys).await
    }

    /// Refuses who is not joined to `room`.
    async fn require_joined(&self, room: RoomNumber, user: &UserId) -> Result<(), Error> {
        let there = memberships(self.store(), room, &[user]).await?.into_iter().flatten().next();
        let why = || Refusal::Forbidden { why: "the user is not in the room".to_owned() };
        there.filter(|there| there.membership == "join").map(drop).ok_or_else(|| why().into())
    }
}

/// What the state of `room` has under `keys`.
async fn entries(store: &Store, room: RoomNumber, keys: &[StateKey]) -> Result<AuthState, Error> {
    let mut view = View::now(store, room).await?;
    view.entries(view.head.state, keys).await
}
