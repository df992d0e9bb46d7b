//! What is accepted, and every way in which it must not be.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::trust::{OwnIdentity, UnverifiedIdentity, VerifiedDevice};
use super::upload::{CrossSigningUpload, KeysUpload, Owner, SignatureUpload, Uploader};
use super::{
    BundleError, ClaimRequest, ClaimResponse, DeviceKeys, Fallback, KeyContent, KeysQueryResponse, MasterKey,
    OneTimeKey, SelfSigningKey, UserSigningKey, algorithm, signature,
};
use crate::canonical::{Integer, Object, Value};
use crate::key::{Curve25519SecretKey, Ed25519SecretKey, KemSecretKey};

const ALICE: &str = "@alice:example.org";
const BOB: &str = "@bob:example.net";

struct Device {
    key: Ed25519SecretKey,
    keys: DeviceKeys,
}

fn device(user: &str, id: &str, seed: u64) -> Device {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let key = Ed25519SecretKey::generate(&mut rng);
    let curve = Curve25519SecretKey::generate(&mut rng).public_key();
    let keys = DeviceKeys::sign(user, id, &[algorithm::OLM, algorithm::MEGOLM], &curve, &key).unwrap();
    Device { key, keys }
}

struct Identity {
    master_key: Ed25519SecretKey,
    self_signing_key: Ed25519SecretKey,
    user_signing_key: Ed25519SecretKey,
    master: MasterKey,
    self_signing: SelfSigningKey,
    user_signing: UserSigningKey,
}

fn identity(user: &str, seed: u64) -> Identity {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let master_key = Ed25519SecretKey::generate(&mut rng);
    let self_signing_key = Ed25519SecretKey::generate(&mut rng);
    let user_signing_key = Ed25519SecretKey::generate(&mut rng);
    let master = MasterKey::create(user, &master_key).unwrap();
    let self_signing = SelfSigningKey::create(&self_signing_key.public_key(), &master, &master_key).unwrap();
    let user_signing = UserSigningKey::create(&user_signing_key.public_key(), &master, &master_key).unwrap();
    Identity { master_key, self_signing_key, user_signing_key, master, self_signing, user_signing }
}

fn uploader<'a>(device: Option<&'a DeviceKeys>) -> Uploader<'a> {
    Uploader { user_id: ALICE, device_id: "PHONE", device, cross_signing_keys: &[] }
}

fn one_time_key(device: &Device, id: &str, fallback: Fallback) -> OneTimeKey {
    let public = Curve25519SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(99)).public_key();
    OneTimeKey::sign_curve25519(id, &public, fallback, &device.keys, &device.key).unwrap()
}

#[test]
fn the_signatures_of_the_specification_come_out_as_it_says() {
    // "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", whose last character has stray bits that our decoder refuses.
    let mut seed: [u8; 32] = [
        0x60, 0x90, 0xc1, 0x03, 0xd5, 0xe7, 0xaf, 0x6b, 0x15, 0xa9, 0x70, 0xfd, 0x56, 0x3e, 0xd7, 0x55, 0x49, 0xe6,
        0x15, 0x97, 0x19, 0xae, 0x5c, 0x3c, 0x31, 0xde, 0xe4, 0x31, 0x6f, 0xb7, 0x5c, 0x0d,
    ];
    let key = Ed25519SecretKey::from_bytes(&seed);
    seed[0] ^= 1;
    let cases = [
        (Object::new(), "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
        (
            Object::parse(br#"{"one":1,"two":"Two"}"#).unwrap(),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ];
    for (mut object, expected) in cases {
        signature::sign(&mut object, "domain", "ed25519:1", &key).unwrap();
        let by_domain = object.object("signatures").unwrap().object("domain").unwrap();
        assert_eq!(by_domain.string("ed25519:1").unwrap(), expected);
        signature::verify(&object, "domain", "ed25519:1", &key.public_key()).unwrap();
        let other = Ed25519SecretKey::from_bytes(&seed).public_key();
        assert!(signature::verify(&object, "domain", "ed25519:1", &other).is_err());
    }
}

#[test]
fn device_keys_are_read_back_as_they_were_signed() {
    let Device { keys, .. } = device(ALICE, "PHONE", 1);
    let read = DeviceKeys::verify(Object::parse(keys.as_object().to_canonical().as_bytes()).unwrap(), ALICE, "PHONE");
    assert_eq!(read, Ok(keys));
}

#[test]
fn an_altered_byte_anywhere_in_device_keys_is_refused() {
    let Device { keys, .. } = device(ALICE, "PHONE", 1);
    let json = keys.as_object().to_canonical().into_bytes();
    for at in 0..json.len() {
        for flip in [1, 0x20] {
            let mut altered = json.clone();
            altered[at] ^= flip;
            let read = Object::parse(&altered).ok().map(|object| DeviceKeys::verify(object, ALICE, "PHONE"));
            assert!(!matches!(read, Some(Ok(_))), "byte {at} of {}", String::from_utf8_lossy(&altered));
        }
    }
}

#[test]
fn fields_that_nobody_knows_yet_are_covered_by_the_signature_and_kept() {
    let Device { key, keys } = device(ALICE, "PHONE", 1);
    let mut object = keys.as_object().clone();
    object.remove("signatures");
    object.insert("org.example.dehydrated", true);
    object.insert("unsigned", Object::new().with("device_display_name", "Phone"));
    signature::sign(&mut object, ALICE, "ed25519:PHONE", &key).unwrap();
    let read = DeviceKeys::verify(object.clone(), ALICE, "PHONE").unwrap();
    assert_eq!(read.as_object(), &object);
    object.insert("unsigned", Object::new().with("device_display_name", "Toaster"));
    assert!(DeviceKeys::verify(object.clone(), ALICE, "PHONE").is_ok());
    object.insert("org.example.dehydrated", false);
    assert!(matches!(DeviceKeys::verify(object, ALICE, "PHONE"), Err(BundleError::WrongSignature { .. })));
}

/// Device keys with one thing changed, signed again, so that only the check under test can refuse them.
fn resigned(change: impl FnOnce(&mut Object)) -> Result<DeviceKeys, BundleError> {
    let Device { key, keys } = device(ALICE, "PHONE", 1);
    let mut object = keys.as_object().clone();
    object.remove("signatures");
    change(&mut object);
    signature::sign(&mut object, ALICE, "ed25519:PHONE", &key).unwrap();
    DeviceKeys::verify(object, ALICE, "PHONE")
}

fn keys_of(object: &mut Object) -> &mut Object {
    match object.get_mut("keys") {
        Some(Value::Object(keys)) => keys,
        _ => panic!("device keys have keys"),
    }
}

#[test]
fn rightly_signed_device_keys_that_are_malformed_are_refused() {
    assert!(resigned(|_| ()).is_ok());
    assert!(matches!(resigned(|o| _ = o.insert("user_id", BOB)), Err(BundleError::Owner { field: "user_id", .. })));
    assert!(matches!(resigned(|o| _ = o.insert("device_id", "X")), Err(BundleError::Owner { field: "device_id", .. })));
    assert!(matches!(resigned(|o| _ = o.remove("algorithms")), Err(BundleError::Field(_))));
    assert!(matches!(resigned(|o| _ = o.insert("algorithms", "m.olm")), Err(BundleError::Field(_))));
    assert!(matches!(resigned(|o| _ = o.remove("keys")), Err(BundleError::Field(_))));
    assert!(matches!(resigned(|o| _ = keys_of(o).remove("ed25519:PHONE")), Err(BundleError::Field(_))));
    assert!(matches!(resigned(|o| _ = keys_of(o).insert("ed25519:OTHER", "x")), Err(BundleError::KeyName(_))));
    assert!(matches!(resigned(|o| _ = keys_of(o).insert("nocolon", "x")), Err(BundleError::KeyName(_))));
    assert!(matches!(resigned(|o| _ = keys_of(o).insert("other:PHONE", true)), Err(BundleError::Field(_))));
    assert!(matches!(resigned(|o| _ = keys_of(o).insert("curve25519:PHONE", "short")), Err(BundleError::Key { .. })));
    assert!(matches!(resigned(|o| _ = o.insert("pad", "x".repeat(70_000))), Err(BundleError::TooMuch { .. })));
    let two = Integer::new(2).unwrap();
    assert!(matches!(resigned(|o| _ = o.insert("user_id", two)), Err(BundleError::Field(_))));
}

#[test]
fn an_upload_of_keys_is_taken_whole_and_reads_back() {
    let phone = device(ALICE, "PHONE", 1);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (curve, kem) = (Curve25519SecretKey::generate(&mut rng), KemSecretKey::generate(&mut rng));
    let hybrid = OneTimeKey::sign_hybrid(
        "AAAAAQ",
        (&curve.public_key(), kem.public_key()),
        Fallback::No,
        &phone.keys,
        &phone.key,
    )
    .unwrap();
    let upload = KeysUpload {
        device_keys: Some(phone.keys.clone()),
        unsigned_device_keys: None,
        one_time_keys: vec![hybrid, one_time_key(&phone, "AAAAAg", Fallback::No)],
        fallback_keys: vec![one_time_key(&phone, "AAAAAw", Fallback::Yes)],
    };
    let body = upload.to_body();
    let checked = KeysUpload::check(&body, &uploader(None)).unwrap();
    assert_eq!(checked, upload);
    assert!(
        matches!(checked.one_time_keys[0].content(), KeyContent::SignedHybrid { kem: public, .. } if public == kem.public_key())
    );
    // The second upload names no device keys; those known from the first count.
    let mut later = body.clone();
    later.remove("device_keys");
    assert!(KeysUpload::check(&later, &uploader(Some(&phone.keys))).is_ok());
    assert!(matches!(KeysUpload::check(&later, &uploader(None)), Err(BundleError::NoSigner(_))));
    assert_eq!(
        KeysUpload::response(&[("signed_curve25519", 20)]).to_canonical(),
        r#"{"one_time_key_counts":{"signed_curve25519":20}}"#
    );
}

#[test]
fn a_device_may_change_its_identity_and_then_signs_with_the_new_one() {
    let (phone, other) = (device(ALICE, "PHONE", 1), device(ALICE, "PHONE", 2));
    let key = one_time_key(&other, "A", Fallback::No);
    let body = Object::new()
        .with("device_keys", other.keys.as_object().clone())
        .with("one_time_keys", Object::new().with(key.name(), key.value().clone()));
    let upload = KeysUpload::check(&body, &uploader(Some(&phone.keys))).unwrap();
    assert_eq!(upload.device_keys.as_ref(), Some(&other.keys));
    assert!(!upload.device_keys.unwrap().same_identity(&phone.keys));
}

#[test]
fn device_keys_without_a_signature_are_taken_as_such_and_sign_nothing() {
    let phone = device(ALICE, "PHONE", 1);
    let mut object = phone.keys.as_object().clone();
    object.insert("signatures", Object::new());
    let body = Object::new().with("device_keys", object.clone());
    let upload = KeysUpload::check(&body, &uploader(Some(&phone.keys))).unwrap();
    assert_eq!(
        (upload.device_keys, upload.unsigned_device_keys.map(|keys| keys.as_object().clone())),
        (None, Some(object.clone()))
    );

    let key = one_time_key(&phone, "A", Fallback::No);
    let with_key = body.with("one_time_keys", Object::new().with(key.name(), key.value().clone()));
    let refused = KeysUpload::check(&with_key, &uploader(Some(&phone.keys)));
    assert!(matches!(refused, Err(BundleError::NoSigner(_))), "{refused:?}");

    object.remove("algorithms");
    let body = Object::new().with("device_keys", object.clone());
    assert_eq!(KeysUpload::check(&body, &uploader(None)).unwrap_err().errcode(), "M_BAD_JSON");
    object.remove("signatures");
    let body = Object::new().with("device_keys", object);
    assert_eq!(KeysUpload::check(&body, &uploader(None)).unwrap_err().errcode(), "M_BAD_JSON");
}

#[test]
fn an_upload_is_refused_for_each_wrong_part() {
    let phone = device(ALICE, "PHONE", 1);
    let other = device(ALICE, "PHONE", 2);
    let check = |body: &Object, uploader: &Uploader<'_>| KeysUpload::check(body, uploader).unwrap_err();
    let with =
        |field: &str, key: &OneTimeKey| Object::new().with(field, Object::new().with(key.name(), key.value().clone()));
    let by_phone = one_time_key(&phone, "A", Fallback::No);

    let wrong = check(&with("one_time_keys", &by_phone), &uploader(Some(&other.keys)));
    assert_eq!((wrong.errcode(), matches!(wrong, BundleError::WrongSignature { .. })), ("M_INVALID_SIGNATURE", true));

    let taken = Uploader { cross_signing_keys: &["PHONE".to_owned()], ..uploader(Some(&phone.keys)) };
    assert_eq!(check(&Object::new(), &taken).errcode(), "M_FORBIDDEN");

    let posing = one_time_key(&phone, "A", Fallback::Yes);
    assert!(matches!(check(&with("one_time_keys", &posing), &uploader(Some(&phone.keys))), BundleError::KeyName(_)));

    let two = Object::new().with(
        "fallback_keys",
        Object::new()
            .with("signed_curve25519:A", posing.value().clone())
            .with("signed_curve25519:B", one_time_key(&phone, "B", Fallback::Yes).value().clone()),
    );
    assert!(matches!(check(&two, &uploader(Some(&phone.keys))), BundleError::TooMuch { .. }));

    let many: Object = (0..=1000).map(|n| (format!("signed_curve25519:{n}"), by_phone.value().clone())).collect();
    let many = Object::new().with("one_time_keys", many);
    assert!(matches!(check(&many, &uploader(Some(&phone.keys))), BundleError::TooMuch { .. }));
}

#[test]
fn one_time_keys_are_refused_unless_their_device_signed_them() {
    let phone = device(ALICE, "PHONE", 1);
    let laptop = device(ALICE, "LAPTOP", 2);
    let key = one_time_key(&phone, "A", Fallback::No);
    assert!(OneTimeKey::verify("signed_curve25519:A", key.value().clone(), &laptop.keys).is_err());
    for name in ["signed_curve25519", ":A", "signed_curve25519:", ""] {
        assert!(matches!(OneTimeKey::verify(name, key.value().clone(), &phone.keys), Err(BundleError::KeyName(_))));
    }
    // Passed off as another algorithm: the signature holds, the fields do not.
    assert!(OneTimeKey::verify("org.holdfast.signed_x25519_mlkem768:A", key.value().clone(), &phone.keys).is_err());
    // Unsigned keys: the old kind is read, an unknown kind is not.
    let text = Value::from(phone.keys.curve25519().unwrap().to_base64());
    assert!(OneTimeKey::verify("curve25519:A", text.clone(), &phone.keys).is_ok());
    assert!(OneTimeKey::verify("signed_curve25519:A", text.clone(), &phone.keys).is_err());
    assert!(OneTimeKey::verify("org.example.new:A", text, &phone.keys).is_err());
    let unknown = OneTimeKey::verify("org.example.new:A", key.value().clone(), &phone.keys).unwrap();
    assert_eq!(unknown.content(), &KeyContent::Other);

    let json = key.value().to_canonical().into_bytes();
    for at in 0..json.len() {
        let mut altered = json.clone();
        altered[at] ^= 1;
        let read =
            Value::parse(&altered).ok().map(|value| OneTimeKey::verify("signed_curve25519:A", value, &phone.keys));
        assert!(!matches!(read, Some(Ok(_))), "byte {at}");
    }
}

#[test]
fn a_claim_gives_one_checked_key_of_the_algorithm_asked_for() {
    let phone = device(ALICE, "PHONE", 1);
    let key = one_time_key(&phone, "A", Fallback::No);
    let mut request = ClaimRequest::default();
    request.add(ALICE, "PHONE", algorithm::SIGNED_HYBRID);
    request.add(ALICE, "PHONE", algorithm::SIGNED_CURVE25519);
    request.add(ALICE, "LAPTOP", algorithm::SIGNED_CURVE25519);
    let body = request.to_body();
    assert_eq!(
        body.to_canonical(),
        r#"{"one_time_keys":{"@alice:example.org":{"LAPTOP":"signed_curve25519","PHONE":"signed_curve25519"}}}"#
    );
    assert_eq!(ClaimRequest::parse(&body).unwrap().claims().count(), 2);

    let mut response = ClaimResponse::default();
    response.add(ALICE, "PHONE", key.name(), key.value().clone());
    let response = ClaimResponse::parse(&response.to_body()).unwrap();
    assert_eq!(response.take(&phone.keys, algorithm::SIGNED_CURVE25519), Ok(key));
    // A server that answers with a key for Olm when one for the hybrid was asked for does not thereby choose Olm.
    assert!(matches!(response.take(&phone.keys, algorithm::SIGNED_HYBRID), Err(BundleError::KeyName(_))));
    assert!(response.take(&device(ALICE, "LAPTOP", 2).keys, algorithm::SIGNED_CURVE25519).is_err());
}

#[test]
fn cross_signing_keys_are_taken_if_the_master_key_signed_them() {
    let phone = device(ALICE, "PHONE", 1);
    let Identity { master, self_signing, user_signing, .. } = identity(ALICE, 10);
    let master = master.signed_by(ALICE, "ed25519:PHONE", &phone.key).unwrap();
    let body = Object::new()
        .with("master_key", master.get().as_object().clone())
        .with("self_signing_key", self_signing.get().as_object().clone())
        .with("user_signing_key", user_signing.get().as_object().clone());
    let devices = [phone.keys];
    let owner = Owner { user_id: ALICE, master: None, devices: &devices, keyless_devices: &[] };
    let upload = CrossSigningUpload::check(&body, &owner).unwrap();
    assert_eq!(upload.master.as_ref(), Some(&master));
    assert_eq!(upload.public_keys().count(), 3);

    let mut later = body.clone();
    later.remove("master_key");
    assert_eq!(CrossSigningUpload::check(&later, &owner), Err(BundleError::NoSigner("master key")));
    let known = Owner { master: Some(&master), ..owner };
    assert!(CrossSigningUpload::check(&later, &known).is_ok());
    let stranger = identity(ALICE, 11).master;
    let known = Owner { master: Some(&stranger), ..owner };
    assert_eq!(CrossSigningUpload::check(&later, &known).unwrap_err().errcode(), "M_INVALID_SIGNATURE");
}

#[test]
fn cross_signing_keys_are_refused_for_each_wrong_part() {
    let phone = device(ALICE, "PHONE", 1);
    let Identity { master, master_key, self_signing, .. } = identity(ALICE, 10);
    let devices = [phone.keys];
    let owner = Owner { user_id: ALICE, master: None, devices: &devices, keyless_devices: &[] };
    let check =
        |master: Object| CrossSigningUpload::check(&Object::new().with("master_key", master), &owner).unwrap_err();
    let changed = |change: fn(&mut Object)| {
        let mut object = master.get().as_object().clone();
        change(&mut object);
        object
    };
    assert!(matches!(check(changed(|o| _ = o.insert("user_id", BOB))), BundleError::Owner { .. }));
    assert!(matches!(check(changed(|o| _ = o.insert("usage", vec!["self_signing"]))), BundleError::Usage { .. }));
    assert!(matches!(
        check(changed(|o| _ = o.insert("usage", vec!["master", "self_signing"]))),
        BundleError::Usage { .. }
    ));
    assert!(matches!(check(changed(|o| _ = keys_of(o).insert("ed25519:x", "x"))), BundleError::Field(_)));
    let misnamed = changed(|o| *keys_of(o) = Object::new().with("ed25519:PHONE", "x"));
    assert!(matches!(check(misnamed), BundleError::KeyName(_)));
    assert!(matches!(check(changed(|o| *keys_of(o) = Object::new().with("ed25519:x", "x"))), BundleError::Key { .. }));

    // A signature in the name of a known device that the device did not make.
    let forged = master.clone().signed_by(ALICE, "ed25519:PHONE", &master_key).unwrap();
    assert!(matches!(check(forged.get().as_object().clone()), BundleError::WrongSignature { .. }));

    // A device that is called like the key.
    let name = [master.get().key().to_base64()];
    let owner = Owner { keyless_devices: &name, ..owner };
    let body = Object::new().with("master_key", master.get().as_object().clone());
    assert_eq!(CrossSigningUpload::check(&body, &owner).unwrap_err().errcode(), "M_FORBIDDEN");

    let mut unsigned = self_signing.get().as_object().clone();
    unsigned.remove("signatures");
    assert!(matches!(SelfSigningKey::verify(unsigned, &master), Err(BundleError::NotSigned { .. })));
    // A self-signing key is not taken for a user-signing key.
    assert!(matches!(
        UserSigningKey::verify(self_signing.get().as_object().clone(), &master),
        Err(BundleError::Usage { .. })
    ));
}

#[test]
fn new_signatures_are_taken_only_on_the_published_object() {
    let phone = device(ALICE, "PHONE", 1);
    let alice = identity(ALICE, 10);
    let published = phone.keys.as_object();
    let key_id = alice.self_signing.get().key_id();
    let mut uploaded = published.clone();
    signature::sign(&mut uploaded, ALICE, &key_id, &alice.self_signing_key).unwrap();
    let find = |id: &str| (id == key_id).then(|| *alice.self_signing.get().key());
    let upload = SignatureUpload::check(&uploaded, published, ALICE, find).unwrap();
    assert_eq!(upload.signatures.len(), 1);
    assert_eq!(upload.signatures[0].0, key_id);

    assert!(matches!(SignatureUpload::check(&uploaded, published, ALICE, |_| None), Err(BundleError::NoSigner(_))));
    let wrong = SignatureUpload::check(&uploaded, published, ALICE, |_| Some(*alice.master.get().key()));
    assert!(matches!(wrong, Err(BundleError::WrongSignature { .. })));
    let changed = uploaded.with("algorithms", vec!["m.none"]);
    assert_eq!(SignatureUpload::check(&changed, published, ALICE, find), Err(BundleError::ObjectChanged));
}

#[test]
fn signatures_of_strangers_are_hidden() {
    let alice = identity(ALICE, 10);
    let bob = identity(BOB, 11);
    let carol = "@carol:example.com";
    let signed = alice.master.signed_by(BOB, &bob.user_signing.get().key_id(), &bob.user_signing_key).unwrap();
    let signed = signed.signed_by(ALICE, "ed25519:PHONE", &alice.master_key).unwrap();
    let seen = |viewer: &str| {
        let mut object = signed.get().as_object().clone();
        signature::hide_from(&mut object, ALICE, viewer);
        object.object("signatures").unwrap().iter().map(|(signer, _)| signer.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen(ALICE), [ALICE]);
    assert_eq!(seen(BOB), [ALICE, BOB]);
    assert_eq!(seen(carol), [ALICE]);
}

#[test]
fn trust_follows_the_chain_from_our_master_key_to_their_device() {
    let alice = identity(ALICE, 10);
    let bob = identity(BOB, 11);
    let phone = device(BOB, "PHONE", 3);
    let own = OwnIdentity::new(
        &alice.master_key.public_key(),
        alice.master.clone(),
        alice.self_signing.clone(),
        alice.user_signing.clone(),
    )
    .unwrap();
    let unverified = UnverifiedIdentity::new(bob.master.clone(), bob.self_signing.clone(), &[]).unwrap();
    assert!(matches!(unverified.clone().verify(&own), Err(BundleError::NotSigned { .. })));

    // Alice compared Bob's key once; what she signed is enough for her other devices.
    let compared = unverified.verify_compared(&bob.master_key.public_key()).unwrap();
    let signed = own.sign_user(&compared, &alice.user_signing_key).unwrap();
    assert!(own.sign_user(&compared, &alice.self_signing_key).is_err());
    let verified = UnverifiedIdentity::new(signed, bob.self_signing.clone(), &[]).unwrap().verify(&own).unwrap();

    assert!(matches!(verified.device(phone.keys.clone()), Err(BundleError::NotSigned { .. })));
    let bobs_own =
        OwnIdentity::new(&bob.master_key.public_key(), bob.master.clone(), bob.self_signing.clone(), bob.user_signing)
            .unwrap();
    assert!(bobs_own.sign_device(&phone.keys, &bob.user_signing_key).is_err());
    let signed = bobs_own.sign_device(&phone.keys, &bob.self_signing_key).unwrap();
    assert_eq!(verified.device(signed.keys().clone()).unwrap().keys().device_id(), "PHONE");
    // Alice's identity does not vouch for Bob's device, whoever signed it.
    assert!(matches!(own.identity().device(signed.keys().clone()), Err(BundleError::Owner { .. })));
}

#[test]
fn trust_is_refused_where_the_chain_breaks() {
    let bob = identity(BOB, 11);
    let other = identity(BOB, 12);
    let alice = identity(ALICE, 10);
    // A server that swaps the self-signing key for that of another identity of the same user.
    assert!(UnverifiedIdentity::new(bob.master.clone(), other.self_signing.clone(), &[]).is_err());
    // A server that swaps the whole identity after Bob was compared.
    let swapped = UnverifiedIdentity::new(other.master.clone(), other.self_signing.clone(), &[]).unwrap();
    assert!(matches!(swapped.verify_compared(&bob.master_key.public_key()), Err(BundleError::KeyName(_))));
    // A server that shows us another identity of our own.
    assert!(
        OwnIdentity::new(&bob.master_key.public_key(), alice.master, alice.self_signing, alice.user_signing).is_err()
    );
    // A device called like a cross-signing key.
    let evil = device(BOB, &bob.self_signing.get().key().to_base64(), 13);
    assert!(matches!(
        UnverifiedIdentity::new(bob.master.clone(), bob.self_signing.clone(), std::slice::from_ref(&evil.keys)),
        Err(BundleError::NameTaken(_))
    ));
    let verified = UnverifiedIdentity::new(bob.master, bob.self_signing, &[])
        .unwrap()
        .verify_compared(&bob.master_key.public_key())
        .unwrap();
    assert!(matches!(verified.device(evil.keys), Err(BundleError::NameTaken(_))));
    // A device whose compared key is another.
    let phone = device(BOB, "PHONE", 3);
    assert!(VerifiedDevice::compared(phone.keys.clone(), &bob.master_key.public_key()).is_err());
    assert!(VerifiedDevice::compared(phone.keys.clone(), phone.keys.ed25519()).is_ok());
}

#[test]
fn a_query_is_read_part_by_part_and_names_what_it_refuses() {
    let bob = identity(BOB, 11);
    let other = identity(BOB, 12);
    let phone = device(BOB, "PHONE", 3);
    let body = Object::new()
        .with(
            "device_keys",
            Object::new().with(
                BOB,
                Object::new()
                    .with("PHONE", phone.keys.as_object().clone())
                    .with("STOLEN", phone.keys.as_object().clone())
                    .with("NULL", Value::Null),
            ),
        )
        .with("master_keys", Object::new().with(BOB, bob.master.get().as_object().clone()))
        .with("self_signing_keys", Object::new().with(BOB, bob.self_signing.get().as_object().clone()))
        .with("user_signing_keys", Object::new().with(BOB, other.user_signing.get().as_object().clone()));
    let keys = KeysQueryResponse::parse(body).user(BOB);
    assert_eq!(keys.devices, [phone.keys]);
    assert_eq!((keys.master, keys.self_signing), (Some(bob.master), Some(bob.self_signing)));
    assert_eq!(keys.user_signing, None);
    let refused: Vec<&str> = keys.refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(refused, ["NULL", "STOLEN", "user_signing"]);
}
