//! Rooms to test with, in a store in memory, and what they have come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Clock, Random, Timestamp};
use ruma::api::IncomingRequestExt;
use ruma::api::client::room::create_room::v3::Request;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, UserId};
use serde_json::{Value, json};
use storage::{EngineChoice, MemoryDisk, Store, StoreOptions};

use crate::act::{Change, MembershipChange, NewRoom, Saying};
use crate::append::members;
use crate::error::Error;
use crate::event::fixture::object;
use crate::event::{Known, RoomVersion, StateKey};
use crate::graph::{Graph, head_of};
use crate::rooms::{EncryptionPolicy, Rooms, RoomsOptions};
use crate::state::{Nodes, load};

pub(crate) const ALICE: &str = "@alice:one";
pub(crate) const BOB: &str = "@bob:one";
pub(crate) const CAROL: &str = "@carol:one";

pub(crate) fn user(id: &str) -> &UserId {
    id.try_into().unwrap()
}

/// The rooms of server `one`, on `disk`.
pub(crate) async fn rooms_on(disk: &MemoryDisk, encryption: EncryptionPolicy) -> Arc<Rooms> {
    let mut options = StoreOptions::new("", EngineChoice::Memory { disk: disk.clone() });
    options.clock = Clock::simulated(Timestamp(1_700_000_000_000));
    options.random = Random::seeded(1);
    let store = Arc::new(Store::open(options).await.unwrap());
    let options = RoomsOptions { server: "one".try_into().unwrap(), default_version: RoomVersionId::V12, encryption };
    Rooms::open(store, options).await.unwrap()
}

pub(crate) async fn rooms() -> Arc<Rooms> {
    rooms_on(&MemoryDisk::ephemeral(), EncryptionPolicy::Optional).await
}

/// A request for a room, from JSON as a client would send it.
pub(crate) fn request(body: &Value) -> Request {
    let body = serde_json::to_vec(body).unwrap();
    let http = http::Request::post("/_matrix/client/v3/createRoom").body(&*body).unwrap();
    Request::try_from_http_request(http, &[]).unwrap()
}

/// A room of Alice's.
pub(crate) async fn made(rooms: &Rooms, version: &RoomVersion, body: Value) -> Result<OwnedRoomId, Error> {
    let mut request = request(&body);
    request.room_version = Some(version.id().clone());
    rooms.create(&NewRoom::new(user(ALICE), request)).await
}

/// A public room of Alice's, of the latest version.
pub(crate) async fn public(rooms: &Rooms) -> OwnedRoomId {
    made(rooms, latest(), json!({ "preset": "public_chat" })).await.unwrap()
}

pub(crate) fn latest() -> &'static RoomVersion {
    RoomVersion::all().last().unwrap()
}

/// Says something.
pub(crate) async fn send(
    rooms: &Rooms,
    room: &RoomId,
    sender: &str,
    kind: &str,
    state_key: Option<&str>,
    content: Value,
) -> Result<OwnedEventId, Error> {
    let saying = Saying {
        sender: user(sender).to_owned(),
        kind: kind.into(),
        state_key: state_key.map(str::to_owned),
        content: object(content),
        sent_as: None,
    };
    rooms.send(room, saying).await
}

/// Changes a membership.
pub(crate) async fn change(
    rooms: &Rooms,
    room: &RoomId,
    sender: &str,
    target: &str,
    change: Change,
) -> Result<OwnedEventId, Error> {
    rooms.set_membership(room, &MembershipChange::new(user(sender), user(target), change)).await
}

/// The room's state now.
pub(crate) async fn state(rooms: &Rooms, room: &RoomId) -> BTreeMap<StateKey, Known> {
    let (store, number) = (rooms.store(), rooms.number_of(room).await.unwrap());
    let (head, _) = head_of(store, number).await.unwrap().unwrap();
    let graph = Graph::new(store, number, RoomVersion::of(&head.version).unwrap());
    let mut nodes = Nodes::new(number);
    let entries =
        load(store, &mut nodes, |nodes| nodes.entries(head.state, crate::KeyNumber(0), usize::MAX)).await.unwrap();
    let events: Vec<_> = entries.iter().map(|(_, event)| *event).collect();
    let known = graph.events(&events).await.unwrap().into_iter().flatten();
    known.map(|known| (known.pdu.filed_under().unwrap(), known)).collect()
}

/// The content of a state event.
pub(crate) async fn content(rooms: &Rooms, room: &RoomId, kind: &str, key: &str) -> Option<Value> {
    let state = state(rooms, room).await;
    let known = state.get(&StateKey::new(kind.to_owned(), key))?;
    Some(serde_json::from_str(known.pdu.content().get()).unwrap())
}

/// Who is in the room, and how.
pub(crate) async fn membership(rooms: &Rooms, room: &RoomId, of: &str) -> Option<String> {
    let members = members(rooms.store(), rooms.number_of(room).await.unwrap()).await.unwrap();
    members.into_iter().find(|member| member.user == of).map(|member| member.membership)
}

/// The Matrix error code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}
