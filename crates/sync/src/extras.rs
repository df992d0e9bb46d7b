//! What is told of rooms beside events: account data, receipts, who is typing, and how much is unread.

use std::collections::BTreeMap;

use base::Position;
use base::collections::HashSet;
use rooms::RoomNumber;
use rooms::notice::{Reader, UnreadCounts};
use ruma::events::receipt::ReceiptEventContent;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::classic::Ask;
use crate::classic::answer::{Count, Event, Room, Unread};
use crate::error::Error;
use crate::follow::{Moved, RoomStream, UserKey, UserStream};
use crate::handle::{RoomInfo, Syncer};
use crate::token::Volatile;

/// What has changed of a user's rooms, of all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    account_data: BTreeMap<OwnedRoomId, Vec<Event>>,
}

/// Account data that has changed.
#[derive(Debug, Default)]
pub(crate) struct DataChanged {
    /// Of the account.
    pub(crate) global: Vec<(String, Event)>,
    /// Of rooms.
    pub(crate) rooms: BTreeMap<OwnedRoomId, Vec<(String, Event)>>,
}

impl Extras {
    /// Account data of rooms as `ask`'s filter lets it through.
    pub(crate) fn new(ask: &Ask<'_>, data: BTreeMap<OwnedRoomId, Vec<(String, Event)>>) -> Self {
        let filter = &ask.filter.room_account_data;
        let rooms = data.into_iter().filter(|(room, _)| filter.allows_room(room));
        let of_room = |(room, events): (OwnedRoomId, Vec<(String, Event)>)| {
            let events = events.into_iter().filter(|(kind, _)| filter.allows_type(kind));
            (room, events.map(|(_, event)| event).collect())
        };
        Self { account_data: rooms.map(of_room).collect() }
    }

    /// The account data of a room.
    pub(crate) fn account_data_of(&self, room: &RoomId) -> Vec<Event> {
        self.account_data.get(room).cloned().unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Written<'a, T: ?Sized> {
    content: &'a T,
    r#type: &'a str,
}

/// An event that has nothing but a type and content.
pub(crate) fn written<T: Serialize + ?Sized>(kind: &str, content: &T) -> Result<Event, Error> {
    let event = Written { content, r#type: kind };
    to_raw_value(&event).map_err(|error| Error::damaged(format!("writing {kind}: {error}")))
}

/// The content of `m.typing`.
#[derive(Serialize)]
pub(crate) struct TypingContent {
    pub(crate) user_ids: Vec<OwnedUserId>,
}

impl Syncer {
    /// The account data of `user` that has changed between two points of the log; from nothing, all there is.
    pub(crate) async fn account_data_changed(
        &self,
        user: &UserId,
        since: Option<Position>,
        to: Position,
    ) -> Result<DataChanged, Error> {
        let (partition, key) = (self.rooms.store().partition_of(user.as_str()), UserKey::of(user));
        let mut changed = DataChanged::default();
        if let Some(since) = since {
            let moved = self.follower.ask(|index| index.user_moved(UserStream::AccountData, partition, &key, since));
            if moved == Moved::No {
                return Ok(changed);
            }
        }
        for data in self.accounts.account_data_since(user, since.unwrap_or_default()).await? {
            if data.position > to {
                continue;
            }
            let event: Event = written::<RawValue>(&data.kind, &data.content)?;
            match data.room {
                Some(room) => changed.rooms.entry(room).or_default().push((data.kind, event)),
                None => changed.global.push((data.kind, event)),
            }
        }
        Ok(changed)
    }

    /// Adds to a room what is no event.
    pub(crate) async fn add_extras(
        &self,
        ask: &Ask<'_>,
        info: &RoomInfo,
        extras: &Extras,
        is_new: bool,
        room: &mut Room,
    ) -> Result<(), Error> {
        room.account_data = extras.account_data_of(&info.id);
        if is_new && ask.since.is_some() {
            // The user was not in the room when the client last asked, or never has: all there is.
            let data = self.account_data_changed(&ask.viewer.user, None, Position(u64::MAX)).await?;
            room.account_data = Extras::new(ask, data.rooms).account_data_of(&info.id);
        }
        let filter = &ask.filter.ephemeral;
        if !filter.allows_room(&info.id) {
            return Ok(());
        }
        let since = if is_new { None } else { ask.since_in(info.partition) };
        if filter.allows_type("m.receipt") {
            let receipts = self.receipts(info, since, ask.to.of(info.partition), &ask.viewer.user).await?;
            if let Some(receipts) = receipts {
                room.ephemeral.push(written("m.receipt", &receipts)?);
            }
        }
        if filter.allows_type("m.typing") {
            let seen = ask.since.filter(|_| !is_new).and_then(|since| since.volatile);
            if let Some(user_ids) = self.typing(&ask.ignored, info.room, seen) {
                room.ephemeral.push(written("m.typing", &TypingContent { user_ids })?);
            }
        }
        Ok(())
    }

    /// The receipts of a room that moved between two points; `None` when none has.
    pub(crate) async fn receipts(
        &self,
        info: &RoomInfo,
        since: Option<Position>,
        to: Position,
        viewer: &UserId,
    ) -> Result<Option<ReceiptEventContent>, Error> {
        let from = since.unwrap_or_default();
        let moved = self.follower.ask(|index| index.room_moved(RoomStream::Receipts, info.partition, info.room, from));
        if moved == Moved::No {
            return Ok(None);
        }
        let receipts = self.rooms.receipts_since(info.room, [from, to], viewer).await?;
        Ok(Some(receipts).filter(|receipts| !receipts.0.is_empty()))
    }

    /// Who types in a room, if a client that has seen `seen` has to learn of it.
    pub(crate) fn typing(
        &self,
        ignored: &HashSet<OwnedUserId>,
        room: RoomNumber,
        seen: Option<Volatile>,
    ) -> Option<Vec<OwnedUserId>> {
        let now = self.rooms.typing().now(room);
        let is_told = match seen {
            Some(seen) if seen.boot == self.boot => now.version > seen.typing,
            // It was told by a process that is gone, so whoever was typing then is not any more.
            Some(seen) => seen.somebody_types || !now.users.is_empty(),
            None => !now.users.is_empty(),
        };
        let mut users = now.users;
        users.retain(|user| !ignored.contains(user));
        is_told.then_some(users)
    }

    /// Whether receipts of a room may have moved after `since`.
    pub(crate) fn may_have_receipts(&self, info: &RoomInfo, since: Position) -> bool {
        let moved = self.follower.ask(|index| index.room_moved(RoomStream::Receipts, info.partition, info.room, since));
        moved != Moved::No
    }

    /// How much of a room the user has not read, thread by thread.
    async fn unread_counts(
        &self,
        user: &UserId,
        info: &RoomInfo,
        ignored: &HashSet<OwnedUserId>,
    ) -> Result<UnreadCounts, Error> {
        let settings = self.accounts.push_settings(user).await?;
        let reader = Reader { user, ruleset: &settings.ruleset, ignored, version: settings.version };
        Ok(self.rooms.unread(info.room, reader).await?)
    }

    /// The same in all.
    pub(crate) async fn unread_of(
        &self,
        user: &UserId,
        info: &RoomInfo,
        ignored: &HashSet<OwnedUserId>,
    ) -> Result<Count, Error> {
        Ok(count(self.unread_counts(user, info, ignored).await?.total()))
    }

    /// How much of a room the user has not read, as the filter asks for it.
    pub(crate) async fn unread(&self, ask: &Ask<'_>, info: &RoomInfo) -> Result<Option<Unread>, Error> {
        let counts = self.unread_counts(&ask.viewer.user, info, &ask.ignored).await?;
        if !ask.filter.unread_threads {
            return Ok(Some(Unread { room: count(counts.total()), threads: Vec::new() }));
        }
        let threads = counts.threads.into_iter().map(|(root, of_thread)| (root, count(of_thread))).collect();
        Ok(Some(Unread { room: count(counts.main), threads }))
    }
}

fn count(counted: rooms::notice::Count) -> Count {
    Count { notifications: counted.notifications, highlights: counted.highlights }
}
