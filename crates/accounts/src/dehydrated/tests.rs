//! A device that sleeps: it is there for others, and revived with what came meanwhile.

use ruma::serde::Raw;
use ruma::to_device::DeviceIdOrAllDevices;
use ruma::{OwnedUserId, UserId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::dehydrated::NewDehydratedDevice;
use crate::error::{Error, Refusal};
use crate::fixture::{accounts, login, user};
use crate::keys::KeysToUpload;
use crate::keys::fixture::{Client, named};
use crate::to_device::{DeviceMessages, Sending};
use crate::{LoggedIn, NewDevice};

fn sleeping(user: &OwnedUserId, id: &str, seed: u64) -> (Client, NewDehydratedDevice) {
    let mut client = Client::of(user.clone(), id.into(), seed);
    let keys = KeysToUpload {
        one_time_keys: named(&client.one_time_keys(2)),
        fallback_keys: named(&[client.fallback_key()]),
        ..client.identity()
    };
    let data = RawValue::from_string(json!({ "algorithm": "m.test", "device_pickle": id }).to_string()).unwrap();
    (client, NewDehydratedDevice { id: id.into(), display_name: None, data, keys })
}

async fn send(accounts: &Accounts, from: &LoggedIn, transaction: &str, to: &UserId, device: &str) {
    let device = DeviceIdOrAllDevices::try_from(device).unwrap();
    let content: Raw<Value> = Raw::new(&json!({ "n": transaction })).unwrap();
    let messages: DeviceMessages<Value> = [(to.to_owned(), [(device, content)].into())].into();
    let sending =
        Sending { user: &from.user_id, device: &from.device_id, kind: "m.x", transaction: transaction.into() };
    accounts.send_to_device(sending, &messages).await.unwrap();
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_dehydrated_device_has_keys_and_takes_messages_until_it_is_revived() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await, user(&accounts, "bob").await);
    let (client, new) = sleeping(&alice.user_id, "SLEEPER", 1);
    accounts.dehydrate(&alice.user_id, &new).await.unwrap();
    let wanted = [(alice.user_id.clone(), Vec::new())].into();
    let shown = accounts.query_keys(&bob.user_id, &wanted).await.unwrap();
    assert!(shown.device_keys[&alice.user_id].contains_key(&client.device));
    let wanted = [(alice.user_id.clone(), [(client.device.clone(), "signed_curve25519".into())].into())].into();
    assert_eq!(accounts.claim_keys(&wanted).await.unwrap().keys.len(), 1);
    for n in 0..103 {
        send(&accounts, &bob, &n.to_string(), &alice.user_id, "SLEEPER").await;
    }
    let found = accounts.dehydrated_device(&alice.user_id).await.unwrap().unwrap();
    assert_eq!((found.id, found.data.get()), (client.device.clone(), new.data.get()));
    let first = accounts.dehydrated_events(&alice.user_id, &client.device, None).await.unwrap();
    let again = accounts.dehydrated_events(&alice.user_id, &client.device, None).await.unwrap();
    assert_eq!((first.messages.len(), again.messages.len()), (100, 100), "nothing goes before it is acknowledged");
    let second = accounts.dehydrated_events(&alice.user_id, &client.device, Some(first.next)).await.unwrap();
    assert_eq!(second.messages.len(), 3);
    let third = accounts.dehydrated_events(&alice.user_id, &client.device, Some(second.next)).await.unwrap();
    assert!(third.messages.is_empty());
    assert_eq!(accounts.remove_dehydrated_device(&alice.user_id).await.unwrap(), client.device);
    assert!(accounts.dehydrated_device(&alice.user_id).await.unwrap().is_none());
    assert!(matches!(refusal(accounts.remove_dehydrated_device(&alice.user_id).await), Refusal::NotFound { .. }));
    let events = accounts.dehydrated_events(&alice.user_id, &client.device, None).await;
    assert!(matches!(refusal(events), Refusal::NotFound { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_new_one_takes_the_place_of_the_one_before() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let wanted = [(alice.user_id.clone(), Vec::new())].into();
    for (id, seed) in [("ONE", 1), ("TWO", 2), ("TWO", 3)] {
        let (client, new) = sleeping(&alice.user_id, id, seed);
        send(&accounts, &alice, &seed.to_string(), &alice.user_id, "TWO").await;
        accounts.dehydrate(&alice.user_id, &new).await.unwrap();
        let shown = accounts.query_keys(&alice.user_id, &wanted).await.unwrap();
        let devices: Vec<&str> = shown.device_keys[&alice.user_id].keys().map(|id| id.as_str()).collect();
        assert_eq!(devices, [id]);
        let events = accounts.dehydrated_events(&alice.user_id, &client.device, None).await.unwrap();
        assert!(events.messages.is_empty(), "what was for the one before is gone with it");
        let counts = accounts.key_counts(&alice.user_id, &client.device).await.unwrap();
        assert_eq!(counts.one_time["signed_curve25519"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_somebody_is_logged_in_with_is_left_alone() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let (_, taken) = sleeping(&alice.user_id, alice.device_id.as_str(), 1);
    assert!(matches!(refusal(accounts.dehydrate(&alice.user_id, &taken).await), Refusal::InvalidParam { .. }));
    // Somebody logs in under the id of the one that sleeps: its keys are not theirs, and go.
    let (_, new) = sleeping(&alice.user_id, "SLEEPER", 2);
    accounts.dehydrate(&alice.user_id, &new).await.unwrap();
    let session =
        login(&accounts, &alice.user_id, NewDevice { id: Some("SLEEPER".into()), ..NewDevice::default() }).await;
    let mut client = Client::new(&session, 3);
    client.publish(&accounts, 1).await;
    accounts.remove_dehydrated_device(&alice.user_id).await.unwrap();
    let counts = accounts.key_counts(&alice.user_id, &client.device).await.unwrap();
    assert_eq!(counts.one_time["signed_curve25519"], 1);
}

#[tokio::test(start_paused = true)]
async fn without_keys_or_with_wrong_ones_nothing_is_stored() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let (_, mut new) = sleeping(&alice.user_id, "SLEEPER", 1);
    let (_, other) = sleeping(&alice.user_id, "OTHER", 1);
    let keys = std::mem::take(&mut new.keys);
    assert!(matches!(refusal(accounts.dehydrate(&alice.user_id, &new).await), Refusal::MissingParam { .. }));
    new.keys = other.keys;
    assert!(matches!(refusal(accounts.dehydrate(&alice.user_id, &new).await), Refusal::Bundle(_)));
    new.keys = keys;
    new.data = RawValue::from_string("1".to_owned()).unwrap();
    assert!(matches!(refusal(accounts.dehydrate(&alice.user_id, &new).await), Refusal::BadJson { .. }));
    assert!(accounts.dehydrated_device(&alice.user_id).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deactivated_account_leaves_no_keys() {
    use storage::table::{CROSS_SIGNING, DEHYDRATED, DEVICE_KEYS, DEVICE_STATE, KEY_BACKUP};
    use storage::{Direction, KeyRange};

    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let (_, new) = sleeping(&alice.user_id, "SLEEPER", 1);
    accounts.dehydrate(&alice.user_id, &new).await.unwrap();
    Client::new(&alice, 2).publish(&accounts, 1).await;
    let identity = crate::keys::fixture::Identity::new(&alice.user_id, 3);
    let confirmation = crate::keys::Confirmation::Absent;
    let _ = accounts.upload_cross_signing(&alice.user_id, &identity.upload(), confirmation).await.unwrap();
    let auth_data = RawValue::from_string("{}".to_owned()).unwrap();
    let backup = crate::backup::BackupDescription { algorithm: "a".to_owned(), auth_data };
    accounts.create_backup(&alice.user_id, &backup).await.unwrap();
    accounts.deactivate(&alice.user_id, crate::Erase::No).await.unwrap();
    for table in [CROSS_SIGNING, DEHYDRATED, DEVICE_KEYS, DEVICE_STATE, KEY_BACKUP] {
        let rows = accounts.store().scan(&KeyRange::table(table), Direction::Forward, 10).await.unwrap();
        assert!(rows.rows.is_empty(), "{table:?}");
    }
}
