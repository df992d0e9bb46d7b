//! Sealing and opening, every alteration, every replay, and the bounds.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::padding::SMALLEST;
use super::schedule::Transcript;
use super::window::{AGE_MAX_MS, ReplayError, ReplayWindow, SEEN_MAX, SENDERS_MAX, SKEW_MAX_MS, SNAPSHOT_BYTES_MAX};
use super::{
    EnvelopeError, EnvelopeKey, EnvelopeSecretKey, HEADER_LENGTH, LIFETIME_MAX_MS, PAYLOAD_MAX, SealedEnvelope, Sender,
    VerifiedLetter, padded_length, seal, sealed_length,
};
use crate::canonical::{Integer, Object};
use crate::key::{Curve25519SecretKey, Ed25519SecretKey};

const NOW: u64 = 1_790_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn server_key(seed: u8) -> Ed25519SecretKey {
    Ed25519SecretKey::from_bytes(&[seed; 32])
}

fn recipient() -> (EnvelopeSecretKey, EnvelopeKey) {
    let secret = EnvelopeSecretKey::generate(&mut rng(1));
    let public = secret.publish("b.example", NOW - DAY..NOW + DAY, "ed25519:1", &server_key(2)).unwrap();
    (secret, public)
}

fn sealed(payload: &[u8], now: u64, seed: u64) -> Vec<u8> {
    sealed_by("a.example", payload, now, seed)
}

fn sealed_by(server_name: &str, payload: &[u8], now: u64, seed: u64) -> Vec<u8> {
    let key = server_key(3);
    let sender = Sender { server_name, key_id: "ed25519:a", key: &key };
    let public = EnvelopeSecretKey::generate(&mut rng(1))
        .publish("b.example", now.saturating_sub(DAY)..now + DAY, "ed25519:1", &server_key(2))
        .unwrap();
    let bytes = seal(payload, &sender, &public, now, &mut rng(seed)).unwrap();
    assert_eq!(bytes.len(), sealed_length(&sender, payload.len()));
    bytes
}

fn opened(bytes: &[u8]) -> Result<VerifiedLetter, EnvelopeError> {
    let (secret, _) = recipient();
    SealedEnvelope::parse(bytes)?.decrypt("b.example", &secret)?.verify(&server_key(3).public_key())
}

#[test]
fn what_is_sealed_is_opened_by_its_recipient() {
    let (secret, public) = recipient();
    for length in [0, 1, 100, 397, 398, 5000] {
        let payload = vec![7; length];
        let bytes = sealed(&payload, NOW, 9);
        let envelope = SealedEnvelope::parse(&bytes).unwrap();
        assert_eq!(envelope.key_id(), public.id());
        let letter = envelope.decrypt("b.example", &secret).unwrap();
        assert_eq!((letter.claimed_sender(), letter.claimed_key_id()), ("a.example", "ed25519:a"));
        assert_eq!(letter.claimed_time_ms(), NOW);
        let letter = letter.verify(&server_key(3).public_key()).unwrap();
        let letter = ReplayWindow::new(0).admit(letter, NOW).unwrap();
        assert_eq!((letter.sender(), letter.sent_at_ms(), letter.payload()), ("a.example", NOW, payload.as_slice()));
    }
}

#[test]
fn a_stored_key_opens_what_was_sealed_before() {
    let (secret, _) = recipient();
    let stored = EnvelopeSecretKey::from_bytes(&secret.to_bytes());
    assert_eq!(stored, secret);
    assert!(SealedEnvelope::parse(&sealed(b"x", NOW, 9)).unwrap().decrypt("b.example", &stored).is_ok());
    assert!(!format!("{secret:?}").contains(&crate::encoding::encode(&secret.to_bytes()[..32])));
}

#[test]
fn an_altered_byte_anywhere_is_refused() {
    let bytes = sealed(b"a transaction", NOW, 9);
    assert!(opened(&bytes).is_ok());
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            assert!(opened(&altered).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_cut_or_lengthened_envelope_is_refused() {
    let bytes = sealed(b"a transaction", NOW, 9);
    for end in (0..bytes.len()).step_by(7) {
        assert!(opened(&bytes[..end]).is_err(), "{end} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(opened(&longer).unwrap_err(), EnvelopeError::Altered);
    assert_eq!(SealedEnvelope::parse(&vec![1; 40 * 1024 * 1024]), Err(EnvelopeError::TooLong));
    assert_eq!(SealedEnvelope::parse(&vec![2; 4000]), Err(EnvelopeError::NotAnEnvelope));
}

#[test]
fn an_envelope_opens_for_its_recipient_only() {
    let (secret, _) = recipient();
    let envelope = SealedEnvelope::parse(&sealed(b"x", NOW, 9)).unwrap();
    // The same keys under another name: a server that published somebody else's key as its own.
    assert_eq!(envelope.decrypt("c.example", &secret).unwrap_err(), EnvelopeError::Altered);
    let other = EnvelopeSecretKey::generate(&mut rng(2));
    assert_eq!(envelope.decrypt("b.example", &other).unwrap_err(), EnvelopeError::OtherKey);
}

#[test]
fn a_letter_is_believed_for_its_senders_signature_only() {
    let (secret, _) = recipient();
    let letter = || SealedEnvelope::parse(&sealed(b"x", NOW, 9)).unwrap().decrypt("b.example", &secret).unwrap();
    assert_eq!(
        letter().verify(&server_key(4).public_key()).unwrap_err(),
        EnvelopeError::WrongSender("a.example".to_owned())
    );
    assert!(letter().verify(&server_key(3).public_key()).is_ok());
}

#[test]
fn both_halves_of_the_agreement_are_needed() {
    let transcript = |seed: u64| {
        let secret = EnvelopeSecretKey::generate(&mut rng(seed));
        Transcript::new("b.example", &secret.curve25519.public_key(), secret.kem.public_key(), b"header")
    };
    let agree = |seed: u64| {
        let (mut rng, secret) = (rng(seed), EnvelopeSecretKey::generate(&mut rng(1)));
        let ephemeral = Curve25519SecretKey::generate(&mut rng);
        let classical = ephemeral.diffie_hellman(&secret.curve25519.public_key()).unwrap();
        (classical, secret.kem.public_key().encapsulate(&mut rng).unwrap().1)
    };
    let (one, other) = (agree(2), agree(3));
    let sealed = transcript(1).seal_key(&one.0, &one.1).seal(b"", b"letter").unwrap();
    let opens = |transcript: Transcript, classical, post_quantum| {
        transcript.seal_key(classical, post_quantum).open(b"", &sealed).is_ok()
    };
    assert!(opens(transcript(1), &one.0, &one.1));
    assert!(!opens(transcript(1), &other.0, &one.1));
    assert!(!opens(transcript(1), &one.0, &other.1));
    assert!(!opens(transcript(2), &one.0, &one.1));
}

/// What only a sender could have made, and none of our software makes.
#[test]
fn a_letter_that_is_not_written_as_it_should_be_is_refused() {
    let (secret, public) = recipient();
    let seal_letter = |change: fn(&mut Vec<u8>)| {
        let mut rng = rng(9);
        let ephemeral = Curve25519SecretKey::generate(&mut rng);
        let (ciphertext, post_quantum) = public.kem.encapsulate(&mut rng).unwrap();
        let header = [&[1][..], &public.id(), ephemeral.public_key().as_bytes(), ciphertext.as_bytes()].concat();
        let transcript = Transcript::new("b.example", &public.curve25519, &public.kem, &header);
        let mut letter = [&NOW.to_be_bytes()[..], &[1; 16], b"\x09a.example\x09ed25519:a\0\0\0\x01x"].concat();
        let signature = server_key(3).sign(&transcript.signed_bytes(&letter));
        letter.extend_from_slice(signature.as_bytes());
        letter.resize(SMALLEST, 0);
        change(&mut letter);
        let classical = ephemeral.diffie_hellman(&public.curve25519).unwrap();
        let sealed = transcript.seal_key(&classical, &post_quantum).seal(&header, &letter).unwrap();
        let envelope = SealedEnvelope::parse(&[header, sealed].concat()).unwrap();
        envelope.decrypt("b.example", &secret).and_then(|letter| letter.verify(&server_key(3).public_key()))
    };
    assert!(seal_letter(|_| ()).is_ok());
    let malformed: [fn(&mut Vec<u8>); 7] = [
        |letter| letter[SMALLEST - 1] = 1,
        |letter| letter.push(0),
        |letter| letter.truncate(SMALLEST - 1),
        |letter| letter.truncate(20),
        |letter| letter[24] = 0,
        |letter| letter[25] = 0xff,
        |letter| letter[44] = 0xff,
    ];
    for change in malformed {
        assert_eq!(seal_letter(change).unwrap_err(), EnvelopeError::Malformed);
    }
    let unsigned = seal_letter(|letter| letter[48] = b'y');
    assert_eq!(unsigned.unwrap_err(), EnvelopeError::WrongSender("a.example".to_owned()));
}

/// What the header says of either half is part of the transcript, so halves of two envelopes do not go together.
#[test]
fn halves_of_two_envelopes_do_not_go_together() {
    let bytes = sealed(b"x", NOW, 9);
    let other = sealed(b"x", NOW, 10);
    let splice = |range: std::ops::Range<usize>| {
        let mut spliced = bytes.clone();
        spliced[range.clone()].copy_from_slice(&other[range]);
        opened(&spliced).unwrap_err()
    };
    assert_eq!(splice(17..49), EnvelopeError::Altered);
    assert_eq!(splice(49..HEADER_LENGTH), EnvelopeError::Altered);
    let mut small_order = bytes.clone();
    small_order[17..49].fill(0);
    assert!(matches!(opened(&small_order).unwrap_err(), EnvelopeError::NonContributory(_)));
}

#[test]
fn keys_are_refused_for_each_wrong_part() {
    let (secret, public) = recipient();
    let sign = |object: Object| {
        let mut object = object;
        object.remove("signatures");
        crate::bundle::signature::sign(&mut object, "b.example", "ed25519:1", &server_key(2)).unwrap();
        EnvelopeKey::verify(object, "b.example", "ed25519:1", &server_key(2).public_key())
    };
    let good = public.as_object().clone();
    assert_eq!(sign(good.clone()).unwrap(), public);
    assert!(matches!(sign(good.clone().with("algorithm", "x")), Err(EnvelopeError::Algorithm(_))));
    assert!(matches!(sign(good.clone().with("server_name", "c.example")), Err(EnvelopeError::OtherServer(_))));
    assert!(matches!(sign(good.clone().with("key_id", "AAAA")), Err(EnvelopeError::KeyId)));
    assert!(matches!(sign(good.clone().with("x25519", "AAAA")), Err(EnvelopeError::Curve(_))));
    assert!(matches!(sign(good.clone().with("mlkem768", "AAAA")), Err(EnvelopeError::Kem(_))));
    assert!(matches!(sign(good.clone().with("mlkem768", "!")), Err(EnvelopeError::Field(_))));
    let zero = Integer::new(0).unwrap();
    assert!(matches!(sign(good.clone().with("valid_until_ts", zero)), Err(EnvelopeError::Lifetime)));
    assert!(matches!(sign(good.clone().with("valid_from_ts", zero)), Err(EnvelopeError::Lifetime)));
    for field in ["algorithm", "server_name", "key_id", "x25519", "mlkem768", "valid_from_ts", "valid_until_ts"] {
        let mut missing = good.clone();
        missing.remove(field);
        assert!(matches!(sign(missing), Err(EnvelopeError::Field(_))), "{field}");
    }
    // Signed by another key, under another name, or for another server.
    let verify = |name, id, key: u8| EnvelopeKey::verify(good.clone(), name, id, &server_key(key).public_key());
    assert!(matches!(verify("b.example", "ed25519:1", 5), Err(EnvelopeError::Signature(_))));
    assert!(matches!(verify("b.example", "ed25519:2", 2), Err(EnvelopeError::Signature(_))));
    assert!(matches!(verify("c.example", "ed25519:1", 2), Err(EnvelopeError::OtherServer(_))));
    let long = secret.publish("b.example", NOW..NOW + LIFETIME_MAX_MS + 1, "ed25519:1", &server_key(2));
    assert_eq!(long.unwrap_err(), EnvelopeError::Lifetime);
}

#[test]
fn nothing_is_sealed_that_could_not_be_opened() {
    let (_, public) = recipient();
    let key = server_key(3);
    let sender = Sender { server_name: "a.example", key_id: "ed25519:a", key: &key };
    let seal = |payload: &[u8], sender: &Sender<'_>, now| seal(payload, sender, &public, now, &mut rng(9));
    assert_eq!(seal(b"x", &sender, NOW + DAY), Err(EnvelopeError::NotValidNow));
    assert_eq!(seal(b"x", &sender, NOW - DAY - 1), Err(EnvelopeError::NotValidNow));
    assert_eq!(seal(&vec![0; PAYLOAD_MAX + 1], &sender, NOW), Err(EnvelopeError::TooLong));
    let long = "a".repeat(256);
    assert_eq!(seal(b"x", &Sender { server_name: &long, ..sender }, NOW), Err(EnvelopeError::Name));
    assert_eq!(seal(b"x", &Sender { key_id: "", ..sender }, NOW), Err(EnvelopeError::Name));
    let largest = Sender { server_name: &long[..255], key_id: &long[..255], key: &key };
    assert!(opened(&seal(b"x", &largest, NOW).unwrap()).is_ok());
}

#[test]
fn a_replay_is_refused_and_so_is_what_is_out_of_time() {
    let bytes = sealed(b"x", NOW, 9);
    let admit = |window: &mut ReplayWindow, now| window.admit(opened(&bytes).unwrap(), now).map(|_| ());
    let mut window = ReplayWindow::new(0);
    assert_eq!(admit(&mut window, NOW), Ok(()));
    assert_eq!(admit(&mut window, NOW), Err(ReplayError::Replayed));
    assert_eq!(admit(&mut window, NOW + AGE_MAX_MS - 1), Err(ReplayError::Replayed));
    let mut stored = ReplayWindow::from_bytes(&window.to_bytes()).unwrap();
    assert_eq!(stored, window);
    assert_eq!(admit(&mut stored, NOW), Err(ReplayError::Replayed));

    let mut late = ReplayWindow::new(0);
    assert_eq!(admit(&mut late, NOW + AGE_MAX_MS), Err(ReplayError::TooOld));
    // A clock that was ahead and is set back does not reopen what was closed.
    assert_eq!(admit(&mut late, NOW), Err(ReplayError::TooOld));
    assert_eq!(admit(&mut ReplayWindow::new(0), NOW - SKEW_MAX_MS - 1), Err(ReplayError::FromTheFuture));
    assert_eq!(admit(&mut ReplayWindow::new(0), NOW - SKEW_MAX_MS), Ok(()));
    // A window that was lost is begun with the present as its floor.
    assert_eq!(admit(&mut ReplayWindow::new(NOW), NOW), Err(ReplayError::TooOld));
}

#[test]
fn a_window_that_is_full_forgets_and_still_admits_nothing_twice() {
    let mut window = ReplayWindow::new(0);
    let letters: Vec<Vec<u8>> = (0..SEEN_MAX as u64 + 50).map(|n| sealed(b"x", NOW + n, 100 + n)).collect();
    for letter in &letters {
        assert!(window.admit(opened(letter).unwrap(), NOW).is_ok());
    }
    for (index, letter) in letters.iter().enumerate() {
        let again = window.admit(opened(letter).unwrap(), NOW).unwrap_err();
        assert_eq!(again, if index < 50 { ReplayError::TooOld } else { ReplayError::Replayed }, "{index}");
    }
    assert!(window.to_bytes().len() <= SNAPSHOT_BYTES_MAX);
}

#[test]
fn a_window_with_too_many_senders_forgets_the_most_silent() {
    let mut window = ReplayWindow::new(0);
    let letters: Vec<Vec<u8>> =
        (0..SENDERS_MAX as u64 + 10).map(|n| sealed_by(&format!("s{n}.example"), b"x", NOW + n, 100 + n)).collect();
    for letter in &letters {
        assert!(window.admit(opened(letter).unwrap(), NOW).is_ok());
    }
    for letter in &letters {
        assert!(window.admit(opened(letter).unwrap(), NOW).is_err());
    }
    // The silent ones are refused for what they sent before, not for what they send next.
    assert!(window.admit(opened(&sealed_by("s0.example", b"y", NOW + 1000, 5)).unwrap(), NOW).is_ok());
}

#[test]
fn a_stored_window_is_read_only_as_it_was_written() {
    let mut window = ReplayWindow::new(3);
    for n in 0..3 {
        window.admit(opened(&sealed(b"x", NOW + n, 100 + n)).unwrap(), NOW).unwrap();
    }
    let bytes = window.to_bytes();
    for end in 0..bytes.len() {
        assert_eq!(ReplayWindow::from_bytes(&bytes[..end]), Err(EnvelopeError::Malformed));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(ReplayWindow::from_bytes(&longer).is_err());
    let mut swapped = bytes;
    let end = swapped.len();
    swapped.copy_within(end - 24..end, end - 48);
    assert!(ReplayWindow::from_bytes(&swapped).is_err(), "a mark twice");
}

#[test]
fn size_classes_are_few_and_cost_little() {
    assert_eq!(padded_length(0), SMALLEST);
    assert_eq!(padded_length(513), 544);
    let mut classes = 0;
    let mut last = 0;
    for length in SMALLEST..200_000 {
        let padded = padded_length(length);
        assert!(padded >= length && padded >= last);
        assert!((padded - length) * 8 <= length, "{length} became {padded}");
        assert_eq!(padded_length(padded), padded);
        classes += usize::from(padded != last);
        last = padded;
    }
    assert!(classes < 170, "{classes} classes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_letter_is_admitted_at_most_once(order in prop::collection::vec((0_u64..12, -400_000_i64..400_000), 1..60)) {
        let letters: Vec<Vec<u8>> = (0..12).map(|n| sealed(b"x", NOW + n * 30_000, 100 + n)).collect();
        let mut window = ReplayWindow::new(0);
        let mut admitted = [0; 12];
        for (which, clock) in order {
            let which = usize::try_from(which).unwrap();
            if window.admit(opened(&letters[which]).unwrap(), NOW.saturating_add_signed(clock)).is_ok() {
                admitted[which] += 1;
            }
        }
        prop_assert!(admitted.iter().all(|times| *times <= 1));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
        let (secret, _) = recipient();
        if let Ok(envelope) = SealedEnvelope::parse(&bytes) {
            prop_assert!(envelope.decrypt("b.example", &secret).is_err());
        }
        if let Ok(window) = ReplayWindow::from_bytes(&bytes) {
            prop_assert_eq!(window.to_bytes(), bytes);
        }
    }
}
