//! Who is told of changes, between any two points.

use base::{Partition, Position, Positions};
use protocol::bundle::signature;
use ruma::UserId;
use ruma::api::client::keys::upload_signatures::v3::SignedKeys;
use storage::table::KEY_CHANGE;
use storage::{Direction, KeyRange};

use crate::accounts::Accounts;
use crate::fixture::{accounts, login, options, user};
use crate::keys::fixture::{Client, Identity, raw};
use crate::keys::{Confirmation, KeyChanges};
use crate::{NewDevice, Which};

fn now(accounts: &Accounts) -> Positions {
    Positions::new(vec![accounts.store().watch(Partition(0)).unwrap().head()])
}

async fn changed(accounts: &Accounts, viewer: &UserId, since: &Positions) -> KeyChanges {
    accounts.device_list_changes(viewer, since, &now(accounts)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_change_that_others_see_is_told_and_nothing_else() {
    let accounts = accounts().await;
    let viewer = user(&accounts, "viewer").await.user_id;
    let alice = user(&accounts, "alice").await;
    let mut at = now(&accounts);
    let mut phone = Client::new(&alice, 1);
    // Keys, a name, a login, a logout, cross-signing keys.
    phone.publish(&accounts, 1).await;
    assert!(changed(&accounts, &viewer, &at).await.devices.contains(&phone.user));
    at = now(&accounts);
    accounts.rename_device(&phone.user, &phone.device, Some("Phone")).await.unwrap();
    assert!(changed(&accounts, &viewer, &at).await.devices.contains(&phone.user));
    at = now(&accounts);
    let second = login(&accounts, &phone.user, NewDevice::default()).await;
    assert!(changed(&accounts, &viewer, &at).await.devices.contains(&phone.user));
    at = now(&accounts);
    accounts.logout(&phone.user, Which::These(&[second.device_id])).await.unwrap();
    assert!(changed(&accounts, &viewer, &at).await.devices.contains(&phone.user));
    at = now(&accounts);
    let identity = Identity::new(&phone.user, 2);
    let _ = accounts.upload_cross_signing(&phone.user, &identity.upload(), Confirmation::Absent).await.unwrap();
    assert!(changed(&accounts, &viewer, &at).await.devices.contains(&phone.user));
    // Claims and one-time keys are nobody's business.
    at = now(&accounts);
    phone.publish(&accounts, 3).await;
    let wanted = [(phone.user.clone(), [(phone.device.clone(), "signed_curve25519".into())].into())];
    accounts.claim_keys(&wanted.into()).await.unwrap();
    assert_eq!(changed(&accounts, &viewer, &at).await, KeyChanges::default());
}

#[tokio::test(start_paused = true)]
async fn what_a_user_signed_is_told_to_that_user_only() {
    let accounts = accounts().await;
    let (alice, bob) = (user(&accounts, "alice").await.user_id, user(&accounts, "bob").await.user_id);
    let (theirs, ours) = (Identity::new(&alice, 1), Identity::new(&bob, 2));
    let _ = accounts.upload_cross_signing(&alice, &theirs.upload(), Confirmation::Absent).await.unwrap();
    let _ = accounts.upload_cross_signing(&bob, &ours.upload(), Confirmation::Absent).await.unwrap();
    let at = now(&accounts);
    let mut object = theirs.master.get().as_object().clone();
    signature::sign(&mut object, bob.as_str(), &ours.user_signing.get().key_id(), &ours.user_signing_key).unwrap();
    let mut keys = SignedKeys::new();
    keys.add_cross_signing_keys(theirs.master.get().key().to_base64().into(), raw(&object));
    let signed = [(alice.clone(), keys)].into();
    assert!(accounts.upload_signatures(&bob, &signed).await.unwrap().is_empty());
    let told = changed(&accounts, &bob, &at).await;
    assert_eq!((told.devices.len(), told.signed), (0, [alice.clone()].into()));
    assert_eq!(changed(&accounts, &alice, &at).await, KeyChanges::default());
    // The same again is nothing new.
    let at = now(&accounts);
    assert!(accounts.upload_signatures(&bob, &signed).await.unwrap().is_empty());
    assert_eq!(now(&accounts), at);
}

#[tokio::test(start_paused = true)]
async fn only_what_lies_between_the_two_points_is_told_whatever_was_asked_before() {
    let accounts = accounts().await;
    let viewer = user(&accounts, "viewer").await.user_id;
    let mut points = vec![now(&accounts)];
    let mut users = Vec::new();
    for name in ["a", "b", "c", "d"] {
        users.push(user(&accounts, name).await.user_id);
        points.push(now(&accounts));
    }
    // A process that has just started, and one that has seen it all.
    for accounts in [Accounts::new(accounts.store_handle(), options()), accounts] {
        for from in (0..points.len()).rev() {
            for to in from..points.len() {
                let told = accounts.device_list_changes(&viewer, &points[from], &points[to]).await.unwrap();
                assert!(told.devices.iter().eq(&users[from..to]), "{from} to {to}: {told:?}");
            }
        }
        // Positions of nowhere.
        let nowhere = Positions::new(vec![Position(u64::MAX), Position(3)]);
        assert_eq!(changed(&accounts, &viewer, &nowhere).await, KeyChanges::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_keys_change_often_takes_one_row() {
    let accounts = accounts().await;
    let alice = user(&accounts, "alice").await;
    let start = Positions::new(vec![Position::START]);
    for at in 0..20 {
        accounts.rename_device(&alice.user_id, &alice.device_id, Some(&format!("Phone {at}"))).await.unwrap();
        let told = changed(&accounts, &alice.user_id, &start).await;
        assert!(told.devices.iter().eq([&alice.user_id]));
    }
    // What is superfluous is removed without being waited for.
    accounts.store().clock().sleep(std::time::Duration::from_secs(1)).await;
    let rows = accounts.store().scan(&KeyRange::table(KEY_CHANGE), Direction::Forward, 100).await.unwrap();
    assert_eq!(rows.rows.len(), 1);
}
