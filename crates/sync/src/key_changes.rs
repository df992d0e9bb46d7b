//! `/keys/changes` (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>): of what a sync would
//! tell, whose keys to ask for. It is a sync that tells nothing else, so the two never disagree.

use ruma::OwnedUserId;

use crate::error::Error;
use crate::handle::{Syncer, Viewer};
use crate::token::Token;

/// Lets through as little as can be asked for: who came and went is looked for beside it.
const FILTER: &str = r#"{"room":{"timeline":{"limit":1},"ephemeral":{"types":[]},"account_data":{"types":[]}}}"#;

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
        let request = self.request(&viewer.user, Some(FILTER)).await?;
        let answer = Box::pin(self.compute(viewer, &request, Some(&since))).await?;
        Ok(KeyChanges { changed: answer.devices.changed, left: answer.devices.left })
    }
}
