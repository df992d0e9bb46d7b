//! Pushers: made, changed, removed, and gone with their session.

use ruma::api::client::push::{Pusher as PusherData, PusherIds};
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, login, user};
use crate::pushers::Others;
use crate::{LoggedIn, NewDevice, Which};

fn pusher(key: &str) -> Value {
    json!({
        "kind": "http", "app_id": "app", "pushkey": key, "lang": "en",
        "app_display_name": "App", "device_display_name": "Phone", "profile_tag": "tag",
        "data": { "url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only", "brand": "x" },
    })
}

fn data(json: Value) -> PusherData {
    serde_json::from_value(json).unwrap()
}

async fn set(accounts: &Accounts, session: &LoggedIn, json: Value, others: Others) -> Result<(), Error> {
    accounts.set_pusher(&session.user_id, &session.device_id, data(json), others).await
}

async fn keys(accounts: &Accounts, session: &LoggedIn) -> Vec<String> {
    let pushers = accounts.pushers(&session.user_id).await.unwrap();
    let mut keys: Vec<String> = pushers.into_iter().map(|pusher| pusher.data.ids.pushkey).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn a_pusher_is_kept_as_it_was_given_changed_under_its_key_and_removed() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    set(&accounts, &alice, pusher("a"), Others::Go).await.unwrap();
    set(&accounts, &alice, pusher("b"), Others::Go).await.unwrap();
    let mut changed = pusher("a");
    changed["lang"] = json!("de");
    set(&accounts, &alice, changed.clone(), Others::Go).await.unwrap();
    assert_eq!(keys(&accounts, &alice).await, ["a", "b"]);
    let all = accounts.pushers(&alice.user_id).await.unwrap();
    let a = all.iter().find(|pusher| pusher.data.ids.pushkey == "a").unwrap();
    assert_eq!(serde_json::to_value(&a.data).unwrap(), changed);
    assert_eq!(accounts.users_with_pushers().await.unwrap(), std::slice::from_ref(&alice.user_id));

    let ids = PusherIds::new("a".to_owned(), "app".to_owned());
    for _ in 0..2 {
        accounts.remove_pusher(&alice.user_id, &ids).await.unwrap();
    }
    assert_eq!(keys(&accounts, &alice).await, ["b"]);
}

#[tokio::test]
async fn a_device_that_changed_hands_notifies_its_new_user_only_unless_both_want_it() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    set(&accounts, &alice, pusher("a"), Others::Go).await.unwrap();
    set(&accounts, &bob, pusher("a"), Others::Stay).await.unwrap();
    assert_eq!((keys(&accounts, &alice).await.len(), keys(&accounts, &bob).await.len()), (1, 1));
    set(&accounts, &bob, pusher("a"), Others::Go).await.unwrap();
    assert_eq!((keys(&accounts, &alice).await.len(), keys(&accounts, &bob).await.len()), (0, 1));
}

#[tokio::test]
async fn a_pusher_goes_with_its_session() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let phone = login(&accounts, &alice.user_id, NewDevice::default()).await;
    set(&accounts, &alice, pusher("laptop"), Others::Go).await.unwrap();
    set(&accounts, &phone, pusher("phone"), Others::Go).await.unwrap();
    accounts.logout(&alice.user_id, Which::AllBut(&alice.device_id)).await.unwrap();
    assert_eq!(keys(&accounts, &alice).await, ["laptop"]);
    let late = set(&accounts, &phone, pusher("phone"), Others::Go).await.unwrap_err();
    assert!(matches!(late, Error::Refused(Refusal::NotFound { .. })), "{late}");
    accounts.logout(&alice.user_id, Which::All).await.unwrap();
    assert!(accounts.users_with_pushers().await.unwrap().is_empty());
}

#[tokio::test]
async fn pushers_that_cannot_be_are_refused() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    for (field, value) in [
        ("/data/url", json!("https://push.example/other")),
        ("/data/url", json!("https://push.example/_matrix/push/v1/notify?x=1")),
        ("/data/url", json!("ftp://push.example/_matrix/push/v1/notify")),
        ("/data/url", json!("/_matrix/push/v1/notify")),
        ("/pushkey", json!("")),
        ("/pushkey", json!("x".repeat(513))),
        ("/app_id", json!("x".repeat(65))),
        ("/kind", json!("email")),
        ("/kind", json!("pigeon")),
    ] {
        let mut wrong = pusher("a");
        *wrong.pointer_mut(field).unwrap() = value.clone();
        let refused = set(&accounts, &alice, wrong, Others::Go).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::InvalidParam { .. })), "{field} {value}: {refused}");
    }
    let mut large = pusher("a");
    large["data"]["more"] = json!("x".repeat(20_000));
    let refused = set(&accounts, &alice, large, Others::Go).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::TooLarge { .. })), "{refused}");
    for n in 0..base::limits::PUSHERS {
        set(&accounts, &alice, pusher(&n.to_string()), Others::Go).await.unwrap();
    }
    let refused = set(&accounts, &alice, pusher("one more"), Others::Go).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::TooMany { .. })), "{refused}");
}
