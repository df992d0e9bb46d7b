//! A room of this server to read, made event by event.

use std::sync::Arc;

use base::collections::HashSet;
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde_json::{Value, json};
use storage::{Direction, MemoryDisk};

use crate::append::fixture::{Comes, Says, join, made};
use crate::append::{Appended, SentAs, append};
use crate::event::fixture::{ALICE, Room};
use crate::event::{Draft, Pdu, RoomVersion};
use crate::graph::fixture::open;
use crate::number::{EventNumber, RoomNumber};
use crate::read::{END, EventFilter, Format, Page, Reading, Stretch, Viewer};
use crate::rooms::{EncryptionPolicy, Rooms, RoomsOptions};
use crate::timeline::Order;

/// A store with one room in it.
pub(crate) struct House {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) room: RoomNumber,
    pub(crate) ignored: HashSet<OwnedUserId>,
}

/// The user of this name.
pub(crate) fn user(name: &str) -> OwnedUserId {
    UserId::parse(name).unwrap()
}

impl House {
    /// A public room in which Alice is.
    pub(crate) async fn new(version: &'static RoomVersion) -> Self {
        Self::of(&Room::new(version)).await
    }

    /// The room that a fixture has begun.
    pub(crate) async fn of(fixture: &Room) -> Self {
        let version = fixture.version;
        let store = Arc::new(open(&MemoryDisk::new()).await);
        let room = made(&store, fixture).await;
        let options = RoomsOptions {
            server: "one".try_into().unwrap(),
            default_version: version.id().clone(),
            encryption: EncryptionPolicy::Optional,
        };
        let rooms = Rooms::open(store, options).await.unwrap();
        Self { rooms, room, ignored: HashSet::default() }
    }

    /// Appends what somebody says.
    pub(crate) async fn say(&self, draft: Draft) -> (OwnedEventId, EventNumber) {
        self.say_as(draft, None).await
    }

    /// Appends what somebody sends under a transaction id.
    pub(crate) async fn say_as(&self, draft: Draft, sent_as: Option<SentAs>) -> (OwnedEventId, EventNumber) {
        let mut says = Says::new(draft);
        says.sent_as = sent_as;
        match append(self.rooms.store(), self.room, &mut says).await.unwrap() {
            Appended::Now { id, number, .. } => (id, number),
            Appended::Before { id } => panic!("{id} was there"),
        }
    }

    /// Appends what comes from elsewhere.
    pub(crate) async fn comes(&self, pdu: &Pdu) -> EventNumber {
        match append(self.rooms.store(), self.room, &mut Comes(pdu.clone())).await.unwrap() {
            Appended::Now { number, .. } => number,
            Appended::Before { id } => panic!("{id} was there"),
        }
    }

    /// Appends a message of Alice.
    pub(crate) async fn message(&self, body: &str) -> (OwnedEventId, EventNumber) {
        self.say(Room::draft(ALICE, "m.room.message", None, json!({ "msgtype": "m.text", "body": body }))).await
    }

    /// Appends a message that relates to another.
    pub(crate) async fn relate(&self, sender: &str, rel_type: &str, to: &OwnedEventId) -> (OwnedEventId, EventNumber) {
        let mut content = json!({
            "msgtype": "m.text", "body": "it", "m.relates_to": { "rel_type": rel_type, "event_id": to },
        });
        if rel_type == "m.replace" {
            content["m.new_content"] = json!({ "msgtype": "m.text", "body": "better" });
        }
        self.say(Room::draft(sender, "m.room.message", None, content)).await
    }

    /// Takes an event away.
    pub(crate) async fn redact(&self, sender: &str, event: &OwnedEventId) -> (OwnedEventId, EventNumber) {
        let mut draft = Room::draft(sender, "m.room.redaction", None, json!({ "reason": "spam" }));
        draft.redacts = Some(event.clone());
        self.say(draft).await
    }

    /// Lets somebody join.
    pub(crate) async fn join(&self, user: &str) -> (OwnedEventId, EventNumber) {
        self.say(join(user)).await
    }

    /// Sets state as Alice.
    pub(crate) async fn set(&self, kind: &str, key: &str, content: Value) -> (OwnedEventId, EventNumber) {
        self.say(Room::draft(ALICE, kind, Some(key), content)).await
    }

    /// The room.
    pub(crate) async fn read(&self) -> Reading<'_> {
        self.rooms.read_number(self.room).await.unwrap().unwrap()
    }

    /// Somebody who reads.
    pub(crate) fn viewer<'a>(&'a self, user: &'a UserId) -> Viewer<'a> {
        Viewer { user, device: None, ignored: &self.ignored }
    }

    /// Everything that `name` sees of the room, oldest first.
    pub(crate) async fn seen(&self, name: &str) -> Page {
        let (filter, user) = (EventFilter::default(), user(name));
        let stretch =
            Stretch { from: Order::START, to: None, direction: Direction::Forward, limit: 1000, filter: &filter };
        assert!(END > Order::START);
        self.read().await.timeline(&self.viewer(&user), &stretch).await.unwrap()
    }

    /// An event as `name` sees it on the timeline.
    pub(crate) async fn event(&self, name: &str, number: EventNumber) -> Option<Value> {
        let page = self.seen(name).await;
        let shown = page.events.into_iter().find(|shown| shown.stored.number == number)?;
        let user = user(name);
        let rendered = self.read().await.render(&self.viewer(&user), &[shown], Format::CLIENT).await.unwrap();
        Some(serde_json::from_str(rendered[0].get()).unwrap())
    }
}
