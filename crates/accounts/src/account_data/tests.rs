//! Account data, and what is made of it.

use std::collections::BTreeMap;

use base::{Position, limits};
use proptest::prelude::*;
use ruma::{OwnedRoomId, UserId, room_id, user_id};
use serde_json::value::RawValue;
use storage::table::ACCOUNT_DATA_PART;
use storage::{Direction, KeyRange};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::accounts;

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

async fn set(accounts: &Accounts, kind: &str, json: &str) -> Position {
    accounts.set_account_data(alice(), None, kind, &raw(json)).await.unwrap()
}

async fn since(accounts: &Accounts, position: Position) -> Vec<(String, String)> {
    let changed = accounts.account_data_since(alice(), position).await.unwrap();
    changed.into_iter().map(|data| (data.kind, data.content.get().to_owned())).collect()
}

#[tokio::test]
async fn what_is_kept_is_found_by_its_type_and_by_when_it_changed() {
    let accounts = accounts().await;
    assert!(accounts.account_data(alice(), None, "a").await.unwrap().is_none());
    let first = set(&accounts, "a", r#"{"n":1}"#).await;
    set(&accounts, "b", r#"{"n":2}"#).await;
    let third = set(&accounts, "a", r#"{"n":3}"#).await;
    assert_eq!(accounts.account_data(alice(), None, "a").await.unwrap().unwrap().get(), r#"{"n":3}"#);

    let [a, b] = [("a", r#"{"n":3}"#), ("b", r#"{"n":2}"#)].map(|(kind, json)| (kind.to_owned(), json.to_owned()));
    assert_eq!(since(&accounts, Position::START).await, [b.clone(), a.clone()], "each once, as it is now");
    assert_eq!(since(&accounts, first).await, [b, a]);
    assert!(since(&accounts, third).await.is_empty());
}

#[tokio::test]
async fn rooms_and_users_are_kept_apart() {
    let accounts = accounts().await;
    set(&accounts, "a", "{}").await;
    let room = room_id!("!r:example.org");
    assert!(accounts.account_data(alice(), Some(room), "a").await.unwrap().is_none());
    accounts.set_account_data(alice(), Some(room), "a", &raw(r#"{"room":1}"#)).await.unwrap();
    assert_eq!(accounts.account_data(alice(), None, "a").await.unwrap().unwrap().get(), "{}");
    assert!(accounts.account_data_since(user_id!("@bob:example.org"), Position::START).await.unwrap().is_empty());
    let rooms: Vec<Option<OwnedRoomId>> = accounts
        .account_data_since(alice(), Position::START)
        .await
        .unwrap()
        .into_iter()
        .map(|data| data.room)
        .collect();
    assert_eq!(rooms, [None, Some(room.to_owned())]);
}

#[tokio::test]
async fn what_is_deleted_is_told_once_to_those_who_had_it() {
    let accounts = accounts().await;
    let before = set(&accounts, "a", r#"{"n":1}"#).await;
    accounts.delete_account_data(alice(), None, "a").await.unwrap();
    accounts.delete_account_data(alice(), None, "a").await.unwrap();
    assert!(accounts.account_data(alice(), None, "a").await.unwrap().is_none());
    assert_eq!(since(&accounts, before).await, [("a".to_owned(), "{}".to_owned())]);
    assert_eq!(since(&accounts, before.next()).await, [], "the second deletion changed nothing");
    assert_eq!(since(&accounts, Position::START).await, [], "who is new never hears of it");
}

#[tokio::test]
async fn what_the_server_manages_and_what_is_no_object_is_refused() {
    let accounts = accounts().await;
    for kind in ["m.push_rules", "m.fully_read"] {
        for outcome in [
            accounts.set_account_data_of_client(alice(), None, kind, &raw("{}")).await.map(drop),
            accounts.delete_account_data(alice(), None, kind).await,
        ] {
            assert!(matches!(outcome, Err(Error::Refused(Refusal::ServerManaged { .. }))));
        }
    }
    let large = raw(&format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::ACCOUNT_DATA_BYTES)));
    for (kind, content, code) in [
        ("a", raw("[]"), "M_BAD_JSON"),
        ("a", raw("7"), "M_BAD_JSON"),
        ("a", large, "M_TOO_LARGE"),
        ("", raw("{}"), "M_INVALID_PARAM"),
    ] {
        let Err(Error::Refused(refusal)) = accounts.set_account_data(alice(), None, kind, &content).await else {
            panic!("{kind} was kept");
        };
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test]
async fn what_is_too_large_for_a_row_lies_in_parts_that_come_and_go_with_it() {
    let accounts = accounts().await;
    let parts = || async {
        let range = KeyRange::table(ACCOUNT_DATA_PART);
        accounts.store().scan(&range, Direction::Forward, 1_000).await.unwrap().rows.len()
    };
    let large = |letter: &str, bytes: usize| format!(r#"{{"a":"{}"}}"#, letter.repeat(bytes / letter.len()));
    for (content, count) in [
        (large("x", 2 * limits::ACCOUNT_DATA_PART_BYTES), 3),
        (large("ö", limits::ACCOUNT_DATA_BYTES - 10), limits::ACCOUNT_DATA_BYTES / limits::ACCOUNT_DATA_PART_BYTES),
        (large("x", limits::ACCOUNT_DATA_PART_BYTES), 2),
        ("{}".to_owned(), 0),
        (large("y", limits::ACCOUNT_DATA_PART_BYTES), 2),
    ] {
        set(&accounts, "a", &content).await;
        assert_eq!(accounts.account_data(alice(), None, "a").await.unwrap().unwrap().get(), content);
        assert_eq!(since(&accounts, Position::START).await, [("a".to_owned(), content)]);
        assert_eq!(parts().await, count);
    }
    accounts.delete_account_data(alice(), None, "a").await.unwrap();
    assert_eq!(parts().await, 0);
    assert!(accounts.account_data(alice(), None, "a").await.unwrap().is_none());
}

#[tokio::test]
async fn who_reads_while_another_writes_gets_one_of_the_two() {
    let accounts = accounts().await;
    let content = |letter: &str| format!(r#"{{"a":"{}"}}"#, letter.repeat(3 * limits::ACCOUNT_DATA_PART_BYTES));
    let contents = [content("x"), content("y")];
    set(&accounts, "a", &contents[0]).await;
    for round in 0..20 {
        let write = set(&accounts, "a", &contents[(round + 1) % 2]);
        let (_, read) = tokio::join!(write, accounts.account_data(alice(), None, "a"));
        assert!(contents.iter().any(|content| content == read.as_ref().unwrap().as_ref().unwrap().get()));
    }
}

#[tokio::test]
async fn tags_come_and_go_one_by_one() {
    let (accounts, room) = (accounts().await, room_id!("!r:example.org"));
    let info = raw(r#"{"order":0.25}"#);
    let (one, other) = tokio::join!(
        accounts.set_tag(alice(), room, "m.favourite", &info),
        accounts.set_tag(alice(), room, "u.work", &info)
    );
    one.and(other).unwrap();
    let names = || async { accounts.tags(alice(), room).await.unwrap().into_keys().collect::<Vec<_>>() };
    assert_eq!(names().await, ["m.favourite", "u.work"], "neither of two at once is lost");
    accounts.remove_tag(alice(), room, "m.favourite").await.unwrap();
    let before = accounts.account_data_since(alice(), Position::START).await.unwrap()[0].position;
    accounts.remove_tag(alice(), room, "m.favourite").await.unwrap();
    assert_eq!(names().await, ["u.work"]);
    assert!(since(&accounts, before).await.is_empty(), "removing nothing changes nothing");

    let long = "x".repeat(limits::TAG_BYTES + 1);
    assert!(matches!(accounts.set_tag(alice(), room, &long, &info).await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn ignored_users_follow_the_list_at_once() {
    let accounts = accounts().await;
    assert!(accounts.ignored_users(alice()).await.unwrap().is_empty());
    let list = r#"{"ignored_users":{"@bob:example.org":{},"nonsense":{},"@alice:example.org":{}}}"#;
    set(&accounts, "m.ignored_user_list", list).await;
    let ignored = accounts.ignored_users(alice()).await.unwrap();
    assert_eq!(ignored.iter().collect::<Vec<_>>(), [user_id!("@bob:example.org")]);
    set(&accounts, "m.ignored_user_list", r#"{"ignored_users":[1]}"#).await;
    assert!(accounts.ignored_users(alice()).await.unwrap().is_empty());
}

proptest! {
    /// Against a plain map: whatever is written and deleted, the index and the rows never drift apart.
    #[test]
    fn the_order_of_changes_has_each_piece_once(writes in prop::collection::vec((0..4_u8, any::<bool>()), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let accounts = accounts().await;
            let mut model: BTreeMap<String, usize> = BTreeMap::new();
            for (n, (kind, deletes)) in writes.into_iter().enumerate() {
                let kind = kind.to_string();
                if deletes {
                    accounts.delete_account_data(alice(), None, &kind).await.unwrap();
                    model.remove(&kind);
                } else {
                    set(&accounts, &kind, &format!(r#"{{"n":{n}}}"#)).await;
                    model.insert(kind, n);
                }
            }
            let mut expected: Vec<(usize, String)> = model.into_iter().map(|(kind, n)| (n, kind)).collect();
            expected.sort_unstable();
            let expected: Vec<_> = expected.into_iter().map(|(n, kind)| (kind, format!(r#"{{"n":{n}}}"#))).collect();
            assert_eq!(since(&accounts, Position::START).await, expected);
        });
    }
}
