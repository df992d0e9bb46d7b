//! Sessions from their beginning to their end.

use std::time::Duration;

use base::limits;
use ruma::device_id;
use storage::MemoryDisk;
use storage::table::{DEVICE, DEVICE_SEEN, TOKEN};
use storage::{Direction, KeyRange};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{self, accounts, login, user};
use crate::session::{LoggedIn, NewDevice, Session, TokenKind, Which};
use crate::{NewAccount, Role};

async fn session(accounts: &Accounts, token: &str) -> Option<Session> {
    accounts.session_of_token(token).await.unwrap()
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?} is no refusal"),
    }
}

async fn rows(accounts: &Accounts) -> usize {
    let mut rows = 0;
    for table in [DEVICE, TOKEN, DEVICE_SEEN] {
        rows += accounts.store().scan(&KeyRange::table(table), Direction::Forward, 1_000).await.unwrap().rows.len();
    }
    rows
}

async fn refreshable(accounts: &Accounts) -> LoggedIn {
    let alice = user(accounts, "alice").await;
    let device = NewDevice { tokens: TokenKind::Refreshable, ..NewDevice::default() };
    login(accounts, &alice.user_id, device).await
}

#[tokio::test]
async fn a_token_is_good_until_its_device_logs_out() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let other = login(&accounts, &alice.user_id, NewDevice::default()).await;
    let known = session(&accounts, &alice.access_token).await.unwrap();
    assert_eq!((known.user_id, known.device_id.clone()), (alice.user_id.clone(), alice.device_id.clone()));
    assert!(!known.is_admin && !known.is_guest && !known.is_suspended);
    assert!(session(&accounts, "hfa_nonsense").await.is_none());

    accounts.logout(&alice.user_id, Which::These(&[alice.device_id])).await.unwrap();
    assert!(session(&accounts, &alice.access_token).await.is_none(), "not even from memory");
    assert!(session(&accounts, &other.access_token).await.is_some());

    accounts.logout(&alice.user_id, Which::All).await.unwrap();
    assert!(session(&accounts, &other.access_token).await.is_none());
    assert_eq!(rows(&accounts).await, 0, "nothing is left behind");
}

#[tokio::test]
async fn a_session_outlives_the_process_and_its_token_is_nowhere_stored() {
    let disk = MemoryDisk::new();
    let store = fixture::store(&disk).await;
    let first = Accounts::new(store.clone(), fixture::options());
    let alice = user(&first, "alice").await;
    let page = store.scan(&KeyRange::everything(), Direction::Forward, 1_000).await.unwrap();
    let token = alice.access_token.as_bytes();
    assert!(page.rows.iter().all(|row| !row.value.windows(token.len()).any(|bytes| bytes == token)));

    let second = Accounts::new(store, fixture::options());
    assert_eq!(session(&second, &alice.access_token).await.unwrap().device_id, alice.device_id);
}

#[tokio::test]
async fn a_known_token_costs_no_read() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    session(&accounts, &alice.access_token).await.unwrap();
    accounts.store().close().await;
    assert!(session(&accounts, &alice.access_token).await.is_some());
}

#[tokio::test]
async fn logging_in_as_a_device_again_ends_what_it_had() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    session(&accounts, &alice.access_token).await.unwrap();
    let id = Some(alice.device_id.clone());
    let again = login(&accounts, &alice.user_id, NewDevice { id, ..NewDevice::default() }).await;
    assert_eq!(again.device_id, alice.device_id);
    assert!(session(&accounts, &alice.access_token).await.is_none());
    assert!(session(&accounts, &again.access_token).await.is_some());
    assert_eq!(accounts.devices(&alice.user_id).await.unwrap().len(), 1);
    assert_eq!(rows(&accounts).await, 2, "one device and one token");
}

#[tokio::test]
async fn wrong_passwords_and_unknown_users_are_told_apart_by_nobody() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let nobody = accounts.user_of_login("nobody").unwrap();
    for (user, password) in [(&alice.user_id, "wrong"), (&nobody, "secret")] {
        let outcome = accounts.login_with_password(user, password, NewDevice::default()).await;
        assert_eq!(refusal(outcome), Refusal::WrongPassword);
    }
    assert_eq!(accounts.user_of_login("Alice"), Some(alice.user_id.clone()));
    assert_eq!(accounts.user_of_login("@ALICE:example.org"), Some(alice.user_id));
    assert_eq!(accounts.user_of_login("@alice:elsewhere.org"), None);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_a_soft_logout_and_is_renewed() {
    let accounts = accounts().await;
    let old = refreshable(&accounts).await;
    assert_eq!(old.expires_in, Some(limits::REFRESHABLE_TOKEN_LIFETIME));
    assert!(session(&accounts, &old.access_token).await.is_some());
    accounts.store().clock().sleep(limits::REFRESHABLE_TOKEN_LIFETIME).await;
    let expired = refusal(accounts.session_of_token(&old.access_token).await);
    assert_eq!(expired, Refusal::ExpiredToken);
    assert!(expired.is_soft_logout());
    assert!(accounts.session_to_end(&old.access_token).await.unwrap().is_some(), "it may log out");

    let new = accounts.refresh(old.refresh_token.as_deref().unwrap()).await.unwrap();
    assert_eq!(new.device_id, old.device_id);
    assert!(session(&accounts, &new.access_token).await.is_some());
}

#[tokio::test]
async fn renewed_tokens_end_the_old_ones_when_they_are_first_used() {
    let accounts = accounts().await;
    let old = refreshable(&accounts).await;
    let refresh = old.refresh_token.as_deref().unwrap();
    assert!(session(&accounts, &old.access_token).await.is_some());
    let lost = accounts.refresh(refresh).await.unwrap();
    assert!(session(&accounts, &old.access_token).await.is_some(), "the new ones may have been lost on their way");

    let new = accounts.refresh(refresh).await.unwrap();
    assert!(session(&accounts, &lost.access_token).await.is_none(), "given twice, the last one counts");
    assert!(session(&accounts, &new.access_token).await.is_some());
    assert!(session(&accounts, &old.access_token).await.is_none());
    assert_eq!(refusal(accounts.refresh(refresh).await), Refusal::UnknownToken);

    let third = accounts.refresh(new.refresh_token.as_deref().unwrap()).await.unwrap();
    let fourth = accounts.refresh(third.refresh_token.as_deref().unwrap()).await.unwrap();
    assert!(session(&accounts, &new.access_token).await.is_none(), "using the new refresh token counts as well");
    assert!(session(&accounts, &fourth.access_token).await.is_some());
    accounts.logout(&old.user_id, Which::All).await.unwrap();
    assert_eq!(rows(&accounts).await, 0);
}

#[tokio::test]
async fn neither_kind_of_token_does_the_others_work() {
    let accounts = accounts().await;
    let alice = refreshable(&accounts).await;
    assert!(session(&accounts, alice.refresh_token.as_deref().unwrap()).await.is_none());
    assert_eq!(refusal(accounts.refresh(&alice.access_token).await), Refusal::UnknownToken);
}

#[tokio::test]
async fn user_names_keep_to_the_rules() {
    let accounts = accounts().await;
    let taken = user(&accounts, "alice").await;
    assert_eq!(refusal(accounts.check_username("Alice").await), Refusal::UserInUse);
    assert!(accounts.exists(&taken.user_id).await.unwrap());
    let long = "a".repeat(250);
    for name in ["", "a b", "é", "a:b", "_a", "123", "a\0", long.as_str()] {
        assert_eq!(refusal(accounts.check_username(name).await).code(), "M_INVALID_USERNAME", "{name:?}");
    }
    for name in ["a", "a.b_c=d-e/f+g", "1a", "UPPER"] {
        assert_eq!(accounts.check_username(name).await.unwrap().localpart(), name.to_lowercase());
    }
}

#[tokio::test]
async fn of_two_who_want_one_name_at_once_one_gets_it() {
    let accounts = accounts().await;
    let new = || NewAccount { username: Some("alice".to_owned()), ..NewAccount::default() };
    let (one, other) = tokio::join!(accounts.register(new()), accounts.register(new()));
    assert_ne!(one.is_ok(), other.is_ok());
    assert_eq!(refusal(if one.is_err() { one } else { other }), Refusal::UserInUse);
}

#[tokio::test]
async fn guests_and_nameless_users_get_names() {
    let accounts = accounts().await;
    let guest = NewAccount { role: Role::Guest, device: Some(NewDevice::default()), ..NewAccount::default() };
    let guest = accounts.register(guest).await.unwrap();
    assert!(guest.user_id.localpart().bytes().all(|byte| byte.is_ascii_digit()));
    assert!(session(&accounts, &guest.session.unwrap().access_token).await.unwrap().is_guest);
    let nameless = accounts.register(NewAccount::default()).await.unwrap();
    assert!(nameless.user_id.localpart().starts_with('u') && nameless.session.is_none());
}

#[tokio::test]
async fn odd_device_ids_and_names_are_refused() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let ids = ["", "a\0b", &"x".repeat(limits::DEVICE_ID_BYTES + 1)]
        .map(|id| NewDevice { id: Some(id.into()), ..NewDevice::default() });
    let long = NewDevice { display_name: Some("x".repeat(limits::DEVICE_NAME_BYTES + 1)), ..NewDevice::default() };
    for device in ids.into_iter().chain([long]) {
        let outcome = accounts.login_with_password(&alice.user_id, "secret", device).await;
        assert_eq!(refusal(outcome).code(), "M_INVALID_PARAM");
    }
    let unknown = "x".repeat(10_000);
    assert!(accounts.device(&alice.user_id, unknown.as_str().into()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn devices_are_renamed_and_remembered_where_they_were() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let known = session(&accounts, &alice.access_token).await.unwrap();
    accounts.note_seen(&known, "203.0.113.7", Some("Element"));
    accounts.note_seen(&known, "203.0.113.8", Some("Element"));
    let seen = || async { accounts.device(&alice.user_id, &alice.device_id).await.unwrap().unwrap().seen.unwrap() };
    assert_eq!((seen().await.at, seen().await.ip.as_str()), (fixture::EPOCH, "203.0.113.7"));
    accounts.flush_seen().await.unwrap();
    assert_eq!(seen().await.ip, "203.0.113.7", "noted once a minute, and written");

    accounts.rename_device(&alice.user_id, &alice.device_id, Some("phone")).await.unwrap();
    let device = accounts.device(&alice.user_id, &alice.device_id).await.unwrap().unwrap();
    assert_eq!(device.display_name.as_deref(), Some("phone"));
    let nowhere = accounts.rename_device(&alice.user_id, device_id!("NOWHERE"), Some("phone")).await;
    assert_eq!(refusal(nowhere).code(), "M_NOT_FOUND");
}

#[tokio::test]
async fn a_visit_noted_before_a_logout_leaves_nothing_after_it() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let known = session(&accounts, &alice.access_token).await.unwrap();
    accounts.note_seen(&known, "203.0.113.7", None);
    accounts.logout(&alice.user_id, Which::All).await.unwrap();
    accounts.flush_seen().await.unwrap();
    assert_eq!(rows(&accounts).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_ended_is_good_for_a_minute_at_most() {
    let store = fixture::store(&MemoryDisk::new()).await;
    let [here, there] = [0, 1].map(|_| Accounts::new(store.clone(), fixture::options()));
    let alice = user(&here, "alice").await;
    session(&there, &alice.access_token).await.unwrap();
    here.logout(&alice.user_id, Which::All).await.unwrap();
    store.clock().sleep(limits::SESSION_CACHE_AGE + Duration::from_secs(1)).await;
    assert!(session(&there, &alice.access_token).await.is_none());
}

#[tokio::test]
async fn all_devices_but_one_log_out_however_many_there_are() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    for _ in 0..limits::DEVICES_LOGGED_OUT_AT_ONCE + 3 {
        accounts.begin_session(&alice.user_id, NewDevice::default()).await.unwrap();
    }
    accounts.logout(&alice.user_id, Which::AllBut(&alice.device_id)).await.unwrap();
    let left = accounts.devices(&alice.user_id).await.unwrap();
    assert_eq!(left.iter().map(|device| &device.id).collect::<Vec<_>>(), [&alice.device_id]);
}
