//! A room in a store of its own, to be noticed in: what is said in it goes through the one way into a room.

use std::sync::Arc;

use async_trait::async_trait;
use base::Timestamp;
use base::collections::HashSet;
use ruma::push::Ruleset;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UserId};
use serde_json::{Value, json};
use storage::{MemoryDisk, Store};

use crate::append::{Appended, Kept, Proposal, Propose, View, append, make_room};
use crate::error::Error;
use crate::event::fixture::{BOB, FOREVER, Room, ring};
use crate::event::{
    AuthState, AuthorisedPdu, Draft, Judged, Known, Pdu, ReceivedPdu, RoomVersion, Standing, Verification, authorise,
};
use crate::graph::fixture::open;
use crate::notice::{NewReceipt, Reader, ReceiptKind, Thread, UnreadCounts};
use crate::number::RoomNumber;
use crate::rooms::{EncryptionPolicy, Rooms, RoomsOptions};

/// Somebody else.
pub(super) const CAROL: &str = "@carol:two";

struct Judge(AuthorisedPdu);

#[async_trait]
impl Propose for Judge {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, Error> {
        Ok(Proposal { event: Kept::Authorised(self.0.clone()), before: view.head.state, sent_as: None })
    }
}

/// A public room of Alice's.
pub(super) struct Stage {
    pub(super) rooms: Arc<Rooms>,
    pub(super) room: RoomNumber,
    fixture: Room,
}

/// The default rules of a user, with the older ones that look for names.
pub(super) struct Rules {
    pub(super) user: OwnedUserId,
    pub(super) ruleset: Ruleset,
    pub(super) ignored: HashSet<OwnedUserId>,
    pub(super) version: u64,
}

impl Rules {
    pub(super) fn of(user: &str) -> Self {
        let user = UserId::parse(user).unwrap();
        let mut ruleset = Ruleset::server_default(&user);
        let called = json!({
            "rule_id": ".m.rule.contains_user_name", "default": true, "enabled": true, "pattern": user.localpart(),
            "actions": ["notify", { "set_tweak": "highlight" }],
        });
        ruleset.content.insert(serde_json::from_value(called).unwrap());
        Self { user, ruleset, ignored: HashSet::default(), version: 0 }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { user: &self.user, ruleset: &self.ruleset, ignored: &self.ignored, version: [self.version, 0] }
    }
}

/// The rooms in `store`.
pub(super) async fn rooms(store: Store) -> Arc<Rooms> {
    let options = RoomsOptions {
        server: "one".try_into().unwrap(),
        default_version: RoomVersionId::V12,
        encryption: EncryptionPolicy::Optional,
    };
    Rooms::open(Arc::new(store), options).await.unwrap()
}

fn beginning(room: &Room) -> Vec<Pdu> {
    let mut events: Vec<Pdu> = room.state.values().map(|known| known.pdu.clone()).collect();
    events.sort_by_key(Pdu::depth);
    events
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::of(&RoomVersion::all()[10], &MemoryDisk::ephemeral()).await
    }

    /// A room of `version`, in which Bob and Carol are too.
    pub(super) async fn of(version: &'static RoomVersion, disk: &MemoryDisk) -> Self {
        let rooms = rooms(open(disk).await).await;
        let fixture = Room::new(version);
        let mut state = AuthState::default();
        let mut room = None;
        let mut taken = Vec::new();
        for pdu in beginning(&fixture) {
            let event = ReceivedPdu::read(version, pdu.json()).unwrap().check().unwrap();
            let Ok(Verification::Verified(event)) = event.verify(&ring(&["one", "two"], FOREVER)) else { panic!() };
            let Judged::Authorised(event) = authorise(event, &state, &state, &state) else { panic!("{pdu:?}") };
            match room {
                None => room = Some(make_room(rooms.store(), event, None).await.unwrap()),
                Some(room) => drop(append(rooms.store(), room, &mut Judge(event)).await.unwrap()),
            }
            taken.push(Known { pdu, standing: Standing::Accepted });
            state = AuthState::new(taken.clone());
        }
        let mut stage = Self { rooms, room: room.unwrap(), fixture };
        for user in [BOB, CAROL] {
            stage.set_state(user, "m.room.member", user, json!({ "membership": "join" })).await;
        }
        stage
    }

    pub(super) fn id(&self) -> OwnedRoomId {
        self.fixture.room_id.clone().unwrap()
    }

    async fn take(&mut self, draft: Draft) -> OwnedEventId {
        let event = self.fixture.build(&draft);
        let pdu = event.pdu().clone();
        let Judged::Authorised(event) = self.fixture.judge(event) else { panic!("{pdu:?} is not allowed") };
        self.fixture.take(&pdu);
        let appended = append(self.rooms.store(), self.room, &mut Judge(event)).await.unwrap();
        let Appended::Now { id, .. } = appended else { panic!("{appended:?}") };
        id
    }

    pub(super) async fn set_state(&mut self, sender: &str, kind: &str, key: &str, content: Value) -> OwnedEventId {
        self.take(Room::draft(sender, kind, Some(key), content)).await
    }

    pub(super) async fn send(&mut self, sender: &str, kind: &str, content: Value) -> OwnedEventId {
        self.take(Room::draft(sender, kind, None, content)).await
    }

    pub(super) async fn say(&mut self, sender: &str, body: &str) -> OwnedEventId {
        self.send(sender, "m.room.message", json!({ "msgtype": "m.text", "body": body })).await
    }

    pub(super) async fn relate(&mut self, sender: &str, body: &str, relation: &str, to: &OwnedEventId) -> OwnedEventId {
        let relates = json!({ "rel_type": relation, "event_id": to });
        let content = json!({ "msgtype": "m.text", "body": body, "m.relates_to": relates });
        self.send(sender, "m.room.message", content).await
    }

    pub(super) async fn redact(&mut self, sender: &str, target: &OwnedEventId) -> OwnedEventId {
        let mut draft = Room::draft(sender, "m.room.redaction", None, json!({}));
        draft.redacts = Some(target.clone());
        self.take(draft).await
    }

    pub(super) async fn read(&self, user: &str, event: &OwnedEventId, thread: Thread) -> Result<bool, Error> {
        self.mark(user, ReceiptKind::Read, event, thread).await
    }

    pub(super) async fn mark(
        &self,
        user: &str,
        kind: ReceiptKind,
        event: &OwnedEventId,
        thread: Thread,
    ) -> Result<bool, Error> {
        let user = UserId::parse(user).unwrap();
        let receipt = NewReceipt { user, kind, thread, event: event.clone(), at: Timestamp(5) };
        self.rooms.read_up_to(&self.id(), receipt).await
    }

    pub(super) async fn unread(&self, rules: &Rules) -> UnreadCounts {
        self.rooms.unread(self.room, rules.reader()).await.unwrap()
    }
}
