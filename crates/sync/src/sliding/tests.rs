//! Sliding sync over rooms in memory.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Refusal};
use crate::fixture::{ALICE, BOB, CAROL, House, Made, names, user};
use crate::handle::Viewer;
use crate::sliding::{SlidingQuery, SlidingRequest};

/// A client with one connection.
#[derive(Clone)]
struct Client {
    viewer: Viewer,
    pos: Option<String>,
    body: Value,
}

impl Client {
    fn new(of: &str, body: Value) -> Self {
        Self { viewer: Viewer { user: user(of), device: "DEVICE".into() }, pos: None, body }
    }

    async fn try_wait(&mut self, house: &House, timeout: Duration) -> Result<Value, Error> {
        let timeout = u64::try_from(timeout.as_millis()).unwrap();
        let query = SlidingQuery { pos: self.pos.clone(), timeout: Some(timeout), set_presence: None };
        let request = SlidingRequest::new(query, serde_json::from_value(self.body.clone()).unwrap()).unwrap();
        let answer = house.syncer.sliding(self.viewer.clone(), request).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        self.pos = Some(answer["pos"].as_str().unwrap().to_owned());
        Ok(answer)
    }

    async fn sync(&mut self, house: &House) -> Value {
        self.try_wait(house, Duration::ZERO).await.unwrap()
    }
}

fn list(range: [u64; 2], timeline_limit: u64, required_state: &Value) -> Value {
    json!({ "lists": { "all": { "ranges": [range], "timeline_limit": timeline_limit, "required_state": required_state } } })
}

fn of_room<'a>(answer: &'a Value, room: &Made) -> &'a Value {
    &answer["rooms"][room.id.as_str()]
}

/// What handlers do with it; that it can be done is shown by compiling.
fn sends(
    house: &House,
    of: &Client,
    request: SlidingRequest,
) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
    let viewer = of.viewer.clone();
    let syncer = std::sync::Arc::clone(&house.syncer);
    async move { syncer.sliding(viewer, request).await.map(|answer| answer.len()) }
}

#[tokio::test]
async fn an_answer_may_be_computed_on_any_thread() {
    let house = House::new().await;
    let alice = Client::new(ALICE, json!({}));
    let request = SlidingRequest::new(SlidingQuery::default(), serde_json::from_value(json!({})).unwrap()).unwrap();
    let answer = base::task::spawn(sends(&house, &alice, request));
    assert!(answer.await.unwrap().unwrap() > 0);
}

#[tokio::test]
async fn a_window_shows_the_rooms_that_moved_last_and_then_only_what_is_new() {
    let house = House::new().await;
    let (old, new) = (house.room().await, house.room().await);
    house.set(&new, ALICE, "m.room.name", "", json!({ "name": "New" })).await;
    house.send(&new, ALICE, "one").await;
    let mut alice = Client::new(ALICE, list([0, 0], 1, &json!([["m.room.create", ""], ["m.room.member", "$ME"]])));
    let answer = alice.sync(&house).await;
    assert_eq!(answer["lists"]["all"]["count"], 2);
    assert_eq!(answer["lists"]["all"]["ops"], json!([{ "op": "SYNC", "range": [0, 0], "room_ids": [new.id] }]));
    let room = of_room(&answer, &new);
    assert_eq!(room["initial"], true);
    assert_eq!(room["name"], "New");
    assert_eq!(room["joined_count"], 1);
    assert_eq!(room["num_live"], 0);
    assert_eq!(room["limited"], true);
    assert_eq!(names(&room["timeline"]), ["one"]);
    assert_eq!(names(&room["required_state"]), ["m.room.create", "m.room.member"]);
    assert_eq!(answer["rooms"].as_object().unwrap().len(), 1);
    let bump = room["bump_stamp"].as_u64().unwrap();

    assert_eq!(alice.sync(&house).await["rooms"], json!({}));
    house.send(&new, ALICE, "two").await;
    let answer = alice.sync(&house).await;
    let room = of_room(&answer, &new);
    assert_eq!(room.get("initial"), None);
    assert_eq!(names(&room["timeline"]), ["two"]);
    assert_eq!(room["num_live"], 1);
    assert_eq!(room["limited"], false);
    assert_eq!(room.get("required_state"), None);
    assert!(room["bump_stamp"].as_u64().unwrap() > bump);

    house.send(&old, ALICE, "back").await;
    let answer = alice.sync(&house).await;
    assert_eq!(of_room(&answer, &old)["initial"], true, "it has come into the window");
    assert_eq!(of_room(&answer, &old)["num_live"], 1);
}

#[tokio::test]
async fn what_happened_in_a_room_while_it_was_outside_the_window_is_told_when_it_comes_back() {
    let house = House::new().await;
    let (one, other) = (house.room().await, house.room().await);
    let mut alice = Client::new(ALICE, list([0, 0], 10, &json!([["m.room.topic", ""]])));
    house.send(&one, ALICE, "1").await;
    alice.sync(&house).await;
    house.send(&other, ALICE, "2").await;
    assert_eq!(of_room(&alice.sync(&house).await, &other)["initial"], true);
    // State does not move a room to the front.
    house.set(&one, ALICE, "m.room.topic", "", json!({ "topic": "unseen" })).await;
    assert_eq!(alice.sync(&house).await["rooms"], json!({}));
    house.send(&one, ALICE, "3").await;
    let answer = alice.sync(&house).await;
    let room = of_room(&answer, &one);
    assert_eq!(room.get("initial"), None);
    assert_eq!(names(&room["timeline"]), ["m.room.topic", "3"]);
    assert_eq!(names(&room["required_state"]), ["m.room.topic"]);
    assert_eq!(room["num_live"], 1);
}

#[tokio::test]
async fn who_asks_for_more_of_a_room_gets_it() {
    let house = House::new().await;
    let room = house.room().await;
    for body in ["1", "2", "3"] {
        house.send(&room, ALICE, body).await;
    }
    let mut alice = Client::new(ALICE, list([0, 9], 1, &json!([])));
    assert_eq!(names(&of_room(&alice.sync(&house).await, &room)["timeline"]), ["3"]);
    alice.body["room_subscriptions"] =
        json!({ room.id.as_str(): { "timeline_limit": 3, "required_state": [["m.room.join_rules", ""]] } });
    let answer = alice.sync(&house).await;
    assert_eq!(of_room(&answer, &room)["unstable_expanded_timeline"], true);
    assert_eq!(of_room(&answer, &room).get("initial"), None);
    assert_eq!(names(&of_room(&answer, &room)["timeline"]), ["1", "2", "3"]);
    assert_eq!(names(&of_room(&answer, &room)["required_state"]), ["m.room.join_rules"]);
    assert_eq!(alice.sync(&house).await["rooms"], json!({}));
}

#[tokio::test]
async fn of_members_those_who_speak_are_told_once_and_anew_when_they_change() {
    let house = House::new().await;
    let room = house.room().await;
    house.join(&room, BOB).await;
    house.send(&room, BOB, "hello").await;
    let mut alice = Client::new(ALICE, list([0, 9], 1, &json!([["m.room.member", "$LAZY"]])));
    let members = |answer: &Value| -> Vec<String> {
        let state = of_room(answer, &room)["required_state"].as_array().cloned().unwrap_or_default();
        state.iter().map(|event| event["state_key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(members(&alice.sync(&house).await), [BOB]);
    house.send(&room, BOB, "again").await;
    assert!(members(&alice.sync(&house).await).is_empty());
    house.join(&room, CAROL).await;
    assert_eq!(members(&alice.sync(&house).await), [CAROL]);
    house.set(&room, BOB, "m.room.member", BOB, json!({ "membership": "join", "displayname": "Bob" })).await;
    house.send(&room, ALICE, "who?").await;
    let answer = alice.sync(&house).await;
    assert_eq!(members(&answer), [ALICE, BOB]);
    assert_eq!(of_room(&answer, &room)["heroes"].as_array().unwrap().len(), 2);
    assert_eq!(of_room(&answer, &room)["heroes"][0], json!({ "user_id": BOB, "displayname": "Bob" }));
}

#[tokio::test]
async fn a_connection_that_is_not_known_any_more_begins_anew_and_a_lost_answer_comes_again() {
    let house = House::new().await;
    let room = house.room().await;
    let mut alice = Client::new(ALICE, list([0, 9], 1, &json!([])));
    alice.sync(&house).await;
    house.send(&room, ALICE, "one").await;
    let mut lost = alice.clone();
    assert_eq!(names(&of_room(&alice.sync(&house).await, &room)["timeline"]), ["one"]);
    assert_eq!(names(&of_room(&lost.sync(&house).await, &room)["timeline"]), ["one"]);
    let house = house.restarted().await;
    let refused = lost.try_wait(&house, Duration::ZERO).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::UnknownPosition)), "{refused}");
    lost.pos = None;
    assert_eq!(of_room(&lost.sync(&house).await, &room)["initial"], true);
    // Without rooms there is nothing that could be missed.
    let mut keys = Client::new(ALICE, json!({ "conn_id": "keys", "extensions": { "e2ee": { "enabled": true } } }));
    keys.sync(&house).await;
    let house = house.restarted().await;
    keys.sync(&house).await;
}

#[tokio::test]
async fn invitations_are_listed_with_what_may_be_known_and_rooms_that_were_left_go() {
    let house = House::new().await;
    let room = house.room_with("joined").await;
    house.set(&room, ALICE, "m.room.name", "", json!({ "name": "Secret" })).await;
    let mut bob = Client::new(BOB, list([0, 9], 10, &json!([["*", "*"]])));
    bob.sync(&house).await;
    house.member(&room, ALICE, BOB, "invite").await;
    let answer = bob.sync(&house).await;
    assert!(names(&of_room(&answer, &room)["invite_state"]).contains(&"m.room.name".to_owned()));
    assert_eq!(of_room(&answer, &room).get("timeline"), None);
    assert_eq!(of_room(&answer, &room)["membership"], "invite");
    house.send(&room, ALICE, "not for Bob").await;
    assert_eq!(bob.sync(&house).await["rooms"], json!({}));
    house.join(&room, BOB).await;
    let answer = bob.sync(&house).await;
    assert_eq!(of_room(&answer, &room)["initial"], true);
    assert_eq!(names(&of_room(&answer, &room)["timeline"]).pop().unwrap(), "m.room.member");
    house.leave(&room, BOB).await;
    house.send(&room, ALICE, "not for Bob either").await;
    let answer = bob.sync(&house).await;
    assert_eq!(names(&of_room(&answer, &room)["timeline"]), ["m.room.member"]);
    assert_eq!(of_room(&answer, &room)["membership"], "leave");
    let answer = bob.sync(&house).await;
    assert_eq!((answer["rooms"].clone(), answer["lists"]["all"]["count"].clone()), (json!({}), json!(0)));
}

#[tokio::test]
async fn filters_say_which_rooms_are_in_a_list() {
    let house = House::new().await;
    let (plain, encrypted, space) = (house.room().await, house.room().await, house.room().await);
    let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    house.set(&encrypted, ALICE, "m.room.encryption", "", algorithm).await;
    house.set(&encrypted, ALICE, "m.room.name", "", json!({ "name": "Hidden things" })).await;
    house.set(&space, ALICE, "m.space.child", plain.id.as_str(), json!({ "via": ["hs"] })).await;
    let raw = |value: Value| serde_json::value::to_raw_value(&value).unwrap();
    let alice = user(ALICE);
    let direct = raw(json!({ BOB: [plain.id] }));
    house.accounts.set_account_data(&alice, None, "m.direct", &direct).await.unwrap();
    let tags = raw(json!({ "tags": { "m.favourite": {} } }));
    house.accounts.set_account_data(&alice, Some(&space.id), "m.tag", &tags).await.unwrap();
    for (filters, rooms) in [
        (json!({}), vec![&plain, &encrypted, &space]),
        (json!({ "is_encrypted": true }), vec![&encrypted]),
        (json!({ "is_encrypted": false }), vec![&plain, &space]),
        (json!({ "is_dm": true }), vec![&plain]),
        (json!({ "is_dm": false, "is_encrypted": false }), vec![&space]),
        (json!({ "spaces": [space.id] }), vec![&plain]),
        (json!({ "tags": ["m.favourite", "x"] }), vec![&space]),
        (json!({ "not_tags": ["m.favourite"] }), vec![&plain, &encrypted]),
        (json!({ "room_name_like": "THING" }), vec![&encrypted]),
        (json!({ "is_invite": true }), vec![]),
        (json!({ "room_types": ["m.space"] }), vec![]),
        (json!({ "not_room_types": [null] }), vec![]),
        (json!({ "room_types": [null], "is_dm": true }), vec![&plain]),
    ] {
        let mut body = list([0, 9], 0, &json!([]));
        body["lists"]["all"]["filters"] = filters.clone();
        let answer = Client::new(ALICE, body).sync(&house).await;
        let listed = answer["lists"]["all"]["ops"].as_array().unwrap().iter();
        let mut listed: Vec<Value> = listed.flat_map(|op| op["room_ids"].as_array().unwrap().clone()).collect();
        let mut expected: Vec<Value> = rooms.iter().map(|room| json!(room.id)).collect();
        listed.sort_by_key(ToString::to_string);
        expected.sort_by_key(ToString::to_string);
        assert_eq!(listed, expected, "{filters}");
    }
}

#[tokio::test(start_paused = true)]
async fn extensions_tell_what_is_not_rooms() {
    let house = House::new().await;
    let registered = house.registered("alice").await;
    let room = house.room().await;
    let mut body = list([0, 9], 1, &json!([]));
    let on = json!({ "enabled": true });
    body["extensions"] = json!({ "to_device": on, "e2ee": on, "account_data": on, "receipts": on, "typing": on });
    let mut alice = Client::new(ALICE, body);
    alice.viewer = registered.viewer.clone();
    let raw = |value: Value| serde_json::value::to_raw_value(&value).unwrap();
    house.accounts.set_account_data(&alice.viewer.user, Some(&room.id), "m.tag", &raw(json!({}))).await.unwrap();
    let answer = alice.sync(&house).await;
    let extensions = &answer["extensions"];
    assert_eq!(extensions["e2ee"]["device_one_time_keys_count"], json!({ "signed_curve25519": 0 }));
    assert_eq!(extensions["account_data"]["rooms"][room.id.as_str()], json!([{ "type": "m.tag", "content": {} }]));
    let next = extensions["to_device"]["next_batch"].clone();
    assert_eq!(extensions["to_device"]["events"], json!([]));

    house.send_to_device(&alice.viewer, 0..2).await;
    alice.body["extensions"]["to_device"]["since"] = next;
    let mut again = alice.clone();
    let answer = alice.sync(&house).await;
    assert_eq!(answer["extensions"]["to_device"]["events"].as_array().unwrap().len(), 2);
    assert_eq!(again.sync(&house).await["extensions"]["to_device"]["events"].as_array().unwrap().len(), 2);
    alice.body["extensions"]["to_device"]["since"] = answer["extensions"]["to_device"]["next_batch"].clone();
    assert_eq!(alice.sync(&house).await["extensions"]["to_device"]["events"], json!([]));

    let joins = async {
        house.clock().sleep(Duration::from_secs(1)).await;
        house.join(&room, BOB).await;
    };
    let (answer, ()) = tokio::join!(alice.try_wait(&house, Duration::from_secs(30)), joins);
    assert_eq!(answer.unwrap()["extensions"]["e2ee"]["device_lists"]["changed"], json!([BOB]));
    let types = async {
        house.clock().sleep(Duration::from_secs(1)).await;
        house.rooms.types(&room.id, &user(BOB), Some(Duration::from_secs(5))).await.unwrap();
    };
    let (answer, ()) = tokio::join!(alice.try_wait(&house, Duration::from_secs(30)), types);
    let typing = answer.unwrap()["extensions"]["typing"]["rooms"][room.id.as_str()].clone();
    assert_eq!(typing, json!({ "type": "m.typing", "content": { "user_ids": [BOB] } }));
    house.leave(&room, BOB).await;
    let answer = alice.sync(&house).await;
    assert_eq!(answer["extensions"]["e2ee"]["device_lists"]["left"], json!([BOB]));
}
