//! A room in which the user is: what has happened in it since, or, for a client that has not seen it, how it stands.

use std::collections::BTreeSet;

use base::limits;
use rooms::event::StateKey;
use rooms::graph::Stored;
use rooms::read::card::{Card, Counts, cards};
use rooms::read::{Bundles, Fields, Format, Reading};
use rooms::state::StateRoot;
use rooms::timeline::Order;
use ruma::events::StateEventType;
use ruma::events::room::member::MembershipState;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use crate::classic::answer::{Event, Room, Summary};
use crate::classic::{Ask, WhichState};
use crate::devices::Movement;
use crate::error::Error;
use crate::filter::{Lazy, asks_for_nothing};
use crate::follow::membership_changes;
use crate::handle::{RoomInfo, Syncer};
use crate::section::{Bounds, Goes, Section, ToTell, Whose, member_of, section, senders, state_to_tell};

/// How a client comes to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Has {
    /// It has seen nothing of it, and the user joined since its token.
    JoinedSince,
    /// It has seen nothing at all.
    Nothing,
    /// It has this state.
    State(StateRoot),
}

/// A room with its timeline and state, to be completed with what is not events.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) room: Room,
    pub(crate) moved: Movement,
    /// Whether the client had not seen the room.
    pub(crate) is_new: bool,
}

impl Syncer {
    /// The timeline and state of a room in which the user is.
    pub(crate) async fn joined_room(&self, ask: &Ask<'_>, info: &RoomInfo) -> Result<Option<Told>, Error> {
        let Some(mut reading) = self.rooms.read_number(info.room).await? else { return Ok(None) };
        let has = self.what_client_has(ask, &mut reading, info).await?;
        let until = Order::Live(ask.to.of(info.partition));
        self.room_until(ask, &mut reading, info, has, until).await.map(Some)
    }

    /// What the client has of a room: its state at the token, if the user was in it then.
    pub(crate) async fn what_client_has(
        &self,
        ask: &Ask<'_>,
        reading: &mut Reading<'_>,
        info: &RoomInfo,
    ) -> Result<Has, Error> {
        let Some(since) = ask.since_in(info.partition) else { return Ok(Has::Nothing) };
        let root = reading.state_at(Order::Live(since.next())).await?;
        let member = reading.state_event(root, StateEventType::RoomMember, ask.viewer.user.as_str()).await?;
        match member.map(|member| membership(&member)).transpose()? {
            Some(MembershipState::Join) => Ok(Has::State(root)),
            _ => Ok(Has::JoinedSince),
        }
    }

    /// The timeline and state of a room up to `until`.
    pub(crate) async fn room_until(
        &self,
        ask: &Ask<'_>,
        reading: &mut Reading<'_>,
        info: &RoomInfo,
        has: Has,
        until: Order,
    ) -> Result<Told, Error> {
        let since = if let Has::State(_) = has { ask.since_in(info.partition) } else { None };
        let limit = if ask.filter.timeline.allows_room(&info.id) { ask.filter.timeline_limit() } else { 0 };
        let bounds = Bounds { since, until, limit, filter: &ask.filter.timeline };
        let mut section = section(&self.rooms, reading, &ask.reader(), bounds).await?;
        section.limited |= has == Has::JoinedSince;
        let moved = self.members_moved(reading, has, &section).await?;
        let summary = self.summary(ask, reading, has, &section).await?;
        let is_new = !matches!(has, Has::State(_));
        let says_summary = is_new || ask.request.full_state || moved.is_any || summary.is_changed;
        let heroes = if says_summary { summary.heroes.unwrap_or_default() } else { BTreeSet::new() };
        let state = self.state_block(ask, reading, info, has, &section, heroes).await?;
        let with = if section.limited || since.is_none() { Bundles::All } else { Bundles::None };
        let format = Format { with_room: false, bundles: with };
        let timeline = reading.render(&ask.reader(), &section.shown, format).await?;
        let summary = says_summary.then_some(summary.summary);
        let prev_batch = section.prev.to_string();
        let room = Room { timeline, limited: section.limited, prev_batch, state, summary, ..Room::default() };
        Ok(Told { room, moved, is_new })
    }
}

/// A summary, and whether what it follows from has changed by other than members.
struct Summarised {
    summary: Summary,
    heroes: Option<BTreeSet<OwnedUserId>>,
    is_changed: bool,
}

impl Syncer {
    /// Who came into the room or went since the client's state.
    async fn members_moved(&self, reading: &Reading<'_>, has: Has, section: &Section) -> Result<Movement, Error> {
        let mut moved = Movement::default();
        match has {
            Has::Nothing => {}
            Has::JoinedSince => {
                let members = rooms::append::members(self.rooms.store(), reading.number()).await?;
                let joined = members.into_iter().filter(|member| member.membership == "join");
                moved.came.extend(joined.map(|member| member.user));
            }
            Has::State(root) if root == section.end => {}
            Has::State(root) => {
                for change in membership_changes(&self.rooms, reading.number(), [root, section.end]).await? {
                    let [was, is] = [change.before, change.after].map(|it| it.as_deref() == Some("join"));
                    moved.is_any = true;
                    match (was, is) {
                        (false, true) => drop(moved.came.insert(change.user)),
                        (true, false) => drop(moved.went.insert(change.user)),
                        _ => {}
                    }
                }
            }
        }
        Ok(moved)
    }

    async fn summary(
        &self,
        ask: &Ask<'_>,
        reading: &mut Reading<'_>,
        has: Has,
        section: &Section,
    ) -> Result<Summarised, Error> {
        let cards = cards(self.rooms.store(), &[reading.number()]).await?;
        let (counts, card) = cards.into_iter().next().unwrap_or_default();
        let heroes = match is_named(&card) {
            true => None,
            false => Some(self.heroes(reading, &counts, &ask.viewer.user).await?),
        };
        // A room that has lost its name, or got one, is told with or without heroes.
        let naming = [StateEventType::RoomName, StateEventType::RoomCanonicalAlias].map(|kind| StateKey::new(kind, ""));
        let is_changed = match has {
            Has::State(root) if root != section.end => {
                reading.entries(root, &naming).await? != reading.entries(section.end, &naming).await?
            }
            _ => false,
        };
        let needed = heroes.as_ref().map(|heroes| heroes.iter().cloned().collect());
        let summary = Summary { heroes, joined: counts.joined, invited: counts.invited };
        Ok(Summarised { summary, heroes: needed, is_changed })
    }

    /// The first members beside `user`, or, where there are none, of those who were
    /// (<https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>).
    pub(crate) async fn heroes(
        &self,
        reading: &Reading<'_>,
        counts: &Counts,
        user: &UserId,
    ) -> Result<Vec<OwnedUserId>, Error> {
        let present: Vec<OwnedUserId> =
            counts.heroes.iter().filter(|hero| *hero != user).take(limits::SYNC_HEROES).cloned().collect();
        let gone = counts.left.saturating_add(counts.banned);
        if !present.is_empty() || gone == 0 || gone > limits::SYNC_GONE_HEROES {
            return Ok(present);
        }
        let mut gone = rooms::append::members(self.rooms.store(), reading.number()).await?;
        gone.retain(|member| member.user != *user && matches!(&*member.membership, "leave" | "ban"));
        gone.sort_by_key(|member| member.event);
        Ok(gone.into_iter().take(limits::SYNC_HEROES).map(|member| member.user).collect())
    }

    /// The state that goes with `section`, as the filter lets it through.
    async fn state_block(
        &self,
        ask: &Ask<'_>,
        reading: &mut Reading<'_>,
        info: &RoomInfo,
        has: Has,
        section: &Section,
        heroes: BTreeSet<OwnedUserId>,
    ) -> Result<Vec<Event>, Error> {
        let (filter, viewer) = (&ask.filter.state, ask.viewer);
        if asks_for_nothing(filter) || !filter.allows_room(&info.id) {
            return Ok(Vec::new());
        }
        let goes = if ask.request.state == WhichState::Before { Goes::Before } else { Goes::After };
        let had = match has {
            Has::State(root) if !ask.request.full_state => Some(root),
            _ => None,
        };
        let lazy = ask.filter.lazy();
        let mut members = senders(&section.shown)?;
        members.extend(heroes);
        if had.is_none() {
            members.insert(viewer.user.clone());
            self.told.forget(viewer, info.room);
        }
        let whose = if lazy == Lazy::No { Whose::All } else { Whose::Of(&members) };
        let ToTell { lacking, speaking } = state_to_tell(reading, section, had, goes, whose).await?;
        let mut kept = Vec::with_capacity(lacking.len() + speaking.len());
        let (since, until) = (ask.since_in(info.partition).unwrap_or_default(), ask.to.of(info.partition));
        for stored in speaking {
            let Some(member) = member_of(&stored.json)? else { continue };
            let is_redundant = lazy == Lazy::Once && self.told.was(viewer, info.room, &member, stored.number, since);
            if !is_redundant && filter.allows(&Fields::of(&stored.json)?) {
                kept.push(stored);
            }
        }
        for stored in lacking {
            if filter.allows(&Fields::of(&stored.json)?) {
                kept.push(stored);
            }
        }
        if lazy == Lazy::Once {
            for stored in kept.iter().chain(section.shown.iter().map(|shown| &shown.stored)) {
                if let Some(member) = member_of(&stored.json)? {
                    self.told.note(viewer, info.room, &member, stored.number, until);
                }
            }
        }
        Ok(reading.render_state(&kept, false).await?)
    }
}

/// Whether a client finds the room's name in its state.
fn is_named(card: &Card) -> bool {
    card.name.is_some() || card.alias.is_some()
}

/// What an event says of its member.
pub(crate) fn membership(member: &Stored) -> Result<MembershipState, Error> {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    let fields = Fields::of(&member.json)?;
    let content = serde_json::from_str::<Content>(fields.content.get());
    Ok(content.map_or(MembershipState::Leave, |content| content.membership))
}
