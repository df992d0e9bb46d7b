//! Reading rooms over HTTP, in process.

use rooms::act::{Change, MembershipChange, NewRoom, Saying};
use ruma::api::client::room::create_room::v3::Request as Create;
use ruma::events::TimelineEventType;
use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde_json::{Value, json};

use crate::http::test_app::{TestApp, TestUser, nobody};

/// Makes a room as `body` of `/createRoom` says.
async fn create(app: &TestApp, user: &TestUser, body: Value) -> OwnedRoomId {
    let request = serde_json::from_value::<CreateBody>(body).unwrap().into();
    app.state.rooms.create(&NewRoom::new(user.id.clone(), request)).await.unwrap()
}

/// The part of the request that these tests use.
#[derive(serde::Deserialize)]
struct CreateBody {
    preset: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    visibility: Option<String>,
    room_alias_name: Option<String>,
    creation_content: Option<Value>,
    initial_state: Option<Vec<Value>>,
}

impl From<CreateBody> for Create {
    fn from(body: CreateBody) -> Self {
        let mut request = Self::new();
        request.preset = body.preset.map(|preset| preset.as_str().into());
        request.name = body.name;
        request.topic = body.topic;
        request.visibility = body.visibility.map(|visibility| visibility.as_str().into()).unwrap_or_default();
        request.room_alias_name = body.room_alias_name;
        let raw = |value: Value| serde_json::from_value(value).unwrap();
        request.creation_content = body.creation_content.map(|content| serde_json::from_value(content).unwrap());
        request.initial_state = body.initial_state.unwrap_or_default().into_iter().map(raw).collect();
        request
    }
}

async fn say(
    app: &TestApp,
    user: &TestUser,
    room: &OwnedRoomId,
    kind: &str,
    key: Option<&str>,
    content: Value,
) -> OwnedEventId {
    let saying = Saying {
        sender: user.id.clone(),
        kind: TimelineEventType::from(kind),
        state_key: key.map(str::to_owned),
        content: serde_json::from_value(content).unwrap(),
        sent_as: None,
    };
    app.state.rooms.send(room, saying).await.unwrap()
}

async fn message(app: &TestApp, user: &TestUser, room: &OwnedRoomId, body: &str) -> OwnedEventId {
    say(app, user, room, "m.room.message", None, json!({ "msgtype": "m.text", "body": body })).await
}

async fn relate(app: &TestApp, user: &TestUser, room: &OwnedRoomId, rel_type: &str, to: &OwnedEventId) -> OwnedEventId {
    let content = json!({
        "msgtype": "m.text", "body": "it", "m.relates_to": { "rel_type": rel_type, "event_id": to },
        "m.new_content": { "msgtype": "m.text", "body": "it" },
    });
    say(app, user, room, "m.room.message", None, content).await
}

async fn change(app: &TestApp, sender: &TestUser, target: &UserId, room: &OwnedRoomId, change: Change) {
    app.state.rooms.set_membership(room, &MembershipChange::new(sender.id.clone(), target, change)).await.unwrap();
}

async fn join(app: &TestApp, user: &TestUser, room: &OwnedRoomId) {
    change(app, user, &user.id, room, Change::Join).await;
}

fn ids(events: &Value) -> Vec<String> {
    events.as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}

fn bodies(events: &Value) -> Vec<String> {
    let body = |event: &Value| event["content"]["body"].as_str().unwrap_or_default().to_owned();
    events.as_array().unwrap().iter().map(body).collect()
}

async fn public(app: &TestApp, user: &TestUser) -> OwnedRoomId {
    create(app, user, json!({ "preset": "public_chat" })).await
}

#[tokio::test]
async fn messages_are_paged_both_ways_from_end_to_end() {
    let app = TestApp::new().await;
    let alice = app.user("alice").await;
    let room = public(&app, &alice).await;
    for n in 0..7 {
        message(&app, &alice, &room, &n.to_string()).await;
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/messages?limit=5&dir=");
    let last = app.get(&alice, &format!("{path}b")).await.ok();
    assert_eq!(bodies(&last["chunk"]), ["6", "5", "4", "3", "2"]);
    let end = last["end"].as_str().unwrap();
    let before = app.get(&alice, &format!("{path}b&from={end}")).await.ok();
    assert_eq!(bodies(&before["chunk"])[..2], ["1", "0"]);
    assert_eq!(before["start"], end);
    let (start, end) = (last["start"].as_str().unwrap(), last["end"].as_str().unwrap());
    let forward = app.get(&alice, &format!("{path}f&from={end}&to={start}")).await.ok();
    assert_eq!(bodies(&forward["chunk"]), ["2", "3", "4", "5", "6"]);
    let oldest = app.get(&alice, &format!("{path}f&limit=1")).await;
    assert_eq!(oldest.status, 400, "a parameter twice");
    let (mut from, mut seen) = (None::<String>, Vec::new());
    loop {
        let from_parameter = from.map(|from| format!("&from={from}")).unwrap_or_default();
        let page = app.get(&alice, &format!("{path}b{from_parameter}")).await.ok();
        seen.extend(ids(&page["chunk"]));
        match page["end"].as_str() {
            Some(end) => from = Some(end.to_owned()),
            None => break,
        }
    }
    seen.reverse();
    let all = app.get(&alice, &format!("/_matrix/client/v3/rooms/{room}/messages?limit=1000&dir=f")).await.ok();
    assert_eq!(seen, ids(&all["chunk"]));
    for wrong in ["b&from=nonsense", "b&filter=%7B", "sideways"] {
        assert_eq!(app.get(&alice, &format!("{path}{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn messages_of_rooms_where_one_is_not_are_refused_unless_all_may_read_them() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let path = |room: &str| format!("/_matrix/client/v3/rooms/{room}/messages?dir=b");
    app.get(&bob, &path(room.as_str())).await.refused(403, "M_FORBIDDEN");
    app.get(&bob, path(room.as_str()).trim_end_matches("?dir=b")).await.refused(403, "M_FORBIDDEN");
    app.get(&bob, &path("!nowhere:localhost")).await.refused(403, "M_FORBIDDEN");
    app.get(&nobody(), &path(room.as_str())).await.refused(401, "M_MISSING_TOKEN");
    let world = json!({ "history_visibility": "world_readable" });
    say(&app, &alice, &room, "m.room.history_visibility", Some(""), world).await;
    message(&app, &alice, &room, "to the world").await;
    let page = app.get(&bob, &path(room.as_str())).await.ok();
    assert_eq!(bodies(&page["chunk"])[0], "to the world");
    assert!(ids(&page["chunk"]).len() == 2, "what was said before that is not for the world");
}

#[tokio::test]
async fn who_left_sees_what_was_until_then() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    join(&app, &bob, &room).await;
    let seen = message(&app, &alice, &room, "while bob was here").await;
    say(&app, &alice, &room, "m.room.name", Some(""), json!({ "name": "before" })).await;
    change(&app, &bob, &bob.id, &room, Change::Leave).await;
    let unseen = message(&app, &alice, &room, "when bob was gone").await;
    say(&app, &alice, &room, "m.room.name", Some(""), json!({ "name": "after" })).await;
    let path = format!("/_matrix/client/v3/rooms/{room}");
    let page = app.get(&bob, &format!("{path}/messages?dir=b")).await.ok();
    assert!(ids(&page["chunk"]).contains(&seen.to_string()));
    assert!(!ids(&page["chunk"]).contains(&unseen.to_string()));
    assert_eq!(page["chunk"][0]["content"]["membership"], "leave", "how they left is the last");
    let later = app.get(&bob, &format!("{path}/messages?dir=f&from={}", page["start"].as_str().unwrap())).await.ok();
    assert_eq!((&later["chunk"], later.get("end")), (&json!([]), None));
    let name = app.get(&bob, &format!("{path}/state/m.room.name")).await.ok();
    assert_eq!(name["name"], "before");
    let state = app.get(&bob, &format!("{path}/state")).await.ok();
    assert!(state.as_array().unwrap().iter().any(|event| event["content"]["name"] == "before"));
    app.get(&bob, &format!("{path}/event/{unseen}")).await.refused(404, "M_NOT_FOUND");
    app.get(&bob, &format!("{path}/event/{seen}")).await.ok();
    let members = app.get(&bob, &format!("{path}/members")).await.ok();
    assert_eq!(members["chunk"].as_array().unwrap().len(), 2);
    app.get(&bob, &format!("{path}/joined_members")).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn lazily_loaded_messages_bring_their_senders_and_nobody_else() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    join(&app, &bob, &room).await;
    message(&app, &bob, &room, "hello").await;
    let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1");
    let page = app.get(&alice, &format!("{path}&filter=%7B%22lazy_load_members%22:true%7D")).await.ok();
    assert_eq!(page["state"].as_array().unwrap().len(), 1);
    assert_eq!(page["state"][0]["state_key"], bob.id.as_str());
    assert_eq!(app.get(&alice, &path).await.ok().get("state"), None);
}

#[tokio::test]
async fn filters_pick_events_by_type_sender_url_and_what_relates_to_them() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    join(&app, &bob, &room).await;
    let plain = message(&app, &alice, &room, "plain").await;
    let content = json!({ "msgtype": "m.image", "body": "cat.png", "url": "mxc://localhost/cat" });
    let image = say(&app, &bob, &room, "m.room.message", None, content).await;
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": plain, "key": "+" } });
    let reaction = say(&app, &bob, &room, "m.reaction", None, reaction).await;
    let [plain, image, reaction] = [plain, image, reaction].map(|id| id.to_string());
    for (filter, expected) in [
        (json!({ "types": ["m.room.mess*"] }), vec![&image, &plain]),
        (json!({ "types": ["m.room.message"], "not_senders": [alice.id] }), vec![&image]),
        (json!({ "types": ["m.room.message"], "senders": [alice.id] }), vec![&plain]),
        (json!({ "contains_url": true }), vec![&image]),
        (json!({ "contains_url": false, "types": ["m.room.message"] }), vec![&plain]),
        (json!({ "not_types": ["m.room.*"], "senders": [bob.id] }), vec![&reaction]),
        (json!({ "related_by_senders": [bob.id] }), vec![&plain]),
        (json!({ "related_by_senders": [alice.id] }), vec![]),
        (json!({ "related_by_rel_types": ["m.annotation"] }), vec![&plain]),
        (json!({ "org.matrix.msc3874.rel_types": ["m.annotation"] }), vec![&reaction]),
        (json!({ "rooms": [] }), vec![]),
        (json!({ "not_rooms": [room] }), vec![]),
    ] {
        let encoded: String = filter.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=100&filter={encoded}");
        let page = app.get(&alice, &path).await.ok();
        assert_eq!(ids(&page["chunk"]).iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[tokio::test]
async fn an_event_comes_with_what_was_said_around_it() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let mut said = Vec::new();
    for n in 0..9 {
        said.push(message(&app, &alice, &room, &n.to_string()).await);
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/context/{}", said[4]);
    let context = app.get(&alice, &format!("{path}?limit=4")).await.ok();
    assert_eq!(context["event"]["event_id"], said[4].as_str());
    assert_eq!(bodies(&context["events_before"]), ["3", "2"]);
    assert_eq!(bodies(&context["events_after"]), ["5", "6"]);
    assert!(context["state"].as_array().unwrap().len() > 4);
    let end = context["end"].as_str().unwrap();
    let next = format!("/_matrix/client/v3/rooms/{room}/messages?dir=f&limit=1&from={end}");
    assert_eq!(bodies(&app.get(&alice, &next).await.ok()["chunk"]), ["7"]);
    let start = context["start"].as_str().unwrap();
    let before = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b&limit=1&from={start}");
    assert_eq!(bodies(&app.get(&alice, &before).await.ok()["chunk"]), ["1"]);
    let alone = app.get(&alice, &format!("{path}?limit=0")).await.ok();
    assert_eq!((alone["events_before"].clone(), alone["events_after"].clone()), (json!([]), json!([])));
    app.get(&alice, &format!("/_matrix/client/v3/rooms/{room}/context/$nothing")).await.refused(404, "M_NOT_FOUND");
    app.get(&bob, &path).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn state_is_read_whole_by_entry_and_as_an_event() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = create(&app, &alice, json!({ "preset": "public_chat", "name": "Hall" })).await;
    let path = format!("/_matrix/client/v3/rooms/{room}/state");
    let state = app.get(&alice, &path).await.ok();
    assert!(state.as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
    for entry in ["m.room.name", "m.room.name/"] {
        assert_eq!(app.get(&alice, &format!("{path}/{entry}")).await.ok(), json!({ "name": "Hall" }), "{entry}");
    }
    let event = app.get(&alice, &format!("{path}/m.room.name/?format=event")).await.ok();
    assert_eq!((&event["type"], &event["content"]["name"]), (&json!("m.room.name"), &json!("Hall")));
    assert_eq!(event["room_id"], room.as_str());
    let member = app.get(&alice, &format!("{path}/m.room.member/{}", alice.id)).await.ok();
    assert_eq!(member["membership"], "join");
    app.get(&alice, &format!("{path}/m.room.nothing/")).await.refused(404, "M_NOT_FOUND");
    app.get(&bob, &path).await.refused(403, "M_FORBIDDEN");
    app.get(&bob, &format!("{path}/m.room.name/")).await.refused(403, "M_FORBIDDEN");
    app.get(&bob, "/_matrix/client/v3/rooms/!nowhere:localhost/state").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn members_are_listed_by_membership_and_at_a_point() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let path = format!("/_matrix/client/v3/rooms/{room}");
    let before = app.get(&alice, &format!("{path}/messages?dir=b")).await.ok()["start"].as_str().unwrap().to_owned();
    join(&app, &bob, &room).await;
    let users = async |query: &str| {
        let answer = app.get(&alice, &format!("{path}/members{query}")).await.ok();
        let key = |event: &Value| event["state_key"].as_str().unwrap().to_owned();
        let mut users: Vec<String> = answer["chunk"].as_array().unwrap().iter().map(key).collect();
        users.sort();
        users
    };
    assert_eq!(users("").await, [alice.id.as_str(), bob.id.as_str()]);
    assert_eq!(users(&format!("?at={before}")).await, [alice.id.as_str()]);
    let joined = app.get(&alice, &format!("{path}/joined_members")).await.ok();
    assert_eq!(joined["joined"].as_object().unwrap().len(), 2);
    assert!(joined["joined"][bob.id.as_str()].as_object().unwrap().contains_key("avatar_url"), "null, but there");
    change(&app, &bob, &bob.id, &room, Change::Leave).await;
    assert_eq!(users("?membership=leave").await, [bob.id.as_str()]);
    assert_eq!(users("?membership=join").await, [alice.id.as_str()]);
    assert_eq!(users("?not_membership=leave").await, [alice.id.as_str()]);
    app.get(&alice, &format!("{path}/members?at=nonsense")).await.refused(400, "M_INVALID_PARAM");
    let rooms = app.get(&alice, "/_matrix/client/v3/joined_rooms").await.ok();
    assert_eq!(rooms["joined_rooms"], json!([room]));
    assert_eq!(app.get(&bob, "/_matrix/client/v3/joined_rooms").await.ok()["joined_rooms"], json!([]));
}

#[tokio::test]
async fn mutual_rooms_are_those_of_both() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (room, _) = (public(&app, &alice).await, public(&app, &alice).await);
    join(&app, &bob, &room).await;
    let path = format!("/_matrix/client/v1/mutual_rooms?user_id={}", bob.id);
    assert_eq!(app.get(&alice, &path).await.ok(), json!({ "joined": [room], "count": 1 }));
    let old = format!("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id={}", bob.id);
    assert_eq!(app.get(&alice, &old).await.ok()["joined"], json!([room]));
    app.get(&bob, &path).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_relates_to_an_event_is_listed_in_pages() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let root = message(&app, &alice, &room, "root").await;
    let mut replies = Vec::new();
    for _ in 0..4 {
        replies.push(relate(&app, &alice, &room, "m.thread", &root).await.to_string());
    }
    let edit = relate(&app, &alice, &room, "m.replace", &root).await.to_string();
    let path = format!("/_matrix/client/v1/rooms/{room}/relations/{root}");
    let page = app.get(&alice, &format!("{path}?limit=2")).await.ok();
    assert_eq!(ids(&page["chunk"]), [edit.as_str(), &replies[3]]);
    let next = page["next_batch"].as_str().unwrap();
    let page = app.get(&alice, &format!("{path}?limit=2&from={next}")).await.ok();
    assert_eq!(ids(&page["chunk"]), [replies[2].as_str(), &replies[1]]);
    let page = app.get(&alice, &format!("{path}/m.thread/m.room.message?dir=f&limit=50")).await.ok();
    assert_eq!((ids(&page["chunk"]), page.get("next_batch")), (replies.clone(), None));
    assert_eq!(ids(&app.get(&alice, &format!("{path}/m.replace")).await.ok()["chunk"]), [edit.as_str()]);
    assert_eq!(ids(&app.get(&alice, &format!("{path}/m.thread/m.dummy")).await.ok()["chunk"]), [""; 0]);
    assert_eq!(app.get(&alice, &format!("{path}?recurse=true")).await.ok()["recursion_depth"], 3);
    app.get(&bob, &path).await.refused(403, "M_FORBIDDEN");
    app.get(&alice, &format!("/_matrix/client/v1/rooms/{room}/relations/$nothing")).await.refused(404, "M_NOT_FOUND");
    let threads = app.get(&alice, &format!("/_matrix/client/v1/rooms/{room}/threads")).await.ok();
    assert_eq!(ids(&threads["chunk"]), [root.as_str()]);
    assert_eq!(threads["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["latest_event"]["event_id"], replies[3]);
    assert_eq!(threads["chunk"][0]["unsigned"]["m.relations"]["m.replace"]["event_id"], edit);
}

fn search(term: &str, more: &Value) -> Value {
    let mut events = json!({ "search_term": term, "order_by": "recent" });
    events.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "search_categories": { "room_events": events } })
}

#[tokio::test]
async fn words_are_found_in_pages_with_what_was_said_around_them() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let (room, other) = (public(&app, &alice).await, public(&app, &bob).await);
    message(&app, &bob, &other, "message elsewhere").await;
    let mut said = Vec::new();
    for n in 0..6 {
        app.wait(std::time::Duration::from_millis(3)).await;
        said.push(message(&app, &alice, &room, &format!("Message number {n}")).await.to_string());
    }
    let path = "/_matrix/client/v3/search";
    let ask = async |body: Value, from: &str| {
        app.post(&alice, &format!("{path}{from}"), body).await.ok()["search_categories"]["room_events"].clone()
    };
    let found = |answer: &Value| -> Vec<String> {
        let id = |hit: &Value| hit["result"]["event_id"].as_str().unwrap().to_owned();
        answer["results"].as_array().unwrap().iter().map(id).collect()
    };
    let paged = search("message", &json!({ "filter": { "limit": 3 } }));
    let first = ask(paged.clone(), "").await;
    assert_eq!((&first["count"], found(&first)), (&json!(6), vec![said[5].clone(), said[4].clone(), said[3].clone()]));
    let next = format!("?next_batch={}", first["next_batch"].as_str().unwrap());
    let second = ask(paged.clone(), &next).await;
    assert_eq!(found(&second), [said[2].clone(), said[1].clone(), said[0].clone()]);
    let next = format!("?next_batch={}", second["next_batch"].as_str().unwrap());
    let third = ask(paged, &next).await;
    assert_eq!((&third["results"], third.get("next_batch")), (&json!([]), None));
    let around = json!({ "event_context": { "before_limit": 1, "after_limit": 2, "include_profile": true } });
    let one = ask(search("NUMBER 3", &around), "").await;
    assert_eq!(
        (&one["count"], one["results"][0]["result"]["content"]["body"].as_str()),
        (&json!(1), Some("Message number 3"))
    );
    let context = &one["results"][0]["context"];
    assert_eq!(bodies(&context["events_before"]), ["Message number 2"]);
    assert_eq!(bodies(&context["events_after"]), ["Message number 4", "Message number 5"]);
    assert!(context["profile_info"][alice.id.as_str()].is_object());
    let grouped = json!({ "groupings": { "group_by": [{ "key": "room_id" }] }, "include_state": true });
    let grouped = ask(search("message", &grouped), "").await;
    assert_eq!(grouped["groups"]["room_id"][room.as_str()]["results"].as_array().unwrap().len(), 6);
    assert!(grouped["state"][room.as_str()].as_array().unwrap().len() > 4);
    let nothing = ask(search("message", &json!({ "keys": ["content.topic"] })), "").await;
    assert_eq!(nothing["count"], 0);
    let nothing = ask(search("elsewhere", &json!({})), "").await;
    assert_eq!(nothing["count"], 0, "Alice is not in that room");
    app.post(&alice, &format!("{path}?next_batch=x"), search("message", &json!({})))
        .await
        .refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_event_closest_to_a_time_is_found_in_both_directions() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    let second = std::time::Duration::from_secs(1);
    app.wait(second).await;
    let one = message(&app, &alice, &room, "one").await;
    app.wait(second).await;
    let between = app.state.store.clock().now().as_millis();
    app.wait(second).await;
    let two = message(&app, &alice, &room, "two").await;
    let path = format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event");
    assert_eq!(app.get(&alice, &format!("{path}?ts={between}&dir=b")).await.ok()["event_id"], one.as_str());
    let found = app.get(&alice, &format!("{path}?ts={between}&dir=f")).await.ok();
    assert_eq!(found["event_id"], two.as_str());
    assert!(found["origin_server_ts"].as_u64().unwrap() >= between);
    app.get(&alice, &format!("{path}?ts=1&dir=b")).await.refused(404, "M_NOT_FOUND");
    app.get(&alice, &format!("{path}?ts=4000000000000&dir=f")).await.refused(404, "M_NOT_FOUND");
    app.get(&bob, &format!("{path}?ts={between}&dir=f")).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_room_shows_itself_to_those_who_may_enter() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let body = json!({ "preset": "public_chat", "name": "Hall", "topic": "Talk", "room_alias_name": "hall" });
    let room = create(&app, &alice, body).await;
    let hidden = create(&app, &alice, json!({ "preset": "private_chat" })).await;
    for path in ["/_matrix/client/v1/room_summary/", "/_matrix/client/unstable/im.nheko.summary/summary/"] {
        let seen = app.get(&bob, &format!("{path}{room}")).await.ok();
        assert_eq!((&seen["name"], &seen["topic"]), (&json!("Hall"), &json!("Talk")));
        assert_eq!(seen.get("join_rule"), None, "which stands for public");
        assert_eq!((&seen["num_joined_members"], &seen["membership"]), (&json!(1), &json!("leave")));
        assert_eq!(seen.get("allowed_room_ids"), None);
        let by_alias = app.get(&nobody(), &format!("{path}%23hall:localhost")).await.ok();
        assert_eq!((by_alias["room_id"].as_str(), by_alias.get("membership")), (Some(room.as_str()), None));
        app.get(&bob, &format!("{path}{hidden}")).await.refused(404, "M_NOT_FOUND");
        app.get(&bob, &format!("{path}!nowhere:localhost")).await.refused(404, "M_NOT_FOUND");
        assert_eq!(app.get(&alice, &format!("{path}{hidden}")).await.ok()["membership"], "join");
    }
    let alias = app.get(&nobody(), "/_matrix/client/v3/directory/room/%23hall:localhost").await.ok();
    assert_eq!(alias, json!({ "room_id": room, "servers": ["localhost"] }));
    app.get(&nobody(), "/_matrix/client/v3/directory/room/%23none:localhost").await.refused(404, "M_NOT_FOUND");
    let aliases = app.get(&alice, &format!("/_matrix/client/v3/rooms/{room}/aliases")).await.ok();
    assert_eq!(aliases, json!({ "aliases": ["#hall:localhost"] }));
    app.get(&bob, &format!("/_matrix/client/v3/rooms/{room}/aliases")).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn public_rooms_are_listed_by_size_and_found_by_their_words() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let listed = |name: &str, topic: &str| json!({ "preset": "public_chat", "visibility": "public", "name": name, "topic": topic });
    let small = create(&app, &alice, listed("small", "Wombles")).await;
    let large = create(&app, &alice, listed("large", "other things")).await;
    let hidden = create(&app, &alice, json!({ "preset": "public_chat", "name": "hidden" })).await;
    join(&app, &bob, &large).await;
    let rooms = |answer: &Value| -> Vec<String> {
        let id = |room: &Value| room["room_id"].as_str().unwrap().to_owned();
        answer["chunk"].as_array().unwrap().iter().map(id).collect()
    };
    let path = "/_matrix/client/v3/publicRooms";
    let all = app.get(&nobody(), path).await.ok();
    assert_eq!(rooms(&all), [large.as_str(), small.as_str()]);
    assert_eq!((&all["total_room_count_estimate"], all.get("next_batch")), (&json!(2), None));
    let first = app.get(&nobody(), &format!("{path}?limit=1")).await.ok();
    let next =
        app.get(&nobody(), &format!("{path}?limit=1&since={}", first["next_batch"].as_str().unwrap())).await.ok();
    assert_eq!((rooms(&first), rooms(&next)), (vec![large.to_string()], vec![small.to_string()]));
    assert!(next["prev_batch"].is_string());
    let term = |term: &str| json!({ "filter": { "generic_search_term": term } });
    assert_eq!(rooms(&app.post(&bob, path, term("wombles")).await.ok()), [small.as_str()]);
    assert_eq!(rooms(&app.post(&bob, path, term("nothing")).await.ok()), [""; 0]);
    let spaces = json!({ "filter": { "room_types": ["m.space"] } });
    assert_eq!(rooms(&app.post(&bob, path, spaces).await.ok()), [""; 0]);
    let networks = json!({ "third_party_instance_id": "irc" });
    assert_eq!(rooms(&app.post(&bob, path, networks).await.ok()), [""; 0]);
    app.post(&nobody(), path, json!({})).await.refused(401, "M_MISSING_TOKEN");
    app.get(&nobody(), &format!("{path}?since=x")).await.refused(400, "M_INVALID_PARAM");
    for (room, visibility) in [(small, "public"), (hidden, "private")] {
        let path = format!("/_matrix/client/v3/directory/list/room/{room}");
        assert_eq!(app.get(&nobody(), &path).await.ok(), json!({ "visibility": visibility }));
    }
}

#[tokio::test]
async fn a_space_is_walked_depth_first_in_pages() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let space =
        |name: &str| json!({ "preset": "public_chat", "name": name, "creation_content": { "type": "m.space" } });
    let (root, inner) = (create(&app, &alice, space("root")).await, create(&app, &alice, space("inner")).await);
    let (open, deep) = (public(&app, &alice).await, public(&app, &alice).await);
    let closed = create(&app, &alice, json!({ "preset": "private_chat" })).await;
    let child = |order: &str, suggested: bool| json!({ "via": ["localhost"], "order": order, "suggested": suggested });
    for (parent, room, content) in [
        (&root, &inner, child("a", true)),
        (&root, &open, child("b", false)),
        (&root, &closed, child("c", true)),
        (&inner, &deep, child("a", false)),
        (&inner, &root, child("b", false)),
        (&root, &deep, json!({})),
    ] {
        say(&app, &alice, parent, "m.space.child", Some(room.as_str()), content).await;
    }
    let path = format!("/_matrix/client/v1/rooms/{root}/hierarchy");
    let walk = async |user: &TestUser, query: &str| {
        let answer = app.get(user, &format!("{path}?{query}")).await.ok();
        let id = |room: &Value| room["room_id"].as_str().unwrap().to_owned();
        let rooms: Vec<String> = answer["rooms"].as_array().unwrap().iter().map(id).collect();
        (rooms, answer["next_batch"].as_str().map(str::to_owned), answer)
    };
    let all = [&root, &inner, &deep, &open, &closed].map(ToString::to_string);
    let (rooms, next, answer) = walk(&alice, "").await;
    assert_eq!((rooms, next), (all.to_vec(), None));
    let children: Vec<&Value> = answer["rooms"][0]["children_state"].as_array().unwrap().iter().collect();
    assert_eq!(
        children.iter().map(|child| child["state_key"].as_str().unwrap()).collect::<Vec<_>>(),
        [&all[1], &all[3], &all[4]]
    );
    assert!(children[0]["origin_server_ts"].is_u64() && children[0].get("event_id").is_none());
    assert_eq!(answer["rooms"][1]["room_type"], "m.space");
    assert_eq!(walk(&bob, "").await.0, all[..4], "Bob may not enter the last one");
    assert_eq!(walk(&alice, "max_depth=1").await.0, [&all[0], &all[1], &all[3], &all[4]].map(String::clone));
    assert_eq!(walk(&alice, "suggested_only=true").await.0, [&all[0], &all[1], &all[4]].map(String::clone));
    let (first, next, _) = walk(&alice, "limit=3").await;
    let (second, end, _) = walk(&alice, &format!("limit=3&from={}", next.clone().unwrap())).await;
    assert_eq!(([first, second].concat(), end), (all.to_vec(), None));
    app.get(&alice, &format!("{path}?max_depth=2&from={}", next.unwrap())).await.refused(400, "M_INVALID_PARAM");
    app.get(&bob, &format!("/_matrix/client/v1/rooms/{closed}/hierarchy")).await.refused(403, "M_FORBIDDEN");
    say(&app, &alice, &root, "m.space.child", Some(open.as_str()), json!({})).await;
    assert!(!walk(&alice, "").await.0.contains(&all[3]), "the link was taken away");
}

#[tokio::test]
async fn an_old_client_gets_a_room_at_once() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let room = public(&app, &alice).await;
    message(&app, &alice, &room, "one").await;
    message(&app, &alice, &room, "two").await;
    let path = format!("/_matrix/client/v3/rooms/{room}/initialSync?limit=2");
    let answer = app.get(&alice, &path).await.ok();
    assert_eq!(bodies(&answer["messages"]["chunk"]), ["one", "two"]);
    assert_eq!((&answer["membership"], &answer["visibility"]), (&json!("join"), &json!("private")));
    assert!(answer["state"].as_array().unwrap().len() > 4);
    app.get(&bob, &path).await.refused(403, "M_FORBIDDEN");
}
