//! Keys of users: who may put them in, and what is seen of them.

use std::collections::BTreeMap;

use protocol::bundle::{KeysQueryResponse, signature};
use protocol::canonical::Object;
use ruma::api::client::keys::upload_signatures::v3::SignedKeys;
use ruma::{OwnedUserId, UserId};

use super::{code, query};
use crate::accounts::Accounts;
use crate::fixture::{accounts, login, user};
use crate::keys::fixture::{Client, Identity, raw};
use crate::keys::{Confirmation, CrossSigningKeys, CrossSigningOutcome, KeysOfUsers};
use crate::{LoggedIn, NewDevice};

async fn alice_with_identity(accounts: &Accounts) -> (LoggedIn, Client, Identity) {
    let session = user(accounts, "alice").await;
    let mut phone = Client::new(&session, 1);
    phone.publish(accounts, 1).await;
    let identity = Identity::new(&session.user_id, 2);
    let outcome = accounts.upload_cross_signing(&session.user_id, &identity.upload(), Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    (session, phone, identity)
}

fn master_of(found: &KeysOfUsers, user: &UserId) -> Object {
    Object::parse(found.master_keys[user].json().get().as_bytes()).unwrap()
}

fn signed(user: &UserId, key_id: &str, object: &Object) -> BTreeMap<OwnedUserId, SignedKeys> {
    let mut keys = SignedKeys::new();
    keys.add_cross_signing_keys(key_id.into(), raw(object));
    [(user.to_owned(), keys)].into()
}

#[tokio::test(start_paused = true)]
async fn the_first_keys_and_the_same_again_need_no_confirmation_and_others_do() {
    let accounts = accounts().await;
    let (session, _, identity) = alice_with_identity(&accounts).await;
    let alice = &session.user_id;
    let outcome = accounts.upload_cross_signing(alice, &identity.upload(), Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    let only_master = CrossSigningKeys { master_key: identity.upload().master_key, ..CrossSigningKeys::default() };
    let outcome = accounts.upload_cross_signing(alice, &only_master, Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);

    let other = Identity::new(alice, 3);
    let outcome = accounts.upload_cross_signing(alice, &other.upload(), Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::NeedsConfirmation);
    let found = query(&accounts, alice, alice).await;
    assert_eq!(master_of(&found, alice).get("keys"), identity.master.get().as_object().get("keys"));

    let outcome = accounts.upload_cross_signing(alice, &other.upload(), Confirmation::Given).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    let found = query(&accounts, alice, alice).await;
    assert_eq!(master_of(&found, alice).get("keys"), other.master.get().as_object().get("keys"));
    // A new lower key under the old master key is new as well.
    let mixed = CrossSigningKeys {
        user_signing_key: Some(raw(protocol::bundle::UserSigningKey::create(
            &identity.user_signing_key.public_key(),
            &other.master,
            &other.master_key,
        )
        .unwrap()
        .get()
        .as_object())),
        ..other.upload()
    };
    let outcome = accounts.upload_cross_signing(alice, &mixed, Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::NeedsConfirmation);
}

#[tokio::test(start_paused = true)]
async fn keys_without_a_master_key_and_wrongly_signed_ones_are_refused() {
    let accounts = accounts().await;
    let session = user(&accounts, "alice").await;
    let (alice, identity) = (&session.user_id, Identity::new(&session.user_id, 2));
    let lower = CrossSigningKeys { master_key: None, ..identity.upload() };
    for keys in [lower, CrossSigningKeys::default()] {
        let refused = accounts.upload_cross_signing(alice, &keys, Confirmation::Given).await.unwrap_err();
        assert_eq!(code(&refused), "M_MISSING_PARAM");
    }
    let stranger = Identity::new(alice, 3);
    let keys = CrossSigningKeys { self_signing_key: stranger.upload().self_signing_key, ..identity.upload() };
    let refused = accounts.upload_cross_signing(alice, &keys, Confirmation::Given).await.unwrap_err();
    assert_eq!(code(&refused), "M_INVALID_SIGNATURE");
    // A device by the name of a key.
    let name = identity.master.get().key().to_base64();
    login(&accounts, alice, NewDevice { id: Some(name.into()), ..NewDevice::default() }).await;
    let refused = accounts.upload_cross_signing(alice, &identity.upload(), Confirmation::Given).await.unwrap_err();
    assert_eq!(code(&refused), "M_FORBIDDEN");
}

#[tokio::test(start_paused = true)]
async fn a_new_master_key_takes_away_the_lower_keys_that_it_has_not_signed() {
    let accounts = accounts().await;
    let (session, _, _) = alice_with_identity(&accounts).await;
    let other = Identity::new(&session.user_id, 3);
    let keys = CrossSigningKeys { master_key: other.upload().master_key, ..CrossSigningKeys::default() };
    let outcome = accounts.upload_cross_signing(&session.user_id, &keys, Confirmation::Given).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    let found = query(&accounts, &session.user_id, &session.user_id).await;
    assert!(found.self_signing_keys.is_empty() && found.user_signing_keys.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_user_signing_key_is_shown_to_its_owner_only() {
    let accounts = accounts().await;
    let (session, _, _) = alice_with_identity(&accounts).await;
    let bob = user(&accounts, "bob").await.user_id;
    let alice = &session.user_id;
    assert!(query(&accounts, alice, alice).await.user_signing_keys.contains_key(alice));
    let seen = query(&accounts, &bob, alice).await;
    assert!(seen.user_signing_keys.is_empty());
    assert!(seen.master_keys.contains_key(alice) && seen.self_signing_keys.contains_key(alice));
}

#[tokio::test(start_paused = true)]
async fn a_device_signed_by_its_user_is_believed_by_a_client_that_asks() {
    let accounts = accounts().await;
    let (session, phone, identity) = alice_with_identity(&accounts).await;
    let alice = &session.user_id;
    let mut object = phone.keys.as_object().clone();
    let key_id = identity.self_signing.get().key_id();
    signature::sign(&mut object, alice.as_str(), &key_id, &identity.self_signing_key).unwrap();
    let failures = accounts.upload_signatures(alice, &signed(alice, phone.device.as_str(), &object)).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    // An upload of the device's keys that does not know of it leaves it.
    accounts.upload_keys(alice, &phone.device, &phone.identity()).await.unwrap();
    let found = query(&accounts, alice, alice).await;
    let shown = Object::parse(found.device_keys[alice][&phone.device].json().get().as_bytes()).unwrap();
    signature::verify(&shown, alice.as_str(), &key_id, identity.self_signing.get().key()).unwrap();
    // The answer as a whole is what our client accepts.
    let answer = serde_json::json!({
        "device_keys": found.device_keys, "master_keys": found.master_keys,
        "self_signing_keys": found.self_signing_keys, "user_signing_keys": found.user_signing_keys,
    });
    let answer = KeysQueryResponse::parse(Object::parse(answer.to_string().as_bytes()).unwrap()).user(alice.as_str());
    assert_eq!((answer.devices.len(), answer.refused.len()), (1, 0));
    assert!(answer.user_signing.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_master_key_keeps_the_signatures_of_its_users_devices() {
    let accounts = accounts().await;
    let (session, phone, identity) = alice_with_identity(&accounts).await;
    let alice = &session.user_id;
    let mut object = identity.master.get().as_object().clone();
    let by_phone = signature::key_id(phone.device.as_str());
    signature::sign(&mut object, alice.as_str(), &by_phone, &phone.account).unwrap();
    let name = identity.master.get().key().to_base64();
    let failures = accounts.upload_signatures(alice, &signed(alice, &name, &object)).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    let bob = user(&accounts, "bob").await.user_id;
    let seen = master_of(&query(&accounts, &bob, alice).await, alice);
    signature::verify(&seen, alice.as_str(), &by_phone, phone.keys.ed25519()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_user_signs_of_another_is_seen_by_nobody_else() {
    let accounts = accounts().await;
    let (alice, _, theirs) = alice_with_identity(&accounts).await;
    let bob = user(&accounts, "bob").await.user_id;
    let carol = user(&accounts, "carol").await.user_id;
    let ours = Identity::new(&bob, 5);
    let outcome = accounts.upload_cross_signing(&bob, &ours.upload(), Confirmation::Absent).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    let mut object = theirs.master.get().as_object().clone();
    let key_id = ours.user_signing.get().key_id();
    signature::sign(&mut object, bob.as_str(), &key_id, &ours.user_signing_key).unwrap();
    let name = theirs.master.get().key().to_base64();
    let failures = accounts.upload_signatures(&bob, &signed(&alice.user_id, &name, &object)).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");

    let seen = master_of(&query(&accounts, &bob, &alice.user_id).await, &alice.user_id);
    signature::verify(&seen, bob.as_str(), &key_id, ours.user_signing.get().key()).unwrap();
    for other in [&carol, &alice.user_id] {
        let seen = master_of(&query(&accounts, other, &alice.user_id).await, &alice.user_id);
        assert_eq!(signature::claimed(&seen, bob.as_str(), &key_id), Ok(None));
    }
    // Alice begins anew: what was signed is gone with her key.
    let anew = Identity::new(&alice.user_id, 6);
    let outcome = accounts.upload_cross_signing(&alice.user_id, &anew.upload(), Confirmation::Given).await;
    assert_eq!(outcome.unwrap(), CrossSigningOutcome::Stored);
    let seen = master_of(&query(&accounts, &bob, &alice.user_id).await, &alice.user_id);
    assert_eq!(signature::claimed(&seen, bob.as_str(), &key_id), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn wrong_signatures_are_named_and_the_right_ones_beside_them_taken() {
    let accounts = accounts().await;
    let (session, phone, identity) = alice_with_identity(&accounts).await;
    let alice = &session.user_id;
    let key_id = identity.self_signing.get().key_id();
    let mut right = phone.keys.as_object().clone();
    signature::sign(&mut right, alice.as_str(), &key_id, &identity.self_signing_key).unwrap();
    let second = Client::new(&login(&accounts, alice, NewDevice::default()).await, 8);
    accounts.upload_keys(alice, &second.device, &second.identity()).await.unwrap();
    let mut wrong = second.keys.as_object().clone();
    signature::sign(&mut wrong, alice.as_str(), &key_id, &identity.user_signing_key).unwrap();
    let mut keys = SignedKeys::new();
    keys.add_cross_signing_keys(phone.device.as_str().into(), raw(&right));
    keys.add_cross_signing_keys(second.device.as_str().into(), raw(&wrong));
    keys.add_cross_signing_keys("NOBODY".into(), raw(&wrong));
    let failures = accounts.upload_signatures(alice, &[(alice.clone(), keys)].into()).await.unwrap();
    let codes: Vec<(&str, &str)> =
        failures[alice].iter().map(|(key_id, failure)| (key_id.as_str(), failure.code)).collect();
    let mut expected = [(second.device.as_str(), "M_INVALID_SIGNATURE"), ("NOBODY", "M_NOT_FOUND")];
    expected.sort_unstable();
    assert_eq!(codes, expected);
    let found = query(&accounts, alice, alice).await;
    let shown = Object::parse(found.device_keys[alice][&phone.device].json().get().as_bytes()).unwrap();
    signature::verify(&shown, alice.as_str(), &key_id, identity.self_signing.get().key()).unwrap();
    let shown = Object::parse(found.device_keys[alice][&second.device].json().get().as_bytes()).unwrap();
    assert_eq!(signature::claimed(&shown, alice.as_str(), &key_id), Ok(None));
}
