//! The lists of rooms: which rooms are in each, in which order, and which of them are in its window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::collections::HashMap;
use base::{Position, limits};
use rooms::RoomNumber;
use rooms::read::Fields;
use rooms::read::card::{Card, cards};
use rooms::timeline::{self, Order};
use ruma::OwnedRoomId;
use ruma::events::StateEventType;
use serde::Deserialize;
use storage::Direction;

use crate::error::Error;
use crate::handle::{RoomInfo, Syncer};
use crate::sliding::Ask;
use crate::sliding::request::{Filters, RoomConfig};
use crate::user_rooms::{UserRoom, UserRooms};

/// Types of events by which a room moves to the front.
const BUMPS: [&str; 10] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
    "org.matrix.msc3672.beacon_info",
    "m.rtc.notification",
];

/// A list as it is told.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) count: usize,
    /// The rooms in its window, in order.
    pub(crate) window: Vec<OwnedRoomId>,
}

/// A room that is told of, with what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) room: UserRoom,
    pub(crate) config: RoomConfig,
    /// The lists in whose windows it is.
    pub(crate) lists: BTreeSet<String>,
    /// Whether it is subscribed to.
    pub(crate) is_subscribed: bool,
    pub(crate) bump: u64,
}

/// What is told of.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    pub(crate) lists: BTreeMap<String, Listed>,
    pub(crate) rooms: BTreeMap<RoomNumber, Wanted>,
}

/// What the filters of lists ask of all rooms.
struct Facts {
    cards: HashMap<RoomNumber, Card>,
    direct: BTreeSet<OwnedRoomId>,
    tags: HashMap<OwnedRoomId, BTreeSet<String>>,
    children: HashMap<OwnedRoomId, BTreeSet<OwnedRoomId>>,
}

/// Where the last event that moves a room to the front was looked for, and found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bumped {
    until: Position,
    at: u64,
}

impl Syncer {
    /// The rooms that a request asks for.
    pub(crate) async fn interest(&self, ask: &Ask<'_>, all: &UserRooms) -> Result<Interest, Error> {
        let mut interest = Interest::default();
        let rooms = self.rooms_to_list(ask, all).await?;
        if !ask.request.body.lists.is_empty() {
            let facts = self.facts(ask, &rooms).await?;
            for (name, list) in &ask.request.body.lists {
                let filters = list.filters.as_ref();
                let listed: Vec<&(u64, UserRoom)> =
                    rooms.iter().filter(|(_, room)| filters.is_none_or(|filters| facts.allow(filters, room))).collect();
                let window: Vec<&(u64, UserRoom)> =
                    list.places(listed.len()).into_iter().filter_map(|place| listed.get(place).copied()).collect();
                for (bump, room) in &window {
                    interest.want(room, *bump, &list.rooms).lists.insert(name.clone());
                }
                let window = window.into_iter().map(|(_, room)| room.info.id.clone()).collect();
                interest.lists.insert(name.clone(), Listed { count: listed.len(), window });
            }
        }
        for (id, config) in &ask.request.body.room_subscriptions {
            // Whoever never had anything to do with a room learns nothing of it.
            if let Some(room) = all.rooms.iter().find(|room| room.info.id == *id)
                && let Some(room) = self.membership_at(&ask.viewer.user, all, room, &ask.to).await?
            {
                let bump = self.bump(ask, &room).await?;
                interest.want(&room, bump, config).is_subscribed = true;
            }
        }
        Ok(interest)
    }

    /// The rooms that may be in lists, the one that was last moved to the front first.
    async fn rooms_to_list(&self, ask: &Ask<'_>, all: &UserRooms) -> Result<Vec<(u64, UserRoom)>, Error> {
        let mut rooms = Vec::with_capacity(all.rooms.len());
        for room in &all.rooms {
            let Some(room) = self.membership_at(&ask.viewer.user, all, room, &ask.to).await? else { continue };
            if self.is_listed(ask, &room).await? {
                rooms.push((self.bump(ask, &room).await?, room.into_owned()));
            }
        }
        rooms.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.info.id.cmp(&other.info.id)));
        Ok(rooms)
    }

    /// Whether a room may be in a list. A room that the user left by themselves is there once more, for them to learn of it.
    async fn is_listed(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<bool, Error> {
        Ok(match &*room.membership.membership {
            "join" | "invite" | "knock" | "ban" => true,
            _ => {
                let newly_left = match ask.since_in(&room.info) {
                    Some(since) => {
                        self.has_moved(&room.info, since, ask.to.of(room.info.partition)).await?
                            && self.changed_at(&ask.viewer.user, room).await? > since
                    }
                    None => false,
                };
                newly_left || self.was_kicked(ask, room).await?
            }
        })
    }

    async fn was_kicked(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<bool, Error> {
        let Some(reading) = self.rooms.read_number(room.info.room).await? else { return Ok(false) };
        let stored = reading.stored(&[room.membership.event]).await?;
        let Some(event) = stored.first() else { return Ok(false) };
        Ok(*Fields::of(&event.json)?.sender != *ask.viewer.user.as_str())
    }

    /// What rooms are ordered by: of a room in which the user is, the last event that moves it to the front.
    pub(crate) async fn bump(&self, ask: &Ask<'_>, room: &UserRoom) -> Result<u64, Error> {
        let info = &room.info;
        if room.membership.membership != "join" {
            let position = self.changed_at(&ask.viewer.user, room).await?;
            return self.stamp(info, Order::Live(position)).await;
        }
        let to = ask.to.of(info.partition);
        let last = self.last_event(info, to).await?.min(to);
        let known = self.bumped.get(&info.room);
        if let Some(known) = known.filter(|known| known.until == last) {
            return Ok(known.at);
        }
        let found = self.last_bump(info, known.filter(|known| known.until < last), last).await?;
        self.bumped.insert(info.room, Bumped { until: last, at: found });
        Ok(found)
    }

    async fn last_bump(&self, info: &RoomInfo, known: Option<Bumped>, last: Position) -> Result<u64, Error> {
        let Some(reading) = self.rooms.read_number(info.room).await? else { return Ok(0) };
        let from = known.map_or(Order::START, |known| Order::Live(known.until.next()));
        let (mut before, mut looked_at) = (Order::Live(last.next()), 0);
        while looked_at < limits::SLIDING_BUMPS_LOOKED_AT {
            let limit = if looked_at == 0 { 5 } else { limits::SLIDING_BUMPS_PAGE };
            let page =
                timeline::entries(self.rooms.store(), info.room, [from, before], Direction::Backward, limit).await?;
            let Some(oldest) = page.last().map(|entry| entry.order) else { break };
            let numbers: Vec<_> = page.iter().map(|entry| entry.event).collect();
            for (entry, stored) in page.iter().zip(reading.stored(&numbers).await?) {
                if BUMPS.contains(&&*Fields::of(&stored.json)?.kind) {
                    return self.stamp(info, entry.order).await;
                }
            }
            looked_at += page.len();
            before = oldest;
        }
        match known {
            Some(known) => Ok(known.at),
            // Nothing in all that was looked at: as old as that.
            None => self.stamp(info, before).await,
        }
    }

    /// The number by which what stands at `order` is compared with other rooms'. Within one partition positions are in order
    /// of time; between several only time itself is.
    async fn stamp(&self, info: &RoomInfo, order: Order) -> Result<u64, Error> {
        if self.rooms.store().engine().partitions() == 1 {
            return Ok(match order {
                Order::Live(position) | Order::Filled(position, _) => position.0,
                Order::History(_) => 0,
            });
        }
        let entry = timeline::last_until(self.rooms.store(), info.room, order).await?;
        let Some(reading) = self.rooms.read_number(info.room).await? else { return Ok(0) };
        let Some(entry) = entry else { return Ok(0) };
        let stored = reading.stored(&[entry.event]).await?;
        let Some(event) = stored.first() else { return Ok(0) };
        // Nobody gets ahead by a clock that is.
        let now = self.rooms.store().clock().now().as_millis();
        Ok(Fields::of(&event.json)?.origin_server_ts.min(now))
    }

    /// What the filters of the lists ask of `rooms`.
    async fn facts(&self, ask: &Ask<'_>, rooms: &[(u64, UserRoom)]) -> Result<Facts, Error> {
        let filters: Vec<&Filters> = ask.request.body.lists.values().filter_map(|list| list.filters.as_ref()).collect();
        let mut facts = Facts {
            cards: HashMap::default(),
            direct: (*ask.direct).clone(),
            tags: HashMap::default(),
            children: HashMap::default(),
        };
        if filters.iter().any(|filters| filters.asks_of_card()) {
            let numbers: Vec<RoomNumber> = rooms.iter().map(|(_, room)| room.info.room).collect();
            let found = cards(self.rooms.store(), &numbers).await?;
            facts.cards = numbers.into_iter().zip(found.into_iter().map(|(_, card)| card)).collect();
        }
        if filters.iter().any(|filters| filters.tags.is_some() || filters.not_tags.is_some()) {
            let data = self.account_data_changed(&ask.viewer.user, None, Position(u64::MAX)).await?;
            for (room, data) in data.rooms {
                let tags = data.iter().filter(|(kind, _)| kind == "m.tag").flat_map(|(_, event)| tags_of(event.get()));
                facts.tags.insert(room, tags.collect());
            }
        }
        let spaces: BTreeSet<&OwnedRoomId> =
            filters.iter().filter_map(|filters| filters.spaces.as_ref()).flatten().collect();
        for (_, room) in rooms {
            if room.membership.membership == "join" && spaces.contains(&room.info.id) {
                facts.children.insert(room.info.id.clone(), self.children(room.info.room).await?);
            }
        }
        Ok(facts)
    }

    /// The rooms that a space names.
    async fn children(&self, space: RoomNumber) -> Result<BTreeSet<OwnedRoomId>, Error> {
        let Some(mut reading) = self.rooms.read_number(space).await? else { return Ok(BTreeSet::new()) };
        let root = reading.state();
        let mut children = BTreeSet::new();
        for stored in reading.state_events(root, rooms::read::Members::None).await? {
            let fields = Fields::of(&stored.json)?;
            let is_child =
                fields.kind == StateEventType::SpaceChild.to_string() && fields.content.get().contains("\"via\"");
            if let Some(child) = fields.state_key.filter(|_| is_child).and_then(|key| OwnedRoomId::try_from(&*key).ok())
            {
                children.insert(child);
            }
        }
        Ok(children)
    }

    /// The rooms that `user` says are direct ones.
    pub(crate) async fn direct_rooms(&self, user: &ruma::UserId) -> Result<Arc<BTreeSet<OwnedRoomId>>, Error> {
        let content = self.accounts.account_data(user, None, "m.direct").await?;
        let direct: Option<BTreeMap<String, Vec<String>>> =
            content.and_then(|content| serde_json::from_str(content.get()).ok());
        let rooms = direct.into_iter().flat_map(BTreeMap::into_values).flatten();
        Ok(Arc::new(rooms.filter_map(|room| OwnedRoomId::try_from(room).ok()).collect()))
    }
}

#[derive(Deserialize)]
struct TagEvent {
    content: TagContent,
}

#[derive(Deserialize)]
struct TagContent {
    #[serde(default)]
    tags: BTreeMap<String, serde::de::IgnoredAny>,
}

fn tags_of(event: &str) -> Vec<String> {
    let event = serde_json::from_str::<TagEvent>(event);
    event.map(|event| event.content.tags.into_keys().collect()).unwrap_or_default()
}

impl Interest {
    fn want(&mut self, room: &UserRoom, bump: u64, config: &RoomConfig) -> &mut Wanted {
        let wanted = self.rooms.entry(room.info.room).or_insert_with(|| Wanted {
            room: room.clone(),
            config: RoomConfig::default(),
            lists: BTreeSet::new(),
            is_subscribed: false,
            bump,
        });
        wanted.config.timeline_limit = wanted.config.timeline_limit.max(config.timeline_limit);
        wanted.config.required_state.add(&config.required_state);
        wanted
    }
}

impl Filters {
    fn asks_of_card(&self) -> bool {
        self.is_encrypted.is_some()
            || self.room_types.is_some()
            || self.not_room_types.is_some()
            || self.room_name_like.is_some()
    }
}

impl Facts {
    fn allow(&self, filters: &Filters, room: &UserRoom) -> bool {
        let id = &room.info.id;
        let card = self.cards.get(&room.info.room);
        let is = |asked: Option<bool>, is: bool| asked.is_none_or(|asked| asked == is);
        let has_type = |types: &[Option<String>]| card.is_some_and(|card| types.contains(&card.room_type));
        let named = |part: &str| {
            let name = card.and_then(|card| card.name.as_ref()).map(|name| name.to_lowercase());
            name.is_some_and(|name| name.contains(&part.to_lowercase()))
        };
        let tagged = |tags: &[String]| self.tags.get(id).is_some_and(|has| tags.iter().any(|tag| has.contains(tag)));
        let in_space = |spaces: &[OwnedRoomId]| {
            spaces.iter().any(|space| self.children.get(space).is_some_and(|children| children.contains(id)))
        };
        is(filters.is_dm, self.direct.contains(id))
            && is(filters.is_invite, room.membership.membership == "invite")
            && is(filters.is_encrypted, card.is_some_and(|card| card.encryption.is_some()))
            && filters.room_types.as_deref().is_none_or(has_type)
            && !filters.not_room_types.as_deref().is_some_and(has_type)
            && filters.room_name_like.as_deref().is_none_or(named)
            && filters.tags.as_deref().is_none_or(tagged)
            && !filters.not_tags.as_deref().is_some_and(tagged)
            && filters.spaces.as_deref().is_none_or(in_space)
    }
}
