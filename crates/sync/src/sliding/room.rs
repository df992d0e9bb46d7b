//! One room as sliding sync tells of it: all that a client needs to show it, or what has changed since it was last told.

use std::collections::BTreeSet;

use base::Position;
use rooms::EventNumber;
use rooms::event::StateKey;
use rooms::graph::Stored;
use rooms::read::card::cards;
use rooms::read::{Bundles, EventFilter, Fields, Format, Members, Reading};
use rooms::state::StateRoot;
use rooms::timeline::{Order, orders};
use ruma::events::StateEventType;
use ruma::events::room::member::MembershipState;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;

use crate::classic::membership;
use crate::error::Error;
use crate::handle::Syncer;
use crate::section::{Bounds, Section, member_of, section, senders};
use crate::sliding::Ask;
use crate::sliding::answer::{Hero, Room, Timeline};
use crate::sliding::connection::{RoomSent, Sent};
use crate::sliding::lists::Wanted;
use crate::sliding::required::{For, RequiredState};

/// What a client knows of a room.
struct Known {
    /// Up to where it was told; `None` for a room that is new to it.
    from: Option<Position>,
    /// The state then.
    root: Option<StateRoot>,
    /// Whether it asks for more of the timeline than before.
    is_expanded: bool,
    /// What state it was told, when that was other than what it asks for now.
    was_required: Option<RequiredState>,
}

/// The state that a client asks for, as far as it must be told.
#[derive(Default)]
struct StateTold {
    events: Vec<Stored>,
    is_renamed: bool,
    is_repainted: bool,
    members_changed: bool,
}

impl Syncer {
    /// What there is to tell of a room; `None` for nothing.
    pub(crate) async fn sliding_room(&self, ask: &Ask<'_>, wanted: &Wanted) -> Result<Option<Room>, Error> {
        let info = &wanted.room.info;
        let sent = ask.was.rooms.get(&info.room);
        if let Some(sent) = sent.filter(|sent| *sent.config == wanted.config)
            && let Some(from) = told_until(ask, wanted, Some(sent))
            && !self.has_moved(info, from, ask.to.of(info.partition)).await?
        {
            return Ok(None);
        }
        let Some(mut reading) = self.rooms.read_number(info.room).await? else { return Ok(None) };
        let mut room = match &*wanted.room.membership.membership {
            "invite" | "knock" => match self.seen_from_outside(ask, wanted, &mut reading).await? {
                Some(room) => room,
                None => return Ok(None),
            },
            _ => match self.seen_from_inside(ask, wanted, &mut reading).await? {
                Some(room) => room,
                None => return Ok(None),
            },
        };
        room.bump_stamp = wanted.bump;
        room.membership.clone_from(&wanted.room.membership.membership);
        room.lists = wanted.lists.iter().cloned().collect();
        room.is_dm = ask.direct.contains(&info.id);
        Ok(Some(room))
    }

    /// A room to which the user is invited.
    async fn seen_from_outside(
        &self,
        ask: &Ask<'_>,
        wanted: &Wanted,
        reading: &mut Reading<'_>,
    ) -> Result<Option<Room>, Error> {
        let from = told_until(ask, wanted, ask.was.rooms.get(&wanted.room.info.room));
        if let Some(from) = from
            && self.changed_at(&ask.viewer.user, &wanted.room).await? <= from
        {
            return Ok(None);
        }
        let stored = reading.stored(&[wanted.room.membership.event]).await?;
        let Some(member) = stored.first() else { return Ok(None) };
        let sender = Fields::of(&member.json)?.sender.into_owned();
        if <&UserId>::try_from(sender.as_str()).is_ok_and(|sender| ask.ignored.contains(sender)) {
            return Ok(None);
        }
        let root = match member.facts.place {
            rooms::graph::Place::InGraph { after, .. } => after,
            rooms::graph::Place::Outlier => reading.state(),
        };
        let state = reading.stripped_state(root, &ask.viewer.user).await?;
        let cards = cards(self.rooms.store(), &[reading.number()]).await?;
        let card = cards.into_iter().next().unwrap_or_default().1;
        let invite_state = Some(reading.stripped(&state).await?);
        Ok(Some(Room { initial: true, invite_state, name: card.name, avatar: card.avatar, ..Room::default() }))
    }

    /// A room in which the user is, or was.
    async fn seen_from_inside(
        &self,
        ask: &Ask<'_>,
        wanted: &Wanted,
        reading: &mut Reading<'_>,
    ) -> Result<Option<Room>, Error> {
        let info = &wanted.room.info;
        let until = match &*wanted.room.membership.membership {
            "join" => Order::Live(ask.to.of(info.partition)),
            _ if wanted.room.membership.left.is_none() => return Ok(None),
            _ => {
                let left = orders(self.rooms.store(), info.room, &[wanted.room.membership.event]).await?;
                let Some(left) = left.into_iter().next().flatten() else { return Ok(None) };
                left
            }
        };
        let known = self.known(ask, wanted, reading).await?;
        let limit = usize::try_from(wanted.config.timeline_limit).unwrap_or(usize::MAX);
        let since = known.from.filter(|_| !known.is_expanded);
        let everything = EventFilter::default();
        let section =
            section(&self.rooms, reading, &ask.reader(), Bounds { since, until, limit, filter: &everything }).await?;
        let state = self.required_state(ask, wanted, reading, &known, &section).await?;
        let is_initial = known.from.is_none();
        let nothing = section.shown.is_empty() && !section.limited && state.events.is_empty();
        if !is_initial && nothing && !state.members_changed && !state.is_renamed && !state.is_repainted {
            return Ok(None);
        }
        let with = if section.limited || since.is_none() { Bundles::All } else { Bundles::None };
        let format = Format { with_room: false, bundles: with };
        let since = ask.since_in(info);
        let seen = since.map_or(Order::Live(ask.to.of(info.partition)), Order::Live);
        let num_live = section.shown.iter().filter(|shown| shown.order > seen).count();
        let timeline = Timeline {
            num_live,
            events: reading.render(&ask.reader(), &section.shown, format).await?,
            limited: section.limited,
            prev_batch: section.prev.to_string(),
        };
        let mut room = Room {
            initial: is_initial,
            expanded: known.is_expanded && !is_initial,
            timeline: Some(timeline),
            required_state: reading.render_state(&state.events, false).await?,
            ..Room::default()
        };
        self.describe(ask, wanted, reading, &state, section.end, &mut room).await?;
        Ok(Some(room))
    }

    /// What the client knows of a room in which the user is or was.
    async fn known(&self, ask: &Ask<'_>, wanted: &Wanted, reading: &mut Reading<'_>) -> Result<Known, Error> {
        let new = Known { from: None, root: None, is_expanded: false, was_required: None };
        let sent = ask.was.rooms.get(&wanted.room.info.room);
        let (Some(sent), Some(from)) = (sent, told_until(ask, wanted, sent)) else { return Ok(new) };
        let root = reading.state_at(Order::Live(from.next())).await?;
        let member = reading.state_event(root, StateEventType::RoomMember, ask.viewer.user.as_str()).await?;
        let was = member.map(|member| membership(&member)).transpose()?;
        if was != Some(MembershipState::Join) {
            // Joined since: nothing of what was told before is of use. Left before: nothing can have changed.
            let is_in = wanted.room.membership.membership == "join";
            return Ok(if is_in || was != Some(MembershipState::from(&*wanted.room.membership.membership)) {
                new
            } else {
                Known { from: Some(from), root: Some(root), ..new }
            });
        }
        let is_other = sent.config.required_state != wanted.config.required_state;
        Ok(Known {
            from: Some(from),
            root: Some(root),
            is_expanded: sent.config.timeline_limit < wanted.config.timeline_limit,
            was_required: is_other.then(|| sent.config.required_state.clone()),
        })
    }

    async fn required_state(
        &self,
        ask: &Ask<'_>,
        wanted: &Wanted,
        reading: &mut Reading<'_>,
        known: &Known,
        section: &Section,
    ) -> Result<StateTold, Error> {
        let required = &wanted.config.required_state;
        let speaking = if required.is_lazy() { speaking(section)? } else { BTreeSet::new() };
        let of = For { me: &ask.viewer.user, speaking: &speaking };
        let (room, info) = (reading.number(), &wanted.room.info);
        let (since, until) = (ask.since_in(info).unwrap_or_default(), ask.to.of(info.partition));
        let mut told = StateTold::default();
        let Some(root) = known.root else {
            self.told.forget(&ask.told_as, room);
            told.events = whole_state(reading, section.end, required, of).await?;
            self.note_told(ask, room, &told.events, until)?;
            return Ok(told);
        };
        let changes = if root == section.end { Vec::new() } else { reading.state_changes(root, section.end).await? };
        for stored in reading.stored(&changes).await? {
            let fields = Fields::of(&stored.json)?;
            let (kind, key) = (&*fields.kind, fields.state_key.as_deref().unwrap_or_default());
            told.is_renamed |= kind == "m.room.name" && key.is_empty();
            told.is_repainted |= kind == "m.room.avatar" && key.is_empty();
            let member = <&UserId>::try_from(key).ok().filter(|_| kind == "m.room.member");
            told.members_changed |= member.is_some();
            // A member of whom the client was told is another now.
            let is_known =
                member.is_some_and(|member| required.is_lazy() && self.told.knows(&ask.told_as, room, member, since));
            if is_known || required.takes(kind, key, of) {
                told.events.push(stored);
            }
        }
        if let Some(before) = &known.was_required {
            for stored in whole_state(reading, section.end, required, of).await? {
                let fields = Fields::of(&stored.json)?;
                if !before.takes(&fields.kind, fields.state_key.as_deref().unwrap_or_default(), of) {
                    told.events.push(stored);
                }
            }
        }
        if !speaking.is_empty() {
            let mut new: Vec<EventNumber> = Vec::new();
            for (member, event) in reading.member_events(section.end, &speaking).await? {
                if !self.told.was(&ask.told_as, room, &member, event, since) {
                    new.push(event);
                }
            }
            told.events.extend(reading.stored(&new).await?);
        }
        told.events.sort_by_key(|stored| stored.number);
        told.events.dedup_by_key(|stored| stored.number);
        self.note_told(ask, room, &told.events, until)?;
        Ok(told)
    }

    fn note_told(
        &self,
        ask: &Ask<'_>,
        room: rooms::RoomNumber,
        events: &[Stored],
        until: Position,
    ) -> Result<(), Error> {
        for stored in events {
            if let Some(member) = member_of(&stored.json)? {
                self.told.note(&ask.told_as, room, &member, stored.number, until);
            }
        }
        Ok(())
    }

    /// Adds what names a room and how many are in it, as far as that may have changed.
    async fn describe(
        &self,
        ask: &Ask<'_>,
        wanted: &Wanted,
        reading: &mut Reading<'_>,
        state: &StateTold,
        root: StateRoot,
        room: &mut Room,
    ) -> Result<(), Error> {
        let is_joined = wanted.room.membership.membership == "join";
        if is_joined {
            room.unread = self.unread_of(&ask.viewer.user, &wanted.room.info, &ask.ignored).await?;
        }
        if !(room.initial || state.members_changed || state.is_renamed || state.is_repainted) {
            return Ok(());
        }
        let cards = cards(self.rooms.store(), &[reading.number()]).await?;
        let (counts, card) = cards.into_iter().next().unwrap_or_default();
        let is_unnamed = card.name.is_none();
        if room.initial || state.is_renamed {
            room.name = card.name;
        }
        if room.initial || state.is_repainted {
            room.avatar = card.avatar;
        }
        if is_joined && (room.initial || state.members_changed) {
            room.counts = Some([counts.joined, counts.invited]);
        }
        if is_joined && is_unnamed && (room.initial || state.members_changed || state.is_renamed) {
            let heroes = self.heroes(reading, &counts, &ask.viewer.user).await?;
            room.heroes = described(reading, root, heroes).await?;
        }
        Ok(())
    }
}

/// Up to where the client was told of a room.
fn told_until(ask: &Ask<'_>, wanted: &Wanted, sent: Option<&RoomSent>) -> Option<Position> {
    match sent?.events {
        Sent::Live => ask.since_in(&wanted.room.info),
        Sent::Until(position) => Some(position),
    }
}

/// All of a state that is asked for.
async fn whole_state(
    reading: &mut Reading<'_>,
    root: StateRoot,
    required: &RequiredState,
    of: For<'_>,
) -> Result<Vec<Stored>, Error> {
    if let Some(keys) = required.named(of) {
        let found = reading.entries(root, &keys).await?;
        let mut numbers: Vec<EventNumber> = found.into_iter().flatten().collect();
        numbers.sort_unstable();
        return Ok(reading.stored(&numbers).await?);
    }
    let mut users = of.speaking.clone();
    users.insert(of.me.to_owned());
    let members = if required.wants_all_members() { Members::All } else { Members::Of(&users) };
    let mut kept = Vec::new();
    for stored in reading.state_events(root, members).await? {
        let fields = Fields::of(&stored.json)?;
        if required.takes(&fields.kind, fields.state_key.as_deref().unwrap_or_default(), of) {
            kept.push(stored);
        }
    }
    kept.sort_by_key(|stored| stored.number);
    Ok(kept)
}

/// Who speaks in a timeline, and of whom it says that they came or went.
fn speaking(section: &Section) -> Result<BTreeSet<OwnedUserId>, Error> {
    let mut speaking = senders(&section.shown)?;
    for shown in &section.shown {
        speaking.extend(member_of(&shown.stored.json)?);
    }
    Ok(speaking)
}

#[derive(Default, Deserialize)]
struct MemberContent {
    displayname: Option<String>,
    avatar_url: Option<String>,
}

/// Heroes with what they are called in the room.
async fn described(reading: &mut Reading<'_>, root: StateRoot, heroes: Vec<OwnedUserId>) -> Result<Vec<Hero>, Error> {
    let keys: Vec<StateKey> =
        heroes.iter().map(|hero| StateKey::new(StateEventType::RoomMember, hero.as_str())).collect();
    let found = reading.entries(root, &keys).await?;
    let numbers: Vec<EventNumber> = found.iter().flatten().copied().collect();
    let mut stored = reading.stored(&numbers).await?.into_iter();
    let mut described = Vec::with_capacity(heroes.len());
    for (user, event) in heroes.into_iter().zip(found) {
        let member = event.and_then(|_| stored.next());
        let content = member.map(|member| {
            let fields = Fields::of(&member.json)?;
            Ok::<_, Error>(serde_json::from_str::<MemberContent>(fields.content.get()).unwrap_or_default())
        });
        let MemberContent { displayname, avatar_url } = content.transpose()?.unwrap_or_default();
        described.push(Hero { user, displayname, avatar_url });
    }
    Ok(described)
}
