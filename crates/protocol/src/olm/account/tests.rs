//! Accounts: one-time and fallback keys, their bounds, and sessions begun with them.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::one_time_keys::OneTimeKeys;
use super::{Account, KeyId, MAX_ONE_TIME_KEYS};
use crate::key::Curve25519SecretKey;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

#[test]
fn keys_are_offered_until_they_are_marked_as_published() {
    let mut rng = rng();
    let mut account = Account::new(&mut rng);
    let created = account.generate_one_time_keys(3, &mut rng).created;
    let offered: Vec<_> = account.unpublished_one_time_keys().map(|(_, key)| key).collect();
    assert_eq!(offered, created);
    account.mark_keys_as_published();
    assert_eq!(account.unpublished_one_time_keys().count(), 0);
    account.generate_one_time_keys(2, &mut rng);
    assert_eq!(account.unpublished_one_time_keys().count(), 2);
    assert_eq!(account.stored_one_time_keys(), 5);
    let ids: Vec<_> = account.unpublished_one_time_keys().map(|(id, _)| id.to_string()).collect();
    assert_eq!(ids, ["AAAAAAAAAAM", "AAAAAAAAAAQ"]);
}

#[test]
fn the_oldest_key_goes_when_there_are_too_many() {
    let mut rng = rng();
    let mut account = Account::new(&mut rng);
    let first = account.generate_one_time_keys(usize::MAX, &mut rng);
    assert_eq!((first.created.len(), first.discarded.len()), (MAX_ONE_TIME_KEYS, 0));
    let second = account.generate_one_time_keys(2, &mut rng);
    assert_eq!(second.discarded, first.created[..2]);
    assert_eq!(account.stored_one_time_keys(), MAX_ONE_TIME_KEYS);
}

#[test]
fn a_number_that_is_given_twice_names_the_later_key() {
    let mut rng = rng();
    let [first, second] = std::array::from_fn(|_| Curve25519SecretKey::generate(&mut rng));
    let mut keys = OneTimeKeys::default();
    for secret in [&first, &second, &second] {
        assert_eq!(keys.insert(KeyId::new(1), secret.clone(), false), None);
    }
    assert!(keys.find(&first.public_key()).is_none());
    assert_eq!(keys.find(&second.public_key()), Some(&second));
    keys.remove(&second.public_key());
    assert_eq!(keys.len(), 0);
}

#[test]
fn an_account_signs_with_the_key_it_is_known_by() {
    let account = Account::new(&mut rng());
    account.identity_keys().ed25519.verify(b"message", &account.sign(b"message")).unwrap();
}
