//! What `/sync` answers, and how it is written: events are JSON already and are copied.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde_json::value::RawValue;

use crate::classic::{Request, WhichState};
use crate::filter::Fields;
use crate::json::{Json, Object};
use crate::token::Token;

/// An event as JSON.
pub(crate) type Event = Box<RawValue>;

/// Everything that one answer tells.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) next: Option<Token>,
    pub(crate) joined: Vec<(OwnedRoomId, Room)>,
    pub(crate) left: Vec<(OwnedRoomId, Room)>,
    pub(crate) invited: Vec<(OwnedRoomId, Vec<Event>)>,
    pub(crate) knocked: Vec<(OwnedRoomId, Vec<Event>)>,
    pub(crate) account_data: Vec<Event>,
    pub(crate) presence: Vec<Event>,
    pub(crate) to_device: Vec<Event>,
    pub(crate) devices: Devices,
    pub(crate) keys: Keys,
}

/// Whose devices have changed.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) changed: Vec<OwnedUserId>,
    pub(crate) left: Vec<OwnedUserId>,
}

/// What is left of the device's own keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// One-time keys, by algorithm.
    pub(crate) one_time: BTreeMap<String, u64>,
    /// Algorithms whose fallback key nobody has used.
    pub(crate) unused_fallback: Vec<String>,
}

/// A room in which the user is or was.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) timeline: Vec<Event>,
    pub(crate) limited: bool,
    pub(crate) prev_batch: String,
    pub(crate) state: Vec<Event>,
    pub(crate) ephemeral: Vec<Event>,
    pub(crate) account_data: Vec<Event>,
    pub(crate) summary: Option<Summary>,
    pub(crate) unread: Option<Unread>,
}

/// How many are in a room, and who stands for it.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) heroes: Option<Vec<OwnedUserId>>,
    pub(crate) joined: u64,
    pub(crate) invited: u64,
}

/// Counts of what the user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) notifications: u64,
    pub(crate) highlights: u64,
}

/// The same of a room.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(crate) room: Count,
    pub(crate) threads: Vec<(OwnedEventId, Count)>,
}

impl Room {
    /// Whether there is nothing to tell of it.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { timeline, limited, state, ephemeral, account_data, .. } = self;
        timeline.is_empty() && !limited && state.is_empty() && ephemeral.is_empty() && account_data.is_empty()
    }

    fn bytes(&self) -> usize {
        let all = self.timeline.iter().chain(&self.state).chain(&self.ephemeral).chain(&self.account_data);
        all.map(|event| event.get().len() + 1).sum::<usize>() + 300
    }
}

impl Answer {
    /// Whether it tells nothing that a client would wait for.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { joined, left, invited, knocked, account_data, presence, to_device, devices, .. } = self;
        let rooms = joined.is_empty() && left.is_empty() && invited.is_empty() && knocked.is_empty();
        let devices = devices.changed.is_empty() && devices.left.is_empty();
        rooms && devices && account_data.is_empty() && presence.is_empty() && to_device.is_empty()
    }

    /// Writes it.
    pub(crate) fn write(&self, request: &Request) -> Vec<u8> {
        let rooms = self.joined.iter().chain(&self.left).map(|(_, room)| room.bytes()).sum::<usize>();
        let others = self.account_data.iter().chain(&self.presence).chain(&self.to_device);
        let mut json = Json::with_capacity(rooms + others.map(|event| event.get().len() + 1).sum::<usize>() + 500);
        json.object(|answer| {
            if let Some(next) = &self.next {
                answer.field("next_batch").plain(next);
            }
            self.write_rooms(answer, request);
            let plain =
                [("account_data", &self.account_data), ("presence", &self.presence), ("to_device", &self.to_device)];
            for (name, events) in plain.into_iter().filter(|(_, events)| !events.is_empty()) {
                answer.events(name, events, |json, event| json.raw(event.get()));
            }
            self.write_devices(answer);
        });
        json.finish()
    }

    fn write_rooms(&self, answer: &mut Object<'_>, request: &Request) {
        let Self { joined, left, invited, knocked, .. } = self;
        if joined.is_empty() && left.is_empty() && invited.is_empty() && knocked.is_empty() {
            return;
        }
        answer.field("rooms").object(|rooms| {
            for (name, list) in [("join", joined), ("leave", left)] {
                if !list.is_empty() {
                    rooms.field(name).object(|list_of| {
                        list.iter().for_each(|(id, room)| room.write(list_of.field(id.as_str()), request));
                    });
                }
            }
            for (name, state, list) in [("invite", "invite_state", invited), ("knock", "knock_state", knocked)] {
                if !list.is_empty() {
                    rooms.field(name).object(|list_of| {
                        for (id, events) in list {
                            let room = list_of.field(id.as_str());
                            room.object(|room| room.events(state, events, |json, event| json.raw(event.get())));
                        }
                    });
                }
            }
        });
    }

    fn write_devices(&self, answer: &mut Object<'_>) {
        let Devices { changed, left } = &self.devices;
        if !changed.is_empty() || !left.is_empty() {
            answer.field("device_lists").object(|lists| {
                lists.field("changed").list(changed, |json, user| json.string(user.as_str()));
                lists.field("left").list(left, |json, user| json.string(user.as_str()));
            });
        }
        let counts = answer.field("device_one_time_keys_count");
        counts.object(|counts| {
            self.keys.one_time.iter().for_each(|(algorithm, count)| counts.field(algorithm).number(count));
        });
        let unused = answer.field("device_unused_fallback_key_types");
        unused.list(&self.keys.unused_fallback, |json, algorithm| json.string(algorithm));
    }
}

impl Room {
    fn write(&self, json: &mut Json, request: &Request) {
        let fields = request.filter.fields.as_ref();
        json.object(|room| {
            room.field("timeline").object(|timeline| {
                timeline.field("events").list(&self.timeline, |json, event| write_event(json, event, fields));
                timeline.field("limited").raw(if self.limited { "true" } else { "false" });
                timeline.field("prev_batch").plain(&self.prev_batch);
            });
            let state = match request.state {
                WhichState::Before => "state",
                WhichState::After => "state_after",
                WhichState::AfterUnstable => "org.matrix.msc4222.state_after",
            };
            room.events(state, &self.state, |json, event| write_event(json, event, fields));
            room.events("account_data", &self.account_data, |json, event| json.raw(event.get()));
            room.events("ephemeral", &self.ephemeral, |json, event| json.raw(event.get()));
            if let Some(unread) = &self.unread {
                write_unread(room, unread, request);
            }
            room.field("summary").object(|summary| {
                let Some(Summary { heroes, joined, invited }) = &self.summary else { return };
                if let Some(heroes) = heroes {
                    summary.field("m.heroes").list(heroes, |json, hero| json.string(hero.as_str()));
                }
                summary.field("m.joined_member_count").number(joined);
                summary.field("m.invited_member_count").number(invited);
            });
        });
    }
}

fn write_event(json: &mut Json, event: &Event, fields: Option<&Fields>) {
    match fields {
        None => json.raw(event.get()),
        Some(fields) => json.raw(fields.reduce(event.get().as_bytes())),
    }
}

/// Where threads are counted apart, the room's own count is of the rest
/// (<https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>).
fn write_unread(room: &mut Object<'_>, unread: &Unread, request: &Request) {
    let write = |json: &mut Json, count: Count| {
        json.object(|counts| {
            counts.field("notification_count").number(count.notifications);
            counts.field("highlight_count").number(count.highlights);
        });
    };
    write(room.field("unread_notifications"), unread.room);
    // Left out when no thread has anything unread, which is how clients tell.
    if request.filter.unread_threads && !unread.threads.is_empty() {
        room.field("unread_thread_notifications").object(|threads| {
            unread.threads.iter().for_each(|(root, count)| write(threads.field(root.as_str()), *count));
        });
    }
}
