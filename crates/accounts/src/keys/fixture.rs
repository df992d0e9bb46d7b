//! Clients with real keys, for tests.

use std::collections::BTreeMap;

use protocol::bundle::{DeviceKeys, Fallback, MasterKey, OneTimeKey, SelfSigningKey, UserSigningKey, algorithm};
use protocol::canonical::Object;
use protocol::key::Ed25519SecretKey;
use protocol::olm::Account;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ruma::serde::Raw;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde_json::value::RawValue;

use crate::keys::{CrossSigningKeys, KeysToUpload};
use crate::{Accounts, LoggedIn};

/// A device with its secrets.
pub(crate) struct Client {
    pub(crate) user: OwnedUserId,
    pub(crate) device: OwnedDeviceId,
    pub(crate) account: Account,
    pub(crate) keys: DeviceKeys,
    rng: ChaCha20Rng,
}

pub(crate) fn raw<T>(object: &Object) -> Raw<T> {
    Raw::from_json(RawValue::from_string(object.to_canonical()).unwrap())
}

pub(crate) fn raw_key<T>(key: &OneTimeKey) -> Raw<T> {
    Raw::from_json(RawValue::from_string(key.value().to_canonical()).unwrap())
}

impl Client {
    pub(crate) fn new(session: &LoggedIn, seed: u64) -> Self {
        Self::of(session.user_id.clone(), session.device_id.clone(), seed)
    }

    pub(crate) fn of(user: OwnedUserId, device: OwnedDeviceId, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let account = Account::new(&mut rng);
        let curve25519 = account.identity_keys().curve25519;
        let algorithms = [algorithm::OLM, algorithm::MEGOLM];
        let keys = DeviceKeys::sign(user.as_str(), device.as_str(), &algorithms, &curve25519, &account).unwrap();
        Self { user, device, account, keys, rng }
    }

    /// So many one-time keys, signed.
    pub(crate) fn one_time_keys(&mut self, count: usize) -> Vec<OneTimeKey> {
        self.account.generate_one_time_keys(count, &mut self.rng);
        let sign = |(id, public): (protocol::olm::KeyId, _)| {
            OneTimeKey::sign_curve25519(&id.to_base64(), &public, Fallback::No, &self.keys, &self.account).unwrap()
        };
        let keys = self.account.unpublished_one_time_keys().map(sign).collect();
        self.account.mark_keys_as_published();
        keys
    }

    pub(crate) fn fallback_key(&mut self) -> OneTimeKey {
        self.account.generate_fallback_key(&mut self.rng);
        let (id, public) = self.account.unpublished_fallback_key().unwrap();
        self.account.mark_keys_as_published();
        OneTimeKey::sign_curve25519(&id.to_base64(), &public, Fallback::Yes, &self.keys, &self.account).unwrap()
    }

    pub(crate) fn identity(&self) -> KeysToUpload {
        KeysToUpload { device_keys: Some(raw(self.keys.as_object())), ..KeysToUpload::default() }
    }

    /// Uploads the device's keys and `count` one-time keys, which are given back in the order they will be given out.
    pub(crate) async fn publish(&mut self, accounts: &Accounts, count: usize) -> Vec<OneTimeKey> {
        let keys = sorted(self.one_time_keys(count));
        let upload = KeysToUpload { one_time_keys: named(&keys), ..self.identity() };
        accounts.upload_keys(&self.user, &self.device, &upload).await.unwrap();
        keys
    }
}

/// As they are ordered within one upload.
pub(crate) fn sorted(mut keys: Vec<OneTimeKey>) -> Vec<OneTimeKey> {
    keys.sort_by(|one, other| one.name().cmp(other.name()));
    keys
}

/// One-time keys as an upload has them.
pub(crate) fn named(keys: &[OneTimeKey]) -> BTreeMap<ruma::OwnedOneTimeKeyId, Raw<ruma::encryption::OneTimeKey>> {
    keys.iter().map(|key| (key.name().try_into().unwrap(), raw_key(key))).collect()
}

/// The cross-signing keys of a user, with their secrets.
pub(crate) struct Identity {
    pub(crate) master_key: Ed25519SecretKey,
    pub(crate) self_signing_key: Ed25519SecretKey,
    pub(crate) user_signing_key: Ed25519SecretKey,
    pub(crate) master: MasterKey,
    pub(crate) self_signing: SelfSigningKey,
    pub(crate) user_signing: UserSigningKey,
}

impl Identity {
    pub(crate) fn new(user: &ruma::UserId, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let [master_key, self_signing_key, user_signing_key] = [(); 3].map(|()| Ed25519SecretKey::generate(&mut rng));
        let master = MasterKey::create(user.as_str(), &master_key).unwrap();
        let self_signing = SelfSigningKey::create(&self_signing_key.public_key(), &master, &master_key).unwrap();
        let user_signing = UserSigningKey::create(&user_signing_key.public_key(), &master, &master_key).unwrap();
        Self { master_key, self_signing_key, user_signing_key, master, self_signing, user_signing }
    }

    pub(crate) fn upload(&self) -> CrossSigningKeys {
        CrossSigningKeys {
            master_key: Some(raw(self.master.get().as_object())),
            self_signing_key: Some(raw(self.self_signing.get().as_object())),
            user_signing_key: Some(raw(self.user_signing.get().as_object())),
        }
    }
}
