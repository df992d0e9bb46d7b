//! Versions of a backup, and which sessions stay in it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::backup::KeyBackupData;
use protocol::canonical::Object;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomId, UserId, owned_room_id, room_id};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use storage::table::{KEY_BACKUP, KEY_BACKUP_SESSION};
use storage::{Direction, KeyRange, MemoryDisk};

use crate::accounts::Accounts;
use crate::backup::{BackupDescription, BackupSessions, WhichSessions};
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, options, store, user};

fn description(algorithm: &str) -> BackupDescription {
    let auth_data = RawValue::from_string(json!({ "public_key": "abc" }).to_string()).unwrap();
    BackupDescription { algorithm: algorithm.to_owned(), auth_data }
}

fn data(is_verified: bool, first: u32, forwarded: u32) -> KeyBackupData {
    let session_data = Object::new().with("ephemeral", "a").with("ciphertext", "b").with("mac", "c");
    KeyBackupData { first_message_index: first, forwarded_count: forwarded, is_verified, session_data }
}

fn raw(data: &KeyBackupData) -> Raw<Value> {
    Raw::from_json_string(data.to_object().to_canonical()).unwrap()
}

fn one(room: &RoomId, session: &str, data: &KeyBackupData) -> BackupSessions<Value> {
    [(room.to_owned(), [(session.to_owned(), raw(data))].into())].into()
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Everything in a version, by room and session.
async fn everything(
    accounts: &Accounts,
    user: &UserId,
    version: &str,
    which: WhichSessions<'_>,
) -> BTreeMap<(OwnedRoomId, String), Value> {
    let mut pages = accounts.saved_sessions(user, version, which).await.unwrap();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await.unwrap() {
        for saved in page {
            let before = found.insert((saved.room, saved.session), serde_json::from_str(saved.json.get()).unwrap());
            assert!(before.is_none(), "no session comes twice");
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_is_the_current_one_and_no_name_is_used_again() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    assert!(accounts.backup(&alice, None).await.unwrap().is_none());
    assert_eq!(accounts.create_backup(&alice, &description("a")).await.unwrap(), "1");
    assert_eq!(accounts.create_backup(&alice, &description("b")).await.unwrap(), "2");
    let current = async || accounts.backup(&alice, None).await.unwrap().map(|found| found.version);
    assert_eq!(current().await.as_deref(), Some("2"));
    assert_eq!(accounts.backup(&alice, Some("1")).await.unwrap().unwrap().description.algorithm, "a");
    accounts.remove_backup(&alice, "2").await.unwrap();
    assert_eq!(current().await.as_deref(), Some("1"));
    assert!(accounts.backup(&alice, Some("2")).await.unwrap().is_none());
    assert!(matches!(refusal(accounts.remove_backup(&alice, "2").await), Refusal::NotFound { .. }));
    assert_eq!(accounts.create_backup(&alice, &description("c")).await.unwrap(), "3");
    for _ in 0..2 {
        let version = current().await.unwrap();
        accounts.remove_backup(&alice, &version).await.unwrap();
    }
    assert_eq!(current().await, None);
    assert_eq!(accounts.create_backup(&alice, &description("d")).await.unwrap(), "4");
    let rows = accounts.store().scan(&KeyRange::table(KEY_BACKUP), Direction::Forward, 10).await.unwrap();
    assert_eq!(rows.rows.len(), 1, "what was removed leaves no row but the newest");
    for odd in ["0", "01", "+1", "x", "", "18446744073709551616"] {
        assert!(accounts.backup(&alice, Some(odd)).await.unwrap().is_none(), "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_is_replaced_and_its_algorithm_is_not() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let auth_data = RawValue::from_string("{\"public_key\":\"other\"}".to_owned()).unwrap();
    let other = BackupDescription { auth_data, ..description("a") };
    accounts.update_backup(&alice, "1", &other).await.unwrap();
    let found = accounts.backup(&alice, None).await.unwrap().unwrap();
    assert_eq!(found.description.auth_data.get(), "{\"public_key\":\"other\"}");
    let outcome = accounts.update_backup(&alice, "1", &description("b")).await;
    assert!(matches!(refusal(outcome), Refusal::InvalidParam { .. }));
    assert!(matches!(refusal(accounts.update_backup(&alice, "9", &other).await), Refusal::NotFound { .. }));
    let auth_data = RawValue::from_string("[]".to_owned()).unwrap();
    let odd = BackupDescription { auth_data, ..description("a") };
    assert!(matches!(refusal(accounts.create_backup(&alice, &odd).await), Refusal::BadJson { .. }));
}

#[tokio::test(start_paused = true)]
async fn only_the_current_version_takes_sessions_and_says_which_it_is() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    let sessions = one(room_id!("!a:example.org"), "s", &data(true, 1, 1));
    assert!(matches!(refusal(accounts.save_sessions(&alice, "1", &sessions).await), Refusal::NotFound { .. }));
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    accounts.save_sessions(&alice, "1", &sessions).await.unwrap();
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let refused = refusal(accounts.save_sessions(&alice, "1", &sessions).await);
    assert_eq!(refused, Refusal::WrongBackupVersion { current: "2".to_owned() });
    assert!(matches!(refusal(accounts.save_sessions(&alice, "3", &sessions).await), Refusal::NotFound { .. }));
    // What the old one holds can still be read and removed.
    assert_eq!(everything(&accounts, &alice, "1", WhichSessions::All).await.len(), 1);
    assert_eq!(accounts.remove_sessions(&alice, "1", WhichSessions::All).await.unwrap().count, 0);
}

#[tokio::test(start_paused = true)]
async fn counts_and_etags_follow_what_is_there() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let (a, b) = (owned_room_id!("!a:example.org"), owned_room_id!("!b:example.org"));
    let mut sessions = BackupSessions::new();
    for (room, count) in [(&a, 3), (&b, 2)] {
        let of_room = (0..count).map(|n| (format!("s{n}"), raw(&data(false, 5, 5))));
        sessions.insert(room.clone(), of_room.collect());
    }
    let first = accounts.save_sessions(&alice, "1", &sessions).await.unwrap();
    assert_eq!(first.count, 5);
    assert_eq!(accounts.save_sessions(&alice, "1", &sessions).await.unwrap(), first, "nothing new changes nothing");
    let better = one(&a, "s0", &data(true, 5, 5));
    let second = accounts.save_sessions(&alice, "1", &better).await.unwrap();
    assert_eq!((second.count, second.etag == first.etag), (5, false));
    assert_eq!(accounts.backup(&alice, None).await.unwrap().unwrap().state, second);
    assert_eq!(everything(&accounts, &alice, "1", WhichSessions::Room(&a)).await.len(), 3);
    let saved = accounts.saved_session(&alice, "1", &a, "s0").await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(saved.get()).unwrap()["is_verified"], true);
    assert!(accounts.saved_session(&alice, "1", &b, "s9").await.unwrap().is_none());

    let state = accounts.remove_sessions(&alice, "1", WhichSessions::One(&a, "s0")).await.unwrap();
    assert_eq!(state.count, 4);
    assert_eq!(accounts.remove_sessions(&alice, "1", WhichSessions::One(&a, "s0")).await.unwrap(), state);
    assert_eq!(accounts.remove_sessions(&alice, "1", WhichSessions::Room(&a)).await.unwrap().count, 2);
    assert_eq!(accounts.remove_sessions(&alice, "1", WhichSessions::All).await.unwrap().count, 0);
    assert!(everything(&accounts, &alice, "1", WhichSessions::All).await.is_empty());
    accounts.sweep_leftovers().await.unwrap();
    let rows = accounts.store().scan(&KeyRange::table(KEY_BACKUP_SESSION), Direction::Forward, 10).await.unwrap();
    assert!(rows.rows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_large_backup_is_written_in_parts_and_read_in_pages() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let mut large = data(true, 0, 0);
    large.session_data.insert("ciphertext", "x".repeat(2_000));
    let of_room: BTreeMap<String, Raw<Value>> = (0..1_500).map(|n| (format!("s{n}"), raw(&large))).collect();
    let rooms: BackupSessions<Value> =
        (0..2).map(|n| (RoomId::parse(format!("!r{n}:example.org")).unwrap(), of_room.clone())).collect();
    assert_eq!(accounts.save_sessions(&alice, "1", &rooms).await.unwrap().count, 3_000);
    let mut pages = accounts.saved_sessions(&alice, "1", WhichSessions::All).await.unwrap();
    let (mut rooms, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        count += page.len();
        rooms.extend(page.into_iter().map(|saved| saved.room));
    }
    rooms.dedup();
    assert_eq!((count, rooms.len()), (3_000, 2), "rooms come together");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_session_is_refused_whole() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let room = owned_room_id!("!a:example.org");
    let good = ("a".to_owned(), raw(&data(true, 0, 0)));
    for wrong in [
        json!({ "first_message_index": -1, "forwarded_count": 0, "is_verified": true, "session_data": {} }),
        json!({ "first_message_index": 0, "forwarded_count": 0, "is_verified": "yes", "session_data": {} }),
        json!({ "first_message_index": 0, "forwarded_count": 0, "is_verified": true }),
        json!("text"),
    ] {
        let sessions = [good.clone(), ("b".to_owned(), Raw::new(&wrong).unwrap())];
        let sessions: BackupSessions<Value> = [(room.clone(), sessions.into())].into();
        assert!(matches!(refusal(accounts.save_sessions(&alice, "1", &sessions).await), Refusal::BadJson { .. }));
    }
    let mut large = data(true, 0, 0);
    large.session_data.insert("ciphertext", "x".repeat(40_000));
    let outcome = accounts.save_sessions(&alice, "1", &one(&room, "s", &large)).await;
    assert!(matches!(refusal(outcome), Refusal::TooLarge { .. }));
    assert_eq!(accounts.backup(&alice, None).await.unwrap().unwrap().state.count, 0);
}

/// Uploads in any order, at once, over a power cut: the best session that was acknowledged, or a better one, stays.
async fn the_best_stays(uploads: Vec<(u8, bool, u32, u32)>, cut: usize) {
    let disk = MemoryDisk::new();
    let mut accounts = Accounts::new(store(&disk).await, options());
    let alice = user(&accounts, "alice").await.user_id;
    accounts.create_backup(&alice, &description("a")).await.unwrap();
    let room = owned_room_id!("!a:example.org");
    let mut best: BTreeMap<String, KeyBackupData> = BTreeMap::new();
    for (at, (session, is_verified, first, forwarded)) in uploads.into_iter().enumerate() {
        if at == cut {
            disk.crash();
            accounts = Accounts::new(store(&disk).await, options());
        }
        let (session, data) = (session.to_string(), data(is_verified, first, forwarded));
        let state = accounts.save_sessions(&alice, "1", &one(&room, &session, &data)).await.unwrap();
        if best.get(&session).is_none_or(|known| data.replaces(known)) {
            best.insert(session, data);
        }
        assert_eq!(state.count, u64::try_from(best.len()).unwrap());
    }
    let found = everything(&accounts, &alice, "1", WhichSessions::All).await;
    let found: BTreeMap<String, Value> = found.into_iter().map(|((_, session), data)| (session, data)).collect();
    let expected = best
        .into_iter()
        .map(|(session, data)| (session, serde_json::from_str::<Value>(&data.to_object().to_canonical()).unwrap()));
    assert_eq!(found, expected.collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn of_all_uploads_the_best_stays(
        uploads in prop::collection::vec((0_u8..3, any::<bool>(), 0_u32..3, 0_u32..3), 1..20),
        cut in 0_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(the_best_stays(uploads, cut));
    }
}
