//! Reading rooms in a store: how events look, to whom, and what of them is left when they are redacted.

use ruma::OwnedEventId;
use serde_json::{Value, json};
use storage::Direction;

use crate::append::SentAs;
use crate::append::fixture::latest;
use crate::event::fixture::{ALICE, BOB, Room};
use crate::event::{Pdu, RoomVersion};
use crate::number::EventNumber;
use crate::read::card::{cards, other_keys};
use crate::read::filter::glob;
use crate::read::fixture::{House, user};
use crate::read::relation::{RelatedTo, Threads};
use crate::read::words::{Word, words};
use crate::read::{EventFilter, Members, Page, Stretch, Token};
use crate::timeline::Order;

const CAROL: &str = "@carol:one";

fn numbers(page: &Page) -> Vec<EventNumber> {
    page.events.iter().map(|shown| shown.stored.number).collect()
}

#[tokio::test]
async fn an_event_is_written_as_its_reader_may_see_it() {
    let house = House::new(latest()).await;
    let room_id = house.read().await.id().to_owned();
    let (alice, content) = (user(ALICE), json!({ "msgtype": "m.text", "body": "hi \u{1F600} \"you\"" }));
    let sent_as = SentAs::new(&alice, "PHONE".into(), "send", &room_id, "txn".into());
    let draft = Room::draft(ALICE, "m.room.message", None, content.clone());
    let (id, number) = house.say_as(draft, Some(sent_as)).await;
    let event = house.event(ALICE, number).await.unwrap();
    let at = event["origin_server_ts"].as_i64().unwrap();
    let now = i64::try_from(house.rooms.store().clock().now().as_millis()).unwrap();
    let expected = json!({
        "content": content, "event_id": id, "origin_server_ts": at, "room_id": room_id, "sender": ALICE,
        "type": "m.room.message", "unsigned": { "age": now - at, "membership": "join" },
    });
    assert_eq!(event, expected);
    for (device, told) in [("PHONE", Some("txn")), ("LAPTOP", None)] {
        let page = house.seen(ALICE).await;
        let mut viewer = house.viewer(&alice);
        viewer.device = Some(device.into());
        let format = crate::read::Format::SYNC;
        let written = house.read().await.render(&viewer, &page.events[page.events.len() - 1..], format).await.unwrap();
        let event: Value = serde_json::from_str(written[0].get()).unwrap();
        assert_eq!(event["unsigned"]["transaction_id"].as_str(), told);
        assert_eq!(event.get("room_id"), None);
    }
}

#[tokio::test]
async fn a_state_event_says_what_it_replaced() {
    let house = House::new(latest()).await;
    let (first, _) = house.set("m.room.topic", "", json!({ "topic": "one" })).await;
    let (_, second) = house.set("m.room.topic", "", json!({ "topic": "two" })).await;
    let event = house.event(ALICE, second).await.unwrap();
    assert_eq!(event["state_key"], "");
    assert_eq!(event["unsigned"]["replaces_state"], json!(first));
    assert_eq!(event["unsigned"]["prev_content"], json!({ "topic": "one" }));
}

#[tokio::test]
async fn what_was_replaced_before_one_came_is_named_and_not_told() {
    let house = House::new(latest()).await;
    house.set("m.room.history_visibility", "", json!({ "history_visibility": "joined" })).await;
    let (first, _) = house.set("m.room.topic", "", json!({ "topic": "secret" })).await;
    house.join(BOB).await;
    let (_, second) = house.set("m.room.topic", "", json!({ "topic": "open" })).await;
    let event = house.event(BOB, second).await.unwrap();
    assert_eq!(event["unsigned"]["replaces_state"], json!(first));
    assert_eq!(event["unsigned"].get("prev_content"), None);
}

#[tokio::test]
async fn of_a_redacted_event_nothing_is_left_in_any_version() {
    for version in RoomVersion::all() {
        let house = House::new(version).await;
        let (id, number) = house.message("a secret word").await;
        let (redaction, by) = house.redact(ALICE, &id).await;
        let event = house.event(ALICE, number).await.unwrap();
        assert_eq!(event["content"], json!({}), "version {}", version.id());
        let because = &event["unsigned"]["redacted_because"];
        assert_eq!((&because["event_id"], &because["redacts"]), (&json!(redaction), &json!(id)));
        assert_eq!(because["content"], json!({ "reason": "spam", "redacts": id }), "told in both places");
        let event = house.event(ALICE, by).await.unwrap();
        assert_eq!((&event["redacts"], &event["content"]["redacts"]), (&json!(id), &json!(id)));
        let reading = house.read().await;
        let stored = reading.stored(&[number]).await.unwrap();
        assert!(!String::from_utf8_lossy(&stored[0].json).contains("secret"), "it is not even stored");
        let row = Word::of("secret").key(house.room, number);
        assert!(house.rooms.store().get(&row).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn who_may_not_redact_takes_nothing_away() {
    let house = House::new(latest()).await;
    house.join(CAROL).await;
    house.join(BOB).await;
    let (id, number) = house.message("stays").await;
    house.redact(BOB, &id).await;
    assert_eq!(house.event(ALICE, number).await.unwrap()["content"]["body"], "stays");
    // Carol is on Alice's server, and that is enough: servers answer for their own.
    house.redact(CAROL, &id).await;
    assert_eq!(house.event(ALICE, number).await.unwrap()["content"], json!({}));
}

#[tokio::test]
async fn the_timeline_is_walked_both_ways_and_nothing_comes_twice_or_is_left_out() {
    let house = House::new(latest()).await;
    for n in 0..23 {
        house.message(&n.to_string()).await;
    }
    let all = numbers(&house.seen(ALICE).await);
    assert_eq!(all.len(), 4 + 23);
    let (alice, filter) = (user(ALICE), EventFilter::default());
    for direction in [Direction::Forward, Direction::Backward] {
        for limit in [1, 2, 5, 100] {
            let (mut found, mut pages) = (Vec::new(), 0);
            let mut from = if direction == Direction::Forward { Order::START } else { crate::read::END };
            loop {
                let stretch = Stretch { from, to: None, direction, limit, filter: &filter };
                let page = house.read().await.timeline(&house.viewer(&alice), &stretch).await.unwrap();
                assert!(page.events.len() <= limit);
                found.extend(numbers(&page));
                pages += 1;
                let Some(Token(end)) = page.end else { break };
                from = end.to_string_and_back();
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            assert_eq!(found, all, "{direction:?}, {limit} at a time");
            assert!(pages >= all.len() / limit);
        }
    }
}

#[tokio::test]
async fn a_page_of_large_events_ends_early_and_goes_on() {
    let house = House::new(latest()).await;
    let large = "x".repeat(60_000);
    for _ in 0..140 {
        house.message(&large).await;
    }
    let (alice, filter, mut from, mut found) = (user(ALICE), EventFilter::default(), crate::read::END, 0);
    let mut pages = 0;
    loop {
        let stretch = Stretch { from, to: None, direction: Direction::Backward, limit: 1000, filter: &filter };
        let page = house.read().await.timeline(&house.viewer(&alice), &stretch).await.unwrap();
        found += page.events.len();
        let Some(Token(end)) = page.end else { break };
        (from, pages) = (end, pages + 1);
    }
    assert_eq!((found, pages), (144, 2));
}

trait ThereAndBack {
    fn to_string_and_back(self) -> Self;
}

impl ThereAndBack for Order {
    fn to_string_and_back(self) -> Self {
        Token::of_room(&Token(self).to_string(), base::Partition(0)).unwrap().0
    }
}

#[tokio::test]
async fn a_point_of_sync_is_a_point_of_the_timeline() {
    let house = House::new(latest()).await;
    let (_, number) = house.message("seen").await;
    let seen = house.seen(ALICE).await.events.pop().unwrap();
    let Order::Live(position) = seen.order else { panic!() };
    house.message("new").await;
    let token = Token::of_room(&format!("s{position}"), base::Partition(0)).unwrap();
    let (alice, filter) = (user(ALICE), EventFilter::default());
    for (direction, first) in [(Direction::Backward, number), (Direction::Forward, EventNumber(number.0 + 1))] {
        let stretch = Stretch { from: token.0, to: None, direction, limit: 1, filter: &filter };
        let page = house.read().await.timeline(&house.viewer(&alice), &stretch).await.unwrap();
        assert_eq!(numbers(&page), [first]);
    }
    for wrong in ["", "t", "x1", "tl", "tx1", "s", "s_", "sx"] {
        assert!(Token::of_room(wrong, base::Partition(0)).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_thread_goes_with_its_root_and_shrinks_with_redactions() {
    let mut house = House::new(latest()).await;
    house.join(BOB).await;
    house.join(CAROL).await;
    let (root, root_number) = house.message("root").await;
    let (other, _) = house.message("other").await;
    let (_, _) = house.relate(BOB, "m.thread", &root).await;
    let (_, _) = house.relate(CAROL, "m.thread", &other).await;
    let (last, _) = house.relate(BOB, "m.thread", &root).await;
    let thread = |event: &Value| event["unsigned"]["m.relations"]["m.thread"].clone();
    for (name, participated) in [(ALICE, true), (BOB, true), (CAROL, false)] {
        let thread = thread(&house.event(name, root_number).await.unwrap());
        assert_eq!(thread["count"], 2);
        assert_eq!(thread["latest_event"]["event_id"], json!(last));
        assert_eq!(thread["current_user_participated"], participated, "{name}");
        let carol = user(name);
        let mine = house.read().await.threads(&house.viewer(&carol), Threads::Participated, None, 9).await.unwrap();
        assert_eq!(mine.events.len(), if name == BOB { 1 } else { 2 - usize::from(name == CAROL) }, "{name}");
    }
    let alice = user(ALICE);
    let listed = house.read().await.threads(&house.viewer(&alice), Threads::All, None, 1).await.unwrap();
    assert_eq!(numbers(&listed), [root_number], "the one with the newest event first");
    let rest = house.read().await.threads(&house.viewer(&alice), Threads::All, listed.end.map(|end| end.0), 1).await;
    assert_eq!(rest.unwrap().events[0].stored.facts.id, other);
    house.redact(BOB, &last).await;
    assert_eq!(thread(&house.event(CAROL, root_number).await.unwrap())["count"], 1);
    let listed = house.read().await.threads(&house.viewer(&alice), Threads::All, None, 1).await.unwrap();
    assert_eq!(listed.events[0].stored.facts.id, other, "its last event is older now");
    house.ignored.insert(user(BOB));
    assert_eq!(thread(&house.event(CAROL, root_number).await.unwrap()), Value::Null, "nothing but by one ignored");
}

#[tokio::test]
async fn the_newest_valid_edit_goes_with_an_event_and_no_other() {
    let house = House::new(latest()).await;
    house.join(BOB).await;
    let (original, number) = house.message("first").await;
    let edit_of = async |number| {
        let event = house.event(ALICE, number).await.unwrap();
        event["unsigned"]["m.relations"]["m.replace"]["event_id"].as_str().map(|id| OwnedEventId::try_from(id).unwrap())
    };
    house.relate(BOB, "m.replace", &original).await;
    assert_eq!(edit_of(number).await, None, "others cannot edit");
    let (one, _) = house.relate(ALICE, "m.replace", &original).await;
    assert_eq!(edit_of(number).await, Some(one.clone()));
    house.rooms.store().clock().sleep(std::time::Duration::from_millis(5)).await;
    let (two, edit_number) = house.relate(ALICE, "m.replace", &original).await;
    assert_eq!(edit_of(number).await, Some(two.clone()));
    house.relate(ALICE, "m.replace", &two).await;
    assert_eq!(edit_of(edit_number).await, None, "an edit has no edits");
    house.redact(ALICE, &two).await;
    assert_eq!(edit_of(number).await, Some(one));
    house.redact(ALICE, &original).await;
    assert_eq!(edit_of(number).await, None, "what is gone has no edits");
}

#[tokio::test]
async fn relations_are_listed_by_type_in_both_directions_and_over_several_steps() {
    let house = House::new(latest()).await;
    let (root, number) = house.message("root").await;
    let mut direct = Vec::new();
    for _ in 0..5 {
        direct.push(house.relate(ALICE, "m.thread", &root).await);
    }
    let (_, reference) = house.relate(ALICE, "m.reference", &root).await;
    let (_, indirect) = house.relate(ALICE, "m.annotation", &direct[0].0).await;
    let direct: Vec<EventNumber> = direct.into_iter().map(|(_, number)| number).collect();
    let alice = user(ALICE);
    let asked = RelatedTo {
        rel_type: Some("m.thread"),
        kind: None,
        depth: 1,
        from: None,
        to: None,
        direction: Direction::Forward,
        limit: 2,
    };
    for direction in [Direction::Forward, Direction::Backward] {
        for rel_type in [Some("m.thread"), None] {
            let (mut found, mut from) = (Vec::new(), None);
            loop {
                let asked = RelatedTo { direction, rel_type, from, ..asked.clone() };
                let page = house.read().await.relating(&house.viewer(&alice), number, &asked).await.unwrap();
                found.extend(numbers(&page));
                match page.end {
                    Some(end) => from = Some(end.0),
                    None => break,
                }
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            let mut expected = direct.clone();
            expected.extend(rel_type.is_none().then_some(reference));
            assert_eq!(found, expected, "{direction:?} {rel_type:?}");
        }
    }
    let deep = RelatedTo { rel_type: None, depth: 3, limit: 50, ..asked.clone() };
    let page = house.read().await.relating(&house.viewer(&alice), number, &deep).await.unwrap();
    assert!(numbers(&page).contains(&indirect));
    let none = RelatedTo { kind: Some("m.reaction"), ..asked };
    assert!(house.read().await.relating(&house.viewer(&alice), number, &none).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn a_rooms_card_follows_its_state() {
    let house = House::new(latest()).await;
    let store = house.rooms.store();
    let (name, _) = house.set("m.room.name", "", json!({ "name": "The hall" })).await;
    house.set("m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).await;
    house.join(BOB).await;
    house.say(Room::draft(ALICE, "m.room.member", Some(CAROL), json!({ "membership": "invite" }))).await;
    let card = async || cards(store, &[house.room]).await.unwrap().remove(0);
    let (counts, at_first) = card().await;
    assert_eq!((counts.joined, counts.invited, counts.left), (2, 1, 0));
    assert_eq!(counts.heroes, [user(ALICE), user(BOB), user(CAROL)]);
    assert_eq!((at_first.name.as_deref(), at_first.join_rule.as_deref()), (Some("The hall"), Some("public")));
    assert!(at_first.encryption.is_some());
    house.say(Room::draft(BOB, "m.room.member", Some(BOB), json!({ "membership": "leave" }))).await;
    house.redact(ALICE, &name).await;
    let (counts, card) = card().await;
    assert_eq!((counts.joined, counts.invited, counts.left), (1, 1, 1));
    assert_eq!(counts.heroes, [user(ALICE), user(CAROL)]);
    assert_eq!(card.name, None, "its name was taken away");
}

#[tokio::test]
async fn of_more_heroes_than_are_kept_the_next_takes_the_place_of_one_who_goes() {
    let house = House::new(latest()).await;
    let guests: Vec<String> = (0..8).map(|n| format!("@guest{n}:one")).collect();
    for guest in &guests {
        house.join(guest).await;
    }
    house.say(Room::draft(&guests[1], "m.room.member", Some(&guests[1]), json!({ "membership": "leave" }))).await;
    let (counts, _) = cards(house.rooms.store(), &[house.room]).await.unwrap().remove(0);
    let expected = [ALICE, &guests[0], &guests[2], &guests[3], &guests[4], &guests[5]].map(user);
    assert_eq!(counts.heroes, expected);
    assert_eq!(counts.joined, 8);
}

#[tokio::test]
async fn a_state_is_read_whole_or_without_its_members() {
    let house = House::new(latest()).await;
    house.join(BOB).await;
    house.set("org.example.widget", "a", json!({})).await;
    let mut reading = house.read().await;
    let root = reading.state();
    assert_eq!(reading.state_events(root, Members::All).await.unwrap().len(), 6);
    assert_eq!(reading.state_events(root, Members::None).await.unwrap().len(), 4);
    let some = [user(BOB), user("@nobody:one")].into();
    assert_eq!(reading.state_events(root, Members::Of(&some)).await.unwrap().len(), 5);
    assert_eq!(other_keys(house.rooms.store(), house.room).await.unwrap().iter().count(), 4);
    let page = house.seen(ALICE).await;
    let before = reading.state_at(page.events[4].order).await.unwrap();
    assert_eq!(reading.state_changes(before, root).await.unwrap().len(), 2);
    assert_eq!(reading.members_at(root, |membership| membership == "join").await.unwrap().len(), 2);
    assert_eq!(reading.members_at(before, |_| true).await.unwrap().len(), 1);
}

/// What comes from elsewhere, said by Alice after what `room` has, with this content.
fn elsewhere(room: &mut Room, kind: &str, content: Value, redacts: Option<&OwnedEventId>) -> Pdu {
    let mut draft = Room::draft(ALICE, kind, None, content);
    draft.redacts = redacts.cloned();
    room.build(&draft).pdu().clone()
}

#[tokio::test]
async fn what_is_redacted_before_it_comes_is_never_stored_whole() {
    for version in RoomVersion::all() {
        let mut fixture = Room::new(version);
        let house = House::of(&fixture).await;
        let secret = json!({ "msgtype": "m.text", "body": "a secret" });
        let message = elsewhere(&mut fixture.clone(), "m.room.message", secret, None);
        let redaction = elsewhere(&mut fixture, "m.room.redaction", json!({}), Some(&message.id().to_owned()));
        house.comes(&redaction).await;
        let number = house.comes(&message).await;
        let event = house.event(ALICE, number).await.unwrap();
        assert_eq!(event["content"], json!({}), "version {}", version.id());
        assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction.id().as_str());
        let stored = house.read().await.stored(&[number]).await.unwrap();
        assert!(!String::from_utf8_lossy(&stored[0].json).contains("secret"));
        let row = Word::of("secret").key(house.room, number);
        assert!(house.rooms.store().get(&row).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_relation_that_comes_before_what_it_relates_to_is_found_when_that_comes() {
    let mut fixture = Room::new(latest());
    let house = House::of(&fixture).await;
    let root = elsewhere(&mut fixture.clone(), "m.room.message", json!({ "body": "root" }), None);
    let content = json!({ "body": "reply", "m.relates_to": { "rel_type": "m.thread", "event_id": root.id() } });
    let reply = elsewhere(&mut fixture, "m.room.message", content, None);
    house.comes(&reply).await;
    let alice = user(ALICE);
    let listed = house.read().await.threads(&house.viewer(&alice), Threads::All, None, 9).await.unwrap();
    assert!(listed.events.is_empty(), "a thread without its root cannot be shown");
    let number = house.comes(&root).await;
    let thread = &house.event(ALICE, number).await.unwrap()["unsigned"]["m.relations"]["m.thread"];
    assert_eq!((&thread["count"], &thread["latest_event"]["event_id"]), (&json!(1), &json!(reply.id())));
    let listed = house.read().await.threads(&house.viewer(&alice), Threads::All, None, 9).await.unwrap();
    assert_eq!(numbers(&listed), [number]);
}

#[test]
fn patterns_match_as_a_shell_would_with_stars_alone() {
    for (pattern, text, matches) in [
        ("m.room.message", "m.room.message", true),
        ("m.room.message", "m.room.messages", false),
        ("m.room.*", "m.room.message", true),
        ("*", "", true),
        ("", "", true),
        ("*.message", "m.room.message", true),
        ("m.*.message", "m.room.message", true),
        ("m.*.message", "m.message", false),
        ("m*m", "m", false),
        ("a*b*c", "a.b.b.c", true),
        ("a*b*c", "a.c.b", false),
        ("[a]", "a", false),
    ] {
        assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
    }
}

#[test]
fn words_are_runs_of_letters_in_lower_case_and_characters_of_scripts_without_spaces() {
    let found = |text: &str| words(text).collect::<Vec<_>>();
    assert_eq!(found("Hello, WORLD! it's 42."), ["hello", "world", "it", "s", "42"]);
    assert_eq!(found("  "), [""; 0]);
    assert_eq!(found("\u{c9}t\u{e9} \u{65e5}\u{672c}go"), ["\u{e9}t\u{e9}", "\u{65e5}", "\u{672c}", "go"]);
    assert_eq!(found(&"x".repeat(500)), ["x".repeat(48)]);
}
