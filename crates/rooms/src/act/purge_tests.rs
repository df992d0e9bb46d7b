//! Old words and whole rooms taken out of the store: nothing of them is left, and what stays still works.

use std::time::Duration;

use base::Timestamp;
use ruma::RoomId;
use serde_json::json;
use storage::{Direction, KeyRange};

use crate::Rooms;
use crate::act::fixture::{ALICE, BOB, change, code, membership, public, rooms, send, state, user};
use crate::act::{Change, Retention};
use crate::error::Error;

/// How many rows of the whole store hold `text`.
async fn rows_with(rooms: &Rooms, text: &str) -> usize {
    let (mut rest, mut found) = (Some(KeyRange::everything()), 0);
    while let Some(range) = rest.take() {
        let page = rooms.store().scan(&range, Direction::Forward, 10_000).await.unwrap();
        found +=
            page.rows.iter().filter(|row| row.value.windows(text.len()).any(|part| part == text.as_bytes())).count();
        rest = page.rest;
    }
    found
}

async fn say(rooms: &Rooms, room: &RoomId, body: &str) -> ruma::OwnedEventId {
    rooms.store().clock().jump(1_000);
    send(rooms, room, ALICE, "m.room.message", None, json!({ "body": body })).await.unwrap()
}

#[tokio::test]
async fn of_a_history_messages_go_and_state_and_the_last_events_stay() {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    let first = say(&rooms, &room, "ancient words").await;
    rooms.store().clock().jump(1_000);
    let reply = json!({ "body": "ancient answer", "m.relates_to": { "rel_type": "m.thread", "event_id": first } });
    send(&rooms, &room, ALICE, "m.room.message", None, reply).await.unwrap();
    send(&rooms, &room, ALICE, "m.room.topic", Some(""), json!({ "topic": "ancient topic" })).await.unwrap();
    rooms.store().clock().jump(1_000);
    let now = rooms.store().clock().now();
    say(&rooms, &room, "newer words").await;
    let before = state(&rooms, &room).await;
    assert_eq!(rooms.purge_history(&room, now).await.unwrap(), 2);
    assert_eq!(rooms.purge_history(&room, now).await.unwrap(), 0);
    for (text, left) in [("ancient words", 0), ("ancient answer", 0)] {
        assert_eq!(rows_with(&rooms, text).await, left, "{text}");
    }
    assert!(rows_with(&rooms, "ancient topic").await > 0);
    assert_eq!(rows_with(&rooms, "newer words").await, 1);
    assert_eq!(state(&rooms, &room).await.len(), before.len());
    assert_eq!(rooms.purge_history(&room, Timestamp(u64::MAX)).await.unwrap(), 0, "the last event stays");
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    say(&rooms, &room, "still here").await;
    assert_eq!(rooms.purge_history(&room, Timestamp(u64::MAX)).await.unwrap(), 1, "it is the last no more");
}

#[tokio::test]
async fn a_room_that_nobody_is_in_goes_without_a_trace() {
    let rooms = rooms().await;
    let kept = public(&rooms).await;
    say(&rooms, &kept, "kept words").await;
    let room = public(&rooms).await;
    change(&rooms, &room, BOB, BOB, Change::Join).await.unwrap();
    rooms.set_alias("#gone:one".try_into().unwrap(), &room, user(ALICE)).await.unwrap();
    rooms.set_listed(&room, user(ALICE), false, true).await.unwrap();
    let said = say(&rooms, &room, "gone words").await;
    rooms.redact(&room, user(ALICE), &said, None, false, None).await.unwrap();
    assert_eq!(code(rooms.purge_room(&room).await), "M_BAD_STATE");
    let count = async || {
        let (mut rest, mut rows) = (Some(KeyRange::everything()), 0);
        while let Some(range) = rest.take() {
            let page = rooms.store().scan(&range, Direction::Forward, 10_000).await.unwrap();
            rows += page.rows.len();
            rest = page.rest;
        }
        rows
    };
    rooms.shut_down(&room).await.unwrap();
    assert_eq!(code(send(&rooms, &room, ALICE, "m.room.message", None, json!({})).await), "M_FORBIDDEN");
    assert_eq!(rows_with(&rooms, room.as_str()).await, 0);
    assert_eq!(rows_with(&rooms, "#gone:one").await, 0);
    let mine = crate::append::rooms_of_user(rooms.store(), user(ALICE)).await.unwrap();
    assert_eq!(mine.len(), 1, "only the room that stays");
    assert!(crate::append::rooms_of_user(rooms.store(), user(BOB)).await.unwrap().is_empty());
    let rows = count().await;
    rooms.finish_purges().await.unwrap();
    assert_eq!(count().await, rows, "nothing is left to do");
    say(&rooms, &kept, "more words").await;
    assert_eq!(membership(&rooms, &kept, ALICE).await.as_deref(), Some("join"));
}

#[tokio::test]
async fn messages_go_when_their_room_or_the_operator_says() {
    let rooms = rooms().await;
    let [short, silent] = [public(&rooms).await, public(&rooms).await];
    let day = Duration::from_secs(86_400);
    send(&rooms, &short, ALICE, "m.room.retention", Some(""), json!({ "max_lifetime": 3_600_000 })).await.unwrap();
    for room in [&short, &silent] {
        for body in ["old", "newest"] {
            say(&rooms, room, body).await;
        }
    }
    rooms.store().clock().jump(2 * 3_600_000);
    let pass = async |retention| rooms.purge_expired(retention).await.unwrap();
    let least = Retention { least: Some(day), ..Retention::default() };
    assert_eq!(pass(least).await, 0, "no room may be so hasty");
    assert_eq!(pass(Retention::default()).await, 1, "only the room that says so, and not its last");
    assert_eq!(pass(Retention { unless_said: Some(day), ..Retention::default() }).await, 0);
    rooms.store().clock().jump(86_400_000);
    assert_eq!(pass(Retention { unless_said: Some(day), ..Retention::default() }).await, 1);
    say(&rooms, &silent, "x").await;
    rooms.store().clock().jump(86_400_000);
    assert_eq!(pass(Retention { most: Some(day), ..Retention::default() }).await, 1);
}

#[tokio::test]
async fn the_last_to_forget_a_room_takes_it_along() -> Result<(), Error> {
    let rooms = rooms().await;
    let room = public(&rooms).await;
    change(&rooms, &room, BOB, BOB, Change::Join).await?;
    for id in [ALICE, BOB] {
        change(&rooms, &room, id, id, Change::Leave).await?;
    }
    assert!(!rooms.forget(&room, user(ALICE)).await?);
    assert!(rooms.number_of(&room).await.is_ok());
    assert!(rooms.forget(&room, user(BOB)).await?);
    assert_eq!(code(rooms.number_of(&room).await), "M_NOT_FOUND");
    rooms.finish_purges().await?;
    assert_eq!(rows_with(&rooms, room.as_str()).await, 0);
    Ok(())
}
