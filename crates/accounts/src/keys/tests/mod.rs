//! Keys as clients make them, put in, given out, shown and signed.

mod changes;
mod claim;
mod cross_signing;
mod upload;

use ruma::{UserId, owned_user_id};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::keys::KeysOfUsers;

pub(super) fn code(error: &Error) -> &'static str {
    match error {
        Error::Refused(refusal) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn refusal(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn query(accounts: &Accounts, viewer: &UserId, user: &UserId) -> KeysOfUsers {
    accounts.query_keys(viewer, &[(user.to_owned(), Vec::new())].into()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn users_of_other_servers_are_named_and_not_answered_for() {
    let accounts = crate::fixture::accounts().await;
    let alice = crate::fixture::user(&accounts, "alice").await.user_id;
    let far = owned_user_id!("@bob:far.example");
    let found = query(&accounts, &alice, &far).await;
    assert!(found.device_keys.is_empty());
    assert_eq!(found.not_asked.into_iter().collect::<Vec<_>>(), ["far.example"]);
    let wanted = [(far, [("PHONE".into(), "signed_curve25519".into())].into())].into();
    let claimed = accounts.claim_keys(&wanted).await.unwrap();
    assert!(claimed.keys.is_empty());
    assert_eq!(claimed.not_asked.into_iter().collect::<Vec<_>>(), ["far.example"]);
}
