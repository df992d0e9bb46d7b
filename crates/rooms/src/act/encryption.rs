//! The operator's wish that rooms be encrypted, as far as it concerns what is said; what rooms are made with is `create`'s.

use ruma::events::{StateEventType, TimelineEventType};

use crate::append::View;
use crate::error::{Error, Refusal};
use crate::event::StateKey;
use crate::rooms::{EncryptionPolicy, Rooms};

/// What tells people something. Reactions, calls and the like are sent in the clear by every client.
const TELLING: [&str; 6] =
    ["m.room.message", "m.message", "m.sticker", "m.poll.start", "m.file", "org.matrix.msc3381.poll.start"];

impl Rooms {
    /// Refuses what would be told in plain text in a room of this server, if the operator wants those to be encrypted.
    pub(super) async fn check_encryption(&self, view: &mut View<'_>, kind: &TimelineEventType) -> Result<(), Error> {
        if self.options().encryption != EncryptionPolicy::Required || !TELLING.contains(&&*kind.to_string()) {
            return Ok(());
        }
        let create = StateKey::new(StateEventType::RoomCreate, "");
        let create = view.entries(view.head.state, &[create]).await?;
        let ours = create.create().is_some_and(|create| create.pdu.sender().server_name() == self.server());
        if ours { Err(Refusal::EncryptionRequired.into()) } else { Ok(()) }
    }
}
