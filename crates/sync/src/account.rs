//! What is told beside rooms: account data, presence, messages to the device, and what is left of its keys.

use std::sync::Arc;

use base::collections::HashSet;
use bytes::Bytes;
use ruma::{OwnedUserId, UserId};

use crate::classic::answer::Answer;
use crate::classic::{Ask, Request};
use crate::error::Error;
use crate::filter::takes;
use crate::handle::{Syncer, Viewer};
use crate::token::{Token, Volatile};
use crate::user_rooms::UserRooms;

impl Syncer {
    /// Whom `user` ignores.
    pub(crate) async fn ignored_by(&self, user: &UserId) -> Result<Arc<HashSet<OwnedUserId>>, Error> {
        Ok(self.accounts.ignored_users(user).await?)
    }

    /// What is in memory only, as it is now. Read before it is told, so that what changes meanwhile is told again.
    pub(crate) fn volatile(&self, all: &UserRooms) -> Volatile {
        let typing = self.rooms.typing();
        let version = typing.version();
        let somebody_types = version > 0 && all.joined().any(|room| !typing.now(room.info.room).users.is_empty());
        Volatile { boot: self.boot, typing: version, presence: 0, somebody_types }
    }

    /// Adds the account data of the account itself.
    pub(crate) fn add_account_data(
        &self,
        ask: &Ask<'_>,
        global: Vec<(String, crate::classic::answer::Event)>,
        answer: &mut Answer,
    ) {
        let told = global.into_iter().filter(|(kind, _)| takes(&ask.filter.account_data, kind, None));
        answer.account_data.extend(told.map(|(_, event)| event));
    }

    pub(crate) async fn acknowledge(&self, _viewer: &Viewer, _since: Option<&Token>) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) async fn device_changes(
        &self,
        _since: &base::Positions,
        _to: &base::Positions,
    ) -> Result<Vec<OwnedUserId>, Error> {
        Ok(Vec::new())
    }

    pub(crate) async fn write(&self, _viewer: &Viewer, request: &Request, answer: Answer) -> Result<Bytes, Error> {
        Ok(answer.write(request).into())
    }
}
