//! A server to test with: a store in memory, rooms in it made and filled without HTTP, and clients that sync.

use std::sync::Arc;
use std::time::Duration;

use accounts::to_device::{DeviceMessages, Sending};
use accounts::{Accounts, AccountsOptions, NewAccount, NewDevice};
use async_trait::async_trait;
use base::shutdown::{self, ShutdownTrigger};
use base::{Clock, Random, Timestamp};
use rooms::append::{Appended, Kept, Proposal, Propose, View, append, make_room};
use rooms::event::{AuthState, Draft, Judged, Place, RoomVersion, auth_state_keys, authorise, build};
use rooms::{EncryptionPolicy, Error as RoomsError, Refusal, RoomNumber, Rooms, RoomsOptions};
use ruma::serde::Raw;
use ruma::to_device::DeviceIdOrAllDevices;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UserId};
use serde_json::{Value, json};
use storage::{EngineChoice, MemoryDisk, Store, StoreOptions};

use crate::classic::{Request, WhichState};
use crate::filter::SyncFilter;
use crate::handle::{Syncer, Viewer};

pub(crate) const ALICE: &str = "@alice:hs";
pub(crate) const BOB: &str = "@bob:hs";
pub(crate) const CAROL: &str = "@carol:hs";

/// A server. It can be stopped and started again on the same disk.
pub(crate) struct House {
    disk: MemoryDisk,
    clock: Clock,
    random: Random,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) syncer: Arc<Syncer>,
    stop: ShutdownTrigger,
}

/// A room in it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) number: RoomNumber,
    pub(crate) id: OwnedRoomId,
}

/// Somebody who says something.
struct Says {
    draft: Draft,
    rooms: Arc<Rooms>,
}

#[async_trait]
impl Propose for Says {
    async fn propose(&mut self, view: &mut View<'_>) -> Result<Proposal, RoomsError> {
        let (key, random) = (self.rooms.signing_key(), self.rooms.store().random());
        let mut place = Place {
            version: view.graph.version(),
            room_id: Some(view.head.room_id.clone()),
            prev_events: view.extremities().await?,
            auth_events: Vec::new(),
            at: self.rooms.store().clock().now(),
        };
        let first = build(self.draft.clone(), place.clone(), key, random)?;
        let state = view.deciding(view.head.state, first.pdu()).await?;
        let hidden = first.pdu().create_event_id();
        for key in auth_state_keys(first.pdu())? {
            let known = state.get(&key.kind.to_string(), &key.key);
            if let Some(known) = known.filter(|known| Some(known.pdu.id()) != hidden.as_deref()) {
                place.auth_events.push(known.pdu.reference()?);
            }
        }
        let event = build(self.draft.clone(), place, key, random)?;
        match authorise(event, &state, &state, &state) {
            Judged::Authorised(event) => {
                Ok(Proposal { event: Kept::Authorised(event), before: view.head.state, sent_as: None })
            }
            Judged::Rejected(event) => Err(Refusal::Forbidden { why: event.why().to_owned() }.into()),
            Judged::Need(ids) => panic!("{ids:?}"),
        }
    }
}

pub(crate) fn user(id: &str) -> OwnedUserId {
    UserId::parse(id).unwrap()
}

fn draft(sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> Draft {
    let content = serde_json::from_value(content).unwrap();
    Draft { sender: user(sender), kind: kind.into(), state_key: state_key.map(str::to_owned), content, redacts: None }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::on(MemoryDisk::new(), 1).await
    }

    async fn on(disk: MemoryDisk, seed: u64) -> Self {
        let (clock, random) = (Clock::simulated(Timestamp(1_700_000_000_000)), Random::seeded(seed));
        let mut options = StoreOptions::new("", EngineChoice::Memory { disk: disk.clone() });
        options.clock = clock.clone();
        options.random = random.clone();
        let store = Arc::new(Store::open(options).await.unwrap());
        let server: ruma::OwnedServerName = "hs".try_into().unwrap();
        let options = RoomsOptions {
            server: server.clone(),
            default_version: RoomVersionId::V11,
            encryption: EncryptionPolicy::Optional,
        };
        let rooms = Rooms::open(Arc::clone(&store), options).await.unwrap();
        let accounts = Accounts::new(store, AccountsOptions::for_tests(server));
        let syncer = Syncer::open(Arc::clone(&rooms), Arc::clone(&accounts)).unwrap();
        let (stop, stopped) = shutdown::channel();
        syncer.start(&stopped);
        Self { disk, clock, random, rooms, accounts, syncer, stop }
    }

    /// The same server after a restart.
    pub(crate) async fn restarted(self) -> Self {
        let Self { disk, random, rooms, stop, .. } = self;
        stop.start();
        rooms.store().close().await;
        Self::on(disk, random.next_u64()).await
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A room that Alice has made, which anybody may join.
    pub(crate) async fn room(&self) -> Made {
        self.room_with("shared").await
    }

    /// The same, with who may see its history.
    pub(crate) async fn room_with(&self, history: &str) -> Made {
        let version = RoomVersion::of(&RoomVersionId::V11).unwrap();
        let id = ruma::RoomId::new_v1(self.rooms.server());
        let create = json!({ "room_version": "11" });
        let place = Place {
            version,
            room_id: Some(id.clone()),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            at: self.rooms.store().clock().now(),
        };
        let create = draft(ALICE, "m.room.create", Some(""), create);
        let event = build(create, place, self.rooms.signing_key(), &self.random).unwrap();
        let nothing = AuthState::default();
        let Judged::Authorised(event) = authorise(event, &nothing, &nothing, &nothing) else { panic!() };
        let number = make_room(self.rooms.store(), event, None).await.unwrap();
        let made = Made { number, id };
        self.join(&made, ALICE).await;
        self.set(&made, ALICE, "m.room.power_levels", "", json!({ "users": { ALICE: 100 } })).await;
        self.set(&made, ALICE, "m.room.join_rules", "", json!({ "join_rule": "public" })).await;
        self.set(&made, ALICE, "m.room.history_visibility", "", json!({ "history_visibility": history })).await;
        made
    }

    async fn say(&self, room: &Made, draft: Draft) -> Result<OwnedEventId, RoomsError> {
        let mut says = Says { draft, rooms: Arc::clone(&self.rooms) };
        match append(self.rooms.store(), room.number, &mut says).await? {
            Appended::Now { id, .. } | Appended::Before { id } => Ok(id),
        }
    }

    pub(crate) async fn try_set(
        &self,
        room: &Made,
        sender: &str,
        kind: &str,
        key: &str,
        content: Value,
    ) -> Result<OwnedEventId, RoomsError> {
        self.say(room, draft(sender, kind, Some(key), content)).await
    }

    pub(crate) async fn set(&self, room: &Made, sender: &str, kind: &str, key: &str, content: Value) -> OwnedEventId {
        self.try_set(room, sender, kind, key, content).await.unwrap()
    }

    pub(crate) async fn send(&self, room: &Made, sender: &str, body: &str) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.say(room, draft(sender, "m.room.message", None, content)).await.unwrap()
    }

    pub(crate) async fn member(&self, room: &Made, sender: &str, member: &str, membership: &str) -> OwnedEventId {
        self.set(room, sender, "m.room.member", member, json!({ "membership": membership })).await
    }

    pub(crate) async fn join(&self, room: &Made, member: &str) -> OwnedEventId {
        self.member(room, member, member, "join").await
    }

    pub(crate) async fn leave(&self, room: &Made, member: &str) -> OwnedEventId {
        self.member(room, member, member, "leave").await
    }

    /// A client of an account of its own, with a device that can be sent to.
    pub(crate) async fn registered(&self, name: &str) -> Client {
        let account =
            NewAccount { username: Some(name.to_owned()), device: Some(NewDevice::default()), ..NewAccount::default() };
        let session = self.accounts.register(account).await.unwrap().session.unwrap();
        let viewer = Viewer { user: session.user_id, device: session.device_id };
        Client { viewer, ..self.client(ALICE) }
    }

    /// Sends messages to a device, each with a number.
    pub(crate) async fn send_to_device(&self, to: &Viewer, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let mut messages = DeviceMessages::<Value>::new();
            let content = Raw::new(&json!({ "number": number })).unwrap();
            let device = DeviceIdOrAllDevices::DeviceId(to.device.clone());
            messages.entry(to.user.clone()).or_default().insert(device, content);
            let transaction = format!("txn{number}");
            let (from, device) = (user(BOB), "DEVICE".into());
            let sending = Sending { user: &from, device, kind: "m.dummy", transaction: (&*transaction).into() };
            self.accounts.send_to_device(sending, &messages).await.unwrap();
        }
    }

    /// A client that has not synced yet.
    pub(crate) fn client(&self, of: &str) -> Client {
        let viewer = Viewer { user: user(of), device: "DEVICE".into() };
        Client { viewer, since: None, filter: json!({}), state: WhichState::Before, full_state: false }
    }
}

/// A client that syncs.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) viewer: Viewer,
    pub(crate) since: Option<String>,
    pub(crate) filter: Value,
    pub(crate) state: WhichState,
    pub(crate) full_state: bool,
}

impl Client {
    pub(crate) fn request(&self, timeout: Duration) -> Request {
        let filter = crate::parse_filter(&self.filter.to_string()).unwrap();
        Request {
            since: self.since.clone(),
            filter: Arc::new(SyncFilter::from(filter)),
            full_state: self.full_state,
            state: self.state,
            set_presence: ruma::presence::PresenceState::Offline,
            timeout,
        }
    }

    /// Syncs and goes on from there.
    pub(crate) async fn sync(&mut self, house: &House) -> Value {
        self.wait(house, Duration::ZERO).await
    }

    /// The same, waiting for something to tell.
    pub(crate) async fn wait(&mut self, house: &House, timeout: Duration) -> Value {
        let answer = house.syncer.sync(self.viewer.clone(), self.request(timeout)).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        self.since = Some(answer["next_batch"].as_str().unwrap().to_owned());
        answer
    }
}

/// The bodies or types of a list of events.
pub(crate) fn names(events: &Value) -> Vec<String> {
    let name = |event: &Value| event["content"]["body"].as_str().or(event["type"].as_str()).unwrap().to_owned();
    events.as_array().unwrap().iter().map(name).collect()
}
