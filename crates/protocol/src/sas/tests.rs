//! The dialogue, every message that must end it, and the man in the middle.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::emoji::EMOJI;
use super::{Accepter, Confirmed, Established, Flow, Party, Reference, SasError, ShortString, Starter};
use crate::canonical::{Object, Value};
use crate::key::{Curve25519SecretKey, Ed25519PublicKey, Ed25519SecretKey};

fn flow(reference: &Reference) -> (Flow, Flow) {
    let alice = Party { user_id: "@alice:example.org".to_owned(), device_id: "PHONE".to_owned() };
    let bob = Party { user_id: "@bob:example.net".to_owned(), device_id: "LAPTOP".to_owned() };
    (
        Flow { us: alice.clone(), them: bob.clone(), reference: reference.clone() },
        Flow { us: bob, them: alice, reference: reference.clone() },
    )
}

fn to_device() -> Reference {
    Reference::ToDevice("transaction".to_owned())
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A whole key agreement, with a chance to change each message on its way.
fn agree(
    reference: &Reference,
    mut change: impl FnMut(&'static str, &mut Object),
) -> Result<(Established, Established), SasError> {
    let (alice, bob) = flow(reference);
    let (alice, mut start) = Starter::start(alice, &mut rng(1));
    change("start", &mut start);
    let (bob, mut accept) = Accepter::accept(bob, &start, &mut rng(2))?;
    change("accept", &mut accept);
    let (alice, mut key) = alice.receive_accept(&accept)?;
    change("alice's key", &mut key);
    let (bob, mut key) = bob.receive_key(&key)?;
    change("bob's key", &mut key);
    Ok((alice.receive_key(&key)?, bob))
}

fn confirmed() -> (Confirmed, Confirmed) {
    let (alice, bob) = agree(&to_device(), |_, _| ()).unwrap();
    (alice.people_agree(), bob.people_agree())
}

fn keys(seed: u64) -> BTreeMap<String, Ed25519PublicKey> {
    let device = Ed25519SecretKey::generate(&mut rng(seed)).public_key();
    let master = Ed25519SecretKey::generate(&mut rng(seed + 1)).public_key();
    BTreeMap::from([("ed25519:PHONE".to_owned(), device), (format!("ed25519:{master}"), master)])
}

#[test]
fn both_sides_show_the_same_and_believe_each_others_keys() {
    for reference in [to_device(), Reference::InRoom("$event".to_owned())] {
        let (alice, bob) = agree(&reference, |_, _| ()).unwrap();
        assert_eq!(alice.short_string(), bob.short_string());
        assert!(alice.can_show_emoji() && bob.can_show_emoji());
        let (alice, bob) = (alice.people_agree(), bob.people_agree());
        let vouched = alice.vouch(&keys(3));
        let verified = bob.verify(&vouched, &keys(3)).unwrap();
        assert_eq!(verified.len(), 2);
        assert!(verified.iter().all(|key| keys(3)[&key.key_id] == key.key));
        // What Alice vouches for is not taken as vouched for by Bob.
        assert!(alice.verify(&vouched, &keys(3)).is_err());
    }
}

#[test]
fn what_is_shown_depends_on_everything_that_was_said() {
    let shown = |reference: &Reference| agree(reference, |_, _| ()).unwrap().0.short_string();
    assert_ne!(shown(&to_device()), shown(&Reference::ToDevice("other".to_owned())));
    // A man in the middle with a key of his own on each side: the strings differ, and the people see it.
    let (alice, bob) = flow(&to_device());
    let (mallory_to_bob, mallory_to_alice) = flow(&to_device());
    let (alice, start) = Starter::start(alice, &mut rng(1));
    let (mallory_a, accept) = Accepter::accept(mallory_to_alice, &start, &mut rng(3)).unwrap();
    let (mallory_b, start) = Starter::start(mallory_to_bob, &mut rng(4));
    let (bob, accept_of_bob) = Accepter::accept(bob, &start, &mut rng(2)).unwrap();
    let (alice, key) = alice.receive_accept(&accept).unwrap();
    let (_, key) = mallory_a.receive_key(&key).unwrap();
    let alice = alice.receive_key(&key).unwrap();
    let (_, key) = mallory_b.receive_accept(&accept_of_bob).unwrap();
    let (bob, _) = bob.receive_key(&key).unwrap();
    assert_ne!(alice.short_string(), bob.short_string());
}

fn set(
    field: &'static str,
    value: impl Into<Value> + Clone,
    of: &'static str,
) -> impl FnMut(&'static str, &mut Object) {
    move |message, content| {
        if message == of {
            content.insert(field, value.clone());
        }
    }
}

#[test]
fn a_start_that_offers_nothing_we_speak_ends_it() {
    let wrong = |field, value: Value| agree(&to_device(), set(field, value, "start")).unwrap_err();
    assert_eq!(wrong("method", "m.qr".into()), SasError::NoCommonMethod("method"));
    assert_eq!(wrong("key_agreement_protocols", vec!["curve25519"].into()).cancel_code(), "m.unknown_method");
    assert_eq!(wrong("hashes", vec!["md5"].into()), SasError::NoCommonMethod("hashes"));
    let old = vec!["hkdf-hmac-sha256", "hmac-sha256"];
    let field = "message_authentication_codes";
    assert_eq!(wrong(field, old.into()), SasError::NoCommonMethod(field));
    let field = "short_authentication_string";
    assert_eq!(wrong(field, vec!["emoji"].into()), SasError::NoCommonMethod(field));
    assert_eq!(wrong("from_device", "OTHER".into()), SasError::OtherVerification);
    assert_eq!(wrong("transaction_id", "other".into()).cancel_code(), "m.unknown_transaction");
}

#[test]
fn an_altered_message_ends_it() {
    let wrong = |of, field, value: Value| agree(&to_device(), set(field, value, of)).unwrap_err();
    // The start is part of the commitment, so that nobody can take offers out of it unseen.
    assert_eq!(wrong("start", "hashes", vec!["sha256", "x"].into()), SasError::WrongCommitment);
    assert_eq!(wrong("start", "short_authentication_string", vec!["decimal"].into()), SasError::WrongCommitment);
    assert_eq!(wrong("accept", "commitment", "x".into()), SasError::WrongCommitment);
    assert_eq!(wrong("accept", "hash", "md5".into()), SasError::NoCommonMethod("hash"));
    let other = Curve25519SecretKey::generate(&mut rng(9)).public_key().to_base64();
    assert_eq!(wrong("bob's key", "key", other.into()).cancel_code(), "m.mismatched_commitment");
    assert!(matches!(wrong("bob's key", "key", "AAAA".into()), SasError::Key(_)));
    assert!(matches!(wrong("alice's key", "key", "!".into()), SasError::Field(_)));
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert!(matches!(wrong("alice's key", "key", zero.into()), SasError::NonContributory(_)));
    let bobs = Curve25519SecretKey::generate(&mut rng(2)).public_key().to_base64();
    assert_eq!(wrong("alice's key", "key", bobs.into()), SasError::OwnKey);
    for (of, field) in [("accept", "commitment"), ("alice's key", "key"), ("bob's key", "transaction_id")] {
        let removed = agree(&to_device(), |message, content| {
            if message == of {
                content.remove(field);
            }
        });
        assert!(matches!(removed, Err(SasError::Field(_))));
    }
}

#[test]
fn a_side_that_cannot_show_emoji_gets_numbers() {
    let (alice, bob) = agree(&to_device(), set("short_authentication_string", vec!["decimal"], "accept")).unwrap();
    assert!(!alice.can_show_emoji() && bob.can_show_emoji());
}

#[test]
fn an_altered_mac_ends_it() {
    let (alice, bob) = confirmed();
    let vouched = alice.vouch(&keys(3));
    let with_mac = |change: &dyn Fn(&mut Object)| {
        let mut content = vouched.clone();
        let Some(Value::Object(macs)) = content.get_mut("mac") else { panic!("macs") };
        change(macs);
        bob.verify(&content, &keys(3)).unwrap_err()
    };
    let key_ids = SasError::WrongMac("KEY_IDS".to_owned());
    assert_eq!(with_mac(&|macs| _ = macs.remove("ed25519:PHONE")), key_ids);
    assert_eq!(with_mac(&|macs| _ = macs.insert("ed25519:X", "AAAA")), key_ids);
    assert_eq!(
        with_mac(&|macs| _ = macs.insert("ed25519:PHONE", "AAAA")),
        SasError::WrongMac("ed25519:PHONE".to_owned())
    );
    // The keys are not those we had: a server has exchanged them.
    let exchanged: BTreeMap<_, _> = keys(3).into_keys().zip(keys(7).into_values()).collect();
    assert!(matches!(bob.verify(&vouched, &exchanged), Err(SasError::WrongMac(_))));
    assert_eq!(bob.verify(&vouched, &BTreeMap::new()), Err(SasError::NothingVerified));
    assert_eq!(bob.verify(&vouched.clone().with("keys", "AAAA"), &keys(3)), Err(key_ids));
    assert_eq!(bob.verify(&vouched.with("transaction_id", "x"), &keys(3)), Err(SasError::OtherVerification));
}

#[test]
fn emoji_and_numbers_cover_their_range() {
    assert_eq!(ShortString([0; 6]).decimals(), [1000; 3]);
    assert_eq!(ShortString([0xff; 6]).decimals(), [9191; 3]);
    assert!(ShortString([0; 6]).emoji().iter().all(|emoji| emoji.name == "Dog"));
    assert!(ShortString([0xff; 6]).emoji().iter().all(|emoji| emoji.name == "Pin"));
    assert_eq!(ShortString([0b0000_0100, 0b0010_0000, 0b1100_0100, 0, 0, 0]).emoji()[..4], EMOJI[1..5]);
    let names: BTreeSet<&str> = EMOJI.iter().map(|emoji| emoji.name).collect();
    let symbols: BTreeSet<&str> = EMOJI.iter().map(|emoji| emoji.symbol).collect();
    assert_eq!((names.len(), symbols.len()), (64, 64));
}

#[test]
fn of_two_starts_one_counts() {
    let (alice, bob) = flow(&to_device());
    assert!(alice.our_start_counts() && !bob.our_start_counts());
}
