//! What is taken in, once, and what is refused.

use protocol::bundle::{Fallback, OneTimeKey};
use protocol::canonical::Object;
use ruma::serde::Raw;
use serde_json::json;

use super::{code, query, refusal};
use crate::error::Refusal;
use crate::fixture::{accounts, login, user};
use crate::keys::KeysToUpload;
use crate::keys::fixture::{Client, named, raw};
use crate::{NewDevice, Which};

#[tokio::test(start_paused = true)]
async fn an_upload_is_counted_and_a_repetition_changes_nothing() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    let keys = phone.one_time_keys(4);
    let upload = KeysToUpload { one_time_keys: named(&keys[..3]), ..phone.identity() };
    for _ in 0..2 {
        let counts = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
        assert_eq!(counts.one_time, [("signed_curve25519".to_owned(), 3)].into());
    }
    let overlapping = KeysToUpload { one_time_keys: named(&keys[1..]), ..KeysToUpload::default() };
    let counts = accounts.upload_keys(&phone.user, &phone.device, &overlapping).await.unwrap();
    assert_eq!(counts.one_time["signed_curve25519"], 4);
    assert_eq!(accounts.key_counts(&phone.user, &phone.device).await.unwrap(), counts);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_upload_tells_nobody_and_a_changed_one_does() {
    let accounts = accounts().await;
    let phone = Client::new(&user(&accounts, "alice").await, 1);
    let head = || accounts.store().watch(accounts.store().partition_of("@alice:example.org")).unwrap().head();
    accounts.upload_keys(&phone.user, &phone.device, &phone.identity()).await.unwrap();
    let first = head();
    accounts.upload_keys(&phone.user, &phone.device, &phone.identity()).await.unwrap();
    assert_eq!(head(), first);
    let other = Client::of(phone.user.clone(), phone.device.clone(), 2);
    accounts.upload_keys(&phone.user, &phone.device, &other.identity()).await.unwrap();
    assert!(head() > first);
}

#[tokio::test(start_paused = true)]
async fn another_key_under_a_name_that_is_there_is_refused() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    let before = accounts.upload_keys(&phone.user, &phone.device, &phone.identity()).await.unwrap();
    let other = Client::of(phone.user.clone(), phone.device.clone(), 2).account.identity_keys().curve25519;
    let first = phone.one_time_keys(1).remove(0);
    let id = first.name().split_once(':').unwrap().1;
    let clash = OneTimeKey::sign_curve25519(id, &other, Fallback::No, &phone.keys, &phone.account).unwrap();
    let upload = |key: OneTimeKey| KeysToUpload { one_time_keys: named(&[key]), ..KeysToUpload::default() };
    let counts = accounts.upload_keys(&phone.user, &phone.device, &upload(first)).await.unwrap();
    assert_ne!(counts, before);
    let refused = accounts.upload_keys(&phone.user, &phone.device, &upload(clash)).await.unwrap_err();
    assert!(matches!(refusal(refused), Refusal::InvalidParam { .. }));
    assert_eq!(accounts.key_counts(&phone.user, &phone.device).await.unwrap(), counts);
}

#[tokio::test(start_paused = true)]
async fn keys_of_others_and_wrong_signatures_are_refused_whole() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let mut phone = Client::new(&alice, 1);
    let refused = accounts.upload_keys(&bob.user_id, &bob.device_id, &phone.identity()).await.unwrap_err();
    assert_eq!(code(&refused), "M_INVALID_PARAM");

    let mut stranger = Client::of(phone.user.clone(), phone.device.clone(), 2);
    let mut keys = phone.one_time_keys(2);
    keys.extend(stranger.one_time_keys(3).split_off(2));
    let upload = KeysToUpload { one_time_keys: named(&keys), ..phone.identity() };
    let refused = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap_err();
    assert_eq!(code(&refused), "M_INVALID_SIGNATURE");
    assert!(query(&accounts, &bob.user_id, &phone.user).await.device_keys[&phone.user].is_empty());
    assert_eq!(accounts.key_counts(&phone.user, &phone.device).await.unwrap().one_time["signed_curve25519"], 0);

    let incomplete = Raw::from_json_string(json!({ "user_id": phone.user, "device_id": phone.device }).to_string());
    let upload = KeysToUpload { device_keys: Some(incomplete.unwrap()), ..KeysToUpload::default() };
    let refused = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap_err();
    assert_eq!(code(&refused), "M_BAD_JSON");
}

#[tokio::test(start_paused = true)]
async fn device_keys_without_a_signature_are_kept_and_replaced_by_others() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    for seed in 1..3 {
        let phone = Client::new(&alice, seed);
        let mut object = phone.keys.as_object().clone();
        object.insert("signatures", Object::new());
        let upload = KeysToUpload { device_keys: Some(raw(&object)), ..KeysToUpload::default() };
        accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
        let shown = query(&accounts, &phone.user, &phone.user).await;
        let shown = shown.device_keys[&phone.user][&phone.device].json().get().to_owned();
        assert_eq!(Object::parse(shown.as_bytes()).unwrap().get("keys"), object.get("keys"));
    }
}

#[tokio::test(start_paused = true)]
async fn another_identity_of_a_device_takes_the_keys_of_the_former_away() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let mut former = Client::new(&alice, 1);
    former.publish(&accounts, 5).await;
    let fallback = KeysToUpload { fallback_keys: named(&[former.fallback_key()]), ..KeysToUpload::default() };
    accounts.upload_keys(&former.user, &former.device, &fallback).await.unwrap();
    let mut present = Client::new(&alice, 2);
    let keys = present.publish(&accounts, 1).await;
    let counts = accounts.key_counts(&present.user, &present.device).await.unwrap();
    assert_eq!((counts.one_time["signed_curve25519"], counts.unused_fallback.len()), (1, 0));
    let wanted = [(present.user.clone(), [(present.device.clone(), "signed_curve25519".into())].into())].into();
    let claimed = accounts.claim_keys(&wanted).await.unwrap();
    assert_eq!(claimed.keys[&present.user][&present.device].keys().next().unwrap().as_str(), keys[0].name());
    assert!(accounts.claim_keys(&wanted).await.unwrap().keys.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_device_shows_its_name_and_is_gone_when_it_logs_out() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let named = NewDevice { display_name: Some("A \"phone\"".to_owned()), ..NewDevice::default() };
    let session = login(&accounts, &alice.user_id, named).await;
    let mut phone = Client::new(&session, 1);
    phone.publish(&accounts, 2).await;
    let shown = query(&accounts, &phone.user, &phone.user).await;
    let shown: serde_json::Value =
        serde_json::from_str(shown.device_keys[&phone.user][&phone.device].json().get()).unwrap();
    assert_eq!(shown["unsigned"]["device_display_name"], "A \"phone\"");
    assert_eq!(shown["device_id"], phone.device.as_str());

    accounts.logout(&phone.user, Which::These(&[phone.device.clone()])).await.unwrap();
    assert!(query(&accounts, &phone.user, &phone.user).await.device_keys[&phone.user].is_empty());
    let refused = accounts.upload_keys(&phone.user, &phone.device, &phone.identity()).await.unwrap_err();
    assert_eq!(code(&refused), "M_NOT_FOUND");

    // The same id again is another device.
    let again = NewDevice { id: Some(phone.device.clone()), ..NewDevice::default() };
    login(&accounts, &phone.user, again).await;
    let counts = accounts.key_counts(&phone.user, &phone.device).await.unwrap();
    assert_eq!(counts.one_time["signed_curve25519"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_leaves_no_row_behind() {
    use storage::table::{FALLBACK_KEY, LEFTOVER, ONE_TIME_KEY};
    use storage::{Direction, KeyRange};

    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    phone.publish(&accounts, 3).await;
    let fallback = KeysToUpload { fallback_keys: named(&[phone.fallback_key()]), ..KeysToUpload::default() };
    accounts.upload_keys(&phone.user, &phone.device, &fallback).await.unwrap();
    let rows =
        async |table| accounts.store().scan(&KeyRange::table(table), Direction::Forward, 10).await.unwrap().rows.len();
    assert_eq!((rows(ONE_TIME_KEY).await, rows(FALLBACK_KEY).await), (3, 1));
    accounts.logout(&phone.user, Which::All).await.unwrap();
    accounts.sweep_leftovers().await.unwrap();
    assert_eq!((rows(ONE_TIME_KEY).await, rows(FALLBACK_KEY).await, rows(LEFTOVER).await), (0, 0, 1));
    accounts.store().clock().sleep(base::limits::LEFTOVER_GRACE).await;
    accounts.sweep_leftovers().await.unwrap();
    assert_eq!(rows(LEFTOVER).await, 0);
}

#[tokio::test(start_paused = true)]
async fn bounds_are_kept() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    phone.publish(&accounts, 1).await;
    let big = Raw::from_json_string(format!("{{\"key\":\"{}\"}}", "a".repeat(5 << 20))).unwrap();
    let upload = KeysToUpload {
        one_time_keys: [("signed_curve25519:A".try_into().unwrap(), big)].into(),
        ..KeysToUpload::default()
    };
    let refused = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap_err();
    assert_eq!(code(&refused), "M_TOO_LARGE");
    let deep = Raw::from_json_string(format!("{}1{}", "[".repeat(100), "]".repeat(100))).unwrap();
    let upload = KeysToUpload {
        one_time_keys: [("signed_curve25519:A".try_into().unwrap(), deep)].into(),
        ..KeysToUpload::default()
    };
    let refused = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap_err();
    assert_eq!(code(&refused), "M_BAD_JSON");
}
