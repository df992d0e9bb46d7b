//! `/keys/changes` (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>): of what a sync would
//! tell, whose keys to ask for. Found as sliding sync finds it, without looking at what else happened.

use ruma::OwnedUserId;

use crate::classic::answer::Devices;
use crate::error::Error;
use crate::handle::{Syncer, Viewer};
use crate::token::Token;

/// Whose keys a client has to ask for again, and whose no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    /// Users with other keys, or with whom the viewer has come to share a room.
    pub changed: Vec<OwnedUserId>,
    /// Users with whom the viewer shares no room any more.
    pub left: Vec<OwnedUserId>,
}

impl Syncer {
    /// What has changed of users' keys since the sync token `from`. The token `to` must be one, and bounds nothing: what came
    /// after it is told as well, as the keys that the client then asks for are the present ones in any case.
    ///
    /// # Errors
    /// [`Error::Refused`] for what is no token; as every read.
    pub async fn key_changes(&self, viewer: &Viewer, [from, to]: [&str; 2]) -> Result<KeyChanges, Error> {
        let since = Token::parse(from)?;
        Token::parse(to)?;
        let to = self.follower.up_to_date().await?;
        let since = to.min(&since.positions);
        let all = self.rooms_of(&viewer.user).await?;
        let movement = self.movement(&viewer.user, &all, [&since, &to]).await?;
        let Devices { changed, left } = self.devices_changed(&viewer.user, [&since, &to], &all, movement).await?;
        Ok(KeyChanges { changed, left })
    }
}
