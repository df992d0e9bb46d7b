//! How accounts stand.

use base::{Position, Secret};
use ruma::{UserId, user_id};
use serde_json::value::RawValue;
use storage::{Direction, KeyRange, Record, table};

use super::standing::{ACCOUNT_CHANGED, AccountChange, AccountLog};
use crate::account::Erase;
use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, user};
use crate::session::{LoggedIn, NewDevice, Session};

async fn session(accounts: &Accounts, session: &LoggedIn) -> Result<Option<Session>, Error> {
    accounts.session_of_token(&session.access_token).await
}

async fn admin(accounts: &Accounts) -> Session {
    let root = user(accounts, "root").await;
    accounts.set_admin(&root.user_id, true).await.unwrap();
    session(accounts, &root).await.unwrap().unwrap()
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    match outcome {
        Err(Error::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_locked_user_is_shut_out_and_let_in_again_with_the_same_token() {
    let accounts = accounts().await;
    let (root, alice) = (admin(&accounts).await, user(&accounts, "alice").await);
    session(&accounts, &alice).await.unwrap();
    accounts.set_locked(&root, &alice.user_id, true).await.unwrap();
    assert!(accounts.standing(&root, &alice.user_id).await.unwrap().locked);
    let refused = session(&accounts, &alice).await;
    assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.is_soft_logout()));
    assert_eq!(code(refused), "M_USER_LOCKED");
    let login = accounts.login_with_password(&alice.user_id, "secret", NewDevice::default()).await;
    assert_eq!(code(login), "M_USER_LOCKED");
    assert!(accounts.session_to_end(&alice.access_token).await.unwrap().is_some(), "it may log out");
    accounts.set_locked(&root, &alice.user_id, false).await.unwrap();
    assert!(session(&accounts, &alice).await.unwrap().is_some());
}

#[tokio::test]
async fn a_suspended_user_is_told_so_where_it_acts() {
    let accounts = accounts().await;
    let (root, alice) = (admin(&accounts).await, user(&accounts, "alice").await);
    assert!(session(&accounts, &alice).await.unwrap().unwrap().may_act().is_ok());
    accounts.set_suspended(&root, &alice.user_id, true).await.unwrap();
    assert_eq!(session(&accounts, &alice).await.unwrap().unwrap().may_act(), Err(Refusal::Suspended));
}

#[tokio::test]
async fn only_administrators_lock_and_not_each_other() {
    let accounts = accounts().await;
    let (root, alice) = (admin(&accounts).await, user(&accounts, "alice").await);
    let other = user(&accounts, "other").await;
    accounts.set_admin(&other.user_id, true).await.unwrap();
    let plain = session(&accounts, &alice).await.unwrap().unwrap();
    let nobody = user_id!("@nobody:example.org");
    assert_eq!(code(accounts.set_locked(&plain, nobody, true).await), "M_FORBIDDEN", "not told that nobody is there");
    assert_eq!(code(accounts.standing(&plain, nobody).await), "M_FORBIDDEN");
    for (user, expected) in [
        (nobody, "M_NOT_FOUND"),
        (user_id!("@a:elsewhere.org"), "M_INVALID_PARAM"),
        (&root.user_id, "M_FORBIDDEN"),
        (&other.user_id, "M_FORBIDDEN"),
    ] {
        assert_eq!(code(accounts.set_locked(&root, user, true).await), expected, "{user}");
        assert_eq!(code(accounts.set_suspended(&root, user, true).await), expected, "{user}");
    }
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old_one() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await.user_id;
    accounts.set_password(&alice, &Secret::new("new".to_owned())).await.unwrap();
    assert_eq!(code(accounts.check_password(&alice, "secret").await), "M_FORBIDDEN");
    accounts.check_password(&alice, "new").await.unwrap();
    assert_eq!(code(accounts.set_password(&alice, &Secret::new(String::new())).await), "M_WEAK_PASSWORD");
}

async fn rows_of(accounts: &Accounts) -> usize {
    let mut rows = 0;
    for id in (65..80).map(table::TableId).filter(|id| id.entry().is_some()) {
        rows += accounts.store().scan(&KeyRange::table(id), Direction::Forward, 1_000).await.unwrap().rows.len();
    }
    rows
}

async fn told(accounts: &Accounts, user: &UserId) -> Vec<AccountChange> {
    let partition = accounts.store().partition_of(user.as_str());
    let entries = accounts.store().log_entries(partition, Position::START, Position(1_000), 1_000).await.unwrap();
    let ours = entries.iter().filter(|entry| entry.kind == ACCOUNT_CHANGED);
    ours.map(|entry| AccountLog::decode(&entry.payload).unwrap().change).collect()
}

#[tokio::test]
async fn a_deactivated_account_leaves_its_name_and_nothing_else() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let content = RawValue::from_string("{}".to_owned()).unwrap();
    accounts.set_account_data(&alice.user_id, None, "a", &content).await.unwrap();
    accounts.put_filter(&alice.user_id, &content).await.unwrap();
    session(&accounts, &alice).await.unwrap().unwrap();
    accounts.deactivate(&alice.user_id, Erase::Yes).await.unwrap();

    assert!(session(&accounts, &alice).await.unwrap().is_none());
    assert_eq!(
        code(accounts.login_with_password(&alice.user_id, "secret", NewDevice::default()).await),
        "M_USER_DEACTIVATED"
    );
    assert_eq!(code(accounts.check_username("alice").await), "M_USER_IN_USE");
    assert!(accounts.is_erased(&alice.user_id).await.unwrap());
    assert_eq!(rows_of(&accounts).await, 0);
    assert_eq!(told(&accounts, &alice.user_id).await, [AccountChange::Deactivated]);
    accounts.deactivate(&alice.user_id, Erase::No).await.unwrap();
    assert!(accounts.is_erased(&alice.user_id).await.unwrap(), "what is erased stays erased");
    assert_eq!(told(&accounts, &alice.user_id).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_finished_of_an_account_in_use() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    accounts.finish_deactivation(&alice.user_id).await.unwrap();
    assert!(session(&accounts, &alice).await.unwrap().is_some());
}
