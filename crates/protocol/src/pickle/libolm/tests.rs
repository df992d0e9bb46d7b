//! Pickles as libolm wrote them: read, and refused where they are damaged.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha512};

use super::{LibolmPickleError, account, group_session, open, read_body, session};
use crate::cipher::{CipherKeys, MacLength};
use crate::encoding;
use crate::key::{Curve25519SecretKey, Ed25519SecretKey};
use crate::olm::Account;
use crate::pickle::FieldError;

fn curve(byte: u8) -> Curve25519SecretKey {
    Curve25519SecretKey::from_bytes(&[byte; 32])
}

fn pair(byte: u8) -> Vec<u8> {
    [*curve(byte).public_key().as_bytes(), [byte; 32]].concat()
}

fn signing_pair() -> Vec<u8> {
    let public = Ed25519SecretKey::from_bytes(&[5; 32]).public_key();
    [&public.as_bytes()[..], &Sha512::digest([5; 32])].concat()
}

/// An account of this version, with one one-time key, up to where the fallback keys stand.
fn account_start(version: u32) -> Vec<u8> {
    [&version.to_be_bytes()[..], &signing_pair(), &pair(6), &[0, 0, 0, 1], &[0, 0, 0, 9, 1], &pair(7)].concat()
}

const NEXT_ID: [u8; 4] = [0, 0, 0, 9];

fn read_account(parts: &[&[u8]]) -> Result<Account, LibolmPickleError> {
    read_body(&parts.concat(), account::read)
}

fn fallback_key(id: u8, published: bool, byte: u8) -> Vec<u8> {
    [&[0, 0, 0, id, u8::from(published)][..], &pair(byte)].concat()
}

/// Which fallback keys the account has, seen by replacing them: each new key pushes out the one before the last.
fn fallback_keys(mut account: Account) -> Vec<Option<crate::key::Curve25519PublicKey>> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let previous = account.generate_fallback_key(&mut rng);
    vec![account.generate_fallback_key(&mut rng), previous]
}

#[test]
fn each_version_of_an_account_is_read() {
    let (eight, nine) = (Some(curve(8).public_key()), Some(curve(9).public_key()));
    let absent = fallback_key(0, false, 3);
    let (current, previous) = (fallback_key(4, true, 8), fallback_key(3, true, 9));
    let nothing = vec![None, None];
    for (version, fallback, expected) in [
        (2, vec![], nothing.clone()),
        (3, vec![&absent[..], &absent], nothing.clone()),
        (3, vec![&current, &absent], vec![eight, None]),
        (3, vec![&current, &previous], vec![eight, nine]),
        (4, vec![&[0][..]], nothing),
        (4, vec![&[1][..], &current], vec![eight, None]),
        (4, vec![&[2][..], &current, &previous], vec![eight, nine]),
    ] {
        let mut account = read_account(&[&account_start(version), &fallback.concat(), &NEXT_ID]).unwrap();
        assert_eq!(account.identity_keys().curve25519, curve(6).public_key());
        assert_eq!(account.identity_keys().ed25519, Ed25519SecretKey::from_bytes(&[5; 32]).public_key());
        assert_eq!(account.stored_one_time_keys(), 1);
        assert_eq!(account.unpublished_one_time_keys().count(), 0);
        account.generate_one_time_keys(1, &mut ChaCha20Rng::seed_from_u64(2));
        assert_eq!(account.stored_one_time_keys(), 2, "a new key has a number of its own");
        assert_eq!(fallback_keys(account), expected, "version {version}");
    }
}

#[test]
fn an_account_that_cannot_be_is_refused() {
    let start = account_start(4);
    let version = |version: u32| read_account(&[&version.to_be_bytes(), &start[4..], &[0], &NEXT_ID]).unwrap_err();
    assert_eq!(version(1), LibolmPickleError::CompromisedKey);
    assert_eq!(version(5), LibolmPickleError::Version(5));
    assert_eq!(version(0), LibolmPickleError::Version(0));
    assert_eq!(read_account(&[&start, &[3], &NEXT_ID]).unwrap_err(), FieldError::Value.into());
    assert_eq!(read_account(&[&start, &[0], &NEXT_ID, &[0]]).unwrap_err(), FieldError::TrailingBytes.into());
    assert_eq!(read_account(&[&start, &[0], &NEXT_ID[..3]]).unwrap_err(), FieldError::EndOfInput.into());
    // The public halves are at 4 (signing key) and 100 (identity key).
    for position in [4 + 96, 4 + 96 + 32] {
        let mut other = start.clone();
        other[position] ^= 8;
        assert_eq!(read_account(&[&other, &[0], &NEXT_ID]).unwrap_err(), FieldError::Value.into());
    }
}

#[test]
fn a_session_that_cannot_be_is_refused() {
    let start = |version: u32| [&version.to_be_bytes()[..], &[1], &[1; 96], &[2; 32]].concat();
    let (none, chain) = ([0; 4], [&[0, 0, 0, 1][..], &[3; 32], &[4; 32], &[0, 0, 0, 5]].concat());
    let read =
        |parts: &[&[u8]]| read_body(&parts.concat(), session::read).map(|session| session.has_received_message());
    assert_eq!(read(&[&start(1), &none, &chain, &none]), Ok(true));
    assert_eq!(read(&[&start(0x8000_0001), &none, &chain, &none, &[0; 4]]), Ok(true));
    assert_eq!(read(&[&start(0x8000_0001), &none, &chain, &none]), Err(FieldError::EndOfInput.into()));
    assert_eq!(read(&[&start(2), &none, &chain, &none]), Err(LibolmPickleError::Version(2)));
    assert_eq!(read(&[&start(1), &none, &none, &none]), Err(FieldError::Value.into()), "no chain at all");
    let two = [0, 0, 0, 2];
    assert_eq!(read(&[&start(1), &two]), Err(FieldError::Count { count: 2, max: 1 }.into()));
    let six = [0, 0, 0, 6];
    assert_eq!(read(&[&start(1), &none, &six]), Err(FieldError::Count { count: 6, max: 5 }.into()));
    let many = [0, 0, 0, 41];
    assert_eq!(read(&[&start(1), &none, &chain, &many]), Err(FieldError::Count { count: 41, max: 40 }.into()));
}

#[test]
fn each_version_of_a_group_session_is_read() {
    let ratchet = [&[7; 128][..], &[0, 0, 0, 3]].concat();
    let outbound = |version: u32| {
        let bytes = [&version.to_be_bytes()[..], &ratchet, &signing_pair()].concat();
        read_body(&bytes, group_session::read_outbound).map(|session| (session.next_index(), session.session_id()))
    };
    let id = Ed25519SecretKey::from_bytes(&[5; 32]).public_key().to_base64();
    assert_eq!(outbound(1), Ok((3, id.clone())));
    assert_eq!(outbound(2), Err(LibolmPickleError::Version(2)));

    let inbound = |version: u32, verified: &[u8]| {
        let bytes =
            [&version.to_be_bytes()[..], &ratchet, &ratchet, &encoding::decode(&id).unwrap(), verified].concat();
        read_body(&bytes, group_session::read_inbound)
            .map(|session| (session.first_known_index(), session.signing_key_verified()))
    };
    assert_eq!(inbound(1, &[]), Ok((3, true)));
    assert_eq!(inbound(2, &[0]), Ok((3, false)));
    assert_eq!(inbound(2, &[1]), Ok((3, true)));
    assert_eq!(inbound(2, &[2]), Err(FieldError::Value.into()));
    assert_eq!(inbound(3, &[1]), Err(LibolmPickleError::Version(3)));
    assert_eq!(inbound(0, &[]), Err(LibolmPickleError::Version(0)));
}

#[test]
fn an_envelope_opens_under_its_key_only_and_unaltered() {
    let keys = CipherKeys::derive(&[0], b"key", b"Pickle");
    let mut bytes = keys.encrypt(&[0, 0, 0, 5]);
    let mac = keys.mac(&bytes);
    bytes.extend_from_slice(mac.tag(MacLength::Truncated));
    let read = |bytes: &[u8], key: &[u8]| open(&encoding::encode(bytes), key, |from| Ok(from.u32()?));
    assert_eq!(read(&bytes, b"key"), Ok(5));
    assert_eq!(read(&bytes, b"other"), Err(LibolmPickleError::Mac));
    assert_eq!(read(&bytes[..7], b"key"), Err(LibolmPickleError::TooShort));
    assert!(matches!(open("*", b"key", |from| Ok(from.u32()?)), Err(LibolmPickleError::Base64(_))));
    for bit in 0..8 * bytes.len() {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(&altered, b"key"), Err(LibolmPickleError::Mac));
    }
}
