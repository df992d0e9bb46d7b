//! What sliding sync answers, and how it is written.

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedUserId};

use crate::classic::answer::{Count, Devices, Event, Keys};
use crate::json::{Json, Object};
use crate::sliding::connection::{Pos, State};
use crate::sliding::lists::Listed;
use crate::sliding::request::SlidingRequest;
use crate::token::Token;

/// Everything that one answer tells.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) token: Option<Token>,
    /// What the connection will have been told.
    pub(crate) state: Arc<State>,
    pub(crate) lists: Vec<(String, Listed, Window)>,
    pub(crate) rooms: Vec<(OwnedRoomId, Room)>,
    pub(crate) extensions: Extensions,
}

/// Whether a list's window is told room by room: when it is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Told,
    Known,
}

impl Window {
    pub(crate) fn of(is_new: bool) -> Self {
        if is_new { Self::Told } else { Self::Known }
    }
}

/// A room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) initial: bool,
    pub(crate) expanded: bool,
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<String>,
    pub(crate) heroes: Vec<Hero>,
    pub(crate) is_dm: bool,
    pub(crate) membership: String,
    pub(crate) lists: Vec<String>,
    pub(crate) required_state: Vec<Event>,
    pub(crate) invite_state: Option<Vec<Event>>,
    pub(crate) timeline: Option<Timeline>,
    /// Joined and invited members.
    pub(crate) counts: Option<[u64; 2]>,
    pub(crate) unread: Count,
    pub(crate) bump_stamp: u64,
}

/// The timeline of a room.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) events: Vec<Event>,
    pub(crate) limited: bool,
    pub(crate) prev_batch: String,
    pub(crate) num_live: usize,
}

/// Who stands for a room without a name.
#[derive(Debug)]
pub(crate) struct Hero {
    pub(crate) user: OwnedUserId,
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
}

/// What is not rooms.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) to_device: Option<(u64, Vec<Event>)>,
    pub(crate) e2ee: Option<E2ee>,
    pub(crate) account_data: Option<AccountData>,
    pub(crate) receipts: Vec<(OwnedRoomId, Event)>,
    pub(crate) typing: Vec<(OwnedRoomId, Event)>,
    pub(crate) presence: Vec<Event>,
}

/// What a client needs to encrypt.
#[derive(Debug, Default)]
pub(crate) struct E2ee {
    pub(crate) devices: Devices,
    pub(crate) keys: Keys,
}

/// Account data.
#[derive(Debug, Default)]
pub(crate) struct AccountData {
    pub(crate) global: Vec<Event>,
    pub(crate) rooms: Vec<(OwnedRoomId, Vec<Event>)>,
}

impl Answer {
    /// Whether it tells nothing that a client would wait for.
    pub(crate) fn is_empty(&self) -> bool {
        let Extensions { to_device, e2ee, account_data, receipts, typing, presence } = &self.extensions;
        let messages = to_device.as_ref().is_none_or(|(_, messages)| messages.is_empty());
        let devices = e2ee.as_ref().is_none_or(|it| it.devices.changed.is_empty() && it.devices.left.is_empty());
        let data = account_data.as_ref().is_none_or(|data| data.global.is_empty() && data.rooms.is_empty());
        let rest = receipts.is_empty() && typing.is_empty() && presence.is_empty();
        self.rooms.is_empty() && messages && devices && data && rest
    }

    /// Writes it.
    pub(crate) fn write(&self, request: &SlidingRequest, pos: &Pos) -> Vec<u8> {
        let bytes: usize = self.rooms.iter().map(|(_, room)| room.bytes()).sum();
        let mut json = Json::with_capacity(bytes + 1_000);
        json.object(|answer| {
            answer.field("pos").plain(pos);
            if let Some(id) = &request.body.txn_id {
                answer.field("txn_id").string(id);
            }
            answer.field("lists").object(|lists| {
                for (name, listed, window) in &self.lists {
                    write_list(lists.field(name), request, name, listed, *window);
                }
            });
            answer.field("rooms").object(|rooms| {
                self.rooms.iter().for_each(|(id, room)| room.write(rooms.field(id.as_str())));
            });
            answer.field("extensions").object(|extensions| self.extensions.write(extensions));
        });
        json.finish()
    }
}

fn write_list(json: &mut Json, request: &SlidingRequest, name: &str, listed: &Listed, window: Window) {
    json.object(|list| {
        list.field("count").number(listed.count);
        if window == Window::Known {
            return;
        }
        let places = request.body.lists.get(name).map(|list| list.places(listed.count)).unwrap_or_default();
        // A run of places next to each other is one operation.
        let mut runs: Vec<(usize, Vec<&OwnedRoomId>)> = Vec::new();
        for (place, room) in places.into_iter().zip(&listed.window) {
            match runs.last_mut() {
                Some((first, rooms)) if *first + rooms.len() == place => rooms.push(room),
                _ => runs.push((place, vec![room])),
            }
        }
        list.field("ops").list(runs, |json, (first, rooms)| {
            json.object(|op| {
                op.field("op").plain("SYNC");
                op.field("range").list([first, first + rooms.len() - 1], Json::number);
                op.field("room_ids").list(rooms, |json, room| json.string(room.as_str()));
            });
        });
    });
}

fn raw(json: &mut Json, event: &Event) {
    json.raw(event.get());
}

impl Room {
    fn bytes(&self) -> usize {
        let timeline = self.timeline.iter().flat_map(|timeline| &timeline.events);
        timeline.chain(&self.required_state).map(|event| event.get().len() + 1).sum::<usize>() + 400
    }

    fn write(&self, json: &mut Json) {
        json.object(|room| {
            for (name, flag) in
                [("initial", self.initial), ("unstable_expanded_timeline", self.expanded), ("is_dm", self.is_dm)]
            {
                if flag {
                    room.field(name).raw("true");
                }
            }
            for (name, text) in [("name", &self.name), ("avatar", &self.avatar)] {
                if let Some(text) = text {
                    room.field(name).string(text);
                }
            }
            if !self.heroes.is_empty() {
                room.field("heroes").list(&self.heroes, |json, hero| hero.write(json));
            }
            room.field("membership").string(&self.membership);
            if !self.lists.is_empty() {
                room.field("lists").list(&self.lists, |json, list| json.string(list));
            }
            if !self.required_state.is_empty() {
                room.field("required_state").list(&self.required_state, raw);
            }
            if let Some(state) = &self.invite_state {
                room.field("invite_state").list(state, raw);
            }
            if let Some(timeline) = &self.timeline {
                timeline.write(room);
            }
            if let Some([joined, invited]) = self.counts {
                room.field("joined_count").number(joined);
                room.field("invited_count").number(invited);
            }
            room.field("notification_count").number(self.unread.notifications);
            room.field("highlight_count").number(self.unread.highlights);
            room.field("bump_stamp").number(self.bump_stamp);
        });
    }
}

impl Timeline {
    fn write(&self, room: &mut Object<'_>) {
        room.field("timeline").list(&self.events, raw);
        room.field("prev_batch").plain(&self.prev_batch);
        room.field("limited").raw(if self.limited { "true" } else { "false" });
        room.field("num_live").number(self.num_live);
    }
}

impl Hero {
    fn write(&self, json: &mut Json) {
        json.object(|hero| {
            hero.field("user_id").string(self.user.as_str());
            for (name, text) in [("displayname", &self.displayname), ("avatar_url", &self.avatar_url)] {
                if let Some(text) = text {
                    hero.field(name).string(text);
                }
            }
        });
    }
}

impl Extensions {
    fn write(&self, extensions: &mut Object<'_>) {
        if let Some((next, events)) = &self.to_device {
            extensions.field("to_device").object(|to_device| {
                to_device.field("next_batch").plain(next);
                to_device.field("events").list(events, raw);
            });
        }
        if let Some(e2ee) = &self.e2ee {
            extensions.field("e2ee").object(|object| e2ee.write(object));
        }
        if let Some(data) = &self.account_data {
            extensions.field("account_data").object(|account_data| {
                account_data.field("global").list(&data.global, raw);
                account_data.field("rooms").object(|rooms| {
                    data.rooms.iter().for_each(|(id, events)| rooms.field(id.as_str()).list(events, raw));
                });
            });
        }
        for (name, events) in [("receipts", &self.receipts), ("typing", &self.typing)] {
            if !events.is_empty() {
                extensions.field(name).object(|extension| {
                    extension.field("rooms").object(|rooms| {
                        events.iter().for_each(|(id, event)| rooms.field(id.as_str()).raw(event.get()));
                    });
                });
            }
        }
        if !self.presence.is_empty() {
            extensions.events("presence", &self.presence, raw);
        }
    }
}

impl E2ee {
    fn write(&self, e2ee: &mut Object<'_>) {
        let Devices { changed, left } = &self.devices;
        if !changed.is_empty() || !left.is_empty() {
            e2ee.field("device_lists").object(|lists| {
                lists.field("changed").list(changed, |json, user| json.string(user.as_str()));
                lists.field("left").list(left, |json, user| json.string(user.as_str()));
            });
        }
        e2ee.field("device_one_time_keys_count").object(|counts| {
            self.keys.one_time.iter().for_each(|(algorithm, count)| counts.field(algorithm).number(count));
        });
        let unused = e2ee.field("device_unused_fallback_key_types");
        unused.list(&self.keys.unused_fallback, |json, algorithm| json.string(algorithm));
    }
}
