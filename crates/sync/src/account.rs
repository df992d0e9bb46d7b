//! What is told beside rooms: account data, presence, messages to the device, and what is left of its keys.

use std::collections::BTreeSet;
use std::time::Duration;

use accounts::account_data::ignored::Users;
use accounts::keys::KeyCounts;
use accounts::presence::UserPresence;
use accounts::to_device::Inbox;
use base::{Position, limits};
use bytes::Bytes;
use ruma::presence::PresenceState;
use ruma::{OwnedUserId, UserId};
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::classic::answer::{Answer, Event, Keys};
use crate::classic::{Ask, Request};
use crate::error::Error;
use crate::filter::takes;
use crate::follow::{Moved, UserKey, UserStream};
use crate::handle::{Syncer, Viewer};
use crate::token::Volatile;
use crate::user_rooms::UserRooms;

impl Syncer {
    /// Whom `user` ignores.
    pub(crate) async fn ignored_by(&self, user: &UserId) -> Result<Users, Error> {
        Ok(self.accounts.ignored_users(user).await?)
    }

    /// What is in memory only, as it is now. Read before it is told, so that what changes meanwhile is told again.
    pub(crate) fn volatile(&self, all: &UserRooms) -> Volatile {
        let typing = self.rooms.typing();
        let version = typing.version();
        let somebody_types = version > 0 && all.joined().any(|room| !typing.now(room.info.room).users.is_empty());
        Volatile { boot: self.boot, typing: version, presence: self.accounts.presence().version(), somebody_types }
    }

    /// Notes that a device of `user` syncs for as long as `lasting`, and says so with this presence.
    pub(crate) fn note_presence(&self, user: &UserId, state: &PresenceState, lasting: Duration) {
        self.accounts.presence().note_sync(user, state, lasting.min(limits::SYNC_TIMEOUT));
    }

    /// The presence, as it is now, of those who share a room with `user` and of whom that has changed since the client saw
    /// it; and of `also`, whom it has not seen before.
    pub(crate) async fn presence_told(
        &self,
        user: &UserId,
        all: &UserRooms,
        seen: Option<Volatile>,
        also: &BTreeSet<OwnedUserId>,
    ) -> Result<Vec<(OwnedUserId, Event)>, Error> {
        // What another process counted says nothing here.
        let seen = seen.filter(|seen| seen.boot == self.boot).map_or(0, |seen| seen.presence);
        let changed = self.accounts.presence().since(seen);
        let mut told = Vec::new();
        for (other, presence) in &changed {
            if other == user || also.contains(other) || self.share_a_room(all, other).await? {
                told.push((other.clone(), presence_event(other, presence)?));
            }
        }
        for other in also.iter().filter(|other| changed.iter().all(|(known, _)| known != *other)) {
            let presence = self.accounts.presence().of(other);
            if presence.last_active_ago.is_some() {
                told.push((other.clone(), presence_event(other, &presence)?));
            }
        }
        Ok(told)
    }

    /// Adds the account data of the account itself.
    pub(crate) fn add_account_data(&self, ask: &Ask<'_>, global: Vec<(String, Event)>, answer: &mut Answer) {
        let told = global.into_iter().filter(|(kind, _)| takes(&ask.filter.account_data, kind, None));
        answer.account_data.extend(told.map(|(_, event)| event));
    }

    /// Lets go of the messages that the device has shown to have, by coming with the token of the answer that had them.
    pub(crate) async fn acknowledge(&self, viewer: &Viewer, until: Position) -> Result<(), Error> {
        let (partition, key) = (self.rooms.store().partition_of(viewer.user.as_str()), UserKey::of(&viewer.user));
        let last = self.follower.ask(|index| index.user_last(UserStream::ToDevice, partition, &key));
        let done = self.acknowledged.get(viewer);
        // Most of the time there was nothing to let go of since the last time.
        if done.is_some_and(|done| done >= until || last.is_none_or(|last| last <= done)) {
            return Ok(());
        }
        self.accounts.acknowledge_to_device(&viewer.user, &viewer.device, until).await?;
        self.acknowledged.insert(viewer.clone(), until);
        Ok(())
    }

    /// The messages for a device between two points.
    pub(crate) async fn messages(
        &self,
        viewer: &Viewer,
        [since, to]: [Position; 2],
        limit: usize,
    ) -> Result<Inbox, Error> {
        let (partition, key) = (self.rooms.store().partition_of(viewer.user.as_str()), UserKey::of(&viewer.user));
        let moved = self.follower.ask(|index| index.user_moved(UserStream::ToDevice, partition, &key, since));
        if moved == Moved::No {
            return Ok(Inbox { messages: Vec::new(), next: to });
        }
        Ok(self.accounts.to_device(&viewer.user, &viewer.device, [since, to], limit).await?)
    }

    /// What is left of a device's keys.
    pub(crate) async fn keys_left(&self, viewer: &Viewer) -> Result<Keys, Error> {
        let KeyCounts { mut one_time, unused_fallback } =
            self.accounts.key_counts(&viewer.user, &viewer.device).await?;
        // Clients take what is missing for what has not changed.
        one_time.entry("signed_curve25519".to_owned()).or_insert(0);
        Ok(Keys { one_time, unused_fallback })
    }

    /// Writes an answer, with what is left of the device's keys now.
    pub(crate) async fn write(&self, viewer: &Viewer, request: &Request, mut answer: Answer) -> Result<Bytes, Error> {
        answer.keys = self.keys_left(viewer).await?;
        Ok(answer.write(request).into())
    }
}

#[derive(Serialize)]
struct PresenceEvent<'a> {
    content: PresenceContent<'a>,
    sender: &'a UserId,
    r#type: &'static str,
}

#[derive(Serialize)]
struct PresenceContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    currently_active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_ago: Option<u64>,
    presence: &'a PresenceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<&'a str>,
}

/// `m.presence` (<https://spec.matrix.org/v1.19/client-server-api/#mpresence>).
fn presence_event(user: &UserId, presence: &UserPresence) -> Result<Event, Error> {
    let ago = presence.last_active_ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
    let content = PresenceContent {
        currently_active: (presence.state != PresenceState::Offline).then_some(presence.currently_active),
        last_active_ago: ago,
        presence: &presence.state,
        status_msg: presence.status_msg.as_deref(),
    };
    let event = PresenceEvent { content, sender: user, r#type: "m.presence" };
    to_raw_value(&event).map_err(|error| Error::damaged(format!("writing a presence: {error}")))
}
