//! What sliding sync tells beside rooms, each part only if it is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::Position;
use ruma::OwnedRoomId;

use crate::error::{Error, Refusal};
use crate::extras::{TypingContent, written};
use crate::handle::{Syncer, Viewer};
use crate::sliding::Ask;
use crate::sliding::answer::{AccountData, Answer, E2ee};
use crate::sliding::connection::{Sent, State};
use crate::sliding::lists::{Interest, Wanted};
use crate::sliding::request::{OfRooms, SlidingRequest};
use crate::user_rooms::UserRooms;

/// Up to where a device has its messages, as it says itself.
fn messages_since(request: &SlidingRequest) -> Result<Position, Refusal> {
    let since = request.body.extensions.to_device.since.as_deref();
    let bad = |_| Refusal::BadRequest { what: "`since` of the messages is not one that was given".to_owned() };
    Ok(Position(since.map(str::parse).transpose().map_err(bad)?.unwrap_or_default()))
}

/// The rooms that an extension is about.
fn about<'a>(extension: &OfRooms, interest: &'a Interest) -> Vec<&'a Wanted> {
    let is_about = |wanted: &&Wanted| {
        wanted.lists.iter().any(|list| extension.takes_list(list))
            || (wanted.is_subscribed && extension.takes_room(wanted.room.info.id.as_str()))
    };
    interest.rooms.values().filter(is_about).collect()
}

impl Syncer {
    /// Lets go of the messages that the device has shown to have.
    pub(crate) async fn acknowledge_sliding(&self, viewer: &Viewer, request: &SlidingRequest) -> Result<(), Error> {
        if !request.body.extensions.to_device.is_enabled() {
            return Ok(());
        }
        match messages_since(request)? {
            Position::START => Ok(()),
            since => self.acknowledge(viewer, since).await,
        }
    }

    /// Adds the extensions that are asked for.
    pub(crate) async fn add_extensions(
        &self,
        ask: &Ask<'_>,
        all: &UserRooms,
        interest: &Interest,
        answer: &mut Answer,
    ) -> Result<(), Error> {
        let extensions = &ask.request.body.extensions;
        let partition = self.rooms.store().partition_of(ask.viewer.user.as_str());
        if extensions.to_device.is_enabled() {
            let between = [messages_since(ask.request)?, ask.to.of(partition)];
            let inbox = self.messages(ask.viewer, between, extensions.to_device.limit()).await?;
            answer.extensions.to_device = Some((inbox.next.0, inbox.messages));
        }
        if extensions.e2ee.is_enabled() {
            let mut e2ee = E2ee::default();
            if let Some(pos) = ask.pos {
                let between = [&pos.token.positions, &ask.to];
                let movement = self.movement(&ask.viewer.user, all, between).await?;
                e2ee.devices = self.devices_changed(&ask.viewer.user, between, all, movement).await?;
            }
            answer.extensions.e2ee = Some(e2ee);
        }
        if extensions.account_data.is_enabled() {
            self.add_data(ask, interest, answer).await?;
        }
        if extensions.receipts.is_enabled() {
            self.add_receipts(ask, interest, answer).await?;
        }
        if extensions.typing.is_enabled() {
            self.add_typing(ask, interest, answer)?;
        }
        if extensions.presence.is_enabled() {
            let seen = ask.pos.and_then(|pos| pos.token.volatile);
            let told = self.presence_told(&ask.viewer.user, all, seen, &BTreeSet::new()).await?;
            answer.extensions.presence = told.into_iter().map(|(_, event)| event).collect();
        }
        Ok(())
    }

    async fn add_data(&self, ask: &Ask<'_>, interest: &Interest, answer: &mut Answer) -> Result<(), Error> {
        let user = &ask.viewer.user;
        let partition = self.rooms.store().partition_of(user.as_str());
        let (since, to) = (ask.pos.map(|pos| pos.token.positions.of(partition)), ask.to.of(partition));
        let mut changed = self.account_data_changed(user, since, to).await?;
        let mut data = AccountData::default();
        data.global.extend(std::mem::take(&mut changed.global).into_iter().map(|(_, event)| event));
        let extension = &ask.request.body.extensions.account_data;
        let mut others: BTreeSet<OwnedRoomId> = changed.rooms.keys().cloned().collect();
        for wanted in about(extension, interest) {
            let (number, id) = (wanted.room.info.room, &wanted.room.info.id);
            others.remove(id);
            let events = match (ask.was.account_data.get(&number), since) {
                (Some(Sent::Live), Some(_)) => changed.rooms.remove(id),
                (Some(Sent::Until(from)), _) => {
                    self.account_data_changed(user, Some(*from), to).await?.rooms.remove(id)
                }
                _ => self.account_data_changed(user, None, to).await?.rooms.remove(id),
            };
            if let Some(events) = events {
                data.rooms.push((id.clone(), events.into_iter().map(|(_, event)| event).collect()));
            }
            note(&mut answer.state, Stream::AccountData, number, Sent::Live);
        }
        // Of rooms that the client knows and does not ask for now, it is told later what changed.
        if let Some(since) = since {
            let all = self.rooms_of(user).await?;
            for room in &all.rooms {
                if others.contains(&room.info.id) && ask.was.account_data.get(&room.info.room) == Some(&Sent::Live) {
                    note(&mut answer.state, Stream::AccountData, room.info.room, Sent::Until(since));
                }
            }
        }
        answer.extensions.account_data = Some(data);
        Ok(())
    }

    async fn add_receipts(&self, ask: &Ask<'_>, interest: &Interest, answer: &mut Answer) -> Result<(), Error> {
        let extension = &ask.request.body.extensions.receipts;
        let mut asked = BTreeSet::new();
        for wanted in about(extension, interest) {
            let info = &wanted.room.info;
            if wanted.room.membership.membership != "join" {
                continue;
            }
            asked.insert(info.room);
            let since = match ask.was.receipts.get(&info.room) {
                Some(Sent::Live) => ask.since_in(info),
                Some(Sent::Until(from)) => Some(*from),
                None => None,
            };
            let receipts = self.receipts(info, since, ask.to.of(info.partition), &ask.viewer.user).await?;
            if let Some(receipts) = receipts {
                answer.extensions.receipts.push((info.id.clone(), written("m.receipt", &receipts)?));
            }
            note(&mut answer.state, Stream::Receipts, info.room, Sent::Live);
        }
        let all = self.rooms_of(&ask.viewer.user).await?;
        for room in &all.rooms {
            let (info, Some(since)) = (&room.info, ask.since_in(&room.info)) else { continue };
            let is_live = ask.was.receipts.get(&info.room) == Some(&Sent::Live);
            if is_live && !asked.contains(&info.room) && self.may_have_receipts(info, since) {
                note(&mut answer.state, Stream::Receipts, info.room, Sent::Until(since));
            }
        }
        Ok(())
    }

    fn add_typing(&self, ask: &Ask<'_>, interest: &Interest, answer: &mut Answer) -> Result<(), Error> {
        let extension = &ask.request.body.extensions.typing;
        for wanted in about(extension, interest) {
            let info = &wanted.room.info;
            if wanted.room.membership.membership != "join" {
                continue;
            }
            // A room that is new to the client is told of as it is.
            let is_known = ask.was.rooms.contains_key(&info.room);
            let seen = ask.pos.filter(|_| is_known).and_then(|pos| pos.token.volatile);
            if let Some(user_ids) = self.typing(&ask.ignored, info.room, seen) {
                answer.extensions.typing.push((info.id.clone(), written("m.typing", &TypingContent { user_ids })?));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Stream {
    AccountData,
    Receipts,
}

/// Notes what a connection was told, without a copy where it was noted before.
fn note(state: &mut Arc<State>, stream: Stream, room: rooms::RoomNumber, sent: Sent) {
    let known = match stream {
        Stream::AccountData => state.account_data.get(&room),
        Stream::Receipts => state.receipts.get(&room),
    };
    if known == Some(&sent) {
        return;
    }
    let state = Arc::make_mut(state);
    match stream {
        Stream::AccountData => state.account_data.insert(room, sent),
        Stream::Receipts => state.receipts.insert(room, sent),
    };
}
