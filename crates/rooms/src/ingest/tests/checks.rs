//! The checks on receipt, in their order, and who may send at all.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use ruma::{CanonicalJsonValue, ServerName};
use serde_json::json;
use storage::MemoryDisk;

use super::world::{EVE, Keys, begin, beginning, json_of, latest, outcome, rooms_on, send, shown};
use crate::error::Refusal;
use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Pdu, ReceivedPdu, RoomVersion};
use crate::ingest::{Fetch, NoFetch, PolicyServer, Sent, Source, Verdict};

/// A room on a server that has heard all of it so far.
async fn heard(room: &Room) -> (std::sync::Arc<crate::Rooms>, crate::RoomNumber) {
    let rooms = rooms_on(&MemoryDisk::new()).await;
    let events = beginning(room);
    let number = begin(&rooms, &events[0]).await;
    send(&rooms, &events[1..], &Keys).await;
    (rooms, number)
}

fn join(room: &mut Room, user: &str) -> Pdu {
    room.set(user, "m.room.member", user, json!({ "membership": "join" })).pdu
}

async fn send_json(
    rooms: &std::sync::Arc<crate::Rooms>,
    room: &Room,
    events: Vec<Bytes>,
    fetch: &dyn Fetch,
) -> Vec<Verdict> {
    let room_id = room.room_id.clone().unwrap();
    let count = events.len();
    let sent = Sent { from: "one".try_into().unwrap(), room_id: &room_id, events, source: Source::Live };
    let report = rooms.ingest(sent, fetch, None).await.unwrap();
    (0..count).map(|place| report.of(place).unwrap().clone()).collect()
}

#[tokio::test]
async fn each_event_of_a_transaction_gets_its_own_verdict() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let (rooms, number) = heard(&room).await;
        let joined = join(&mut room, BOB);
        let said = room.message(BOB, "hello").pdu;
        let forged = {
            let mut object = room.build(&Room::draft(BOB, "m.room.message", None, json!({}))).pdu().object().unwrap();
            object.insert("sender".to_owned(), CanonicalJsonValue::String(ALICE.to_owned()));
            Bytes::from(serde_json::to_vec(&object).unwrap())
        };
        let intruder = room.build(&Room::draft(EVE, "m.room.message", None, json!({}))).pdu().clone();
        let events = vec![
            Bytes::from_static(b"{\"type\":"),
            joined.json().clone(),
            forged,
            intruder.json().clone(),
            said.json().clone(),
            said.json().clone(),
        ];
        let verdicts = send_json(&rooms, &room, events, &Keys).await;
        assert!(matches!(verdicts[0], Verdict::Dropped(Refusal::Malformed { .. })), "{verdicts:?}");
        assert!(matches!(verdicts[2], Verdict::Dropped(Refusal::BadSignature { .. })), "{verdicts:?}");
        assert_eq!(verdicts[1], Verdict::Accepted);
        assert_eq!(verdicts[3..], [Verdict::Rejected, Verdict::Accepted, Verdict::Accepted], "{}", version.id());
        assert_eq!(send_json(&rooms, &room, vec![said.json().clone()], &Keys).await, [Verdict::Known]);
        let outcome = outcome(&rooms, number).await;
        assert_eq!(outcome.extremities, [said.id().to_owned()].into());
        assert!(outcome.graph[intruder.id()].0 && !outcome.shown.contains(intruder.id()));
    }
}

#[tokio::test]
async fn an_event_whose_content_was_changed_comes_in_redacted() {
    let mut room = Room::new(latest());
    let (rooms, number) = heard(&room).await;
    let said = room.message(ALICE, "hello").pdu;
    let mut object = said.object().unwrap();
    let content = json!({ "body": "something else", "msgtype": "m.text" });
    object.insert("content".to_owned(), serde_json::from_value(content).unwrap());
    let changed = Bytes::from(serde_json::to_vec(&object).unwrap());
    assert_eq!(send_json(&rooms, &room, vec![changed], &Keys).await, [Verdict::Accepted]);
    assert!(outcome(&rooms, number).await.shown.contains(said.id()), "its id is what was signed");
    let graph = crate::graph::Graph::new(rooms.store(), number, latest());
    let event = graph.numbers(&[said.id().to_owned()]).await.unwrap()[said.id()];
    let stored = graph.events(&[event]).await.unwrap().remove(0).unwrap();
    assert_eq!(stored.pdu.content().get(), "{}");
}

#[tokio::test]
async fn without_keys_an_event_is_dropped_and_may_come_again() {
    let mut room = Room::new(latest());
    let (rooms, _) = heard(&room).await;
    let said = room.message(ALICE, "hello").pdu;
    let verdicts = send_json(&rooms, &room, json_of([&said]), &NoFetch).await;
    assert!(matches!(&verdicts[0], Verdict::Dropped(Refusal::BadSignature { what }) if what.contains("one")));
    assert_eq!(send_json(&rooms, &room, json_of([&said]), &Keys).await, [Verdict::Accepted]);
}

#[tokio::test]
async fn who_writes_around_a_ban_is_soft_failed_and_what_leans_on_a_rejected_event_is_rejected() {
    for version in RoomVersion::all() {
        let mut room = Room::new(version);
        let (rooms, number) = heard(&room).await;
        let joined = join(&mut room, BOB);
        let mut evading = room.clone();
        let banned = room.set(ALICE, "m.room.member", BOB, json!({ "membership": "ban" })).pdu;
        let evaded = evading.message(BOB, "still here").pdu;
        send(&rooms, [&joined, &banned, &evaded], &Keys).await;
        let now = outcome(&rooms, number).await;
        assert_eq!(now.soft_failed, [evaded.id().to_owned()].into(), "version {}", version.id());
        assert_eq!(now.extremities, [banned.id().to_owned()].into());
        assert!(!now.shown.contains(evaded.id()));

        // Eve joins although nobody may any more; what she says leans on that.
        let closed = room.set(ALICE, "m.room.join_rules", "", json!({ "join_rule": "invite" })).pdu;
        let draft = Room::draft(EVE, "m.room.member", Some(EVE), json!({ "membership": "join" }));
        let intruding = room.build(&draft).pdu().clone();
        room.take(&intruding);
        let said = room.build(&Room::draft(EVE, "m.room.message", None, json!({}))).pdu().clone();
        let report = send(&rooms, [&closed, &intruding, &said], &Keys).await;
        assert_eq!(report.events[intruding.id()], Verdict::Rejected, "version {}", version.id());
        assert_eq!(report.events[said.id()], Verdict::Rejected, "version {}", version.id());
    }
}

#[tokio::test]
async fn an_event_of_another_room_is_dropped() {
    let mut room = Room::new(&RoomVersion::all()[10]);
    let (rooms, _) = heard(&room).await;
    let mut other = room.clone();
    other.room_id = Some("!other:one".try_into().unwrap());
    let said = other.build(&Room::draft(ALICE, "m.room.message", None, json!({}))).pdu().clone();
    let verdicts = send_json(&rooms, &room, json_of([&said]), &Keys).await;
    assert!(matches!(verdicts[0], Verdict::Dropped(Refusal::Malformed { .. })), "{verdicts:?}");
    let said = room.message(ALICE, "hello").pdu;
    assert_eq!(send_json(&rooms, &room, json_of([&said]), &Keys).await, [Verdict::Accepted]);
}

#[tokio::test]
async fn a_server_that_the_room_denies_is_not_heard() {
    let mut room = Room::new(latest());
    let (rooms, number) = heard(&room).await;
    let acl = room.set(ALICE, "m.room.server_acl", "", json!({ "allow": ["*"], "deny": ["thr?e"] })).pdu;
    let said = room.message(ALICE, "hello").pdu;
    send(&rooms, [&acl], &Keys).await;
    let room_id = room.room_id.clone().unwrap();
    let sent = |from: &'static str| Sent {
        from: from.try_into().unwrap(),
        room_id: &room_id,
        events: json_of([&said]),
        source: Source::Live,
    };
    let report = rooms.ingest(sent("three:8448"), &Keys, None).await.unwrap();
    assert_eq!(report.of(0), Some(&Verdict::Denied));
    assert!(!outcome(&rooms, number).await.graph.contains_key(said.id()));
    assert!(!rooms.may_take_part(number, "three".try_into().unwrap()).await.unwrap());
    assert!(rooms.may_take_part(number, "local".try_into().unwrap()).await.unwrap());
    let report = rooms.ingest(sent("two"), &Keys, None).await.unwrap();
    assert_eq!(report.of(0), Some(&Verdict::Accepted));
}

#[tokio::test]
async fn json_as_deep_as_it_can_be_is_dropped_and_harms_nobody() {
    let mut room = Room::new(latest());
    let (rooms, _) = heard(&room).await;
    let deep = |open: &str, close: &str| {
        let depth = 30_000;
        Bytes::from(format!("{{\"content\":{}0{}}}", open.repeat(depth), close.repeat(depth)))
    };
    let said = room.message(ALICE, "hello").pdu;
    let events = vec![deep("[", "]"), deep("{\"a\":", "}"), said.json().clone()];
    let verdicts = send_json(&rooms, &room, events, &Keys).await;
    assert!(verdicts[..2].iter().all(|it| matches!(it, Verdict::Dropped(Refusal::Malformed { .. }))), "{verdicts:?}");
    assert_eq!(verdicts[2], Verdict::Accepted);
}

/// Signs what does not speak of spam, with a key of its own.
struct Moderator {
    asked: Mutex<Vec<String>>,
}

impl Moderator {
    fn key() -> crate::event::SigningKey {
        crate::event::SigningKey::new("two".try_into().unwrap(), "policy_server", &[9; 32]).unwrap()
    }
}

#[async_trait]
impl PolicyServer for Moderator {
    async fn sign(&self, server: &ServerName, event: &Pdu) -> Option<String> {
        assert_eq!(server, "two");
        self.asked.lock().unwrap().push(event.id().to_string());
        if event.content().get().contains("spam") {
            return None;
        }
        let mut object = event.object().unwrap();
        Self::key().sign(&mut object, event.version()).unwrap();
        let signed = serde_json::to_value(&object).unwrap();
        Some(signed["signatures"]["two"]["ed25519:policy_server"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_policy_server_is_asked_for_what_it_has_not_signed_and_its_no_is_a_soft_failure() {
    let mut room = Room::new(&RoomVersion::all()[10]);
    let (rooms, number) = heard(&room).await;
    let public = ruma::serde::Base64::<ruma::serde::base64::Standard, _>::new(Moderator::key().public().to_vec());
    let content = json!({ "via": "two", "public_keys": { "ed25519": public.encode() } });
    let policy = room.set(ALICE, "m.room.policy", "", content).pdu;
    let moderator = Moderator { asked: Mutex::default() };
    let room_id = room.room_id.clone().unwrap();
    let ingest = async |pdu: &Pdu| {
        let sent =
            Sent { from: "one".try_into().unwrap(), room_id: &room_id, events: json_of([pdu]), source: Source::Live };
        rooms.ingest(sent, &Keys, Some(&moderator)).await.unwrap().of(0).unwrap().clone()
    };
    assert_eq!(ingest(&policy).await, Verdict::Accepted);
    let said = room.message(ALICE, "spam, while nobody of the policy server is here").pdu;
    assert_eq!(ingest(&said).await, Verdict::Accepted);
    assert!(moderator.asked.lock().unwrap().is_empty(), "it is not in force without a member");
    let joined = join(&mut room, BOB);
    assert_eq!(ingest(&joined).await, Verdict::Accepted);
    let good = room.message(ALICE, "hello").pdu;
    assert_eq!(ingest(&good).await, Verdict::Accepted);
    let spam = room.build(&Room::draft(ALICE, "m.room.message", None, json!({ "body": "spam" }))).pdu().clone();
    assert_eq!(ingest(&spam).await, Verdict::SoftFailed);
    assert_eq!(*moderator.asked.lock().unwrap(), [good.id().to_string(), spam.id().to_string()]);

    // What it has signed is not asked about, and the signature that was asked for is kept.
    let graph = crate::graph::Graph::new(rooms.store(), number, good.version());
    let event = graph.numbers(&[good.id().to_owned()]).await.unwrap()[good.id()];
    let stored = graph.events(&[event]).await.unwrap().remove(0).unwrap();
    assert!(String::from_utf8_lossy(stored.pdu.json()).contains("ed25519:policy_server"));
    let next = room.message(ALICE, "signed").pdu;
    let mut object = next.object().unwrap();
    Moderator::key().sign(&mut object, next.version()).unwrap();
    let signed = ReceivedPdu::from_object(next.version(), object).check().unwrap().pdu().clone();
    assert_eq!(ingest(&signed).await, Verdict::Accepted);
    assert_eq!(moderator.asked.lock().unwrap().len(), 2);
    assert!(!shown(&rooms, number).await.iter().any(|(_, id)| id == spam.id()));
}
