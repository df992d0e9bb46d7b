//! Keys are given out in order, and none twice: by concurrent claims, and over power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use base::Random;
use proptest::prelude::*;
use ruma::OwnedUserId;
use storage::{Faults, MemoryDisk};

use crate::accounts::Accounts;
use crate::fixture::{accounts, options, store, user};
use crate::keys::KeysToUpload;
use crate::keys::fixture::{Client, named};

/// Claims a key of `phone`: its name, if one is left.
async fn claim(accounts: &Accounts, phone: (&OwnedUserId, &str)) -> Result<Option<String>, crate::Error> {
    let wanted = [(phone.0.clone(), [(phone.1.into(), "signed_curve25519".into())].into())].into();
    let claimed = accounts.claim_keys(&wanted).await?.keys;
    let mut keys = claimed.into_values().flat_map(|devices| devices.into_values().flat_map(BTreeMap::into_keys));
    Ok(keys.next().map(|name| name.to_string()))
}

#[tokio::test(start_paused = true)]
async fn keys_are_given_out_in_the_order_of_their_upload() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    let keys = phone.one_time_keys(3);
    accounts.upload_keys(&phone.user, &phone.device, &phone.identity()).await.unwrap();
    for at in [2, 0, 1] {
        let upload = KeysToUpload { one_time_keys: named(&keys[at..=at]), ..KeysToUpload::default() };
        accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
    }
    for at in [2, 0, 1] {
        let claimed = claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap();
        assert_eq!(claimed.as_deref(), Some(keys[at].name()));
    }
    assert_eq!(claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_claimed_is_not_taken_in_again() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    let keys = phone.one_time_keys(2);
    let upload = KeysToUpload { one_time_keys: named(&keys), ..phone.identity() };
    accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
    let first = claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap().unwrap();
    // The client did not hear the answer and says it again.
    let counts = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
    assert_eq!(counts.one_time["signed_curve25519"], 1);
    let second = claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap().unwrap();
    assert_ne!(first, second);
    assert_eq!(claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_key_is_given_out_again_and_again_and_its_first_use_is_told() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    phone.publish(&accounts, 1).await;
    let fallback = phone.fallback_key();
    let upload = KeysToUpload { fallback_keys: named(std::slice::from_ref(&fallback)), ..KeysToUpload::default() };
    let counts = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
    assert_eq!(counts.unused_fallback, ["signed_curve25519"]);
    claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap();
    assert_eq!(accounts.key_counts(&phone.user, &phone.device).await.unwrap().unused_fallback.len(), 1);
    for _ in 0..2 {
        let claimed = claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap();
        assert_eq!(claimed.as_deref(), Some(fallback.name()));
        assert!(accounts.key_counts(&phone.user, &phone.device).await.unwrap().unused_fallback.is_empty());
    }
    // The same once more is as used as it was; another is not.
    let counts = accounts.upload_keys(&phone.user, &phone.device, &upload).await.unwrap();
    assert!(counts.unused_fallback.is_empty());
    let other = KeysToUpload { fallback_keys: named(&[phone.fallback_key()]), ..KeysToUpload::default() };
    let counts = accounts.upload_keys(&phone.user, &phone.device, &other).await.unwrap();
    assert_eq!(counts.unused_fallback, ["signed_curve25519"]);
}

#[tokio::test(start_paused = true)]
async fn unknown_users_devices_and_algorithms_are_left_out() {
    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    phone.publish(&accounts, 1).await;
    let wanted = [
        (
            phone.user.clone(),
            [("OTHER".into(), "signed_curve25519".into()), (phone.device.clone(), "none".into())].into(),
        ),
        (ruma::owned_user_id!("@nobody:example.org"), [("PHONE".into(), "signed_curve25519".into())].into()),
    ];
    assert!(accounts.claim_keys(&wanted.into()).await.unwrap().keys.is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_claimed_long_ago_are_forgotten() {
    use storage::table::ONE_TIME_KEY;
    use storage::{Direction, KeyRange};

    let accounts = accounts().await;
    let mut phone = Client::new(&user(&accounts, "alice").await, 1);
    let remembered = usize::try_from(base::limits::CLAIMED_KEYS_REMEMBERED).unwrap();
    let mut uploaded = 0;
    while uploaded < 2 * remembered {
        // Olm makes no more than fifty at once.
        uploaded += phone.publish(&accounts, 50).await.len();
        for _ in 0..50 {
            claim(&accounts, (&phone.user, phone.device.as_str())).await.unwrap().unwrap();
        }
    }
    let kept = accounts.store().scan(&KeyRange::table(ONE_TIME_KEY), Direction::Forward, 10_000).await.unwrap();
    assert!(kept.rows.len() <= remembered + 50, "{}", kept.rows.len());
}

/// Several claim at once, with the power cut at any moment; what they are given is never the same, and in order.
async fn claims_are_unique(seed: u64, keys: usize, claimers: usize, cuts: u64) {
    let random = Random::seeded(seed);
    let faults = Faults { delay_most: Duration::from_millis(3), ..Faults::default() };
    let disk = MemoryDisk::faulty(random.clone(), faults);
    let mut accounts = Accounts::new(store(&disk).await, options());
    let mut phone = Client::new(&user(&accounts, "alice").await, seed);
    let order: Vec<String> = phone.publish(&accounts, keys).await.iter().map(|key| key.name().to_owned()).collect();
    let mut given: Vec<String> = Vec::new();
    for cut in 0..=cuts {
        let claiming = (0..claimers).map(|_| {
            let (accounts, user, device) = (Arc::clone(&accounts), phone.user.clone(), phone.device.clone());
            let pause = Duration::from_micros(random.below(6_000));
            base::task::spawn(async move {
                accounts.store().clock().sleep(pause).await;
                let mut mine = Vec::new();
                while let Ok(Some(key)) = claim(&accounts, (&user, device.as_str())).await {
                    mine.push(key);
                }
                mine
            })
        });
        let claiming: Vec<_> = claiming.collect();
        if cut < cuts {
            accounts.store().clock().sleep(Duration::from_micros(random.below(20_000))).await;
            disk.crash();
        }
        for task in claiming {
            let mine = task.await.unwrap();
            let places: Vec<usize> =
                mine.iter().map(|name| order.iter().position(|known| known == name).unwrap()).collect();
            assert!(places.is_sorted(), "{places:?}");
            given.extend(mine);
        }
        if cut < cuts {
            accounts = Accounts::new(store(&disk).await, options());
        }
    }
    let distinct: BTreeSet<&String> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "a key was given out twice");
    if cuts == 0 {
        assert_eq!(given.len(), keys, "without a power cut no key is lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn no_key_is_given_out_twice(seed: u64, keys in 1_usize..50, claimers in 1_usize..8, cuts in 0_u64..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(claims_are_unique(seed, keys, claimers, cuts));
    }
}
